"""What a person asks for: recorded with who and why, then done; and nothing is sent that the state forbids by then."""

import pytest

from fairlead import ConfigurationError, OrderStatus, Side, TradingState
from fairlead.facts import BreakerReset, Commanded, OrderSubmitted, StateChanged
from fairlead.ports import CancelAll, Trip
from fairlead.testing import Bench, FakeBroker, Puppet, make_instrument


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
        ("pause", {"strategy": "Nobody"}, "no strategy 'Nobody' here .there are: Puppet."),
        ("reset", {"breaker": "Nothing"}, "no breaker 'Nothing' here .there are: none."),
        ("cancel_all", {"account": "elsewhere"}, "no account 'elsewhere' here"),
        ("explode", {}, "no command 'explode': write one of halt, resume"),
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
