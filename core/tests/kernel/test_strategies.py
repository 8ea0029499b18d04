"""Strategies: callbacks in order, handlers that wait, faults, what is remembered, timers, and what they earn."""

import asyncio
from decimal import Decimal

import pytest

from fairlead import OrderStatus, Quote, Strategy
from fairlead.facts import (
    Answered,
    Asked,
    Noted,
    OrderSubmitted,
    StrategyFaulted,
    StrategyHalted,
    StrategySaved,
    TimerFired,
    TimerSet,
)
from fairlead.testing import Bench, FakeBroker, FakeStream, Puppet, fill, make_instrument, silence

D = Decimal
BTC = "BTC/USDT:USDT"


class Log(Strategy):
    """Writes down everything it is told."""

    def __init__(self, **options):
        super().__init__(**options)
        self.log = []

    def on_start(self):
        self.log.append("start")
        self.watch(BTC, bars="1m", quotes=True, trades=True, book=True)

    def on_bar(self, bar):
        self.log.append(("bar", bar.close))

    def on_quote(self, quote):
        self.log.append(("quote", quote.bid))

    def on_trade(self, trade):
        self.log.append(("trade", trade.price))

    def on_book(self, book):
        self.log.append(("book", book.bids[0][0]))

    def on_order(self, order):
        self.log.append(order.status)

    def on_fill(self, fill):
        self.log.append(("fill", self.position()))

    def on_timer(self, name):
        self.log.append(name)

    def on_stop(self):
        self.log.append("stop")


def test_every_callback_is_called_in_the_order_of_events():
    """From the start to the stop, each with what happened; a fill comes when the position knows of it."""
    bench = Bench(Log())
    bench.do(lambda s: s.every("30s", name="half"))
    bench.quote(99, 101)
    bench.trade(100)
    bench.book(99, 101)
    bench.do(lambda s: s.buy(1))
    bench.advance("1m")
    bench.kernel.turn(lambda: bench.kernel.ending.begin("the test", 0))
    assert bench.strategy.log == [
        "start",
        ("quote", 99),
        ("trade", 100),
        ("book", 99),
        OrderStatus.ACCEPTED,
        ("fill", 1),
        OrderStatus.FILLED,
        "half",
        ("bar", 100),
        "half",
        "stop",
    ]
    bench.check()


class Waiting(Strategy):
    """Its quote handler does what the test says, and may wait."""

    def __init__(self, **options):
        super().__init__(**options)
        self.log = []
        self.act = None

    def on_start(self):
        self.watch(BTC, quotes=True, trades=True)

    async def on_quote(self, quote):
        act, self.act = self.act, None
        if act is not None:
            self.log.append(await act(self))
        else:
            self.log.append(quote.bid)

    def on_trade(self, trade):
        self.log.append(("trade", trade.price))


def waiting(act, *strategies, **options):
    bench = Bench(Waiting(), *strategies, **options)
    bench.strategy.act = act
    bench.price(100)
    return bench


def test_sleeping_lets_time_pass_and_keeps_events_in_the_mailbox():
    """Trades are never lost there, of quotes only the last counts, and handlers do not overlap."""

    async def act(s):
        await s.sleep("10s")
        return ("awake", s.now)

    bench = waiting(act)
    start = bench.clock.now()
    for price in (101, 102, 103):
        bench.price(price)
        bench.trade(price)
    assert bench.strategy.log == []
    bench.advance("10s")
    assert bench.strategy.log == [
        ("awake", start + 10_000_000_000),
        103,
        ("trade", 101),
        ("trade", 102),
        ("trade", 103),
    ]


def test_a_full_mailbox_is_emptied_without_nesting():
    """Ten thousand events that waited are handled one after the other."""

    async def act(s):
        await s.sleep("1s")
        return "awake"

    bench = waiting(act)
    for _ in range(10_000):
        bench.trade(100)
    bench.advance("1s")
    assert len(bench.strategy.log) == 10_001
    assert not bench.of(StrategyHalted)


