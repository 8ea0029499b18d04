"""The gate: every reason, what each trading state lets through, and that it fails closed."""

from decimal import Decimal

import attrs
import pytest

from fairlead import OrderStatus, OrderType, Side, TimeInForce, TradingState
from fairlead._kernel.gate import Approved, Refused
from fairlead._models.orders import OrderIntent
from fairlead.facts import BreakerTripped, Noted, OrderDenied, StateChanged
from fairlead.ports import RateLimit, Trip
from fairlead.testing import EVERYTHING, MARKET_AND_LIMIT, Bench, FakeBroker, Puppet, accept, make_instrument

D = Decimal


def make(
    symbol="BTC/USDT:USDT", profile=MARKET_AND_LIMIT, cash="100_000 USDT", breakers=(), price=100, **rules
):
    instrument = make_instrument(symbol, **rules)
    bench = Bench(
        Puppet(symbol), broker=FakeBroker(instrument, profile=profile, cash=cash), breakers=breakers
    )
    if price:
        bench.price(price)
    return bench


def denial(bench, action):
    order = bench.do(action)
    assert order.denied, order
    assert bench.of(OrderDenied)[-1].reasons == order.reasons
    assert not bench.broker.submits
    bench.check()
    return "; ".join(order.reasons)


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (lambda s: s.buy(0), "quantity 0 is not above 0"),
        (lambda s: s.buy(-1), "is not above 0"),
        (lambda s: s.buy("0.0004"), "quantity 0.000 is not above 0"),
        (lambda s: s.buy("0.05"), "below the minimum of 0.1"),
        (lambda s: s.buy(600), "above the maximum of 500"),
        (lambda s: s.buy("0.1"), "value below the minimum of 50 USDT"),
        (lambda s: s.buy(1, limit_price=-5), "limit price -5 is not above 0"),
        (lambda s: s.sell(1, stop_price=0), "stop price 0 is not above 0"),
        (lambda s: s.sell(1, trail=0), "trail 0 is not above 0"),
        (lambda s: s.buy(1, limit_price=99, post_only=True), "has no post-only orders"),
        (lambda s: s.buy(1, post_only=True), "only a limit order can be post-only"),
        (lambda s: s.buy(1, time_in_force="IOC"), "has no IOC orders"),
        (lambda s: s.buy(1, time_in_force="OPG"), "has no OPG orders"),
        (lambda s: s.buy(1, time_in_force="GTD"), "needs an expires= that is still to come"),
        (lambda s: s.buy(1, time_in_force="GTD", expires=1), "still to come"),
        (lambda s: s.buy(1, stop_loss=100), "stop_loss 100 of a buy is not below its entry price of 100"),
        (
            lambda s: s.buy(1, limit_price=90, stop_loss=95),
            "stop_loss 95 of a buy is not below its entry price of 90",
        ),
        (lambda s: s.buy(1, limit_price=120, stop_loss=110), "of a buy is not below its entry price of 100"),
        (
            lambda s: s.buy(1, stop_price=110, take_profit=105),
            "take_profit 105 of a buy is not above its entry",
        ),
        (lambda s: s.sell(1, stop_loss=99), "stop_loss 99 of a sell is not above its entry price of 100"),
        (
            lambda s: s.sell(1, limit_price=110, take_profit=112),
            "take_profit 112 of a sell is not below its entry",
        ),
        (lambda s: s.sell(1, reduce_only=True), "would do more than reduce 0"),
        (lambda s: s.buy(1, account="elsewhere"), "on account 'elsewhere' is not traded here"),
        (lambda s: s.buy(1, limit_price=2_000_000), "margin of 200,000.00 is more than the equity"),
    ],
)
def test_every_rule_refuses_and_says_why(action, reason):
    """What breaks a rule is denied before anything is sent, with the rule in words."""
    limits = {"min_quantity": D("0.1"), "max_quantity": D(500), "min_notional": D(50)}
    bench = make(**limits)
    if "margin" in reason:
        bench = make(cash="1_000 USDT", price=2_000_000)
    assert reason in denial(bench, action)


def test_all_reasons_are_given_at_once():
    """Nobody learns of the second fault only after mending the first."""
    bench = make()
    reasons = denial(bench, lambda s: s.buy(0, limit_price=-1, time_in_force="FOK"))
    for part in ("quantity 0", "limit price -1", "no FOK orders"):
        assert part in reasons


