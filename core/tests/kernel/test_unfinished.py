"""What a restart gives back: bars in progress, timers, trailing stops, held orders and what strategies saved."""

import random

import pytest

from fairlead import Strategy
from fairlead import facts as f
from fairlead.testing import Bench, FactList, FakeStream, Puppet, make_instrument
from fairlead.testing.time import START_NS
from fairlead.units import SECOND

KINDS = ("tick:7", "volume:13", "value:900", "1m", "1h")


def trades(bench, count, seed=1):
    """So many trades, a few seconds apart."""
    dice = random.Random(seed)
    for _ in range(count):
        bench.advance(f"{dice.randint(1, 9)}s")
        bench.trade(100 + dice.randint(-5, 5), dice.randint(1, 4))


def bars(*kinds):
    return Bench(Puppet(bars=kinds), stream=FakeStream(make_instrument(), kinds=("trade",)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_bar_in_progress_goes_on(kind):
    """Killed at any event, the bars that follow are those of a run that was not."""
    whole = bars(kind)
    trades(whole, 200)
    whole.advance("2h")
    expected = whole.strategy.seen
    for killed in range(5, 200, 37):
        bench = bars(kind)
        dice = random.Random(1)
        seen = []
        for number in range(200):
            bench.advance(f"{dice.randint(1, 9)}s")
            bench.trade(100 + dice.randint(-5, 5), dice.randint(1, 4))
            if number == killed:
                seen = bench.strategy.seen
                bench.restart(down="0s")
        bench.advance("2h")
        assert seen + bench.strategy.seen == expected, killed
        bench.check()


def test_twice_killed_and_nothing_happened_between():
    """A restart that saw nothing hands on what it was given."""
    bench = bars("tick:10")
    trades(bench, 7)
    for _ in range(3):
        bench.restart(down="0s")
    trades(bench, 3)
    assert [bar.volume > 0 for bar in bench.strategy.seen] == [True]
    assert bench.strategy.seen[0].open_ns < bench.strategy.seen[0].event_ns - 10**10


def test_a_bar_that_ended_while_the_engine_was_down_comes_at_once():
    """It is late by less than its own length; one that is older is missed."""
    for down, came in (("70s", 1), ("10m", 0)):
        bench = bars("1m")
        trades(bench, 3)
        bench.restart(down=down)
        bench.advance("1ms")
        assert len(bench.strategy.seen) == came, down


def test_bars_that_nobody_watches_again_are_forgotten():
    """Watched later, they begin anew: what was missed meanwhile would be a hole in them."""
    bench = bars("tick:10")
    trades(bench, 7)
    bench.strategies = [Puppet(bars="tick:5")]
    bench.restart(down="0s")
    trades(bench, 3)
    assert bench.strategy.seen == []
    bench.do(lambda s: s.watch("BTC/USDT:USDT", bars="tick:10"))
    trades(bench, 9)
    assert [bar.interval for bar in bench.strategy.seen] == ["tick:5", "tick:5"]
    bench.advance("1m")
    assert {one.interval for one in bench.of(f.BarState)[-1].bars} == {"tick:5", "tick:10"}
    bench.check()


def test_it_is_kept_once_a_minute_and_at_the_end():
    """One fact for all of them; a strategy without bars made here has none."""
    bench = bars("tick:100", "1h")
    trades(bench, 60)
    first, *kept = bench.of(f.BarState)
    assert all(one.begun == () for one in first.bars)
    assert [fact.now % 60_000_000_000 for fact in kept] == [0] * len(kept)
    bench.kernel.turn(lambda: bench.kernel.ending.begin("the end", 0))
    bench.kernel.turn(bench.kernel.ending.finish)
    assert len(bench.of(f.BarState)) == len(kept) + 2
    assert len(bench.of(f.BarState)[-1].bars) == 2
    plain = Bench()
    plain.advance("1h")
    assert plain.of(f.BarState) == []


# --- all of it together -----------------------------------------------------------------------------------------


class Everything(Strategy):
    """Trades on bars by count, with trailing stops, brackets, stops held and timers; all it knows is saved."""

    def __init__(self):
        super().__init__()
        self.bars = 0

    def on_start(self):
        self.watch("BTC/USDT:USDT", bars=("tick:5", "1m"))
        self.every("45s", self.look)
        self.at(START_NS + 150 * SECOND, name="once")

    def on_bar(self, bar):
        if bar.interval == "1m":
            self.note(f"{bar.open} {bar.high} {bar.low} {bar.close} {bar.volume}")
        else:
            self.bars += 1
            if self.position():
                self.close()
            else:
                self.buy(2, stop_loss=bar.close - 2, take_profit=bar.close + 2, tag=str(self.bars))
                self.sell(1, trail=1, tag="trail")
            self.buy(1, stop_price=bar.close + 30, time_in_force="GTD", expires="20s")

    def look(self):
        self.note("look")

    def on_timer(self, name):
        self.note(name)

    def save(self):
        return self.bars

    def load(self, saved):
        self.bars = saved


MINE = (f.OrderSubmitted, f.OrderHeld, f.OrderCanceled, f.OrderExpired, f.OrderTriggered, f.TrailMoved)


def decisions(facts):
    """What was decided, apart from the epoch in ids."""
    words = []
    for fact in facts:
        if isinstance(fact, f.Noted) and fact.source == "Everything":
            words.append((fact.now, fact.text))
        elif isinstance(fact, f.TimerFired):
            words.append((fact.now, fact.name, fact.due_ns, fact.late))
        elif isinstance(fact, f.Filled):
            words.append((fact.now, fact.fill.side, fact.fill.quantity, fact.fill.price))
        elif isinstance(fact, MINE):
            words.append((fact.now, type(fact).__name__, fact.client_order_id[8:]))
    return words


def play(killed=-1):
    """The same market each time, the engine killed once all facts of an event are written."""
    bench = Bench(Everything(), stream=FakeStream(make_instrument(), kinds=("trade",)))
    dice = random.Random(4)
    price = 100.0
    for number in range(120):
        bench.advance(f"{dice.randint(1, 6)}s")
        price += dice.choice((-0.5, 0, 0.5, 1, -1))
        bench.trade(price, dice.randint(1, 4))
        if number == killed:
            bench.restart(down="0s")
    return bench


@pytest.mark.full
def test_killed_anywhere_it_decides_as_if_it_had_not_been():
    """At whatever event: bars, timers, trails, stops and what was saved go on, and every decision is the same."""
    whole = decisions(play().journal.facts)
    assert {word[1] for word in whole} >= {kind.__name__ for kind in MINE} | {"once"}
    for killed in range(119):
        bench = play(killed)
        assert decisions(bench.journal.facts) == whole, killed
        bench.check()


class Died(BaseException):
    """The process is gone."""


class Mortal(FactList):
    """A journal whose process dies at a record: before it is written, or right after, before anything is sent."""

    def __init__(self, at, *, written):
        super().__init__()
        self.at = at
        self.written = written

    def append(self, facts):
        dies = len(self.records) == self.at
        if dies:
            self.at = -1
        if not dies or self.written:
            super().append(facts)
        if dies:
            raise Died


@pytest.mark.full
@pytest.mark.parametrize("written", [False, True])
def test_killed_at_any_record_nothing_is_lost_or_sent_twice(written):
    """In the middle of whatever was being done: books and venue agree in the end, each order was sent once."""
    records = len(play().journal.records)
    for at in range(8, records, 3):
        journal = Mortal(at, written=written)
        bench = Bench(Everything(), journal=journal, stream=FakeStream(make_instrument(), kinds=("trade",)))
        dice = random.Random(4)
        price = 100.0
        for _ in range(120):
            wait = f"{dice.randint(1, 6)}s"
            price += dice.choice((-0.5, 0, 0.5, 1, -1))
            size = dice.randint(1, 4)
            try:
                bench.advance(wait)
                bench.trade(price, size)
            except Died:
                bench.restart(down="0s")
        bench.check()
        held = bench.broker.positions.get(bench.instrument, 0)
        assert bench.state.quantity("fake", bench.instrument, "Everything") == held, at
        sent = [submit.client_order_id for submit in bench.broker.submits]
        assert len(sent) == len(set(sent)), at
        booked = [fact.fill.fill_id for fact in bench.of(f.Filled)]
        assert sorted(booked) == sorted(report.fill_id for report in bench.broker.executions), at
        assert not bench.state.halted, at