@pytest.mark.parametrize(("filled", "status"), [(True, OrderStatus.FILLED), (False, OrderStatus.ACCEPTED)])
def test_waiting_for_an_order_ends_with_it_or_with_time(filled, status):
    """The order is given back as it stands then."""

    async def act(s):
        order = await s.wait(s.buy(1, limit_price=90), within="5s")
        return order.status

    bench = waiting(act)
    bench.advance("2s")
    assert bench.strategy.log == []
    if filled:
        bench.broker.fill(bench.broker.submits[0].client_order_id)
    else:
        bench.advance("3s")
    assert bench.strategy.log == [status]


def test_waiting_for_an_order_that_is_closed_goes_on_at_once():
    """A denied order needs no waiting for."""

    async def act(s):
        return (await s.wait(s.buy(0), within="1h")).status

    bench = waiting(act)
    bench.advance(0)
    assert bench.strategy.log == [OrderStatus.DENIED]


def answer_to_everything(*args):
    return 42


def test_an_answer_is_a_recorded_input():
    """What was asked and what came back is in the journal; an error is raised where it was awaited."""

    async def act(s):
        value = await s.ask(answer_to_everything, 1)
        try:
            await s.ask(answer_to_everything)
        except RuntimeError as error:
            return value, str(error)

    bench = waiting(act)
    assert bench.questions[0][2:] == (answer_to_everything, (1,))
    bench.answer({"a": [1, None]})
    bench.answer(error="ValueError: no")
    assert bench.strategy.log == [({"a": [1, None]}, "ValueError: no")]
    assert [f.function for f in bench.of(Asked)] == ["answer_to_everything"] * 2
    assert [f.error for f in bench.of(Answered)] == ["", "ValueError: no"]
    bench.check()


@pytest.mark.parametrize("value", [7, None, [], {"x": 1}])
def test_asking_with_then_goes_on_meanwhile(value):
    """The answer is one more event, whatever it is."""
    got = []
    bench = Bench()
    bench.do(lambda s: s.ask(answer_to_everything, then=got.append))
    bench.price(100)
    bench.answer(value)
    assert got == [value]
    assert not bench.of(StrategyHalted)


def test_a_failed_answer_with_then_is_an_error_in_hand():
    """The handler gets the error rather than an exception."""
    got = []
    bench = Bench()
    bench.do(lambda s: s.ask(answer_to_everything, then=got.append))
    bench.answer(error="TimeoutError: slow")
    assert isinstance(got[0], RuntimeError)


def test_an_ask_that_nobody_awaits_halts():
    """Neither awaited nor given a handler, its answer would reach nobody."""
    bench = Bench()
    bench.do(lambda s: s.ask(answer_to_everything) and None)
    assert "neither awaited nor given then=" in bench.of(StrategyHalted)[0].reason


@pytest.mark.parametrize("seconds", [0, 1])
def test_awaiting_anything_else_halts_with_the_remedy(seconds):
    """The kernel steps coroutines itself: foreign awaitables cannot work, and the message says what can, and where."""

    async def act(s):
        await asyncio.sleep(seconds)

    bench = waiting(act)
    reason = bench.of(StrategyHalted)[0].reason
    assert reason.startswith("it wants an event loop, and a handler has none: ")
    assert "a handler may await only self.ask(...), self.wait(...) and self.sleep(...)" in reason
    assert "(in act, test_strategies.py:" in reason
    bench.price(101)
    assert bench.strategy.log == []


# --- faults -----------------------------------------------------------------------------------------------------


class Faulty(Puppet):
    """Raises at every trade above 100."""

    def on_start(self):
        self.watch(BTC, trades=True)

    def on_trade(self, trade):
        self.seen.append(trade.price)
        if trade.price > 100:
            raise ValueError("too high")


