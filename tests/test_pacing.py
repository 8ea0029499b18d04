"""Pacing: a flood of what is due starves nothing, and what is played fast does not depend on the machine."""

import asyncio
import time
from pathlib import Path

from fairlead import Bar, LiveTradingEngine, Quote, Strategy
from fairlead import facts as f
from fairlead._engine.pacing import Pacer
from fairlead._kernel.clock import Agenda, ManualTime, ScaledTime, SystemTime
from fairlead._storage.journal import read_facts
from fairlead_breakers import StaleData
from fairlead_paper import PaperBroker
from fairlead_streams import SyntheticStream

SECOND = 1_000_000_000


class Flood(Strategy):
    """Has a timer that takes longer than its interval."""

    def on_start(self) -> None:
        self.watch("BTC/USDT", quotes=True)
        self.every("1ms", self.tick)

    def on_quote(self, quote: Quote) -> None:
        time.sleep(0.001)

    def tick(self) -> None:
        time.sleep(0.004)


def flooded(path: Path) -> LiveTradingEngine:
    stream = SyntheticStream("BTC/USDT", every="10ms")
    return LiveTradingEngine(Flood(), [PaperBroker(), stream], run=path, breakers="none")


def test_timers_slower_than_their_interval_do_not_keep_a_run_from_its_end(tmp_path: Path) -> None:
    """The end of a run comes in time, and facts in order, however many entries are overdue."""
    engine = flooded(tmp_path / "run")
    began = time.monotonic()
    assert asyncio.run(engine.run("500ms")) == "the time was up"
    assert time.monotonic() - began < 6
    stamps = [fact.now for fact in read_facts(engine.folder.journal)]
    assert stamps == sorted(stamps)


def test_timers_slower_than_their_interval_do_not_keep_a_stop_out(tmp_path: Path) -> None:
    """A stop from another thread gets in at once."""
    handle = flooded(tmp_path / "run").background()
    time.sleep(1.5)
    began = time.monotonic()
    assert handle.stop(20) == "stopped"
    assert time.monotonic() - began < 3


def test_the_loop_gets_its_turn_between_overdue_entries() -> None:
    """A backlog is worked off in short goes, with other callbacks in between, on every kind of time."""

    async def run(clock: ManualTime | ScaledTime | SystemTime) -> list[str]:
        agenda, feeds = Agenda(clock), Agenda(clock)
        loop = asyncio.get_running_loop()
        log: list[str] = []

        def entry() -> None:
            time.sleep(0.004)
            log.append("entry")

        for number in range(50):
            agenda.call_at(clock.now() + number, entry)
        failed: list[Exception] = []
        pacer = Pacer(agenda, feeds, loop, failed.append, busy=False)
        pacer.start()
        loop.call_later(0.02, log.append, "turn")
        done = asyncio.Event()
        agenda.call_at(clock.now() + 50, done.set)
        await done.wait()
        pacer.stop()
        assert not failed
        return log

    for clock in (ManualTime(SECOND), ScaledTime(SECOND, 100.0), SystemTime()):
        assert asyncio.run(run(clock)).index("turn") < 20


def test_scaled_time_waits_for_what_is_due() -> None:
    """It follows real time as far as the next due moment, stands still in its callback, and then catches up."""
    ticks = [0]
    clock = ScaledTime(1000 * SECOND, 10.0, monotonic=lambda: ticks[0])
    agenda = Agenda(clock)
    ticks[0] += 5 * SECOND
    assert clock.now() == 1000 * SECOND
    clock.run()
    ticks[0] += SECOND
    assert clock.now() == agenda.now() == 1010 * SECOND
    seen: list[int] = []

    def stalls() -> None:
        ticks[0] += SECOND
        seen.append(agenda.now())

    agenda.call_at(1012 * SECOND, stalls)
    agenda.call_at(1015 * SECOND, stalls)
    ticks[0] += SECOND
    assert clock.now() == 1012 * SECOND
    assert clock.delay(1012 * SECOND) < 0
    agenda.run(1012 * SECOND)
    assert clock.now() == 1015 * SECOND
    agenda.run(1015 * SECOND)
    assert seen == [1012 * SECOND, 1015 * SECOND]
    assert clock.now() == 1040 * SECOND
    clock.rest()
    ticks[0] += SECOND
    assert clock.now() == 1040 * SECOND


class Stalls(Strategy):
    """Trades a bracket at every bar, and takes up to `pause` seconds of real time for it."""

    def __init__(self, pause: float) -> None:
        self.pause = pause
        self.bars = 0

    def on_start(self) -> None:
        self.watch("BTC/USDT:USDT", bars="1m")

    def on_bar(self, bar: Bar) -> None:
        self.bars += 1
        if self.bars % 7 == 0:
            time.sleep(self.pause)
        if self.position():
            self.close()
        else:
            self.buy(1, stop_loss=bar.close * 0.999, take_profit=bar.close * 1.001)


def test_what_is_played_fast_does_not_depend_on_stalls(tmp_path: Path) -> None:
    """A run at 2,000 times real time writes the same facts with stalls of a minute of its time as without."""

    def run(name: str, pause: float) -> list[tuple[object, ...]]:
        stream = SyntheticStream("BTC/USDT:USDT", seed=5, volatility="20%", speed=2000)
        plugins = [PaperBroker("1_000_000 USDT", latency="20ms"), stream, StaleData("20s")]
        engine = LiveTradingEngine(Stalls(pause), plugins, run=tmp_path / name)
        assert asyncio.run(engine.run("40m")) == "the time was up"
        facts = list(read_facts(engine.folder.journal))
        assert not any(isinstance(fact, f.OrderRejected | f.Noted | f.BreakerTripped) for fact in facts)
        return [(type(fact), fact.now, fact.seq) for fact in facts]

    plain = run("plain", 0.0)
    assert run("stalls", 0.03) == plain
    assert sum(kind is f.Filled for kind, *_ in plain) > 10
