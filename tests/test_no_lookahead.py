"""No look-ahead: whatever comes after a moment, nothing that was decided up to it is any different."""

import asyncio
import os
import random
import runpy
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from stories import BTC, ETH, Cross, Dice, Patient

from fairlead import Bar, LiveTradingEngine, Quote, Strategy, Trade
from fairlead import facts as f
from fairlead._storage.run import RunFolder
from fairlead_paper import PaperBroker
from fairlead_streams import ReplayStream, SyntheticStream

AT_VENUES = ("10_binance", "11_bybit", "12_hyperliquid", "13_ccxt", "14_ib")
"""Examples that trade at a venue, which makes their market: there is none to replace."""

EXAMPLES = sorted(
    file for file in (Path(__file__).parents[1] / "examples").glob("[0-9]*.py") if file.stem not in AT_VENUES
)
ON_TICKS = ("04_crash_and_resume",)
"""Examples that watch quotes; the others take bars."""
MOMENTS = {"full": 40, "ci": 8}.get(os.environ.get("FAIRLEAD_PROVE", ""), 4)


def market(symbols: Sequence[str], seed: int, duration: str) -> tuple[list[Any], list[Any]]:
    """Events of an invented market, and its instruments."""
    stream = SyntheticStream(symbols, seed=seed, volatility="25%", duration=duration)
    return list(stream.replay()), list(asyncio.run(stream.instruments()))


def noise(events: Sequence[Any], after: int, seed: int) -> list[Any]:
    """The same up to a moment; then other prices, sizes and, for ticks, other times and another number of them."""
    dice = random.Random(seed)
    changed = [event for event in events if event.received_ns <= after]
    for event in events:
        if event.received_ns <= after or dice.random() < 0.1:
            continue
        price = 40_000 * dice.uniform(0.3, 3)
        if isinstance(event, Bar):
            other = price * dice.uniform(0.9, 1.1)
            changed.append(
                msgspec.structs.replace(
                    event, open=price, close=other, low=min(price, other) * 0.9, high=max(price, other) * 1.1
                )
            )
            continue
        when = max(after + 1, event.received_ns + dice.randint(-900_000_000, 900_000_000))
        times = {"event_ns": when, "received_ns": when}
        if isinstance(event, Quote):
            changed.append(
                msgspec.structs.replace(event, bid=price, ask=price * 1.001, bid_size=9.0, **times)
            )
        elif isinstance(event, Trade):
            changed.append(msgspec.structs.replace(event, price=price, size=dice.uniform(0.1, 9), **times))
    return sorted(changed, key=lambda event: event.received_ns)


def decided(facts: Iterable[f.Fact], until: int) -> list[bytes]:
    """Everything that was written down up to a moment."""
    return [f.encode(fact) for fact in facts if fact.now <= until and not isinstance(fact, f.EngineStopped)]


def blind(
    engine: LiveTradingEngine, events: Sequence[Any], instruments: Any, *, seed: int, least: int
) -> None:
    """Assert that an engine decides the same up to random moments, with noise in the place of what follows."""
    whole = list(engine.backtest(ReplayStream.of(events, instrument=instruments)).facts())
    kinds = (f.OrderSubmitted, f.OrderHeld, f.OrderDenied)
    orders = [fact for fact in whole if isinstance(fact, kinds)]
    assert len(orders) >= least
    dice = random.Random(seed)
    for number in range(MOMENTS):
        # Half of them at the very moment of a decision, where what is not known yet would help most.
        moment = dice.choice(orders if number % 2 else whole).now + dice.choice((0, 0, 1, -1))
        changed = ReplayStream.of(noise(events, moment, number), instrument=instruments)
        again = engine.backtest(changed).facts()
        assert decided(again, moment) == decided(whole, moment), f"at {moment}"


def engine_of(path: Path, folder: Path) -> LiveTradingEngine | None:
    """The engine of an example, in a folder of this test."""
    made = runpy.run_path(str(path))
    engine = (
        made["engine"]
        if "engine" in made
        else made["make_engine"](str(folder))
        if "make_engine" in made
        else None
    )
    if engine is not None:
        engine.folder = RunFolder(folder)
    return engine


