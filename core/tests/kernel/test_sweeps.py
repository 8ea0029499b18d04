"""Withdrawing and closing: cancel_all, flatten and kill, step by step, in every state, over restarts."""

from decimal import Decimal

import pytest

from fairlead import ConfigurationError, OrderStatus, Side, TimeSlices, TradingState
from fairlead._models.accounts import EXTERNAL
from fairlead.facts import BreakerTripped, Noted, StrategyPaused, SweepEnded, SweepStarted
from fairlead.ports import CancelAll, CancelRejected, FillReport, OutcomeUnknown, Submit, Trip
from fairlead.testing import (
    EVERYTHING,
    Bench,
    FakeBroker,
    Puppet,
    accept,
    fill,
    make_instrument,
    reject,
    silence,
)

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


def make(*names, brokers=1, symbols=(BTC, ETH), breakers=(), profile=None, **rules):
    """A bench with one strategy for each name, on as many accounts; each instrument costs 100."""
    listed = [make_instrument(symbol, **rules) for symbol in symbols]
    more = {} if profile is None else {"profile": profile}
    venues = [FakeBroker(*listed, name=f"acc{i}", **more) for i in range(brokers)]
    share = f"{100 // len(names)}%" if len(names) > 1 else None
    puppets = [Puppet(*symbols, name=name, allocation=share) for name in names or ("one",)]
    bench = Bench(*puppets, broker=venues, breakers=breakers)
    for instrument in listed:
        bench.price(100, instrument=instrument.id)
    return bench


def ask(bench, verb, request="", **arguments):
    return bench.kernel.command(verb, "ann", "a reason", request, **arguments)


def held(bench):
    """What strategies hold: (strategy, symbol, account) to quantity."""
    return {
        (key.strategy, key.instrument.split("@")[0], key.account): position.quantity
        for key, position in bench.state.positions.items()
        if key.strategy and position.quantity
    }


def kinds(broker):
    return [type(command).__name__ for command in broker.commands]


# --- cancel_all -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "gone"),
    [
        ("engine", {"one BTC", "one ETH", "two BTC"}),
        ("strategy:one", {"one BTC", "one ETH"}),
        ("account:acc0", {"one BTC", "one ETH", "two BTC"}),
        ("account:acc1", set()),
        ("instrument:{BTC}", {"one BTC", "two BTC"}),
    ],
)
def test_cancel_all_takes_back_what_is_in_its_scope(scope, gone):
    """By id; the venue is asked for the rest in a scope that it knows."""
    bench = make("one", "two", brokers=2)
    orders = {
        "one BTC": bench.do(lambda s: s.buy(1, instrument=BTC, limit_price=90)),
        "one ETH": bench.do(lambda s: s.buy(1, instrument=ETH, limit_price=90)),
        "two BTC": bench.do(lambda s: s.buy(1, instrument=BTC, limit_price=90), strategy=1),
    }
    bench.broker.script = accept()
    answer = ask(bench, "cancel_all", scope=scope.format(BTC=bench.instrument))
    canceled = {name for name, order in orders.items() if order.status is OrderStatus.CANCELED}
    assert canceled == gone
    assert set(answer["orders"]) == {orders[name].client_order_id for name in gone}
    swept = [[c.instrument for c in broker.commands if isinstance(c, CancelAll)] for broker in bench.brokers]
    assert swept == {
        "engine": [[""], [""]],
        "strategy:one": [[], []],
        "account:acc0": [[""], []],
        "account:acc1": [[], [""]],
    }.get(scope, [[bench.instrument], [bench.instrument]])
    assert not bench.state.sweeps
    bench.check()


