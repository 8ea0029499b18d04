"""An account that says what a test tells it to."""

from collections.abc import Sequence
from decimal import Decimal

import attrs
import pytest

from fairlead import Instrument, Order, OrderIntent, OrderStatus, Position, Side, default_instrument
from fairlead.facts import Fact
from fairlead.ports import View

NOW = 1_700_000_000_000_000_000


@attrs.define
class FakeView:
    """One account, "paper" in USDT, of which everything is known unless a test says otherwise."""

    now: int = NOW
    equity_now: float | None = 100_000.0
    start: float | None = 100_000.0
    peak: float | None = 100_000.0
    worth: float | None = 1_000.0
    before: float | None = 0.0
    after: float | None = 1_000.0
    home: str = "USDT"
    received: dict[str, int] = attrs.Factory(lambda: {"BTC/USDT@x": NOW})
    cadences: dict[str, int] = attrs.Factory(dict)
    held: dict[str, Decimal] = attrs.Factory(dict)
    working: list[Order] = attrs.Factory(list)
    done: list[Order] = attrs.Factory(list)
    turn: list[Fact] = attrs.Factory(list)
    marked: float | None = 100.0
    touch: float | None = 100.0
    margin_before: float | None = 0.0
    margin_after: float | None = 100.0
    listed: dict[str, Instrument] = attrs.Factory(dict)

    def accounts(self) -> Sequence[str]:
        return ["paper"]

    def currency(self, account: str) -> str:
        return self.home

    def equity(self, account: str) -> float | None:
        return self.equity_now

    def day_start(self, account: str) -> float | None:
        return self.start

    def high_water(self, account: str) -> float | None:
        return self.peak

    def exposure(self, account: str) -> float | None:
        return self.before

    def value(self, intent: OrderIntent) -> float | None:
        return self.worth

    def exposure_with(self, intent: OrderIntent) -> float | None:
        return self.after

    def margin(self, account: str) -> float | None:
        return self.margin_before

    def margin_with(self, intent: OrderIntent) -> float | None:
        return self.margin_after

    def instrument(self, name: str) -> Instrument:
        symbol, _, venue = name.partition("@")
        return self.listed.get(name) or default_instrument(symbol, venue, tick="0.01")

    def price(self, intent: OrderIntent) -> float | None:
        own = intent.limit_price or intent.stop_price
        return self.touch if own is None else float(own)

    def market_value(self, account: str, instrument: str, quantity: Decimal) -> float | None:
        return None if self.marked is None else float(quantity) * self.marked

    def reach(
        self, account: str, instrument: str, strategy: str | None = None, more: OrderIntent | None = None
    ) -> tuple[Decimal, Decimal]:
        """What is held, and every working order of the right strategy and instrument; groups are not known here."""
        held = self.position(account, instrument, strategy)
        sides = {Side.BUY: held, Side.SELL: -held}
        intents = [o.intent for o in self.working if o.status is not OrderStatus.HELD]
        for one in [*intents, *([] if more is None else [more])]:
            if one.instrument == instrument and strategy in (None, one.strategy):
                sides[one.side] += one.quantity
        return sides[Side.BUY], sides[Side.SELL]

    def mark(self, instrument: str) -> float | None:
        return self.marked

    def age(self, instrument: str) -> int | None:
        received = self.received.get(instrument)
        return None if not received else self.now - received

    def cadence(self, instrument: str) -> int:
        return self.cadences.get(instrument, 0)

    def watched(self) -> Sequence[str]:
        return list(self.received)

    def position(self, account: str, instrument: str, strategy: str | None = None) -> Decimal:
        """`held` is by strategy; the account holds the sum."""
        if strategy is None:
            return sum(self.held.values(), Decimal(0))
        return self.held.get(strategy, Decimal(0))

    def positions(self, account: str) -> Sequence[Position]:
        return []

    def orders(self, account: str) -> Sequence[Order]:
        return self.working

    def recent(self, since_ns: int) -> Sequence[Order]:
        return [o for o in self.done if o.updated_ns >= since_ns]

    def facts(self, after: int) -> Sequence[Fact]:
        return [fact for fact in self.turn if fact.seq > after]


_: View = FakeView()


@pytest.fixture(scope="session")
def make_view():
    return FakeView


@pytest.fixture
def view():
    return FakeView()


def _intent(side="buy", quantity=1, *, strategy="s", **more):
    more = {"account": "paper", "instrument": "BTC/USDT@x", **more}
    return OrderIntent(strategy=strategy, side=Side(side), quantity=Decimal(quantity), **more)


def _working(name, *args, status=OrderStatus.ACCEPTED, **more):
    intent = _intent(*args, **more)
    return Order(client_order_id=name, intent=intent, status=status, quantity=intent.quantity)


@pytest.fixture(scope="session")
def intent():
    return _intent


@pytest.fixture(scope="session")
def working():
    return _working