def test_without_a_price_nothing_is_judged():
    """An order whose size in money nobody knows is refused."""
    assert "no price of BTC/USDT:USDT@fake yet" in denial(make(price=0), lambda s: s.buy(1))


def test_reductions_may_be_smaller_than_the_venue_wants_entries_to_be():
    """The minimum does not lock a position in."""
    bench = make(min_quantity=D("0.5"), min_notional=D(50))
    bench.do(lambda s: s.buy(1))
    assert bench.do(lambda s: s.sell("0.1", reduce_only=True)).status is OrderStatus.FILLED


# --- funds ------------------------------------------------------------------------------------------------------


def test_spot_buys_need_the_money_of_all_working_buys_and_their_fee():
    """Cash is committed once, however many orders want it."""
    bench = make("BTC/USDT", cash="1_000 USDT", taker_fee=D("0.01"))
    bench.broker.script = accept()
    assert bench.do(lambda s: s.buy(5, limit_price=100)).status is OrderStatus.ACCEPTED
    order = bench.do(lambda s: s.buy(5, limit_price=100))
    assert order.denied
    assert "needs 1,010.00" in order.reasons[0]
    assert bench.do(lambda s: s.buy("4.9", limit_price=100)).status is OrderStatus.ACCEPTED


def test_spot_sells_need_what_they_sell_once():
    """Nothing that is not there can be sold, and nothing twice."""
    bench = make("BTC/USDT")
    assert "needs 1 BTC, and 0 is there" in denial(bench, lambda s: s.sell(1))
    bench.do(lambda s: s.buy(1))
    bench.broker.script = accept()
    assert bench.do(lambda s: s.sell("0.6", limit_price=110)).status is OrderStatus.ACCEPTED
    assert bench.do(lambda s: s.sell("0.6", limit_price=110)).denied
    limit, stop = bench.do(lambda s: s.oco("sell", "0.4", limit_price=110, stop_price=90))
    assert (limit.denied, stop.denied) == (False, False)


def test_margin_is_asked_for_the_worst_case():
    """Everything that may still fill counts, a reduction of the account never."""
    bench = make(cash="1_000 USDT")
    bench.broker.script = accept()
    assert not bench.do(lambda s: s.buy(60, limit_price=100)).denied
    assert bench.do(lambda s: s.buy(60, limit_price=100)).denied
    assert not bench.do(lambda s: s.sell(90, limit_price=101)).denied


def test_unknown_equity_refuses_new_risk():
    """Where a rate is wanting, the account cannot be valued, and nothing grows."""
    broker = FakeBroker(make_instrument())
    broker.balances["EUR"] = D(10)
    bench = Bench(broker=broker)
    bench.price(100)
    assert "no rate from EUR to USDT" in denial(bench, lambda s: s.buy(1))


def test_both_of_two_linked_spot_buys_need_the_money_once():
    """Only one of them can fill."""
    bench = make("BTC/USDT", profile=EVERYTHING, cash="1_000 USDT")
    limit, stop = bench.do(lambda s: s.oco("buy", 9, limit_price=95, stop_price=105))
    assert (limit.denied, stop.denied) == (False, False)
    assert bench.do(lambda s: s.buy(1, limit_price=95)).denied
    bench.check()


def test_a_reduction_passes_where_the_margin_is_gone_already():
    """An account under water may always get smaller."""
    bench = make(cash="1_000 USDT", initial_margin=D("0.1"))
    bench.do(lambda s: s.buy(90))
    bench.price(95)
    assert "margin of" in bench.do(lambda s: s.buy(1)).reasons[0]
    assert bench.do(lambda s: s.sell(10)).status is OrderStatus.FILLED
    assert bench.do(lambda s: s.sell(90)).denied
    bench.check()