def test_protection_is_withdrawn_when_its_entries_have_ended():
    """An entry whose cancel is not confirmed may still fill: the stops of that position stay so long, others do not."""
    bench = make("one", profile=EVERYTHING)
    bench.do(lambda s: s.buy(1, instrument=BTC, stop_loss=90))
    bench.do(lambda s: s.buy(1, instrument=ETH, stop_loss=90))
    entry = bench.do(lambda s: s.buy(2, instrument=BTC, limit_price=95))
    stops = {o.instrument.split("@")[0]: o for o in bench.state.open.values() if o.intent.exits}
    bench.broker.cancels = lambda broker, cancel: (
        () if cancel.client_order_id == entry.client_order_id else [broker.canceled(cancel.client_order_id)]
    )
    ask(bench, "cancel_all")
    assert entry.status is OrderStatus.PENDING_CANCEL
    assert stops[ETH].status is OrderStatus.CANCELED
    assert stops[BTC].status is OrderStatus.ACCEPTED
    assert not any(isinstance(command, CancelAll) for command in bench.broker.commands)
    bench.broker.cancel(entry)
    assert stops[BTC].status is OrderStatus.CANCELED
    assert isinstance(bench.broker.commands[-1], CancelAll)
    assert [fact.reason for fact in bench.of(SweepEnded)] == ["all is withdrawn"]
    bench.check()


def test_protection_waits_for_an_entry_no_longer_than_ten_seconds():
    """An entry that never ends does not keep the rest from being withdrawn."""
    bench = make("one", profile=EVERYTHING)
    bench.do(lambda s: s.buy(1, instrument=BTC, stop_loss=90))
    bench.do(lambda s: s.buy(2, instrument=BTC, limit_price=95))
    [stop] = [o for o in bench.state.open.values() if o.intent.exits]
    bench.broker.cancels = lambda broker, cancel: (
        [broker.canceled(cancel.client_order_id)] if cancel.client_order_id == stop.client_order_id else ()
    )
    ask(bench, "cancel_all")
    bench.advance("9s")
    assert not stop.closed
    bench.advance("2s")
    assert stop.status is OrderStatus.CANCELED


def test_cancel_all_leaves_alone_what_comes_after_it():
    """It is of the orders that were there when it was asked for."""
    bench = make("one")
    bench.broker.cancels = silence()
    first = bench.do(lambda s: s.buy(1, instrument=BTC, limit_price=90))
    ask(bench, "cancel_all", scope="strategy:one")
    later = bench.do(lambda s: s.buy(1, instrument=BTC, limit_price=91))
    bench.advance("20s")
    assert {c.client_order_id for c in bench.broker.canceling} == {first.client_order_id}
    bench.broker.cancel(first)
    assert later.status is OrderStatus.ACCEPTED
    assert not bench.state.sweeps


def test_a_refused_cancel_is_repeated_and_goes_nowhere_in_circles():
    """A venue that refuses at once is asked again about once a second, not in the same moment."""
    bench = make("one")
    order = bench.do(lambda s: s.buy(1, instrument=BTC, limit_price=90))
    bench.broker.cancels = lambda broker, cancel: [CancelRejected(client_order_id=cancel.client_order_id)]
    ask(bench, "cancel_all", scope="strategy:one")
    assert len(bench.broker.canceling) == 1
    bench.advance("3s")
    assert 4 <= len(bench.broker.canceling) <= 6
    bench.broker.cancel(order)
    assert not bench.state.sweeps


# --- flatten ----------------------------------------------------------------------------------------------------


def three_positions():
    """`one` is long BTC and short ETH, `two` is short BTC, and nobody here ordered 3 ETH."""
    bench = make("one", "two")
    bench.do(lambda s: s.buy(5, instrument=BTC))
    bench.do(lambda s: s.sell(2, instrument=ETH))
    bench.do(lambda s: s.sell(1, instrument=BTC), strategy=1)
    bench.kernel.command("submit", "ann", "", instrument=ETH, side="buy", quantity="3")
    return bench


ALL = {("one", BTC): 5, ("one", ETH): -2, ("two", BTC): -1, (EXTERNAL, ETH): 3}


