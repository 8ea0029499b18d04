"""A rough day: a market and a trader that give breakers something to find, the same each time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from fairlead import Instrument, Order, Quote, Strategy, Trade, default_instrument
from fairlead.ports import MarketEvent
from fairlead.testing import Bench, FakeStream, ManualClock
from fairlead_sim import SimulatedBroker

BTC = default_instrument("BTC/USDT:USDT", "rough", tick="0.01", fee="0.0005")
ETH = default_instrument("ETH/USDT:USDT", "rough", tick="0.01", fee="0.0005")
SECOND = 1_000_000_000
BEGIN_NS = 1_700_020_800_000_000_000
"""An afternoon, four hours into the trading day."""

HOURS_NS = 4 * 3600 * SECOND


def middle(number: int) -> float:
    """Where the market is at a step: calm, a long fall, a jump, then wild."""
    if number < 60:
        return 100 + 0.02 * (number % 5)
    if number < 200:
        return 100 * 0.998 ** (number - 60)
    calmer = 82.0 if number < 240 else 80.0
    return calmer * (1 + 0.012 * ((number * 7) % 11 - 5) / 5)


@cache
def events() -> tuple[MarketEvent, ...]:
    """Quotes and trades of two instruments, in the order in which they are received."""
    return tuple(_events())


def _events() -> Iterator[MarketEvent]:
    now = BEGIN_NS
    for number in range(345):
        now += SECOND if number != 300 else 400 * SECOND
        late = 9 * SECOND if 310 <= number < 316 else -3 * SECOND if 325 <= number < 328 else 0
        price = middle(number) * (10 if number == 250 else 1)
        half = price * (0.03 if 210 <= number < 216 else 0.0001)
        bid, ask = (price + half, price - half) if number == 230 else (price - half, price + half)
        yield Quote(BTC.id, round(bid, 2), round(ask, 2), 50.0, 50.0, now - late, now)
        other = middle(number) / 10
        yield Quote(ETH.id, round(other - 0.01, 2), round(other + 0.01, 2), 500.0, 500.0, now - late, now)
        if number % 3 == 0:
            yield Trade(BTC.id, round(price, 2), 1.0, now - late, now, "buy", f"{number}")


class Rough(Strategy):
    """Buys into a falling market, sells too early, and sends far too much."""

    def __init__(self) -> None:
        super().__init__(name="rough")
        self.count = 0
        self.resting: list[Order] = []

    def on_start(self) -> None:
        """Watch both."""
        self.watch(BTC.id, quotes=True, trades=True)
        self.watch(ETH.id, quotes=True)

    def on_quote(self, quote: Quote) -> None:
        """Trade by the number of the quote."""
        if quote.instrument != BTC.id:
            return
        self.count += 1
        step = self.count % 20
        if step == 2:
            self.buy(30, instrument=BTC.id, stop_loss=quote.bid * 0.995 if self.count % 40 == 2 else None)
        elif step in (6, 7):
            self.buy(1, instrument=BTC.id, limit_price=quote.ask * 1.01, post_only=True)
        elif step == 5:
            self.buy(100, instrument=ETH.id)
        elif step == 8:
            self.resting = [self.buy(1, instrument=BTC.id, limit_price=quote.bid * 0.97) for _ in range(8)]
        elif step == 10:
            for order in self.resting:
                self.cancel(order)
        elif step == 12:
            self.buy(10**7, instrument=BTC.id)
        elif step in (15, 16, 17):
            self.sell(10, instrument=BTC.id)
        elif step == 19:
            self.sell(100, instrument=ETH.id)


class Account(SimulatedBroker):
    """An account with little enough to lose."""

    def __init__(self) -> None:
        super().__init__("10_000 USDT", name="rough", instruments=[BTC, ETH], slippage="0.2%")
        self.fingerprint = "rough"
        self.listed: tuple[Instrument, ...] = (BTC, ETH)


def day(*breakers: object) -> Bench:
    """A bench on which the day may begin."""
    broker = Account()
    bench = Bench(
        Rough(),
        broker=[broker],  # type: ignore[list-item]
        stream=FakeStream(BTC, ETH, kinds=("trade", "quote")),
        breakers=breakers,  # type: ignore[arg-type]
        clock=ManualClock(BEGIN_NS - HOURS_NS),
    )
    return bench


def live_through(bench: Bench, first: int | None = None) -> None:
    """Let the day happen on a bench, from now on; or only its first events."""
    behind = bench.clock.now() - BEGIN_NS
    shift = max(0, behind)
    for event in events()[:first]:
        bench.take(moved(event, shift) if shift else event)


def moved(event: MarketEvent, by_ns: int) -> MarketEvent:
    """The event so much later."""
    fields = {name: getattr(event, name) for name in type(event).__struct_fields__}
    fields["event_ns"] += by_ns
    fields["received_ns"] += by_ns
    return type(event)(**fields)
