"""What a person asks for: recorded with who and why, then done; and nothing is sent that the state forbids by then."""

import pytest

from fairlead import ConfigurationError, OrderStatus, Side, TradingState
from fairlead.facts import (
    BreakerReset,
    BreakerTripped,
    Commanded,
    DayStarted,
    Filled,
    Noted,
    OrderAccepted,
    OrderHeld,
    OrderSubmitted,
    ReportReceived,
    StateChanged,
)
from fairlead.ports import CancelAll, Trip
from fairlead.testing import Bench, FakeBroker, Puppet, make_instrument


class FillsPerDay:
    """The breaker that the documentation writes."""

    wants = (Filled, DayStarted)

    def __init__(self, most, name="fills_per_day"):
        self.name = name
        self.most = most
        self.count = 0

    def check(self, intent, view):
        return None

    def watch(self, item, view):
        self.count = 0 if isinstance(item, DayStarted) else self.count + 1
        if self.count >= self.most:
            return Trip(f"{self.count} fills today", TradingState.REDUCE_ONLY)
        return None

    def clean(self, scope, view):
        return self.count < self.most


class Says:
    """Returns what a test says."""

    name = "max_fills"

    def __init__(self, *wants, check=None, watch=None):
        self.wants = wants
        self.check = lambda intent, view: check
        self.watch = lambda item, view: watch


class TripsOnSubmit:
    """Lowers trading as soon as it sees an order of a side on its way."""

    name = "TripsOnSubmit"
    wants = (OrderSubmitted,)

    def __init__(self, side=Side.BUY):
        self.side = side

    def check(self, intent, view):
        return None

    def watch(self, item, view):
        seen = item.intent.side is self.side
        return Trip("seen an order", TradingState.REDUCE_ONLY, "engine") if seen else None


def make(breakers=()):
    bench = Bench(
        Puppet("BTC/USDT:USDT"), broker=FakeBroker(make_instrument("BTC/USDT:USDT")), breakers=breakers
    )
    bench.price(100)
    return bench


def ask(bench, verb, **arguments):
    bench.kernel.command(verb, "ann", "a reason", **arguments)


def two_accounts(*breakers):
    """Two venues of one instrument; the strategy trades on the first unless it says another."""
    brokers = [FakeBroker(make_instrument("BTC/USDT:USDT"), name=name) for name in ("one", "two")]
    bench = Bench(Puppet("BTC/USDT:USDT"), broker=brokers, breakers=breakers)
    bench.price(100)
    return bench


def test_a_trip_without_a_scope_is_of_the_account_that_was_traded():
    """A breaker that counts fills lowers the account they were on, and the other one goes on."""
    bench = two_accounts(FillsPerDay(2))
    for _ in range(2):
        bench.do(lambda s: s.buy(1, account="two"))
    assert [trip.scope for trip in bench.of(BreakerTripped)] == ["account:two"]
    assert bench.do(lambda s: s.buy(1, account="two")).denied
    assert bench.do(lambda s: s.buy(1, account="one")).status is OrderStatus.FILLED
    bench.clock.advance("1d")
    bench.price(100)
    assert not bench.do(lambda s: s.buy(1, account="two")).denied
    bench.check()


@pytest.mark.parametrize("kind", [OrderSubmitted, OrderAccepted, OrderHeld, ReportReceived])
def test_every_fact_of_an_order_is_of_its_account(kind):
    """By its intent, by the order it names, or said outright."""
    bench = two_accounts(Says(kind, watch=Trip("seen", TradingState.REDUCE_ONLY)))
    bench.do(lambda s: s.buy(1, account="two", stop_price=110 if kind is OrderHeld else None))
    assert [trip.scope for trip in bench.of(BreakerTripped)] == ["account:two"]


def test_a_trip_of_a_fact_that_is_of_no_account_holds_for_all():
    """What concerns no account lowers the engine."""
    bench = two_accounts(Says(Noted, watch=Trip("seen", "reduce_only")))
    bench.do(lambda s: s.note("x"))
    assert [(trip.scope, trip.state) for trip in bench.of(BreakerTripped)] == [
        ("engine", TradingState.REDUCE_ONLY)
    ]


def test_a_trip_of_a_scope_that_is_not_there_holds_for_all():
    """A misspelt scope would lower nothing: it lowers everything, and says why."""
    bench = two_accounts(Says(Noted, watch=Trip("seen", TradingState.HALTED, "acount:one")))
    bench.do(lambda s: s.note("x"))
    [trip] = bench.of(BreakerTripped)
    assert trip.scope == "engine"
    assert trip.reason == "seen (there is no scope 'acount:one' here, so it holds for all)"


def test_a_breaker_that_returns_no_trip_is_named():
    """Anything but a Trip or None refuses the order, or lowers trading, with the remedy."""
    order = make([Says(check=True)]).do(lambda s: s.buy(1))
    assert order.reasons == ("max_fills.check returned True: return a Trip or None",)
    bench = make([Says(OrderSubmitted, watch="too many")])
    assert bench.do(lambda s: s.buy(1)).status is OrderStatus.REJECTED
    [trip] = bench.of(BreakerTripped)
    assert trip.reason == "max_fills.watch returned 'too many': return a Trip or None"
    assert (trip.scope, trip.state) == ("engine", TradingState.REDUCE_ONLY)


def test_an_order_is_withdrawn_when_trading_is_lowered_before_it_leaves():
    """A breaker that trips on the very order stops it: nothing reaches the broker, and the order says why."""
    bench = make([TripsOnSubmit()])
    order = bench.do(lambda s: s.buy(1))
    assert order.status is OrderStatus.REJECTED
    assert "not sent" in order.reasons[-1]
    assert not bench.broker.submits
    bench.check()


