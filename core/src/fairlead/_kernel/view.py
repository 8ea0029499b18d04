"""What breakers may look at."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from fairlead._kernel.market import Market
from fairlead._kernel.recorder import Recorder
from fairlead._kernel.state import Working
from fairlead._kernel.valuation import Valuer
from fairlead._models.accounts import Position
from fairlead._models.instrument import Instrument
from fairlead._models.orders import AT_VENUE, Order, OrderIntent, Side
from fairlead.facts import Fact


class KernelView:
    """`fairlead.ports.View` over a running kernel: reads, never copies, never changes."""

    def __init__(self, recorder: Recorder, market: Market, valuer: Valuer) -> None:
        self._recorder = recorder
        self._state = recorder.state
        self._market = market
        self._valuer = valuer
        # Asked at every order, so without a detour.
        self.equity = valuer.equity
        self.value = valuer.value
        self.exposure_with = valuer.exposure_with
        self.margin_with = valuer.margin_with
        self.watched = market.watched

    @property
    def now(self) -> int:
        """The engine's time."""
        return self._recorder.now

    def accounts(self) -> Sequence[str]:
        """The accounts there are."""
        return list(self._state.accounts)

    def currency(self, account: str) -> str:
        """The currency that the account is measured in."""
        return self._state.accounts[account].currency

    def day_start(self, account: str) -> float | None:
        """Equity when the trading day began, cash flows since then added."""
        state = self._state.accounts[account]
        return None if state.day_start is None else state.day_start + state.flows

    def high_water(self, account: str) -> float | None:
        """The highest equity there was."""
        return self._state.accounts[account].high_water

    def exposure(self, account: str) -> float | None:
        """Worst-case gross value of positions, working and unknown orders."""
        return self._valuer.exposure(account)

    def margin(self, account: str) -> float | None:
        """The initial margin that this exposure takes."""
        return self._valuer.margin(account)

    def price(self, intent: OrderIntent) -> float | None:
        """What an order asks for, or would trade at now where it names no price."""
        own = intent.limit_price if intent.limit_price is not None else intent.stop_price
        if own is not None:
            return float(own)
        lane = self._market.lanes.get(intent.instrument)
        return None if lane is None else lane.price(buying=intent.side is Side.BUY) or None

    def market_value(self, account: str, instrument: str, quantity: Decimal) -> float | None:
        """What a quantity is worth at the mark, in the account's currency."""
        lane = self._market.lanes.get(instrument)
        if lane is None or not lane.mark:
            return None
        rate = self._valuer.rate(lane.settle, self._state.accounts[account].currency)
        size = float(quantity) * lane.size
        return None if rate is None else (size / lane.mark if lane.inverse else size * lane.mark) * rate

    def reach(
        self, account: str, instrument: str, strategy: str | None = None, more: OrderIntent | None = None
    ) -> tuple[Decimal, Decimal]:
        """How long and how short a position can get by all that may still fill, one more order included."""
        held = self._state.quantity(account, instrument, strategy or "")
        more = None if more is None else self._state.beyond(more)
        if strategy is None:
            working = self._state.accounts[account].working.get(instrument) or Working()
        else:
            working = self._of(account, instrument, strategy)
        return held + working.quantity(Side.BUY, more), working.quantity(Side.SELL, more) - held

    def _of(self, account: str, instrument: str, strategy: str) -> Working:
        """What one strategy has at the venue."""
        working = Working()
        for order in self._state.open.values():
            if (order.instrument, order.account, order.strategy) != (instrument, account, strategy):
                continue
            if order.status not in AT_VENUE:
                continue
            if order.intent.group:
                working.groups.setdefault(order.intent.group, {})[order.client_order_id] = order
            elif order.side is Side.BUY:
                working.buy += order.remaining_quantity
            else:
                working.sell += order.remaining_quantity
        return working

    def mark(self, instrument: str) -> float | None:
        """The price that values a position."""
        lane = self._market.lanes.get(instrument)
        return None if lane is None else lane.mark or None

    def age(self, instrument: str) -> int | None:
        """Nanoseconds since what gave its mark was received; None before the first."""
        lane = self._market.lanes.get(instrument)
        return None if lane is None or not lane.marked_ns else self._recorder.now - lane.marked_ns

    def cadence(self, instrument: str) -> int:
        """How far apart its events are by nature, in nanoseconds."""
        lane = self._market.lanes.get(instrument)
        return 0 if lane is None else lane.cadence

    def position(self, account: str, instrument: str, strategy: str | None = None) -> Decimal:
        """Signed quantity, of the whole account or of one strategy."""
        return self._state.quantity(account, instrument, strategy or "")

    def positions(self, account: str) -> Sequence[Position]:
        """The open virtual positions."""
        return [
            p for k, p in self._state.positions.items() if k.account == account and k.strategy and p.quantity
        ]

    def order(self, client_order_id: str) -> Order | None:
        """An order by our id, open or closed a short while ago."""
        return self._state.orders.get(client_order_id)

    def instrument(self, name: str) -> Instrument:
        """The rules of an instrument, by its long form."""
        return self._state.instruments[name]

    def orders(self, account: str) -> Sequence[Order]:
        """Orders that may still fill."""
        return [o for o in self._state.open.values() if o.account == account]

    def recent(self, since_ns: int) -> Sequence[Order]:
        """Orders to which anything happened since then, that are still remembered."""
        return [order for order in self._state.orders.values() if order.updated_ns >= since_ns]

    def facts(self, after: int) -> Sequence[Fact]:
        """What happened in the turn in hand after the fact with this number."""
        return [fact for fact in self._recorder.batch if fact.seq > after]
