"""`fairlead.watch`: the events of streams without an engine."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

import fairlead
from fairlead import Bar, ConfigurationError, FairleadError, PluginError, Quote, Trade
from fairlead._engine import watch as watching
from fairlead.ports import Subscription
from fairlead.testing import FakeStream, make_instrument
from fairlead_paper import PaperBroker
from fairlead_streams import ReplayStream, SyntheticStream

BTC = make_instrument("BTC/USDT")
ETH = make_instrument("ETH/USDT")
SECOND = 1_000_000_000
DEADLINE = 20.0


def run(coroutine: Any) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, DEADLINE))


def quote(number: int, instrument: Any = BTC) -> Quote:
    return Quote(instrument.id, 100.0 + number, 101.0 + number, 1.0, 1.0, number * SECOND, number * SECOND)


def trade(number: int, instrument: Any = BTC, price: float = 100.0) -> Trade:
    return Trade(instrument.id, price, 1.0, number * SECOND, number * SECOND, "buy", str(number))


async def turns(condition: Callable[[], Any]) -> None:
    """Give the event loop its turns until something has happened."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not happen")


async def all_of(events: AsyncIterator[Any]) -> list[Any]:
    return [event async for event in events]


async def fed(stream: FakeStream, feed: Callable[[], None], events: Any, count: int) -> list[Any]:
    """What a watch gives once it is under way and `feed` has emitted."""
    first = asyncio.ensure_future(anext(events))
    await turns(lambda: stream.subscribed)
    feed()
    return [await first, *[await anext(events) for _ in range(count - 1)]]


def test_a_recording_is_watched_to_its_end() -> None:
    """Every event of two instruments in order, quotes too, and the loop ends where the data do."""
    events = [make(n, i) for n in range(1, 200) for i in (BTC, ETH) for make in (quote, trade)]
    stream = ReplayStream.of(events, instrument=[BTC, ETH])
    seen = run(all_of(fairlead.watch(stream, ["BTC/USDT", ETH.id], quotes=True, trades=True)))
    assert seen == list(stream.replay())
    assert len(seen) == len(events)


def test_scaled_time_loses_nothing_either() -> None:
    """A recording that is played fast waits for its consumer."""
    events = [quote(n) for n in range(1, 300)]

    async def slow() -> list[Any]:
        seen = []
        async for event in fairlead.watch(
            ReplayStream.of(events, instrument=BTC, speed=1e6), "BTC/USDT", quotes=True
        ):
            seen.append(event)
            await asyncio.sleep(0)
        return seen

    assert run(slow()) == events


def test_bars_are_those_of_the_engine(tmp_path: Path) -> None:
    """A stream of trades gives the bars that a strategy gets from it."""
    stream = SyntheticStream(seed=4, speed="max", duration="1h")
    seen: list[Bar] = []

    class Collector(fairlead.Strategy):
        def on_start(self) -> None:
            self.watch("BTC/USDT", bars=["1m", "5m"])

        def on_bar(self, bar: Bar) -> None:
            seen.append(bar)

    engine = fairlead.LiveTradingEngine(
        Collector(), [PaperBroker(), stream], run=tmp_path / "run", breakers="none"
    )
    engine.backtest()
    watched = run(all_of(fairlead.watch(stream, "BTC/USDT", bars=["1m", "5m"])))
    assert watched == seen
    assert len(watched) > 60


def test_a_slow_consumer_loses_quotes_and_nothing_else() -> None:
    """Of each instrument the newest quote waits, in its place among all the trades."""
    stream = FakeStream(BTC, ETH)

    def feed() -> None:
        for n in range(1, 50):
            stream.emit(quote(n))
            stream.emit(trade(n))
            stream.emit(quote(n, ETH))

    events = fairlead.watch(stream, ["BTC/USDT", "ETH/USDT"], quotes=True, trades=True)
    seen = run(fed(stream, feed, events, 51))
    assert [event for event in seen if isinstance(event, Trade)] == [trade(n) for n in range(1, 50)]
    assert [event for event in seen if isinstance(event, Quote)] == [quote(49), quote(49, ETH)]
    assert [event.received_ns for event in seen] == sorted(event.received_ns for event in seen)


