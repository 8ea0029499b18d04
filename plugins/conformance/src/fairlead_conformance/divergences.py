"""How an account and its venue can differ: each way by itself, made at a venue that a test plays."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import attrs

from fairlead import OrderStatus, Side
from fairlead.ports import DiscrepancyKind, OrderReport, Severity, Snapshot, Submit
from fairlead.testing import MARKET_AND_LIMIT, Bench, FakeBroker, Puppet, make_instrument

D = Decimal
K = DiscrepancyKind
MINOR, MODERATE, CRITICAL = Severity.MINOR, Severity.MODERATE, Severity.CRITICAL
PERP, OTHER = make_instrument(), make_instrument("ETH/USDT:USDT")
BTC, ETH = PERP.id, OTHER.id
REMOTE = attrs.evolve(
    MARKET_AND_LIMIT,
    environment="testnet",
    exact=False,
    backfill_ns=0,
    query_lag_ns=0,
    watch_ns=5_000_000_000,
    modes={"position_mode": "net"},
)


class DivergentVenue(FakeBroker):
    """A venue that has orders which nobody here placed, and whose cash follows the fills."""

    def __init__(self) -> None:
        super().__init__(PERP, OTHER, profile=REMOTE)
        self.strangers: dict[str, OrderReport] = {}
        self.entries: dict[str, Decimal] = {}
        self.terms: dict[str, Decimal] = {}
        self.modes = {"position_mode": "net"}

    async def snapshot(self) -> Snapshot:
        """As ever, with the orders that nobody here placed, changed terms, and the settings."""
        taken = await super().snapshot()
        ours = [
            attrs.evolve(order, quantity=self.terms.get(order.client_order_id, order.quantity))
            for order in taken.orders or ()
        ]
        orders = (*ours, *self.strangers.values())
        return attrs.evolve(taken, orders=orders, entry_prices=dict(self.entries), modes=dict(self.modes))

    def send(self, command: Any) -> None:
        """Take an order back that nobody here placed, or do as ever."""
        if not isinstance(command, Submit) and getattr(command, "client_order_id", "") in self.strangers:
            self.commands.append(command)
            del self.strangers[command.client_order_id]
            return
        super().send(command)


class Divergence(NamedTuple):
    """One difference: how it is made at a venue, and how it is classified (no kind: it is none)."""

    name: str
    make: Callable[[Any, DivergentVenue], None]
    kind: DiscrepancyKind | None
    severity: Severity = CRITICAL
    ours: str = "5"


def position(there: str, instrument: str = BTC) -> Callable[[Any, DivergentVenue], None]:
    """The venue holds another quantity."""

    def make(_: Any, venue: DivergentVenue) -> None:
        venue.positions[instrument] = D(there)

    return make


def cash(change: str, currency: str = "USDT") -> Callable[[Any, DivergentVenue], None]:
    """The venue has more cash by this much."""

    def make(_: Any, venue: DivergentVenue) -> None:
        venue.balances[currency] = venue.balances.get(currency, D(0)) + D(change)

    return make


def stranger(**fields: Any) -> Callable[[Any, DivergentVenue], None]:
    """An order works that nobody here placed."""

    def make(_: Any, venue: DivergentVenue) -> None:
        order = {
            "client_order_id": "web-1",
            "broker_order_id": "b-web-1",
            "instrument": BTC,
            "open": True,
            "quantity": D(2),
            "filled_quantity": D(0),
            "side": Side.BUY,
            "limit_price": D(90),
            **fields,
        }
        venue.strangers[order["client_order_id"]] = OrderReport(**order)

    return make


def zombie(bench: Any, venue: DivergentVenue) -> None:
    """An order that was canceled works again."""
    order = bench.do(lambda s: s.buy(1, instrument=BTC, limit_price=90))
    bench.do(lambda s: s.cancel(order))
    assert order.status is OrderStatus.CANCELED
    stranger(client_order_id=order.client_order_id, quantity=D(1))(bench, venue)


def in_flight(bench: Any, venue: DivergentVenue) -> None:
    """An order filled, and the report is on its way."""
    venue.answers.append(lambda *_: ())
    order = bench.do(lambda s: s.buy(1, instrument=BTC, limit_price=99))
    venue.executed(order.client_order_id)


def other_terms(bench: Any, venue: DivergentVenue) -> None:
    """An order of ours is smaller there."""
    order = bench.do(lambda s: s.buy(2, instrument=BTC, limit_price=90))
    venue.terms[order.client_order_id] = D(1)


def other_mode(_: Any, venue: DivergentVenue) -> None:
    """A setting of the account was changed."""
    venue.modes["position_mode"] = "hedge"


def nothing(bench: Any, venue: DivergentVenue) -> None:
    """Nothing."""


DIVERGENCES = (
    Divergence("nothing", nothing, None),
    Divergence("long, a little more", position("5.02"), K.QUANTITY, MINOR),
    Divergence("long, a little less", position("4.98"), K.QUANTITY, MINOR),
    Divergence("long, 4 % more", position("5.2"), K.QUANTITY, MODERATE),
    Divergence("long, 4 % less", position("4.8"), K.QUANTITY, MODERATE),
    Divergence("long, more", position("6"), K.QUANTITY),
    Divergence("long, less", position("3"), K.QUANTITY),
    Divergence("long, gone", position("0"), K.MISSING_THERE),
    Divergence("long, turned short", position("-5"), K.SIDE),
    Divergence("long, turned a little short", position("-0.5"), K.SIDE),
    Divergence("short, more", position("-6"), K.QUANTITY, CRITICAL, "-5"),
    Divergence("short, less", position("-3"), K.QUANTITY, CRITICAL, "-5"),
    Divergence("short, a little less", position("-4.99"), K.QUANTITY, MINOR, "-5"),
    Divergence("short, gone", position("0"), K.MISSING_THERE, CRITICAL, "-5"),
    Divergence("short, turned long", position("5"), K.SIDE, CRITICAL, "-5"),
    Divergence("flat, a long there", position("4"), K.MISSING_HERE, CRITICAL, "0"),
    Divergence("flat, a short there", position("-4"), K.MISSING_HERE, CRITICAL, "0"),
    Divergence("flat, a speck there", position("0.001"), K.MISSING_HERE, CRITICAL, "0"),
    Divergence("another instrument, a long there", position("7", ETH), K.MISSING_HERE),
    Divergence("cash, a little more", cash("500"), K.CASH, MINOR),
    Divergence("cash, a little less", cash("-500"), K.CASH, MINOR),
    Divergence("cash, 3 % more", cash("3000"), K.CASH, MODERATE),
    Divergence("cash, 3 % less", cash("-3000"), K.CASH, MODERATE),
    Divergence("cash, 20 % less", cash("-20000"), K.CASH),
    Divergence("cash, a currency nobody knew", cash("50", "BNB"), K.CASH),
    Divergence("an order from the website", stranger(), K.EXTERNAL_ORDER),
    Divergence(
        "a stop from the website",
        stranger(side=Side.SELL, limit_price=None, stop_price=D(80)),
        K.EXTERNAL_ORDER,
    ),
    Divergence("an order partly filled there", stranger(filled_quantity=D("0.5")), K.EXTERNAL_ORDER),
    Divergence("an order over here and not there", zombie, K.ORDER_STATUS),
    Divergence("an order without a side", stranger(side=None), K.EXTERNAL_ORDER),
    Divergence("an order of another size there", other_terms, K.ORDER_TERMS),
    Divergence("a setting that is another there", other_mode, K.MODE),
    Divergence("an order in flight", in_flight, None),
)
"""Every way in which the two can differ, and two that are none."""


def story(divergence: Divergence, reconciler: Any) -> tuple[Bench, DivergentVenue]:
    """A bench with the position that a difference begins with, and the venue that it trades at; all agrees yet."""
    venue = DivergentVenue()
    bench = Bench(Puppet("BTC/USDT:USDT", "ETH/USDT:USDT"), broker=venue, reconcilers=[reconciler])
    bench.price(100)
    bench.price(10, instrument=ETH)
    if D(divergence.ours):
        buys = divergence.ours == "5"
        bench.do(lambda s: s.buy(5, instrument=BTC) if buys else s.sell(5, instrument=BTC))
    bench.advance("20s")
    assert not bench.state.discrepancies, "there is a difference before one was made"
    return bench, venue