def test_a_reduction_still_leaves_when_trading_is_lowered_to_reductions():
    """What only reduces is sent in the lowered state too."""
    bench = make([TripsOnSubmit(Side.SELL)])
    bench.do(lambda s: s.buy(1))
    order = bench.do(lambda s: s.sell(1, reduce_only=True))
    assert bench.state.tripped
    assert order.status is OrderStatus.FILLED
    assert len(bench.broker.submits) == 2
    bench.check()


def test_halt_and_resume_are_facts_with_who_and_why():
    """A halt refuses new orders until a person resumes; both are in the journal with their reasons."""
    bench = make()
    ask(bench, "halt")
    assert bench.do(lambda s: s.buy(1)).denied
    ask(bench, "resume")
    assert not bench.do(lambda s: s.buy(1)).denied
    assert [(fact.verb, fact.who, fact.why) for fact in bench.of(Commanded)] == [
        ("halt", "ann", "a reason"),
        ("resume", "ann", "a reason"),
    ]
    assert [fact.state for fact in bench.of(StateChanged)] == [TradingState.HALTED, TradingState.ACTIVE]
    bench.check()


def test_cancel_all_takes_back_every_order_and_what_the_venue_has_besides():
    """Each open order is canceled by its id, then the venue is asked to cancel everything."""
    bench = make()
    orders = [bench.do(lambda s, p=p: s.buy(1, limit_price=p)) for p in (90, 91)]
    ask(bench, "cancel_all")
    assert all(order.status is OrderStatus.CANCELED for order in orders)
    assert isinstance(bench.broker.commands[-1], CancelAll)
    bench.check()


def test_a_tripped_breaker_is_reset_by_a_person():
    """The reset says who and why, and orders pass again."""
    bench = make([TripsOnSubmit()])
    bench.do(lambda s: s.buy(1))
    ask(bench, "reset", breaker="TripsOnSubmit")
    assert [(fact.who, fact.why) for fact in bench.of(BreakerReset)] == [("ann", "a reason")]
    assert not bench.state.tripped


@pytest.mark.parametrize(
    ("verb", "arguments", "message"),
    [
        ("pause", {"scope": "strategy:Nobody"}, "no scope 'strategy:Nobody' here .there are: Puppet."),
        ("reset", {"breaker": "Nothing"}, "no breaker 'Nothing' here .there are: kill."),
        ("cancel_all", {"scope": "account:elsewhere"}, "no scope 'account:elsewhere' here"),
        (
            "halt",
            {"scope": "acount:fake"},
            "halt: there is no scope 'acount:fake' here: write engine, account:NAME",
        ),
        ("halt", {"scope": "account:fkae"}, "no scope 'account:fkae' here .there are: fake.: write engine"),
        ("halt", {"scope": "strategy:puppet"}, "no scope 'strategy:puppet' here .there are: Puppet."),
        ("resume", {"scope": "instrument:BTC"}, "no scope 'instrument:BTC' here .there are: BTC/USDT:USDT@"),
        ("halt", {"scope": ":"}, "no scope ':' here"),
        ("explode", {}, "no command 'explode': write one of pause, resume"),
    ],
)
def test_a_request_for_what_is_not_there_is_refused_and_changes_nothing(verb, arguments, message):
    """The message names what is missing and what there is; nothing is recorded."""
    bench = make()
    before = len(bench.journal.records)
    with pytest.raises(ConfigurationError, match=message):
        ask(bench, verb, **arguments)
    assert len(bench.journal.records) == before


def test_a_day_order_that_the_engine_ends_has_expired():
    """Where the venue knows no DAY orders the engine cancels, and the order says expired, not canceled."""
    bench = make()
    order = bench.do(lambda s: s.buy(1, limit_price=90, time_in_force="DAY"))
    bench.clock.advance("1d")
    assert order.status is OrderStatus.EXPIRED
    bench.check()


class Once(Puppet):
    """Wants to be woken once, at a moment."""

    def __init__(self, symbol, when):
        super().__init__(symbol)
        self.when = when
        self.fired = 0

    def on_start(self):
        super().on_start()
        self.at(self.when, name="once")

    def on_timer(self, name):
        self.fired += 1


def test_a_timer_of_one_moment_fires_once_over_all_restarts():
    """A strategy that asks for the same moment again after a restart is not woken a second time."""
    clock_start = make().clock.now()
    when = clock_start + 60_000_000_000
    bench = Bench(Once("BTC/USDT:USDT", when), broker=FakeBroker(make_instrument("BTC/USDT:USDT")))
    bench.clock.advance("2m")
    assert bench.strategy.fired == 1
    bench.restart()
    bench.clock.advance("2m")
    assert bench.strategy.fired == 0
    bench.check()


def test_a_breaker_that_is_not_in_the_list_any_more_is_reset_by_a_person():
    """Its trip holds on, and somebody must be able to end that without putting it back."""
    bench = Bench(breakers=[FillsPerDay(1)])
    bench.price(100)
    bench.do(lambda s: s.buy(1))
    bench.breakers = []
    bench.restart()
    bench.price(100)
    assert bench.do(lambda s: s.buy(1)).denied
    answer = bench.kernel.command("reset", "ann", "it is gone", breaker="fills_per_day")
    assert answer["scopes"] == ["account:fake"]
    assert not bench.do(lambda s: s.buy(1)).denied
    bench.check()
