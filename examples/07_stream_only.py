"""Market data without an engine: watch a stream, and a venue of which there is nothing but a function.

    python examples/07_stream_only.py

Both markets are invented, so this works offline and ends by itself. For a venue write its own stream instead, or have
`get_candles` ask it.
"""

import asyncio
import math

import fairlead
from fairlead.ports import Subscription
from fairlead_streams import FunctionStream, SyntheticStream

NEW_YEAR_NS = 1_704_067_200_000_000_000
HOUR_NS = 3_600_000_000_000
STEPS_MS = {"1m": 60_000}
PRICES = {"SOL/USDT": 100.0}
DIGITS = {"SOL/USDT": (2, 4)}


async def watch_quotes_and_bars() -> int:
    """Two instruments of a stream at once; bars are made of its trades."""
    stream = SyntheticStream(["BTC/USDT", "ETH/USDT"], seed=7, speed="max", duration="3m")
    quotes = 0
    async for event in fairlead.watch(stream, ["BTC/USDT", "ETH/USDT"], quotes=True, bars="1m"):
        if isinstance(event, fairlead.Quote):
            quotes += 1
        elif isinstance(event, fairlead.Bar):
            print(
                f"{event.time:%H:%M}  {event.instrument:<12}  {event.close:>10,.2f}  volume {event.volume:.3f}"
            )
    print(f"{quotes} quotes")
    return quotes


async def get_candles(symbol: str, interval: str, since: int, limit: int) -> list[list[float]]:
    """What a venue would be asked for: up to `limit` candles from `since` (ms UTC) on."""
    step, middle = STEPS_MS[interval], PRICES[symbol]
    prices = [(time, middle + math.sin(time / step)) for time in range(since, since + limit * step, step)]
    return [[time, price, price + 0.1, price - 0.1, price, 12.5] for time, price in prices]


def format_price(symbol: str, price: float) -> str:
    """As the venue takes it: the stream finds the tick by this."""
    return f"{price:.{DIGITS[symbol][0]}f}"


def format_quantity(symbol: str, quantity: float) -> str:
    """As the venue takes it: the stream finds the lot by this."""
    return f"{quantity:.{DIGITS[symbol][1]}f}"


async def ask_functions() -> fairlead.Instrument:
    """The same three functions serve `fairlead.watch`, paper and live runs, and backtests of a range."""
    stream = FunctionStream("SOL/USDT", get_candles, format_price, format_quantity, intervals="1m")
    (instrument,) = await stream.instruments()
    print(f"{instrument.id}: tick {instrument.tick}, lot {instrument.lot}")
    bars = await stream.history(Subscription(instrument.id, "bar:1m"), NEW_YEAR_NS, NEW_YEAR_NS + HOUR_NS)
    print(f"{len(bars)} bars, the last closed at {bars[-1].time:%H:%M}")
    return instrument


async def main() -> None:
    await watch_quotes_and_bars()
    await ask_functions()


if __name__ == "__main__":
    asyncio.run(main())