def test_a_strategy_that_raises_is_halted_alone():
    """The others go on, its orders stay, and a person lets it go on."""
    one, two = Faulty(name="one", allocation="50%"), Log(name="two", allocation="50%")
    bench = Bench(one, two)
    bench.trade(101)
    bench.trade(99)
    assert one.seen == [101]
    assert [x for x in two.log if x != "start"] == [("trade", 101), ("trade", 99)]
    halt = bench.of(StrategyHalted)[0]
    assert halt.strategy == "one"
    assert halt.reason.startswith("ValueError: too high (in on_trade, test_strategies.py:")
    bench.restart()
    bench.trade(98)
    assert bench.strategy.seen == []
    bench.kernel.command("resume", "me", "mended", scope="strategy:one")
    bench.trade(97)
    assert bench.strategy.seen == [97]
    bench.check()


def test_an_error_policy_goes_on_until_so_many_faults():
    """Each fault drops one event and is counted, over restarts too."""
    strategy = Faulty()
    strategy.errors = 3
    bench = Bench(strategy)
    bench.trade(101)
    bench.trade(102)
    assert [f.count for f in bench.of(StrategyFaulted)] == [1, 2]
    bench.restart()
    bench.strategy.errors = 3
    bench.trade(103)
    assert len(bench.of(StrategyHalted)) == 1


@pytest.mark.parametrize(
    "act",
    [
        lambda s: s.buy(1, value=5),
        lambda s: s.watch("NOPE/USDT"),
        lambda s: s.buy(1, limit_price="abc"),
        lambda s: __import__("json").loads("{"),
    ],
)
def test_a_fault_is_shown_at_the_users_own_line(act):
    """What a call of ours, or of a library, raises is blamed on the line that made the call."""
    bench = Bench()
    bench.price(100)
    bench.kernel.turn(lambda: bench.kernel.runners["Puppet"].deliver(lambda: act(bench.strategy), None))
    assert "(in <lambda>, test_strategies.py:" in bench.of(StrategyHalted)[0].reason


def test_a_failed_question_is_shown_at_the_line_that_asked():
    """The error of an answer comes out of the user's own await."""

    async def act(s):
        await s.ask(answer_to_everything)

    bench = waiting(act)
    bench.answer(error="TimeoutError: slow")
    assert bench.of(StrategyHalted)[0].reason.startswith(
        "RuntimeError: TimeoutError: slow (in act, test_strategies.py:"
    )


@pytest.mark.parametrize("use", [lambda ask: ask["x"], lambda ask: ask.get("x"), lambda ask: ask + 1])
def test_a_forgotten_await_is_named(use):
    """Who uses a question as its answer is told to await it."""

    async def act(s):
        return use(s.ask(answer_to_everything))

    assert ": await it, `await self.ask(...)` (in " in waiting(act).of(StrategyHalted)[0].reason


class Blind(Strategy):
    """Forgot to watch anything."""

    def on_start(self):
        pass


def test_a_strategy_that_watches_nothing_is_named():
    """Nothing will ever wake it: that is written down at the start, and only of those it is true of."""

    class Later(Strategy):
        def on_start(self):
            self.every("1m", name="look")

    bench = Bench(Blind(allocation="10%"), Later(allocation="10%"), Log(allocation="10%"))
    assert [(note.source, note.text) for note in bench.of(Noted)] == [
        ("idle", "Blind watches nothing and has no timer: call self.watch(...) in on_start")
    ]


# --- units of time ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda s: s.every(900), "900 is not a duration: write '900s'"),
        (lambda s: s.every(0.5, s.on_stop), "0.5 is not a duration: write '0.5s'"),
        (lambda s: s.every(None), "None is not a duration: write '5s'"),
        (lambda s: s.every("999us"), "'999us' is shorter than 1ms: write a longer duration"),
        (lambda s: s.sleep(5), "5 is not a duration: write '5s'"),
        (lambda s: s.wait(None, within=True), "True is not a duration: write '5s'"),
        (lambda s: s.at(900), "900 is no time: write a duration from now such as '900s', an aware datetime"),
        (lambda s: s.at(1700000000), "1700000000 is no time"),
        (lambda s: s.at(9.5), "9.5 is no time"),
    ],
)
def test_a_bare_number_is_no_duration(act, message):
    """Timers and waits want their unit written out: a number taken for nanoseconds would flood everything."""
    bench = Bench()
    bench.kernel.turn(lambda: bench.kernel.runners["Puppet"].deliver(lambda: act(bench.strategy), None))
    assert message in bench.of(StrategyHalted)[0].reason
    assert not bench.of(TimerSet)