@pytest.mark.parametrize("linked", [False, True], ids=["plain", "linked"])
def test_a_reduction_counts_what_may_still_reduce_besides(linked):
    """All that works on its side could fill first; of linked orders the largest."""
    bench = make(profile=EVERYTHING)
    bench.do(lambda s: s.buy(3))
    if linked:
        limit, _ = bench.do(lambda s: s.oco("sell", 2, limit_price=110, stop_price=90))
        bench.do(lambda s: s.replace(limit, quantity=1))
        assert sorted(o.remaining_quantity for o in bench.state.open.values()) == [1, 2]
    else:
        bench.do(lambda s: s.sell(2, limit_price=110))
    assert "would do more than reduce 3" in bench.do(lambda s: s.sell(2, reduce_only=True)).reasons[0]
    bench.kernel.turn(
        lambda: bench.kernel.recorder.record(StateChanged, scope="engine", state=TradingState.REDUCE_ONLY)
    )
    assert bench.do(lambda s: s.sell(2)).denied
    assert bench.do(lambda s: s.sell(1)).status is OrderStatus.FILLED
    bench.check()


def test_what_another_strategy_works_is_no_part_of_ones_own_reduction():
    """Each closes what it holds itself, whatever the other one has at the venue."""
    bench = Bench(Puppet(name="one", allocation="50%"), Puppet(name="two", allocation="50%"))
    bench.price(100)
    for number in (0, 1):
        bench.do(lambda s: s.buy(3), number)
    bench.do(lambda s: s.sell(3, limit_price=110), 1)
    bench.kernel.command("halt", "me", "news", scope="strategy:two")
    bench.kernel.turn(
        lambda: bench.kernel.recorder.record(StateChanged, scope="engine", state=TradingState.REDUCE_ONLY)
    )
    assert bench.do(lambda s: s.sell(1), 1).denied
    assert bench.do(lambda s: s.sell(3, reduce_only=True)).status is OrderStatus.FILLED
    bench.check()


# --- one's own orders -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resting", "action", "refused"),
    [
        ("sell", lambda s: s.buy(1, limit_price=101), True),
        ("sell", lambda s: s.buy(1, limit_price="100.9"), False),
        ("sell", lambda s: s.buy(1), False),
        ("sell", lambda s: s.buy(1, stop_price=105), False),
        ("buy", lambda s: s.sell(1, limit_price=99), True),
        ("buy", lambda s: s.sell(1, limit_price="99.1"), False),
        ("buy", lambda s: s.sell(1), False),
    ],
)
def test_nobody_trades_with_himself(resting, action, refused):
    """A limit order that would reach one's own is denied; a market order only if that is the best there is."""
    bench = make()
    bench.do(lambda s: getattr(s, resting)(1, limit_price=101 if resting == "sell" else 99))
    assert bench.do(action).denied is refused


def test_a_market_order_does_not_take_ones_own_best_price():
    """Where one's own order is the market, crossing it is a trade with oneself."""
    bench = make()
    bench.do(lambda s: s.sell(1, limit_price=101))
    bench.quote(99, 101)
    assert "would cross your own sell of 1 at 101" in bench.do(lambda s: s.buy(1)).reasons[0]


def test_an_order_of_another_account_is_somebody_elses():
    """Each account trades for itself."""
    bench = Bench(broker=[FakeBroker(name="one"), FakeBroker(make_instrument(), name="two")])
    bench.price(100)
    bench.do(lambda s: s.sell(1, limit_price=101, account="one"))
    assert bench.do(lambda s: s.buy(1, limit_price=101, account="two")).status is OrderStatus.ACCEPTED
    assert bench.do(lambda s: s.buy(1, limit_price=101, account="one")).denied
    bench.check()


# --- trading states ---------------------------------------------------------------------------------------------

KINDS = {
    "increase": lambda s: s.buy(1),
    "flip": lambda s: s.sell(3),
    "reduce": lambda s: s.sell(1),
    "stop": lambda s: s.sell(1, stop_price=90, reduce_only=True),
    "cancel": lambda s: s.cancel(s.orders()[0]) or s.orders()[0],
}
ALLOWED = {
    TradingState.ACTIVE: {"increase", "flip", "reduce", "stop", "cancel"},
    TradingState.REDUCE_ONLY: {"reduce", "stop", "cancel"},
    TradingState.HALTED: {"stop", "cancel"},
    TradingState.KILLED: {"cancel"},
    TradingState.RECOVERING: {"cancel"},
}
SCOPES = ["engine", "account:fake", "strategy:Puppet", "instrument:BTC/USDT:USDT@fake"]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("state", ALLOWED)
@pytest.mark.parametrize("kind", KINDS)
def test_what_each_trading_state_lets_through(kind, state, scope):
    """The table of states against kinds of order, at every scope."""
    bench = make()
    bench.do(lambda s: s.buy(2))
    bench.broker.cancels = lambda *_: ()
    bench.do(lambda s: s.buy(1, limit_price=90))
    if state is not TradingState.ACTIVE:
        bench.kernel.turn(lambda: bench.kernel.recorder.record(StateChanged, scope=scope, state=state))
    order = bench.do(KINDS[kind])
    assert (not order.denied) is (kind in ALLOWED[state]), order.reasons
    if order.denied:
        assert f"trading is {state} ({scope} is {state})" in order.reasons
    bench.check()


