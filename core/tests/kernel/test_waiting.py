"""What a strategy waits for: timers that outlive the process, and handlers that a halt finds waiting."""

import pytest

from fairlead import Strategy
from fairlead.facts import Noted, StrategyHalted, TimerSet
from fairlead.testing import Bench, Puppet


def notes(bench, source="timers"):
    return [fact.text for fact in bench.of(Noted) if fact.source == source]


# --- timers -----------------------------------------------------------------------------------------------------


def test_a_timer_that_a_handler_set_fires_after_a_restart():
    """Nobody sets it again in on_start, and nobody has to: its name goes to on_timer."""
    bench = Bench()
    bench.do(lambda s: s.at("5m", name="exit"))
    bench.do(lambda s: s.every("1h", name="look"))
    bench.restart()
    bench.advance("10m")
    assert bench.strategy.seen == ["exit"]
    bench.restart(down="2h")
    bench.advance("1ms")
    assert bench.strategy.seen == ["look"]
    bench.do(lambda s: s.cancel_timer("look"))
    bench.restart(down="2h")
    bench.advance("2h")
    assert bench.strategy.seen == []
    bench.check()


class Method(Puppet):
    """Calls a method of its own, set in on_start only where `again` says so."""

    again = False

    def on_start(self):
        super().on_start()
        if self.again:
            self.at("50m", self.leave, name="exit")

    def leave(self):
        self.seen.append("left")


def test_a_timer_of_a_function_that_nobody_sets_again_is_noted(monkeypatch):
    """A function cannot be found by its name; what on_start sets again keeps the time it had."""
    bench = Bench(Method())
    bench.do(lambda s: s.at("5m", s.leave, name="exit"))
    assert bench.of(TimerSet)[-1].function == "leave"
    bench.restart()
    assert "calls leave" in notes(bench)[0]
    bench.advance("10m")
    assert bench.strategy.seen == []
    monkeypatch.setattr(Method, "again", True)
    bench.restart()
    assert len(notes(bench)) == 1
    bench.advance("1ms")
    assert bench.strategy.seen == ["left"]
    bench.check()


def test_a_timer_set_again_with_another_time_is_another():
    """The last word counts: later, earlier, and once instead of again and again."""
    bench = Bench()
    bench.do(lambda s: s.at("5m", name="x"))
    bench.do(lambda s: s.at("50m", name="x"))
    bench.advance("6m")
    assert bench.strategy.seen == []
    bench.advance("45m")
    assert bench.strategy.seen == ["x"]
    bench.do(lambda s: s.at("50m", name="x"))
    bench.do(lambda s: s.at("5m", name="x"))
    bench.advance("1h")
    assert bench.strategy.seen == ["x"] * 2
    bench.do(lambda s: s.every("1h", name="x"))
    bench.do(lambda s: s.at("5m", name="x"))
    bench.advance("3h")
    assert bench.strategy.seen == ["x"] * 3
    bench.check()


def test_a_timer_that_turns_from_a_function_to_its_name_goes_on():
    """What it calls is in the journal, and so is a change of it; its time stays."""
    bench = Bench(Method())
    bench.do(lambda s: s.every("1h", s.leave, name="x"))
    bench.do(lambda s: s.every("1h", name="x"))
    bench.do(lambda s: s.at("90m", s.leave, name="y"))
    due = bench.state.timers["Method", "y"].due_ns
    bench.do(lambda s: s.at(due, name="y"))
    assert [fact.function for fact in bench.of(TimerSet)] == ["leave", "", "leave", ""]
    bench.restart()
    bench.advance("2h")
    assert bench.strategy.seen == ["x", "y", "x"]
    bench.check()


# --- halted while it waits --------------------------------------------------------------------------------------


class Waiting(Strategy):
    """Awaits in on_bar, and cannot be saved while it is `bad`."""

    def __init__(self):
        super().__init__()
        self.bad = False
        self.woke = self.ended = 0
        self.stubborn = False

    def on_start(self):
        self.watch("BTC/USDT:USDT", bars="1m")

    async def on_bar(self, bar):
        self.buy("0.1")
        try:
            await self.sleep("1s")
        finally:
            self.ended += 1
            if self.stubborn:
                raise RuntimeError("I stay")
        self.woke += 1

    def save(self):
        return object() if self.bad else {}


def halted():
    strategy = Waiting()
    bench = Bench(strategy)
    bench.price(100)
    strategy.bad = True
    bench.bar(100, 100, 100, 100)
    assert bench.of(StrategyHalted)
    strategy.bad = False
    return bench, strategy


@pytest.mark.parametrize("pause", ["0s", "5s"])
def test_a_handler_that_waits_when_its_strategy_is_halted_is_over(pause):
    """Resumed, before its wait would have ended or after, the strategy hears again."""
    bench, strategy = halted()
    assert (strategy.woke, strategy.ended) == (0, 1)
    if pause != "0s":
        bench.advance(pause)
    bench.kernel.command("resume", "me", "mended", scope="strategy:Waiting")
    for count in (1, 2):
        bench.bar(100, 100, 100, 100)
        bench.advance("2s")
        assert strategy.woke == count
    assert not bench.state.halted
    bench.check()


def test_a_handler_that_resists_its_end_is_noted():
    """What it raises on the way out changes nothing."""
    strategy = Waiting()
    bench = Bench(strategy)
    bench.price(100)
    strategy.stubborn = True
    bench.bar(100, 100, 100, 100)
    bench.kernel.turn(lambda: bench.kernel.runners["Waiting"].halt("a person"))
    assert "I stay" in notes(bench, "Waiting")[0]
    strategy.stubborn = False
    bench.kernel.command("resume", "me", "mended", scope="strategy:Waiting")
    bench.bar(100, 100, 100, 100)
    bench.advance("2s")
    assert strategy.woke == 1
    bench.check()


def test_a_handler_that_is_halted_while_it_runs_does_not_wait():
    """Its next await is its end, and not one that nobody resumes."""
    strategy = Waiting()
    bench = Bench(strategy)
    bench.price(100)
    runner = bench.kernel.runners["Waiting"]
    strategy.on_order = lambda order: None
    buy = strategy.buy

    def halting(*arguments, **more):
        runner.halt("in the middle")
        return buy(*arguments, **more)

    strategy.buy = halting
    bench.bar(100, 100, 100, 100)
    assert (strategy.woke, strategy.ended) == (0, 1)
    strategy.buy = buy
    bench.kernel.command("resume", "me", "mended", scope="strategy:Waiting")
    bench.bar(100, 100, 100, 100)
    bench.advance("2s")
    assert strategy.woke == 1
    bench.check()