# --- shares -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda s: s.buy(percent=50), "50 is 5000 %: write '50%' or 0.5, and '5000%' only if that is meant"),
        (lambda s: s.sell(percent=1.5), "1.5 is 150.0 %: write '1.5%' or 0.015, and '150.0%' only if"),
        (lambda s: s.target(percent=-50), "50 is 5000 %"),
        (lambda s: s.target(percent="20"), "20 is 2000 %: write '20%' or 0.2"),
        (lambda s: s.rebalance({BTC: 50}), "50 is 5000 %"),
        (lambda s: s.rebalance({BTC: 0.5}, band=2), "2 is 200 %"),
    ],
)
def test_a_bare_number_above_one_is_no_share(act, message):
    """Who writes 50 means 50 %: the order is not made, and the message says how to write either."""
    bench = Bench()
    bench.price(100)
    bench.kernel.turn(lambda: bench.kernel.runners["Puppet"].deliver(lambda: act(bench.strategy), None))
    assert message in bench.of(StrategyHalted)[0].reason
    assert not bench.broker.submits


def test_a_share_above_all_of_it_is_written_as_a_percentage():
    """Leverage is there for whoever says it; one and below may be a bare number."""
    bench = Bench()
    bench.price(100)
    assert bench.do(lambda s: s.buy(percent="150%", limit_price=100)).quantity == 1500
    assert bench.do(lambda s: s.buy(percent=1, limit_price=100)).quantity == 1000
    assert bench.do(lambda s: s.buy(percent=0.5, limit_price=100)).quantity == 500


# --- what is remembered -----------------------------------------------------------------------------------------


class Counting(Puppet):
    """Counts its orders, and remembers how many."""

    count = 0

    def place(self):
        self.count += 1
        return self.buy(1, limit_price=90)

    def save(self):
        return {"count": self.count}

    def load(self, saved):
        self.count = saved["count"]


def test_what_a_handler_decided_is_saved_in_the_record_of_its_intent():
    """Either both survive or neither: a decision is restored, never made again."""
    bench = Bench(Counting())
    bench.price(100)
    bench.do(lambda s: s.place())
    record = next(r for r in bench.journal.records if b"OrderSubmitted" in b"".join(r))
    assert b"StrategySaved" in b"".join(record)
    bench.do(lambda s: setattr(s, "count", 50))
    assert len(bench.of(StrategySaved)) == 1
    bench.restart()
    assert bench.strategy.count == 1
    assert bench.strategy.restored
    bench.check()


def test_what_was_decided_before_a_wait_is_saved_before_it():
    """A crash while a handler waits does not repeat what it did first."""

    class Saver(Waiting):
        def save(self):
            return len(self.log)

    bench = Bench(Saver())

    async def act(s):
        s.log.append("decided")
        s.buy(1, limit_price=90)
        await s.sleep("1h")

    bench.strategy.act = act
    bench.price(100)
    assert len(bench.of(OrderSubmitted)) == len(bench.of(StrategySaved)) == 1


def test_what_cannot_be_saved_is_a_fault():
    """It is said at once rather than found missing after a crash."""

    class Bad(Counting):
        def save(self):
            return object()

    bench = Bench(Bad())
    bench.price(100)
    bench.do(lambda s: s.place())
    assert "TypeError" in bench.of(StrategyHalted)[0].reason


# --- timers -----------------------------------------------------------------------------------------------------


class Timed(Puppet):
    """Ticks by name and by method."""

    def on_start(self):
        self.every("1m", name="minute")
        self.every("1h", self.hourly)
        self.at("90s", name="once")

    def hourly(self):
        self.seen.append("hourly")