@pytest.mark.parametrize("state", ["active", "reduce_only", "halted", "killed"])
@pytest.mark.parametrize(
    ("scope", "closed"),
    [
        ("engine", set(ALL)),
        ("account:acc0", set(ALL)),
        ("strategy:one", {("one", BTC), ("one", ETH)}),
        (f"strategy:{EXTERNAL}", {(EXTERNAL, ETH)}),
        ("instrument:{BTC}", {("one", BTC), ("two", BTC)}),
    ],
)
def test_flatten_closes_what_its_scope_holds_in_every_state(scope, closed, state):
    """By reduce-only market orders of whoever holds it; the strategies are paused first, and stay so."""
    bench = three_positions()
    if state == "halted":
        ask(bench, "halt")
    elif state == "killed":
        ask(bench, "kill")
    elif state == "reduce_only":
        bench.kernel.turn(lambda: bench.kernel.recorder.record(
            BreakerTripped, breaker="x", reason="y", state=TradingState.REDUCE_ONLY, scope="engine"))  # fmt: skip
    before = len(bench.broker.submits)
    scope = scope.format(BTC=bench.instrument)
    answer = ask(bench, "flatten", scope=scope)
    left = {key[:2]: quantity for key, quantity in held(bench).items()}
    assert left == {key: quantity for key, quantity in ALL.items() if key not in closed}
    orders = [bench.state.orders[name] for name in answer["orders"]]
    assert {(o.strategy, o.instrument.split("@")[0]) for o in orders} == closed
    assert all(o.intent.reduce_only and o.intent.who == "ann" for o in orders)
    assert len(bench.broker.submits) == before + len(closed)
    assert scope in bench.state.paused
    bench.advance("2s")
    assert [fact.reason for fact in bench.of(SweepEnded)][-1] == "flat"
    assert not bench.state.sweeps
    if state == "active":
        again = bench.do(lambda s: s.buy(1, instrument=BTC))
        assert again.denied is (scope != f"strategy:{EXTERNAL}")
    bench.check()


def test_flatten_of_nothing_says_so():
    """The answer has no orders, and says that nothing is held."""
    bench = make("one")
    answer = ask(bench, "flatten", scope="strategy:one")
    assert (answer["orders"], answer["note"]) == ([], "nothing is held in strategy:one")
    assert [(fact.strategy, fact.paused) for fact in bench.of(StrategyPaused)] == [("one", True)]


def test_a_position_is_closed_when_what_protects_it_has_ended():
    """Until then the closing order is held; it is brought to what the stop has left."""
    bench = make("one", profile=EVERYTHING)
    bench.do(lambda s: s.buy(5, instrument=BTC, stop_loss=90, take_profit=120))
    legs = [o for o in bench.state.open.values() if o.intent.exits]
    bench.broker.cancels = silence()
    sent = len(bench.broker.submits)
    [name] = ask(bench, "flatten")["orders"]
    closing = bench.state.orders[name]
    assert closing.status is OrderStatus.HELD
    assert {c.client_order_id for c in bench.broker.canceling} == {o.client_order_id for o in legs}
    bench.broker.fill(legs[0], 2, 90)
    for leg in legs:
        bench.broker.cancel(leg)
    assert [command.quantity for command in bench.broker.submits[sent:]] == [3]
    assert closing.status is OrderStatus.FILLED
    assert held(bench) == {}
    bench.advance("2s")
    bench.check()


def test_an_entry_that_fills_while_it_is_withdrawn_is_closed_too():
    """What came in too late to be stopped does not stay; nor does what then protected it."""
    bench = make("one")
    entry = bench.do(lambda s: s.buy(4, instrument=BTC, limit_price=90, stop_loss=80))
    bench.broker.cancels = silence()
    ask(bench, "flatten")
    bench.broker.fill(entry, 3, 90)
    bench.broker.cancel(entry)
    bench.advance("10s")
    assert held(bench) == {}
    assert not bench.state.open
    assert not bench.state.sweeps
    bench.check()


def test_what_the_gate_refuses_whole_is_closed_in_parts():
    """A limit for orders holds for these too; they are halved until they pass."""

    class Most:
        name, wants = "most", ()

        def check(self, intent, view):
            return Trip("too much") if intent.quantity > 3 else None

        def watch(self, item, view):
            return None

    bench = make("one", breakers=[Most()])
    for _ in range(4):
        bench.do(lambda s: s.buy(3, instrument=BTC))
    ask(bench, "flatten")
    sizes = [command.quantity for command in bench.broker.submits[4:]]
    assert sum(sizes) == 12
    assert max(sizes) <= 3
    assert held(bench) == {}


def test_no_part_is_above_the_largest_order_of_the_instrument():
    """What the venue would refuse is not sent."""
    bench = make("one", max_quantity=Decimal(4))
    for _ in range(3):
        bench.do(lambda s: s.buy(3, instrument=BTC))
    ask(bench, "flatten")
    assert [command.quantity for command in bench.broker.submits[3:]] == [4, 4, 1]
    assert held(bench) == {}


