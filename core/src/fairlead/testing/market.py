"""Instruments and market data for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fairlead._models.instrument import Instrument, symbol_parts
from fairlead._models.market import MarketEvent
from fairlead.ports import Clock, Subscription
from fairlead.units import Number, decimal


def make_instrument(
    symbol: str = "BTC/USDT:USDT",
    venue: str = "fake",
    *,
    tick: Number = "0.1",
    lot: Number = "0.001",
    **rules: Any,
) -> Instrument:
    """An instrument of any kind from its symbol; `rules` are further fields of `Instrument`."""
    base, quote, settle, contract = symbol_parts(symbol)
    return Instrument(
        symbol=symbol,
        venue=venue,
        base=base,
        quote=quote,
        settle=settle,
        contract=contract,
        tick=decimal(tick),
        lot=decimal(lot),
        **rules,
    )


class FakeStream:
    """A stream whose events a test emits by hand.

    `kinds` are the feeds it offers for each of its instruments, `past` what `history` answers from, `refused`
    subscriptions it does not confirm, `subscribed` what is subscribed now. `on_down` breaks the connection.
    """

    def __init__(
        self, *instruments: Instrument, kinds: Iterable[str] = ("quote", "trade", "book"), name: str = "fake"
    ) -> None:
        self.name = name
        self.listed = instruments or (make_instrument(),)
        self.kinds = tuple(kinds)
        self.past: list[MarketEvent] = []
        self.refused: set[Subscription] = set()
        self.subscribed: set[Subscription] = set()
        self.closed = False
        self.connections = 0
        self.silence = "1d"
        self.on_down: Callable[[str], None] = _nobody
        self.emit: Callable[[MarketEvent], None] = _nobody

    async def instruments(self) -> Sequence[Instrument]:
        """What it lists."""
        return self.listed

    def offers(self, instrument: str) -> tuple[str, ...]:
        """Its feeds, for an instrument that it lists."""
        return self.kinds if any(instrument in (i.id, i.symbol) for i in self.listed) else ()

    async def connect(self, emit: Callable[[MarketEvent], None], clock: Clock) -> None:
        """From now on `emit` reaches the engine; a new connection has nothing subscribed."""
        self.emit = emit
        self.connections += 1
        self.subscribed.clear()

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> frozenset[Subscription]:
        """Confirm all that it does not refuse."""
        confirmed = frozenset(subscriptions) - self.refused
        self.subscribed |= confirmed
        return confirmed

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Forget them."""
        self.subscribed -= set(subscriptions)

    async def history(self, subscription: Subscription, start_ns: int, end_ns: int) -> Sequence[MarketEvent]:
        """What of `past` is in the time asked for, whatever its kind."""
        return [
            event
            for event in self.past
            if event.instrument == subscription.instrument and start_ns <= event.event_ns <= end_ns
        ]

    async def close(self) -> None:
        """Reach nobody any more."""
        self.closed, self.emit = True, _nobody


def _nobody(_: Any) -> None:
    raise RuntimeError("the stream is not connected: nobody gets this event")
