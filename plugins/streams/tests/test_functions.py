"""`FunctionStream`: three functions of a user as a venue."""

import asyncio
import datetime
import logging
from decimal import Decimal

import pytest

from fairlead import ConfigurationError, ConnectivityError, LiveTradingEngine, Strategy
from fairlead.ports import Subscription
from fairlead.testing import VirtualClock, run_virtual
from fairlead_paper import PaperBroker
from fairlead_streams import FunctionStream

MINUTE = 60_000_000_000
START = 1_704_067_200 * 1_000_000_000
BARS = Subscription("BTC/USDT@sim", "bar:1m")


class Source:
    """A venue of candles: one a minute from START on, up to what its clock says, unless something is wrong."""

    def __init__(self):
        self.clock = VirtualClock(START)
        self.asked = []
        self.missing = set()
        self.late = {}
        self.open_too = False
        self.fault = None
        self.shift = 0
        self.now = None

    def __call__(self, symbol, interval, since, limit):
        now = self.clock.now() if self.now is None else self.now
        self.asked.append((symbol, interval, since, limit, now))
        if self.fault is not None:
            raise self.fault
        first = since * 1_000_000
        rows = []
        for opened in range(first, first + limit * MINUTE, MINUTE):
            ready = self.late.get(opened, 0) + opened + MINUTE
            if opened not in self.missing and ready <= now:
                rows.append(candle(opened + self.shift))
        if self.open_too:
            rows.append(candle(now // MINUTE * MINUTE))
        return rows


def candle(opened, price=100.0):
    return [opened // 1_000_000, price, price + 1, price - 1, price + 0.5, 3.0]


def price(symbol, value):
    return f"{value:.2f}"


def quantity(symbol, value):
    return f"{value:.4f}"


def stream_of(source, **more):
    return FunctionStream("BTC/USDT", source, price, quantity, **more)


def listen(source, minutes=5, stream=None, act=None):
    """What comes in so many minutes, each with the time at which it came; `act` may do something meanwhile."""
    stream = stream or stream_of(source)
    got = []

    async def story():
        await stream.connect(lambda event: got.append((event, source.clock.now())), source.clock)
        assert await stream.subscribe([BARS]) == {BARS}
        if act is not None:
            await act(stream)
        await asyncio.sleep(minutes * 60)
        await stream.close()

    run_virtual(story())
    return got


def opens(got):
    return [(event.open_ns - START) // MINUTE for event, _ in got]


# --- live -----------------------------------------------------------------------------------------------------


def test_each_candle_comes_once_shortly_after_its_close():
    """A question a minute, a second after the close, for just what is missing."""
    source = Source()
    got = listen(source)
    assert opens(got) == [0, 1, 2, 3]
    assert [now - event.event_ns for event, now in got] == [1_000_000_000] * 4
    assert source.asked[0][:4] == ("BTC/USDT", "1m", START // 1_000_000, 1)
    assert len(source.asked) == 4
    event = got[0][0]
    assert (event.instrument, event.interval, event.open, event.volume) == ("BTC/USDT@sim", "1m", 100.0, 3.0)
    assert event.received_ns == START + 61_000_000_000


def test_an_async_function_is_awaited():
    """Functions may be coroutines, and objects with an async call."""
    source = Source()

    async def get_candles(*args):
        await asyncio.sleep(0.5)
        return source(*args)

    assert opens(listen(source, stream=stream_of(get_candles))) == [0, 1, 2, 3]


def test_a_late_candle_is_asked_for_again():
    """What is not there a second after its close comes as soon as it is there."""
    source = Source()
    source.late = {START + MINUTE: 8_000_000_000}
    got = listen(source)
    assert opens(got) == [0, 1, 2, 3]
    assert 8_000_000_000 <= got[1][1] - got[1][0].event_ns < 20_000_000_000


def test_a_gap_is_asked_for_before_later_candles_are_taken():
    """A candle that appears after its successor still comes before it."""
    source = Source()
    source.late = {START + MINUTE: 62_000_000_000}
    assert opens(listen(source)) == [0, 1, 2, 3]


def test_a_candle_that_never_was_is_named_and_left(caplog):
    """After a few questions the feed goes on, and the log says what is missing."""
    source = Source()
    source.missing = {START + MINUTE}
    with caplog.at_level(logging.WARNING):
        assert opens(listen(source)) == [0, 2, 3]
    assert (
        "1 candle from 2024-01-01T00:01:00Z to 2024-01-01T00:02:00Z is missing, asked for 4 times"
        in caplog.text
    )


def test_a_candle_that_has_not_closed_is_left_out_and_named_once(caplog):
    """Venues return the candle in the making: it comes when it has closed, as it is then."""
    source = Source()
    source.open_too = True
    with caplog.at_level(logging.WARNING):
        got = listen(source)
    assert opens(got) == [0, 1, 2, 3]
    assert caplog.text.count("has not closed") == 1
    assert "the candle of BTC/USDT@sim that opens at 2024-01-01T00:01:00Z" in caplog.text


def test_candles_that_were_not_asked_for_do_no_harm():
    """A function that returns its last few candles whatever `since` says is understood."""
    source = Source()

    def last_ten(symbol, interval, since, limit):
        now = source.clock.now() // MINUTE * MINUTE
        return [candle(now - MINUTE * ago) for ago in range(10, 0, -1)]

    assert opens(listen(source, stream=stream_of(last_ten))) == [0, 1, 2, 3]


def broken(source, minutes=5, **more):
    """What an engine would be told, and do about it: connect and subscribe again until it works."""
    reasons, failures = [], []
    stream = stream_of(source, **more)

    async def act(stream):
        def down(reason):
            reasons.append(reason)
            asyncio.get_running_loop().create_task(again())

        async def again():
            while True:
                await asyncio.sleep(7)
                try:
                    await stream.connect(lambda event: got.append((event, 0)), source.clock)
                    await stream.subscribe([BARS])
                    return
                except ConnectivityError as error:
                    failures.append(str(error))

        stream.on_down = down
        await asyncio.sleep(90)
        source.fault = None

    got = []
    got[:0] = listen(source, minutes, stream, act)
    return got, reasons, failures


def test_a_function_that_raises_breaks_the_connection_and_nothing_is_lost():
    """It is told once; a new connection tries the function first, and goes on after the last candle."""
    source = Source()
    source.fault = OSError("no route")
    got, reasons, failures = broken(source)
    assert len(reasons) == 1
    assert (
        "get_candles('BTC/USDT', '1m', since=2024-01-01T00:00:00Z) failed (OSError: no route)" in reasons[0]
    )
    assert len(failures) > 1
    assert opens(got) == [0, 1, 2, 3, 4, 5]


def test_a_function_without_an_answer_is_given_up():
    """After `timeout` it counts as failed."""
    source = Source()

    async def hangs(*args):
        if source.fault is not None:
            await asyncio.sleep(3600)
        return source(*args)

    source.fault = OSError()
    stream = stream_of(hangs, timeout="5s")
    reasons = []
    stream.on_down = reasons.append
    assert listen(source, stream=stream) == []
    assert "gave no answer within 5 s" in reasons[0]


def test_a_candle_off_its_interval_is_refused_by_name():
    """Nothing of such an answer is used."""
    source = Source()
    source.shift = 1_000_000_000
    reasons = []
    stream = stream_of(source)
    stream.on_down = reasons.append
    assert listen(source, stream=stream) == []
    assert "the candle that opens at 2024-01-01T00:00:01Z does not open on its interval" in reasons[0]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "the answer is NoneType, and candles are a list"),
        ({"a": 1}, "the answer is dict"),
        ([[START // 10**6, 1, 2, 1, float("nan"), 1]], "prices are finite and above 0"),
        ([[START // 10**6, 1, 2, 1, -1, 1]], "prices are finite and above 0"),
        ([[START // 10**6, 1, 2, 1.5, 2, 1]], "open and close lie between low and high"),
        ([[START // 10**6, 1, 2, 1, 2, -1]], "its volume is -1.0"),
        ([[START // 10**6, 1, 2]], "it has 3 values"),
        ([{"timestamp": START // 10**6, "open": 1, "high": 1, "low": 1}], "it has no close"),
        ([["2024-01-01 00:00:00", 1, 1, 1, 1, 1]], "names no zone"),
        ([["soon", 1, 1, 1, 1, 1]], "cannot be read"),
        ([[12, 1, 1, 1, 1, 1]], "in none of s, ms, us, ns"),
        ([candle(START), candle(START, 101.0)], "comes twice, and not the same"),
        ([[START // 10**6, True, 1, 1, 1, 1]], "truth value"),
    ],
)
def test_an_answer_that_cannot_be_is_refused_by_name(answer, said):
    """What is wrong with it, of which candle, and what to return."""
    stream = stream_of(lambda *_: answer)

    async def ask():
        await stream.connect(print, VirtualClock(START + 10 * MINUTE))
        with pytest.raises(ConnectivityError, match="get_candles") as refusal:
            await stream.history(BARS, START, START + 5 * MINUTE)
        await stream.close()
        return str(refusal.value)

    assert said in run_virtual(ask())


@pytest.mark.parametrize(
    "row",
    [
        candle(START),
        tuple(candle(START)),
        [START // 10**9, 100, 101, 99, 100.5, 3],
        ["2024-01-01T00:00:00Z", "100", "101", "99", "100.5", "3"],
        [datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC), 100, 101, 99, Decimal("100.5"), 3],
        {"timestamp": START // 10**6, "open": 100, "high": 101, "low": 99, "close": 100.5, "volume": 3},
        {"Time": START, "O": 100, "H": 101, "L": 99, "C": 100.5, "V": 3},
        type("Row", (), {"time": START, "open": 100, "high": 101, "low": 99, "close": 100.5, "volume": 3})(),
    ],
)
def test_candles_come_in_many_forms(row):
    """Sequences, mappings and objects; times in s, ms, us, ns, ISO text or aware."""
    stream = stream_of(lambda *_: [row])
    (bar,) = run_virtual(stream.history(BARS, START, START + 2 * MINUTE))
    assert (bar.open_ns, bar.open, bar.high, bar.low, bar.close, bar.volume) == (
        START,
        100,
        101,
        99,
        100.5,
        3,
    )


# --- history --------------------------------------------------------------------------------------------------


def test_history_is_paged_and_ends_at_now():
    """[start, end) by the closes, in pages of `limit`, and nothing from the future."""
    source = Source()
    stream = stream_of(source, limit=3)

    async def story():
        await stream.connect(print, source.clock)
        await asyncio.sleep(600)
        found = await stream.history(BARS, START + 2 * MINUTE, START + 3600 * MINUTE)
        await stream.close()
        return found

    found = run_virtual(story())
    assert [(bar.event_ns - START) // MINUTE for bar in found] == list(range(2, 11))
    assert [ask[3] for ask in source.asked] == [3, 3, 3]


# --- rules ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "step"),
    [
        (lambda _, x: f"{x:.2f}", "0.01"),
        (lambda _, x: f"{x:.8f}", "0.00000001"),
        (lambda _, x: round(x, 1), "0.1"),
        (lambda _, x: f"{round(x * 2) / 2:.1f}", "0.5"),
        (lambda _, x: f"{round(x * 4) / 4:.4f}", "0.25"),
        (lambda _, x: int(x), "1"),
        (lambda _, x: int(x // 5 * 5), "5"),
        (lambda _, x: int(x // 1000 * 1000), "1000"),
        (lambda _, x: Decimal(x).quantize(Decimal("0.001")), "0.001"),
        (lambda _, x: f"{x:.3f}".rstrip("0").rstrip("."), "0.001"),
    ],
)
def test_steps_are_found_exactly(form, step):
    """Whatever way a function rounds and writes."""
    stream = FunctionStream("BTC/USDT", Source(), form, form)
    (found,) = run_virtual(stream.instruments())
    assert found.tick == found.lot == Decimal(step)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (lambda _, x: f"{x:.5g}", "it changes with the number"),
        (lambda _, x: "7", "the same for every number"),
        (lambda _, x: f"{x:,.2f} USDT", "a formatted number is digits and a point"),
        (lambda _, x: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_step_that_is_none_is_refused_with_its_remedy(form, said):
    """It is asked for instead."""
    stream = FunctionStream("BTC/USDT", Source(), form, quantity)
    with pytest.raises(ConfigurationError, match="format_price") as refusal:
        run_virtual(stream.instruments())
    assert said in str(refusal.value)
    told = FunctionStream("BTC/USDT", Source(), form, tick={"BTC/USDT": "0.5"}, lot="0.001")
    (found,) = run_virtual(told.instruments())
    assert (found.tick, found.lot) == (Decimal("0.5"), Decimal("0.001"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"symbols": ()}, "no symbols"),
        ({"symbols": ["BTC/USDT", "BTC/USDT"]}, "listed twice"),
        ({"get_candles": None}, "pass a function"),
        ({"format_price": "0.01"}, "pass a function"),
        ({"intervals": ()}, "no intervals"),
        ({"intervals": "1500ms"}, "whole seconds"),
        ({"limit": 0}, "limit 0"),
        ({"delay": "0s"}, "delay"),
        ({"start": "2024-01-01T00:00"}, "names no zone"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(more, said):
    """When the stream is made."""
    given = {"symbols": "BTC/USDT", "get_candles": Source(), **more}
    with pytest.raises(ConfigurationError, match=said):
        FunctionStream(**given)


def test_rules_that_nobody_says_are_refused():
    """Without a formatting function or a step no order could be rounded."""
    with pytest.raises(ConfigurationError, match=r"told no tick of BTC/USDT.*pass format_price, or tick="):
        run_virtual(FunctionStream("BTC/USDT", Source()).instruments())


# --- in an engine ---------------------------------------------------------------------------------------------


class Buyer(Strategy):
    """Buys at its first bar, with two bars of warm-up before."""

    def on_start(self):
        self.watch("BTC/USDT", bars="1m", warmup=2)
        self.bars, self.fills = [], []

    def on_fill(self, fill):
        self.fills.append(fill.price)

    def on_bar(self, bar):
        if not self.bars:
            self.buy("0.01")
        self.bars.append((bar.open_ns - START) // MINUTE)


def engine_of(stream, folder, *more):
    strategy = Buyer()
    plugins = [PaperBroker(cash="10_000 USDT"), stream, *more]
    return LiveTradingEngine(strategy, plugins, run=folder, breakers="none"), strategy


def test_a_backtest_fetches_the_range_first(tmp_path):
    """A page after the other, once, and the strategy gets each bar of it."""
    source = Source()
    source.now = START + 10_000 * MINUTE
    stream = stream_of(source, limit=10, start="2024-01-01T00:00Z", end="2024-01-01T00:30Z")
    engine, _ = engine_of(stream, tmp_path / "run")
    result = engine.backtest()
    assert [ask[3] for ask in source.asked] == [10, 10, 10]
    assert result.fills_count == 1
    assert len(list(stream.replay([BARS]))) == 30


def test_a_paper_run_trades_on_it(tmp_path):
    """Warm-up comes from its history, bars as they close, and the formats' steps are the instrument's."""
    source = Source()
    stream = stream_of(source)
    source.clock = VirtualClock(START + 10 * MINUTE)
    engine, strategy = engine_of(stream, tmp_path / "run", source.clock)

    run_virtual(engine.run(until="190s"))
    assert strategy.bars == [10, 11, 12]
    assert len(strategy.fills) == 1


def test_without_an_end_the_newest_candle_is_left_out():
    """Nobody has said that it is closed."""
    source = Source()
    source.now = START + 25 * MINUTE
    source.open_too = True
    stream = stream_of(source, limit=10, start="2024-01-01T00:00Z")
    assert [(bar.open_ns - START) // MINUTE for bar in stream.replay()] == list(range(25))


def test_a_replay_needs_a_beginning():
    """The message says how to give one."""
    with pytest.raises(ConfigurationError, match="pass start= to FunctionStream"):
        stream_of(Source()).replay()


def test_a_replay_within_a_coroutine_is_refused():
    """What it fetches could not be waited for there."""

    async def story():
        stream_of(Source(), start="2024-01-01").replay()

    with pytest.raises(ConfigurationError, match="await its history"):
        run_virtual(story())