class Stubborn:
    """Refuses everything while a test says so."""

    name, wants, closed = "stubborn", (), False

    def check(self, intent, view):
        return Trip("closed") if self.closed else None

    def watch(self, item, view):
        return None


def test_protection_is_not_given_up_for_a_close_that_may_not_be_sent():
    """It says why, keeps the stop, and tries again; when the gate lets it through, it is done."""
    breaker = Stubborn()
    bench = make("one", breakers=[breaker])
    bench.do(lambda s: s.buy(5, instrument=BTC, stop_loss=90))
    [stop] = bench.state.open.values()
    breaker.closed = True
    answer = ask(bench, "flatten")
    assert answer["orders"] == []
    assert "note" not in answer
    assert not stop.closed
    bench.advance("30s")
    assert not stop.closed
    [said] = [fact.text for fact in bench.of(Noted) if fact.source == "flatten"]
    assert "stubborn: closed" in said
    breaker.closed = False
    bench.advance("60s")
    assert stop.status is OrderStatus.CANCELED
    assert held(bench) == {}


def test_a_close_that_the_venue_rejects_is_tried_again_and_later_each_time():
    """Protection comes back in between."""
    bench = make("one")
    bench.do(lambda s: s.buy(5, instrument=BTC, stop_loss=90))
    bench.broker.answers.extend([reject()] * 3)
    ask(bench, "flatten")
    assert [o.intent.exits for o in bench.state.open.values()] in ([True], [True, False])
    times = [bench.clock.now()]
    bench.advance("1500ms")
    assert len(bench.broker.submits) == 3
    bench.advance("20s")
    assert held(bench) == {}
    assert len(bench.broker.submits) == 5
    assert bench.clock.now() > times[0]
    assert not bench.state.open
    bench.check()


def test_a_strategy_does_not_close_what_is_being_closed():
    """Two closing at once could sum to more than what is held."""
    bench = make("one")
    bench.do(lambda s: s.buy(5, instrument=BTC))
    bench.broker.script = accept()
    [name] = ask(bench, "flatten")["orders"]
    mine = bench.do(lambda s: s.sell(5, instrument=BTC))
    assert "engine is being flattened (ann: a reason)" in mine.reasons
    person = ask(
        bench, "submit", instrument=BTC, side="sell", quantity="1", strategy="one", reduce_only="true"
    )
    assert person["status"] == "denied"
    bench.broker.fill(name, 5, 100)
    assert held(bench) == {}


def test_a_close_of_unknown_outcome_is_waited_for():
    """Nothing is sent again before it is known what became of the first."""
    bench = make("one")
    bench.do(lambda s: s.buy(5, instrument=BTC))
    bench.broker.script = lambda broker, submit: [OutcomeUnknown(client_order_id=submit.client_order_id)]
    [name] = ask(bench, "flatten")["orders"]
    bench.advance("2m")
    assert len(bench.broker.submits) == 2
    bench.broker.fill(name, 5, 100)
    bench.advance("2s")
    assert held(bench) == {}
    assert not bench.state.sweeps


def test_a_close_that_became_too_large_is_taken_back():
    """Something else closed the position meanwhile; a fill of both would turn it round."""
    bench = make("one")
    bench.do(lambda s: s.buy(5, instrument=BTC))
    bench.broker.script = accept()
    [name] = ask(bench, "flatten")["orders"]
    bench.broker.emit(FillReport(
        client_order_id="", fill_id="liq", instrument=bench.instrument, side=Side.SELL, quantity=Decimal(3),
        price=Decimal(90), fee=Decimal(0), fee_currency="USDT", cumulative_quantity=Decimal(3), cause="liquidation",
    ))  # fmt: skip
    bench.broker.script = fill()
    bench.advance("5s")
    assert bench.state.orders[name].status is OrderStatus.CANCELED
    assert [command.quantity for command in bench.broker.submits] == [5, 5, 2]
    assert held(bench) == {}
    assert not bench.state.sweeps


def test_resume_calls_a_flatten_off():
    """What is on its way stays so; nothing more is closed, and strategies open again."""
    bench = make("one")
    bench.do(lambda s: s.buy(5, instrument=BTC))
    bench.broker.answers.append(reject())
    ask(bench, "flatten", scope="strategy:one")
    ask(bench, "resume", scope="strategy:one")
    bench.advance("2m")
    assert held(bench)["one", BTC, "acc0"] == 5
    assert not bench.do(lambda s: s.buy(1, instrument=BTC)).denied
    assert "called off by ann" in bench.of(SweepEnded)[-1].reason