def test_timers_fire_at_full_intervals_small_before_large():
    """On the grid of UTC, the small one first where both are due."""
    bench = Bench(Timed())
    bench.advance("10s")
    bench.advance("2m")
    assert bench.strategy.seen == ["minute", "once", "minute"]
    bench.strategy.seen.clear()
    bench.advance("58m")
    assert bench.strategy.seen[-2:] == ["minute", "hourly"]
    bench.check()


def test_what_came_due_while_it_was_down_fires_once_and_late():
    """Not sixty times, and it says so."""
    bench = Bench(Timed())
    bench.restart(down="90m")
    bench.advance(0)
    late = [(f.name, f.late) for f in bench.of(TimerFired)]
    assert sorted(late) == sorted([("minute", True), ("hourly:1h", True), ("once", True)])
    bench.advance("30m")
    assert bench.strategy.seen.count("minute") == 31
    bench.check()


def test_a_canceled_timer_is_silent_and_a_repeated_call_changes_nothing():
    """Timers go by name; asking for the same again is not asking twice."""
    bench = Bench(Timed())
    bench.do(lambda s: s.every("1m", name="minute"))
    assert len(bench.of(TimerSet)) == 3
    bench.advance("1m")
    bench.do(lambda s: s.cancel_timer("minute"))
    bench.do(lambda s: s.cancel_timer("hourly"))
    bench.advance("2h")
    assert bench.strategy.seen == ["minute", "once"]


# --- money ------------------------------------------------------------------------------------------------------


def test_profit_of_a_strategy_and_of_the_account():
    """Realised, unrealised, fees, today; each strategy's own, and all together."""
    one, two = Puppet(name="one", allocation="40%"), Puppet(name="two", allocation="10_000 USDT")
    bench = Bench(one, two)
    bench.broker.fee = D("0.001")
    bench.price(100)
    bench.do(lambda s: s.buy(2), 0)
    bench.do(lambda s: s.sell(1), 1)
    bench.price(110)
    bench.do(lambda s: s.sell(1), 0)
    mine = bench.do(lambda s: s.pnl(), 0)
    assert (mine.realised, mine.unrealised, mine.fees) == (10, 10, D("0.310"))
    assert mine.today == pytest.approx(mine.total) == pytest.approx(19.69)
    theirs = bench.do(lambda s: s.pnl(BTC), 1)
    assert (theirs.realised, theirs.unrealised) == (0, -10)
    whole = bench.kernel.books.profit(account="fake", currency="USDT")
    assert whole.total == pytest.approx(mine.total + theirs.total)
    assert one.equity == pytest.approx(40_000 + mine.total)
    assert two.equity == pytest.approx(10_000 + theirs.total)
    assert one.cash == pytest.approx(one.equity - 10)


def test_today_begins_with_the_trading_day():
    """What was earned before midnight is not today's."""
    bench = Bench()
    bench.price(100)
    bench.do(lambda s: s.buy(1))
    bench.price(110)
    bench.advance("24h")
    bench.price(113)
    profit = bench.do(lambda s: s.pnl())
    assert (profit.unrealised, profit.today) == (13, pytest.approx(3))


def test_percent_is_of_the_allocation():
    """An order in percent, or in money, is worked out at the price it would get."""
    one, two = Puppet(name="one", allocation="40%"), Puppet(name="two", allocation="10_000 USDT")
    bench = Bench(one, two)
    bench.quote(99, 101)
    assert bench.do(lambda s: s.buy(percent="10%", limit_price=100), 0).quantity == 40
    assert bench.do(lambda s: s.buy(percent="10%", limit_price=100), 1).quantity == 10
    assert bench.do(lambda s: s.buy(value="505 USDT"), 1).quantity == 5


