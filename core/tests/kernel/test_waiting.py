"""What a strategy waits for: timers that outlive the process, and handlers that a halt finds waiting."""

import attrs
import pytest

from fairlead import OrderStatus, Strategy
from fairlead.facts import Noted, StrategyHalted, TimerSet
from fairlead.testing import MARKET_AND_LIMIT, Bench, FakeBroker, Puppet, silence


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


# --- waiting for an order ---------------------------------------------------------------------------------------


class Impatient(Strategy):
    """Places an order at the first quote, waits for it, and keeps what it was given and when."""

    def __init__(self, within="5s", limit=99):
        super().__init__()
        self.within = within
        self.limit = limit
        self.given = []
        self.seen = []

    def on_start(self):
        self.watch("BTC/USDT:USDT", quotes=True, trades=True, bars="1m")

    async def on_quote(self, quote):
        self.seen.append(quote)
        if not self.given and not self.restored:
            began = self.now
            order = await self.wait(self.buy(1, limit_price=self.limit), within=self.within)
            self.given.append((order.status, (self.now - began) / 1e9))

    def on_trade(self, trade):
        self.seen.append(trade)

    def on_bar(self, bar):
        self.seen.append(bar)

    def on_order(self, order):
        self.seen.append(order.status)


REMOTE = attrs.evolve(MARKET_AND_LIMIT, exact=False)


def impatient(script=None, profile=REMOTE, **settings):
    broker = FakeBroker(profile=profile)
    if script is not None:
        broker.answers.append(script)
    bench = Bench(Impatient(**settings), broker=broker)
    bench.quote(99.9, 100.1)
    return bench


def test_a_wait_ends_with_the_order():
    """Filled in time, it is given at once, and closed."""
    bench = impatient()
    bench.advance("2s")
    bench.broker.fill(bench.broker.submits[0].client_order_id)
    assert bench.strategy.given == [(OrderStatus.FILLED, 2.0)]
    bench.check()


def test_a_wait_gives_a_working_order_when_its_time_is_over():
    """Something was heard of it, so nobody is asked."""
    bench = impatient(silence())
    bench.advance("1s")
    bench.broker.accept(bench.broker.submits[0].client_order_id)
    bench.advance("5s")
    assert bench.strategy.given == [(OrderStatus.ACCEPTED, 5.0)]
    bench.check()


def test_an_order_that_nothing_was_heard_of_is_looked_up():
    """The venue has filled it and its reports were lost: what a wait gives is the truth, fills included."""
    bench = impatient(silence(), within="1s")
    name = bench.broker.submits[0].client_order_id
    bench.broker.executed(name)
    bench.advance("1s")
    assert bench.strategy.given == [(OrderStatus.FILLED, 1.0)]
    assert bench.state.quantity("fake", bench.instrument, "Impatient") == 1
    bench.check()


def test_a_venue_that_does_not_answer_is_not_waited_for_any_longer():
    """Five seconds more, and the order is given as it is known."""
    bench = impatient(silence(), within="1s")
    bench.kernel.resolver.inquire = lambda account, inquiry: None
    bench.advance("5s")
    assert bench.strategy.given == []
    bench.advance("2s")
    assert bench.strategy.given == [(OrderStatus.SUBMITTED, 6.0)]
    bench.check()


def test_a_venue_in_this_process_is_not_asked():
    """Nothing gets lost there: the wait ends when it was told to."""
    bench = impatient(silence(), MARKET_AND_LIMIT, within="1s")
    asked = []
    bench.kernel.resolver.inquire = lambda *question: asked.append(question)
    bench.advance("1s")
    assert (bench.strategy.given, asked) == ([(OrderStatus.SUBMITTED, 1.0)], [])


def test_the_mailbox_of_a_handler_that_waits():
    """Of quotes the last is kept; trades, bars and facts all come, in their order."""
    bench = impatient(limit=90)
    bench.strategy.seen.clear()
    for price in (100, 101, 102):
        bench.trade(price)
        bench.quote(price, price + 1)
    bench.advance("1s")
    bench.quote(103, 104)
    assert bench.strategy.seen == []
    bench.advance("4s")
    seen = bench.strategy.seen
    assert [getattr(one, "price", None) or getattr(one, "bid", one) for one in seen] == [
        OrderStatus.ACCEPTED, 100, 103, 101, 102,
    ]  # fmt: skip
    bench.advance("1m")
    assert seen[-1].close == 102
    bench.check()


def test_a_wait_ends_with_the_process():
    """After a restart no handler waits; its order goes on, and is told of."""
    bench = impatient()
    bench.restart()
    bench.advance("10s")
    assert bench.strategy.given == []
    bench.broker.fill(bench.broker.submits[0].client_order_id)
    assert bench.strategy.seen[-1] is OrderStatus.FILLED
    bench.check()