@pytest.mark.full
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples(tmp_path: Path, path: Path) -> None:
    """The strategy of every example that backtests."""
    engine = engine_of(path, tmp_path / "run")
    if engine is None:
        pytest.skip("it has no engine")
    symbols = [
        instrument.symbol
        for stream in engine.wiring.streams.values()
        for instrument in asyncio.run(stream.instruments())
    ]
    data = market(symbols, 7, "20s") if path.stem in ON_TICKS else minutes(36, *symbols)
    blind(engine, *data, seed=len(path.stem), least=8)


def engine_for(tmp_path: Path, *strategies: Strategy) -> LiveTradingEngine:
    stream = SyntheticStream([BTC, ETH], duration="1h")
    return LiveTradingEngine(
        strategies, plugins=[PaperBroker("1_000_000 USDT"), stream], run=tmp_path / "run", breakers="none"
    )


@pytest.mark.full
def test_ticks_and_bars_of_several_intervals(tmp_path: Path) -> None:
    """Bars of 1, 5 and 15 minutes that are made of ticks, quotes and trades, questions and timers beside them."""
    engine = engine_for(
        tmp_path, Dice(BTC, 3, name="dice", allocation="50%"), Patient(ETH, name="patient", allocation="40%")
    )
    blind(engine, *market([BTC, ETH], 5, "90m"), seed=1, least=100)


class Bars(Strategy):
    """Trades on bars of three intervals, of which a stream has one."""

    def __init__(self, symbol: str, seed: int) -> None:
        self.symbol, self.dice = symbol, random.Random(seed)

    def on_start(self) -> None:
        self.watch(self.symbol, bars=["1m", "5m", "15m"])

    def on_bar(self, bar: Bar) -> None:
        self.note(f"{bar.interval} {bar.open} {bar.high} {bar.low} {bar.close} {bar.volume}")
        if bar.interval == "15m":
            self.close()
        elif self.dice.random() < 0.3:
            buys = bar.close > bar.open
            (self.buy if buys else self.sell)(1, limit_price=bar.close * (0.999 if buys else 1.001))


def test_bars_made_of_bars(tmp_path: Path) -> None:
    """Bars of 5 and 15 minutes that are made of a stream's minutes."""
    events, instruments = minutes(20)
    blind(engine_for(tmp_path, Bars(BTC, 4)), events, instruments, seed=2, least=50)


def minutes(hours: int, *symbols: str) -> tuple[list[Bar], list[Any]]:
    """Bars of markets that trend by turns, and their instruments."""
    listed = list(asyncio.run(SyntheticStream(symbols or (BTC,)).instruments()))
    dice, prices, bars = random.Random(9), dict.fromkeys(listed, 40_000.0), list[Bar]()
    start = 1704067200_000000000
    for number in range(hours * 60):
        trend = 0.0004 if number // 150 % 2 else -0.0004
        for instrument, price in prices.items():
            other = price * dice.uniform(0.997 + trend, 1.003 + trend)
            begin, end = start + number * 60_000000000, start + (number + 1) * 60_000000000
            low, high = min(price, other) * 0.9995, max(price, other) * 1.0005
            bars.append(Bar(instrument.id, "1m", price, high, low, other, 1.0, begin, end, end))
            prices[instrument] = other
    return bars, listed


@pytest.mark.full
def test_a_file(tmp_path: Path) -> None:
    """What a file is taken for, and its tick where it is given, does not depend on how it goes on."""
    bars, _ = minutes(24)
    engine = engine_for(tmp_path, Cross(BTC, 3, 9))

    def run(name: str, rows: Sequence[Bar]) -> list[f.AnyFact]:
        path = tmp_path / f"{name}.csv"
        lines = [f"{b.event_ns // 1_000_000},{b.open},{b.high},{b.low},{b.close},{b.volume}" for b in rows]
        path.write_text("\n".join(["time,open,high,low,close,volume", *lines]) + "\n", encoding="utf-8")
        data = ReplayStream(
            path, symbol=BTC, tick="0.01", tz="UTC", bar_label="close", volume_unit="base", interval="1m"
        )
        return list(engine.backtest(data).facts())

    whole = run("whole", bars)
    assert len([fact for fact in whole if isinstance(fact, f.OrderSubmitted)]) > 50
    dice = random.Random(6)
    for number in range(MOMENTS):
        moment = dice.choice(bars[50:]).received_ns
        assert decided(run("noise", noise(bars, moment, number)), moment) == decided(whole, moment)