def test_sizes_are_converted_to_the_instruments_money():
    """A share of equity in another currency goes through the rate, and none is nothing."""
    euro, rate = make_instrument("ABC/EUR"), make_instrument("EUR/USDT")
    broker = FakeBroker(euro, rate)
    broker.balances["EUR"] = D(50_000)
    bench = Bench(Puppet("ABC/EUR", "EUR/USDT"), broker=broker)
    bench.price(10, instrument=euro.id)
    assert bench.do(lambda s: s.buy(percent="10%", instrument="ABC/EUR")).denied
    bench.price(1.25, instrument=rate.id)
    order = bench.do(lambda s: s.buy(percent="10%", instrument="ABC/EUR"))
    assert order.quantity == D("1300")
    assert order.status is OrderStatus.FILLED


def test_orders_of_two_strategies_are_their_own():
    """Positions, orders and callbacks go to whoever placed them."""
    one, two = Puppet(name="one", allocation="50%"), Puppet(name="two", allocation="50%")
    bench = Bench(one, two)
    bench.price(100)
    bench.do(lambda s: s.buy(2), 0)
    bench.do(lambda s: s.sell(3, limit_price=105), 1)
    assert (one.position(), two.position()) == (2, 0)
    assert (len(one.orders()), len(two.orders())) == (0, 1)
    assert bench.do(lambda s: s.close(), 0).quantity == 2
    assert len(two.orders()) == 1
    assert len([x for x in two.seen if isinstance(x, tuple)]) == 1


# --- watching ---------------------------------------------------------------------------------------------------


def bars_of(bench):
    return [(bar.interval, bar.close) for bar in bench.strategy.seen]


def test_of_several_intervals_the_small_closes_first():
    """Whatever the order they were asked for in."""
    bench = Bench(Puppet(bars=["1h", "1m", "5m"]), stream=FakeStream(kinds=("bar:1m",)))
    for minute in range(60):
        bench.bar(1, 1000, 1, 100 + minute)
    bench.advance(0)
    last = [interval for interval, _ in bars_of(bench)][-3:]
    assert last == ["1m", "5m", "1h"]


def test_callbacks_begin_after_the_warm_up():
    """The first bar that is delivered has its history behind it."""
    bench = Bench(Puppet(bars="1m", warmup=3), stream=FakeStream(kinds=("bar:1m",)))
    for close in range(101, 106):
        bench.bar(100, 200, 50, close)
    assert bars_of(bench) == [("1m", 104), ("1m", 105)]
    assert [bar.close for bar in bench.strategy.history(4)] == [102, 103, 104, 105]


def test_watching_twice_is_watching_once():
    """A universe may be asked for again; each bar still comes once, and one unwatch ends it."""
    bench = Bench(Puppet(bars="1m"), stream=FakeStream(kinds=("bar:1m",)))
    bench.do(lambda s: s.watch(BTC, bars=["1m", "2m"]))
    bench.bar(100, 100, 100, 100)
    bench.bar(100, 100, 100, 100)
    bench.advance(0)
    assert [interval for interval, _ in bars_of(bench)] == ["1m", "1m", "2m"]
    bench.do(lambda s: s.unwatch(BTC))
    bench.bar(100, 100, 100, 100)
    assert len(bars_of(bench)) == 3
    assert list(bench.kernel.view.watched()) == []


def test_a_quote_is_the_last_one_and_a_price_its_middle():
    """Looking needs no callback."""
    bench = Bench()
    assert bench.strategy.quote() is None
    assert bench.strategy.price() is None
    bench.quote(99, 101)
    assert isinstance(bench.strategy.quote(), Quote)
    assert bench.strategy.price() == 100


def test_an_order_by_a_scripted_broker_is_seen_by_its_strategy_only_when_told():
    """Nothing is assumed: a strategy sees SUBMITTED until the venue speaks."""
    bench = Bench()
    bench.price(100)
    bench.broker.answers.append(silence())
    order = bench.do(lambda s: s.buy(1))
    assert order.status is OrderStatus.SUBMITTED
    assert bench.strategy.seen == []
    bench.broker.answers.append(fill())
    bench.broker.fill(order)
    assert order.status is OrderStatus.FILLED