def test_a_flatten_goes_on_after_a_restart():
    """Killed while cancels are out, it takes up where it stood."""
    bench = make("one", profile=EVERYTHING)
    bench.do(lambda s: s.buy(5, instrument=BTC, stop_loss=90))
    bench.broker.cancels = silence()
    ask(bench, "flatten")
    bench.broker.cancels = lambda broker, cancel: [broker.canceled(cancel.client_order_id)]
    bench.restart()
    assert len(bench.state.sweeps) == 1
    bench.price(100)
    bench.advance("10s")
    assert held(bench) == {}
    assert not bench.state.sweeps
    assert bench.do(lambda s: s.buy(1, instrument=BTC)).denied, "the pause outlives it"
    bench.check()


def test_what_is_less_than_a_lot_is_let_lie():
    """No order could close what a fee in kind leaves over, so nothing waits for that."""
    bench = make("one", symbols=("BTC/USDT",), lot=Decimal("0.1"))
    bench.broker.balances["BTC"] = Decimal(0)
    bench.do(lambda s: s.buy(5))
    order = bench.do(lambda s: s.buy(1, limit_price=90))
    bench.broker.emit(FillReport(
        client_order_id=order.client_order_id, fill_id="odd", instrument=bench.instrument, side=Side.BUY,
        quantity=Decimal(1), price=Decimal(90), fee=Decimal("0.01"), fee_currency="BTC",
        cumulative_quantity=Decimal(1), event_ns=0,
    ))  # fmt: skip
    ask(bench, "flatten")
    bench.advance("3s")
    assert list(held(bench).values()) == [Decimal("0.09")]
    assert not bench.state.sweeps


# --- kill -------------------------------------------------------------------------------------------------------


def test_kill_withdraws_everything_and_latches():
    """Entries, then stops, then what the venue has besides; nothing is sent any more, over restarts too."""
    bench = make("one", profile=EVERYTHING)
    bench.do(lambda s: s.buy(5, instrument=BTC, stop_loss=90))
    bench.do(lambda s: s.buy(5, instrument=BTC, limit_price=95))
    sent = len(bench.broker.submits)
    answer = ask(bench, "kill")
    assert len(answer["orders"]) == 2
    assert kinds(bench.broker)[-3:] == ["Cancel", "Cancel", "CancelAll"]
    assert bench.broker.canceling[0].client_order_id == answer["orders"][1], "the entry goes first"
    assert not bench.state.open
    assert bench.do(lambda s: s.buy(1, instrument=BTC)).denied
    assert bench.do(lambda s: s.close(instrument=BTC)).denied
    assert ask(bench, "submit", instrument=BTC, side="sell", quantity="1", strategy="one",
               reduce_only="true")["status"] == "denied"  # fmt: skip
    ask(bench, "resume")
    bench.restart()
    bench.price(100)
    order = bench.do(lambda s: s.buy(1, instrument=BTC))
    assert order.reasons == ("trading is killed (kill tripped: a reason (ann))",)
    assert len(bench.broker.submits) == sent
    assert ask(bench, "reset", breaker="kill")["scopes"] == ["engine"]
    assert not bench.do(lambda s: s.buy(1, instrument=BTC)).denied
    bench.check()


def test_kill_of_an_account_leaves_the_others_alone():
    """Its scope is the engine or an account; the rest goes on."""
    bench = make("one", brokers=2)
    for name in ("acc0", "acc1"):
        bench.do(lambda s, a=name: s.buy(5, instrument=BTC, account=a))
        bench.do(lambda s, a=name: s.buy(5, instrument=BTC, limit_price=90, account=a))
    ask(bench, "kill", scope="account:acc1", flatten="true")
    assert held(bench) == {("one", BTC, "acc0"): 5}
    assert [o.account for o in bench.state.open.values()] == ["acc0"]
    assert bench.do(lambda s: s.buy(1, instrument=BTC, account="acc1")).denied
    assert not bench.do(lambda s: s.buy(1, instrument=BTC, account="acc0")).denied
    with pytest.raises(
        ConfigurationError, match="kill has no scope 'strategy:one': write engine or account:NAME"
    ):
        ask(bench, "kill", scope="strategy:one")