def test_a_state_elsewhere_is_of_no_concern():
    """Another strategy's or instrument's halt does not touch this one."""
    bench = make()
    for scope in ("account:x", "strategy:x", "instrument:x"):
        bench.kernel.turn(
            lambda scope=scope: bench.kernel.recorder.record(
                StateChanged, scope=scope, state=TradingState.KILLED
            )
        )
    assert bench.do(lambda s: s.buy(1)).status is OrderStatus.FILLED


def test_a_paused_strategy_opens_nothing_and_stays_managed():
    """It may reduce, and a person lets it go on."""
    bench = make()
    bench.do(lambda s: s.buy(2))
    bench.do(lambda s: s.pause("enough for today"))
    assert bench.do(lambda s: s.buy(1)).reasons == ("strategy Puppet is paused",)
    assert bench.do(lambda s: s.sell(1)).status is OrderStatus.FILLED
    bench.restart()
    bench.price(100)
    assert bench.do(lambda s: s.buy(1)).denied
    bench.kernel.command("resume", "me", "again", scope="strategy:Puppet")
    assert bench.do(lambda s: s.buy(1)).status is OrderStatus.FILLED


# --- breakers and failing closed --------------------------------------------------------------------------------


@attrs.define
class Breaker:
    """Does what a test says, in a check."""

    outcome: object
    name: str = "test"
    wants: tuple = ()

    def check(self, intent, view):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def watch(self, item, view):
        return None


def test_a_breaker_that_raises_refuses_the_order():
    """Nobody could judge it, so it is not sent; nothing else is lowered."""
    bench = make(breakers=[Breaker(ZeroDivisionError("oops"))])
    assert denial(bench, lambda s: s.buy(1)) == "test failed: ZeroDivisionError: oops"
    assert not bench.state.tripped


def test_every_breaker_is_asked():
    """All their reasons stand on the order."""
    breakers = [Breaker(Trip("too large"), "a"), Breaker(None, "b"), Breaker(KeyError("x"), "c")]
    reasons = denial(make(breakers=breakers), lambda s: s.buy(1))
    assert reasons == "a: too large; c failed: KeyError: 'x'"


def test_a_check_may_trip():
    """A trip with a state refuses this order and lowers what comes after it."""
    bench = make(breakers=[Breaker(Trip("enough", TradingState.REDUCE_ONLY))])
    denial(bench, lambda s: s.buy(1))
    assert [(t.breaker, t.scope) for t in bench.of(BreakerTripped)] == [("test", "account:fake")]


def test_a_gate_that_fails_refuses():
    """Whatever goes wrong in judging, the answer is no."""
    bench = make()
    bench.kernel.gate._valuer = None
    assert "the gate failed: AttributeError" in denial(bench, lambda s: s.buy(1))


def test_a_journal_that_cannot_be_written_sends_nothing():
    """What is not in the journal is not on the wire, now or later."""
    bench = make()
    bench.journal.broken = "the disk is full"
    order = bench.do(lambda s: s.buy(1))
    assert order.status is OrderStatus.REJECTED
    again = bench.do(lambda s: s.buy(1))
    assert "the journal cannot be written: the disk is full" in again.reasons[0]
    assert not bench.broker.commands


@pytest.mark.parametrize(("knows", "wire"), [(True, True), (False, False)])
def test_reduce_only_goes_on_the_wire_only_where_it_is_known_and_true(knows, wire):
    """A venue without the flag is not sent one."""
    bench = make(profile=attrs.evolve(MARKET_AND_LIMIT, reduce_only=knows))
    bench.do(lambda s: s.buy(1))
    bench.do(lambda s: s.sell(1, reduce_only=True))
    assert bench.broker.submits[-1].reduce_only is wire