def test_too_many_trades_end_the_watch_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is one lost in silence nor the memory filled."""
    monkeypatch.setattr(watching, "MOST_WAITING", 10)
    stream = FakeStream(BTC)
    events = fairlead.watch(stream, "BTC/USDT", trades=True)
    with pytest.raises(FairleadError, match="take them faster"):
        run(fed(stream, lambda: [stream.emit(trade(n)) for n in range(1, 20)] and None, events, 20))
    assert stream.closed


@pytest.mark.parametrize("leave", ["break", "raise", "cancel"])
def test_leaving_the_loop_closes_the_stream(leave: str) -> None:
    """However it is left."""
    stream = FakeStream(BTC)

    async def look() -> None:
        async with aclosing(fairlead.watch(stream, "BTC/USDT", quotes=True)) as events:
            async for _ in events:
                if leave == "break":
                    break
                if leave == "raise":
                    raise ZeroDivisionError

    async def main() -> None:
        task = asyncio.create_task(look())
        await turns(lambda: stream.subscribed)
        if leave == "cancel":
            task.cancel()
        else:
            stream.emit(quote(1))
        await asyncio.gather(task, return_exceptions=True)
        assert stream.closed

    run(main())


def test_a_bare_break_closes_the_stream_too() -> None:
    """Without aclosing it is closed once the event loop has its turn."""
    stream = FakeStream(BTC)

    async def main() -> None:
        async def feed() -> None:
            await turns(lambda: stream.subscribed)
            stream.emit(quote(1))

        feeding = asyncio.create_task(feed())
        async for _ in fairlead.watch(stream, "BTC/USDT", quotes=True):
            break
        await feeding
        await turns(lambda: stream.closed)

    run(main())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "quotes=True"),
        ({"instrument": "DOGE/USDT", "quotes": True}, "nobody trades 'DOGE/USDT' here"),
        ({"book": True}, "no stream has book of BTC/USDT@fake"),
        ({"trades": True}, "stream fake did not confirm trade of BTC/USDT@fake"),
        ({"bars": "1 fortnight"}, "fortnight"),
        ({"bars": "tick:10"}, "did not confirm trade"),
    ],
)
def test_what_cannot_be_watched_is_refused_in_one_sentence(settings: dict[str, Any], words: str) -> None:
    """Unknown symbols, feeds that are not there or not confirmed; the stream is closed again."""
    stream = FakeStream(BTC, kinds=("quote", "trade"))
    stream.refused = {Subscription(BTC.id, "trade")}
    arguments = {"instrument": "BTC/USDT", **settings}
    with pytest.raises(ConfigurationError, match=words) as refusal:
        run(all_of(fairlead.watch(stream, **arguments)))
    assert "\n" not in str(refusal.value)


def test_two_streams_are_watched_together() -> None:
    """Each serves what it has."""
    streams = [
        ReplayStream.of([quote(n, i) for n in range(1, 4)], instrument=i, name=i.base) for i in (BTC, ETH)
    ]
    seen = run(all_of(fairlead.watch(streams, ["BTC/USDT", "ETH/USDT"], quotes=True)))
    assert [(event.instrument, event.event_ns // SECOND) for event in seen] == [
        (i.id, n) for n in range(1, 4) for i in (BTC, ETH)
    ]


def test_what_is_no_market_event_ends_the_watch() -> None:
    """The stream is named: it has to be repaired."""
    stream = FakeStream(BTC)
    events = fairlead.watch(stream, "BTC/USDT", quotes=True)
    with pytest.raises(PluginError, match="stream fake emits object"):
        run(fed(stream, lambda: stream.emit(object()), events, 1))  # type: ignore[arg-type]