def test_kill_and_flatten_sends_nothing_but_cancels_and_closes():
    """In the order of the sequence: the venue's own cancel comes before what closes."""
    bench = make("one", profile=EVERYTHING)
    bench.do(lambda s: s.buy(5, instrument=BTC, stop_loss=90))
    bench.do(lambda s: s.sell(5, instrument=ETH))
    before = len(bench.broker.commands)
    answer = ask(bench, "kill", flatten="true")
    sent = bench.broker.commands[before:]
    assert [type(command) for command in sent].count(Submit) == len(answer["closing"]) == 2
    first_submit = next(i for i, command in enumerate(sent) if isinstance(command, Submit))
    assert any(isinstance(command, CancelAll) for command in sent[:first_submit])
    assert all(c.reduce_only for c in sent if isinstance(c, Submit))
    assert held(bench) == {}
    bench.advance("2s")
    assert [(fact.verb, fact.closes) for fact in bench.of(SweepStarted)] == [("kill", True)]
    assert not bench.state.sweeps
    bench.check()


def test_a_kill_ends_when_each_order_has_ended_for_certain():
    """No answer is no end; evidence is."""
    bench = make("one", profile=EVERYTHING)
    bench.do(lambda s: s.buy(5, instrument=BTC, stop_loss=90))
    [stop] = bench.state.open.values()
    bench.broker.cancels = silence()
    bench.broker._cancel_all = lambda command: None
    ask(bench, "kill")
    bench.advance("1m")
    assert len(bench.state.sweeps) == 1
    bench.broker.cancel(stop)
    assert not bench.state.sweeps


def test_a_reset_ends_the_kill_and_all_that_it_still_withdraws():
    """What is placed from then on is left alone; a resume ends nothing of it."""
    bench = make("one")
    bench.do(lambda s: s.buy(5, instrument=BTC, limit_price=90))
    bench.broker.cancels = silence()
    bench.broker._cancel_all = lambda command: None
    ask(bench, "kill", flatten="true")
    ask(bench, "resume")
    assert len(bench.state.sweeps) == 1
    ask(bench, "reset", breaker="kill")
    assert not bench.state.sweeps
    later = bench.do(lambda s: s.buy(1, instrument=BTC, limit_price=90))
    bench.advance("20s")
    assert later.status is OrderStatus.ACCEPTED


def test_flatten_asked_twice_closes_once():
    """The second answer names the order that is closing already."""
    bench = make("one")
    bench.do(lambda s: s.buy(5, instrument=BTC))
    bench.broker.script = accept()
    first = ask(bench, "flatten")["orders"]
    assert ask(bench, "flatten", scope="strategy:one")["orders"] == first
    bench.advance("5s")
    assert len(bench.broker.submits) == 2
    bench.broker.fill(first[0], 5, 100)
    bench.advance("2s")
    assert not bench.state.sweeps
    bench.check()


def test_a_styled_order_is_withdrawn_whole():
    """No further part of it is sent."""
    bench = make("one")
    bench.do(lambda s: s.buy(4, instrument=BTC, style=TimeSlices(slices=4, over="4m")))
    assert held(bench)["one", BTC, "acc0"] == 1
    ask(bench, "flatten")
    bench.advance("5m")
    assert held(bench) == {}
    assert not bench.state.open
    assert [command.quantity for command in bench.broker.submits] == [1, 1]
    bench.check()


def test_no_breaker_lifts_a_kill_by_itself():
    """Only a person does, whatever the rule of the breaker that killed."""

    class Kills:
        name, wants = "kills", (Noted,)

        def check(self, intent, view):
            return None

        def watch(self, item, view):
            return Trip("enough", TradingState.KILLED, "engine")

        def clean(self, scope, view):
            return True

    bench = make("one", breakers=[Kills()])
    bench.do(lambda s: s.note("x"))
    assert bench.do(lambda s: s.buy(1, instrument=BTC)).denied
    assert bench.state.tripped
    ask(bench, "reset", breaker="kills")
    assert not bench.do(lambda s: s.buy(1, instrument=BTC)).denied