def test_only_the_gate_makes_approvals():
    """An approval carries the intent that was judged, a refusal every reason."""
    bench = make(profile=EVERYTHING)
    intent = OrderIntent(
        strategy="Puppet", account="fake", instrument=bench.instrument, side=Side.BUY, quantity=D(1)
    )
    assert bench.kernel.gate.review(intent) == Approved(intent, False)
    wrong = OrderIntent(
        strategy="Puppet",
        account="fake",
        instrument=bench.instrument,
        side=Side.BUY,
        quantity=D("0.00001"),
        type=OrderType.LIMIT,
        limit_price=D("0.01"),
        time_in_force=TimeInForce.GTC,
    )
    verdict = bench.kernel.gate.review(wrong)
    assert isinstance(verdict, Refused)
    assert len(verdict.reasons) == 2


# --- rate limits --------------------------------------------------------------------------------------------


def limited(weight=10, reserve=2):
    limit = RateLimit("orders", weight, 1_000_000_000, reserve=reserve)
    profile = attrs.evolve(MARKET_AND_LIMIT, rate_limits=(limit,))
    bench = Bench(broker=FakeBroker(profile=profile))
    bench.price(100)
    return bench


def test_beyond_a_rate_limit_new_orders_are_denied_until_there_is_room():
    """The reserve for cancels is left alone, and the reason says when there is room again."""
    bench = limited()
    orders = [bench.do(lambda s: s.buy(1, limit_price=99)) for _ in range(9)]
    assert [order.denied for order in orders] == [False] * 8 + [True]
    assert orders[-1].reasons == ("orders: 8 of 10 are spent, 2 are kept for cancels; there is room in 1 s",)
    bench.advance("1s")
    assert not bench.do(lambda s: s.buy(1, limit_price=99)).denied


def test_cancels_draw_on_their_reserve_and_then_wait():
    """None is refused or lost: what has no room leaves when there is some, in order."""
    bench = limited()
    orders = [bench.do(lambda s: s.buy(1, limit_price=99)) for _ in range(8)]
    for order in orders[:5]:
        bench.do(lambda s, order=order: s.cancel(order))
    assert len(bench.broker.canceling) == 2
    assert [order.status for order in orders[2:5]] == [OrderStatus.PENDING_CANCEL] * 3
    assert any("wait 1 s for room" in fact.text for fact in bench.of(Noted))
    bench.advance("999ms")
    assert len(bench.broker.canceling) == 2
    bench.advance("2ms")
    assert [c.client_order_id for c in bench.broker.canceling] == [o.client_order_id for o in orders[:5]]
    assert bench.state.open.keys() == {order.client_order_id for order in orders[5:]}
    bench.check()


def test_what_was_sent_before_a_restart_counts():
    """A venue's window does not begin again with our process."""
    bench = limited()
    for _ in range(8):
        bench.do(lambda s: s.buy(1, limit_price=99))
    bench.restart(down="1ms")
    bench.price(100)
    assert bench.do(lambda s: s.buy(1, limit_price=99)).denied


def test_an_order_that_was_held_counts_from_when_it_was_sent():
    """A stop that waited for a day has just been sent, and the restart after it knows."""
    bench = limited(weight=4, reserve=0)
    for _ in range(4):
        bench.do(lambda s: s.buy(1, stop_price=110))
    bench.advance("1d")
    bench.price(111)
    assert len(bench.broker.submits) == 4
    bench.restart(down="1ms")
    bench.price(111)
    assert bench.do(lambda s: s.buy(1, limit_price=99)).denied
    bench.advance("1s")
    assert not bench.do(lambda s: s.buy(1, limit_price=99)).denied
    bench.check()


def test_cancels_that_were_sent_before_a_restart_count():
    """They drew on the venue's window as well."""
    bench = limited(weight=10, reserve=2)
    orders = [bench.do(lambda s: s.buy(1, limit_price=99)) for _ in range(5)]
    bench.advance("900ms")
    for order in orders[:5]:
        bench.do(lambda s, order=order: s.cancel(order))
    bench.advance("101ms")
    bench.restart(down="1ms")
    bench.price(100)
    placed = [bench.do(lambda s: s.buy(1, limit_price=99)) for _ in range(4)]
    assert [order.denied for order in placed] == [False] * 3 + [True]
    assert placed[-1].reasons[0].startswith("orders: 8 of 10 are spent")
    bench.check()
