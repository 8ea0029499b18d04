"""What a person asks for besides: pauses, orders of his own, a stop once flat, and all of it once per request."""

from decimal import Decimal

import pytest

from fairlead import ConfigurationError, OrderStatus, TradingState
from fairlead._kernel.apply import apply
from fairlead._kernel.state import REMEMBERED_REQUESTS
from fairlead._models.accounts import EXTERNAL
from fairlead.facts import (
    BreakerTripped,
    CommandAnswered,
    Commanded,
    Filled,
    InstrumentDefined,
    Noted,
    OrderDenied,
    OrderSubmitted,
    StrategyPaused,
    SweepEnded,
)
from fairlead.ports import Trip
from fairlead.testing import (
    EVERYTHING,
    MARKET_AND_LIMIT,
    Bench,
    FakeBroker,
    Puppet,
    make_instrument,
    reject,
    silence,
)

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


def make(*names, brokers=1, breakers=(), watched=(BTC, ETH), profile=None):
    listed = [make_instrument(BTC), make_instrument(ETH)]
    more = {} if profile is None else {"profile": profile}
    venues = [FakeBroker(*listed, name=f"acc{i}", **more) for i in range(brokers)]
    share = f"{100 // len(names)}%" if len(names) > 1 else None
    puppets = [Puppet(*watched, name=name, allocation=share) for name in names or ("one",)]
    bench = Bench(*puppets, broker=venues, breakers=breakers)
    for instrument in listed:
        bench.price(100, instrument=instrument.id)
    return bench


def ask(bench, verb, request="", why="a reason", **arguments):
    return bench.kernel.command(verb, "ann", why, request, **arguments)


def submit(bench, *, instrument=BTC, side="buy", **arguments):
    """Submit, and say how the order stands when the venue has answered."""
    answer = ask(bench, "submit", instrument=instrument, side=side, **arguments)
    assert answer["status"] in ("denied", "held", "submitted"), "as it stood when it was written down"
    return bench.state.orders[answer["order"]].status.value


# --- pause, halt, resume ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "denied"),
    [
        ("engine", {("one", BTC, "acc0"), ("one", ETH, "acc0"), ("two", BTC, "acc0"), ("one", BTC, "acc1")}),
        ("account:acc1", {("one", BTC, "acc1")}),
        ("strategy:two", {("two", BTC, "acc0")}),
        ("instrument:{ETH}", {("one", ETH, "acc0")}),
    ],
)
@pytest.mark.parametrize("verb", ["pause", "halt"])
def test_a_pause_and_a_halt_hold_in_their_scope_until_it_is_resumed(verb, scope, denied):
    """Restarts do not lift them; the resume of another scope does not either."""
    bench = make("one", "two", brokers=2)
    eth = bench.broker.listed[1].id
    scope = scope.format(ETH=eth)
    tries = [("one", BTC, "acc0"), ("one", ETH, "acc0"), ("two", BTC, "acc0"), ("one", BTC, "acc1")]

    def refused():
        found = set()
        for strategy, symbol, account in tries:
            order = bench.do(
                lambda s, i=symbol, a=account: s.buy(1, instrument=i, account=a),
                strategy=["one", "two"].index(strategy),
            )
            if order.denied:
                found.add((strategy, symbol, account))
        return found

    assert refused() == set()
    ask(bench, verb, scope=scope)
    assert refused() == denied
    bench.restart()
    for instrument in bench.broker.listed:
        bench.price(100, instrument=instrument.id)
    other = "strategy:one" if scope == "engine" else "engine"
    answer = ask(bench, "resume", scope=other)
    assert [text for text in answer["standing"] if text.startswith(scope)]
    assert refused() == denied
    assert ask(bench, "resume", scope=scope)["standing"] == []
    assert refused() == set()
    bench.check()


def test_a_paused_strategy_manages_what_it_holds_and_a_halted_one_does_not():
    """Reductions pass a pause of any scope; a halt lets a person's through, and exits."""
    bench = make()
    bench.do(lambda s: s.buy(3, instrument=BTC))
    ask(bench, "pause")
    assert bench.do(lambda s: s.sell(1, instrument=BTC)).status is OrderStatus.FILLED
    ask(bench, "halt")
    assert bench.do(lambda s: s.sell(1, instrument=BTC, reduce_only=True)).denied
    assert submit(bench, side="sell", quantity="1", strategy="one", reduce_only="true") == "filled"
    assert submit(bench, quantity="1", strategy="one") == "denied"


def test_a_persons_own_order_is_no_strategys_so_no_pause_holds_it():
    """What stops a person too is a halt."""
    bench = make()
    ask(bench, "pause")
    assert submit(bench, quantity="1") == "filled"
    ask(bench, "halt")
    assert submit(bench, quantity="1") == "denied"


def test_a_strategy_that_failed_goes_on_with_resume():
    """It hears again what comes from then on."""
    bench = make()
    bench.kernel.turn(lambda: bench.kernel.runners["one"].halt("it raised"))
    assert ask(bench, "resume")["standing"] == ["strategy:one is halted: it raised"]
    assert ask(bench, "resume", scope="strategy:one")["standing"] == []
    assert not bench.do(lambda s: s.buy(1, instrument=BTC)).denied
    assert [fact.paused for fact in bench.of(StrategyPaused)] == [False]
    bench.check()


def test_resume_leaves_breakers_tripped_and_says_so():
    """Their own word is reset, in one scope or in all."""

    class Trips:
        name, wants = "trips", (Noted,)

        def check(self, intent, view):
            return None

        def watch(self, item, view):
            return Trip("seen", TradingState.HALTED, item.text)

    bench = make(breakers=[Trips()])
    for scope in ("engine", "account:acc0"):
        bench.do(lambda s, text=scope: s.note(text))
    assert ask(bench, "resume")["standing"] == [
        "trips tripped on engine: seen; `fairlead reset trips --why WHY` lifts it",
        "trips tripped on account:acc0: seen; `fairlead reset trips --why WHY` lifts it",
    ]
    assert ask(bench, "reset", breaker="trips", scope="engine")["scopes"] == ["engine"]
    assert bench.do(lambda s: s.buy(1, instrument=BTC)).denied
    assert ask(bench, "reset", breaker="trips")["scopes"] == ["account:acc0"]
    assert ask(bench, "reset", breaker="trips")["scopes"] == []
    assert not bench.do(lambda s: s.buy(1, instrument=BTC)).denied


# --- orders -----------------------------------------------------------------------------------------------------


def test_an_order_of_a_person_belongs_to_nobody_here_or_to_the_strategy_named():
    """Its fills are booked there; who asked stands in the order and in the command."""
    bench = make()
    mine = ask(bench, "submit", instrument=BTC, side="buy", value="250 USDT")
    assert (mine["status"], mine["reasons"]) == ("submitted", [])
    theirs = ask(bench, "submit", instrument=BTC, side="SELL", quantity="1.5", strategy="one", tag="by hand")
    assert [(fill.fill.strategy, fill.fill.quantity) for fill in bench.of(Filled)] == [
        (EXTERNAL, Decimal("2.5")),
        ("one", Decimal("1.5")),
    ]
    order = bench.state.orders[theirs["order"]]
    assert (order.intent.who, order.tag) == ("ann", "by hand")
    assert theirs["order"] in [pair[0] for pair in bench.strategy.seen if isinstance(pair, tuple)]
    assert [fact.seq for fact in bench.of(Commanded)] == [mine["seq"], theirs["seq"]]
    assert all(fact.cause == theirs["seq"] for fact in bench.of(OrderSubmitted)[1:])
    bench.check()


def test_every_kind_of_order_can_be_placed():
    """Limit, stop, trailing stop, post-only, reduce-only, with an end."""
    bench = make(profile=EVERYTHING)
    ask(bench, "submit", instrument=BTC, side="buy", quantity="2")
    placed = [
        ask(bench, "submit", instrument=BTC, side="buy", quantity="1", limit_price="90.003", post_only="true"),
        ask(bench, "submit", instrument=BTC, side="sell", quantity="1", stop_price="80", reduce_only="true"),
        ask(bench, "submit", instrument=BTC, side="sell", quantity="1", trail="5%", reduce_only="yes"),
        ask(bench, "submit", instrument=BTC, side="buy", quantity="1", limit_price="90",
            time_in_force="gtd", expires="15m"),
    ]  # fmt: skip
    orders = [bench.state.orders[answer["order"]] for answer in placed]
    assert [order.type.value for order in orders] == ["limit", "stop", "trailing_stop", "limit"]
    assert all(answer["reasons"] == [] for answer in placed)
    assert orders[0].intent.post_only
    assert orders[1].intent.reduce_only
    assert orders[3].intent.expires_ns == bench.clock.now() + 15 * 60 * 10**9


def test_a_denied_order_of_a_person_is_a_fact_with_all_reasons():
    """The answer has them too."""
    bench = make()
    answer = ask(bench, "submit", instrument=BTC, side="buy", quantity="1_000_000")
    [denied] = bench.of(OrderDenied)
    assert answer["status"] == "denied"
    assert answer["reasons"] == list(denied.reasons) != []


def test_an_instrument_that_nobody_watches_is_followed_once_it_is_asked_for():
    """The first order is refused for want of a price; then prices come, and the next one passes."""
    bench = make(watched=(BTC,))
    assert ask(bench, "check", instrument=ETH, side="buy", quantity="1")["status"] == "denied"
    assert len(bench.of(InstrumentDefined)) == 1
    answer = ask(bench, "submit", instrument=ETH, side="buy", quantity="1")
    assert "no price of" in answer["reasons"][0]
    assert any(one.instrument == bench.broker.listed[1].id for one in bench.subscribed)
    bench.price(50, instrument=bench.broker.listed[1].id)
    assert submit(bench, instrument=ETH, quantity="1") == "filled"
    bench.check()


class Judge:
    """Halts everything for a large order, and counts no more."""

    name, wants = "judge", ()

    def check(self, intent, view):
        return Trip("far too much", TradingState.HALTED, "engine") if intent.quantity > 100 else None

    def watch(self, item, view):
        return None


def test_check_tells_what_would_happen_and_nothing_comes_of_it():
    """The verdict and the order on its grid; no fact, no reservation, no trip, and the next id is the same."""
    bench = make(breakers=[Judge()])
    before = (len(bench.journal.records), bench.state.intents, bench.kernel.recorder.seq)
    good = ask(bench, "check", instrument=BTC, side="buy", quantity="1.23456789", limit_price="90.009")
    assert (good["status"], good["reasons"], good["held"]) == ("approved", [], False)
    assert good["intent"]["quantity"] == f"{make_instrument(BTC).quantity('1.23456789'):f}"
    assert (good["intent"]["strategy"], good["intent"]["type"]) == (EXTERNAL, "limit")
    held = ask(bench, "check", instrument=BTC, side="buy", quantity="1", stop_price="110")
    assert held["held"]
    bad = ask(bench, "check", instrument=BTC, side="buy", quantity="500")
    assert (bad["status"], bad["reasons"]) == ("denied", ["judge: far too much"])
    assert (len(bench.journal.records), bench.state.intents, bench.kernel.recorder.seq) == before
    assert not bench.state.tripped
    assert ask(bench, "submit", instrument=BTC, side="buy", quantity="500")["status"] == "denied"
    assert bench.of(BreakerTripped)
    bench.check()


def test_check_forgets_trips_that_would_be_reset():
    """A breaker that is clean again resets before an order; the check sees it so, and leaves it tripped."""

    class Clean:
        name, wants = "clean", (Noted,)

        def check(self, intent, view):
            return None

        def watch(self, item, view):
            return Trip("seen", TradingState.HALTED, "engine")

        def clean(self, scope, view):
            return True

    bench = make(breakers=[Clean()])
    bench.do(lambda s: s.note("x"))
    assert ask(bench, "check", instrument=BTC, side="buy", quantity="1")["status"] == "approved"
    assert bench.state.tripped
    assert submit(bench, quantity="1") == "filled"
    assert not bench.state.tripped
    bench.check()


def test_an_order_is_canceled_by_our_id_or_the_venues():
    """Of a strategy or of nobody here."""
    bench = make()
    orders = [bench.do(lambda s, p=p: s.buy(1, instrument=BTC, limit_price=p)) for p in (90, 91)]
    names = [orders[0].client_order_id, orders[1].broker_order_id]
    assert [ask(bench, "cancel", order=name, why="")["order"] for name in names] == [
        order.client_order_id for order in orders
    ]
    assert all(order.status is OrderStatus.CANCELED for order in orders)
    with pytest.raises(ConfigurationError, match=r"cancel: order .* is canceled already"):
        ask(bench, "cancel", order=names[0])
    with pytest.raises(ConfigurationError, match="cancel: there is no open order 'x' here"):
        ask(bench, "cancel", order="x")


def test_an_order_is_replaced_when_its_end_is_certain():
    """Quantity is the new total; what the gate would refuse leaves the old order be."""
    bench = make()
    order = bench.do(lambda s: s.buy(5, instrument=BTC, limit_price=90))
    bench.broker.fill(order, 2)
    answer = ask(bench, "replace", order=order.client_order_id, quantity="4", limit_price="91")
    new = bench.state.orders[answer["order"]]
    assert (order.status, new.status, answer["replaces"]) == ("canceled", "accepted", order.client_order_id)
    assert (new.quantity, new.limit_price, new.strategy) == (2, 91, "one")
    answer = ask(bench, "replace", order=new.client_order_id, quantity="1_000_000")
    assert answer["status"] == "denied"
    assert new.status is OrderStatus.ACCEPTED
    for wrong, message in (
        ({}, "replace changes nothing"),
        ({"stop_price": "80"}, "a limit order has no stop_price to replace"),
        ({"side": "sell"}, "replace has no argument 'side'"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            ask(bench, "replace", order=new.client_order_id, **wrong)
    bench.check()


@pytest.mark.parametrize(
    ("verb", "arguments", "message"),
    [
        ("submit", {"side": "buy", "quantity": "1"}, "submit needs instrument"),
        ("submit", {"instrument": BTC, "quantity": "1"}, "submit needs side"),
        ("submit", {"instrument": BTC, "side": "hold", "quantity": "1"}, "side 'hold' is unknown: write one of buy"),
        ("submit", {"instrument": "X", "side": "buy", "quantity": "1"}, "nobody trades 'X' here"),
        ("submit", {"instrument": BTC, "side": "buy"}, "exactly one of quantity and value"),
        ("submit", {"instrument": BTC, "side": "buy", "quantity": "1", "value": "5"}, "exactly one of"),
        ("submit", {"instrument": BTC, "side": "buy", "quantity": "-1"}, "quantity -1 is not above 0"),
        ("submit", {"instrument": BTC, "side": "buy", "quantity": "nan"}, "not finite"),
        ("submit", {"instrument": BTC, "side": "buy", "quantity": "many"}, "is not a number"),
        ("submit", {"instrument": BTC, "side": "buy", "quantity": "1e-30"}, "less than one lot"),
        ("submit", {"instrument": BTC, "side": "buy", "quantity": "1e30"},
         "quantity 1e.30 of BTC/USDT:USDT@fake is too large to be exact: write at most 1e.24"),
        ("submit", {"instrument": BTC, "side": "buy", "value": "1e40 USDT"}, "is too large to be exact: write at most"),
        ("submit", {"instrument": BTC, "side": "buy", "value": "5 EUR"},
         "for BTC/USDT:USDT@fake must be in USDT"),
        ("submit", {"instrument": BTC, "side": "buy", "quantity": "1", "limit_price": "0"}, "limit_price 0 is not"),
        ("submit", {"instrument": BTC, "side": "buy", "quantity": "1", "leverage": "5"}, "no argument 'leverage'"),
        ("submit", {"instrument": BTC, "side": "buy", "quantity": "1", "strategy": "x"}, "there is no strategy 'x'"),
        ("submit", {"instrument": BTC, "side": "buy", "quantity": "1", "account": "x"}, "there is no account 'x'"),
        ("submit", {"instrument": BTC, "side": "buy", "quantity": "1", "post_only": "perhaps"}, "neither true nor"),
        ("submit", {"instrument": BTC, "side": "buy", "quantity": "1", "time_in_force": "NOW"},
         "time_in_force 'NOW' is unknown"),
        ("submit", {"instrument": BTC, "side": "buy", "quantity": "1", "expires": "2024-01-01T00:00"},
         "neither a duration nor a time with a zone"),
        ("pause", {"strategy": "one"}, "pause has no argument 'strategy': it has scope"),
        ("kill", {"flatten": "maybe"}, "flatten 'maybe' is neither true nor false"),
        ("stop", {"when": "later"}, "stop has no when 'later': write now or flat"),
        ("stop", {"within": "5s"}, "stop now needs no within"),
        ("stop", {"when": "flat", "within": "5"}, "'5' is not a duration"),
    ],
)  # fmt: skip
def test_a_request_that_makes_no_sense_leaves_no_fact(verb, arguments, message):
    """It is an error to whoever asked, and says what to write."""
    bench = make()
    before = len(bench.journal.records)
    with pytest.raises(ConfigurationError, match=message):
        ask(bench, verb, **arguments)
    assert len(bench.journal.records) == before
    bench.price(101)
    assert not bench.do(lambda s: s.buy(1, instrument=BTC)).denied


def test_with_several_accounts_a_person_says_which():
    """Unless the strategy named trades on one; nothing is guessed where money is."""
    bench = make(brokers=2)
    with pytest.raises(ConfigurationError, match=r"submit: say account= .there are: acc0, acc1."):
        ask(bench, "submit", instrument=BTC, side="buy", quantity="1")
    assert submit(bench, quantity="1", account="acc1") == "filled"
    assert submit(bench, quantity="1", strategy="one") == "filled"
    assert [len(broker.submits) for broker in bench.brokers] == [1, 1]


def test_who_and_why_are_asked_for():
    """What loosens or steers needs a reason; orders and cancels speak for themselves."""
    bench = make()
    with pytest.raises(ConfigurationError, match="halt needs a reason: say why"):
        bench.kernel.command("halt", "ann", " ")
    for verb, what in (("resume", {}), ("reset", {"breaker": "kill"})):
        with pytest.raises(ConfigurationError, match=f"{verb} needs a reason: say why"):
            bench.kernel.command(verb, "ann", " ", **what)
    with pytest.raises(ConfigurationError, match="halt needs to know who asks"):
        bench.kernel.command("halt", "", "so")


# --- once per request -------------------------------------------------------------------------------------------


def test_a_request_is_carried_out_once_over_restarts_too():
    """The same id gets the first answer again; without an id each is new."""
    bench = make()
    wanted = {"instrument": BTC, "side": "buy", "quantity": "1"}
    first = ask(bench, "submit", "r1", **wanted)
    again = ask(bench, "submit", "r1", **wanted)
    assert again == {**first, "repeated": True}
    bench.restart()
    assert ask(bench, "submit", "r1", **wanted) == again
    assert len(bench.broker.submits) == 1
    assert [fact.request for fact in bench.of(Commanded)] == ["r1"]
    bench.price(100)
    for _ in range(2):
        assert ask(bench, "submit", **wanted)["repeated"] is False
    assert len(bench.broker.submits) == 3
    bench.check()


@pytest.mark.parametrize(
    ("verb", "arguments", "message"),
    [
        ("kill", {}, "kill: request id r1 was used for pause: use another"),
        (
            "pause",
            {"scope": "account:acc0"},
            "pause: request id r1 was used for pause with other arguments: use another",
        ),
    ],
)
def test_a_request_id_stands_for_one_request_alone(verb, arguments, message):
    """Something else asked for under it is refused, also by a state that was folded from the journal."""
    bench = make()
    ask(bench, "pause", "r1", scope="engine")
    assert ask(bench, "pause", "r1", why="again", scope="engine")["repeated"]
    before = len(bench.journal.records)
    with pytest.raises(ConfigurationError, match=message):
        ask(bench, verb, "r1", **arguments)
    assert len(bench.journal.records) == before
    assert not bench.state.tripped
    folded = bench.journal.fold().requests["r1"]
    assert (folded, folded.verb) == (bench.state.requests["r1"], "pause")
    assert ask(bench, verb, "r2", **arguments)["repeated"] is False
    bench.check()


def test_a_request_of_an_older_journal_is_answered_again():
    """Where nobody wrote down what had been asked, the first answer is given as it was."""
    bench = make()
    apply(
        bench.state, CommandAnswered(seq=1, now=1, cause=1, request="r1", command=1, answer='{"scope": "x"}')
    )
    assert ask(bench, "kill", "r1") == {"seq": 1, "repeated": True, "scope": "x"}
    assert not bench.state.tripped


def test_a_refused_request_may_be_asked_again_under_its_id():
    """Nothing was done, so nothing is remembered."""
    bench = make()
    with pytest.raises(ConfigurationError):
        ask(bench, "halt", "r1", scope="strategy:nobody")
    assert ask(bench, "halt", "r1")["repeated"] is False


def test_only_so_many_requests_are_remembered():
    """The memory is bounded, and the oldest are forgotten first, in the fold too."""
    bench = make()
    for number in range(REMEMBERED_REQUESTS + 5):
        ask(bench, "pause", f"r{number}")
    assert len(bench.state.requests) == REMEMBERED_REQUESTS
    assert "r4" not in bench.state.requests
    assert "r5" in bench.state.requests
    assert len(bench.of(CommandAnswered)) == REMEMBERED_REQUESTS + 5
    bench.check()


def test_what_a_handler_asks_for_comes_after_it():
    """The answer has no number yet; a wrong request is still an error at once."""
    bench = make()
    said = bench.do(lambda s: ask(bench, "halt"))
    assert said == {"seq": 0, "repeated": False}
    assert bench.do(lambda s: s.buy(1, instrument=BTC)).denied
    with pytest.raises(AssertionError, match="no scope"):
        bench.do(lambda s: ask(bench, "halt", scope="x:y"))


# --- the end ----------------------------------------------------------------------------------------------------


def stopping(bench, **arguments):
    reasons = []
    bench.kernel.sweeps.finished = reasons.append
    return ask(bench, "stop", **arguments), reasons


def test_a_stop_now_is_handed_on():
    """With who and why."""
    answer, reasons = stopping(make())
    assert answer["when"] == "now"
    assert reasons == ["a reason (ann)"]


def test_a_stop_once_flat_withdraws_entries_and_waits_for_the_rest():
    """Nothing new is opened, what protects stays, and the end comes with the last position."""
    bench = make(profile=EVERYTHING)
    bench.do(lambda s: s.buy(2, instrument=BTC, stop_loss=90))
    entry = bench.do(lambda s: s.buy(1, instrument=BTC, limit_price=95))
    [stop] = [o for o in bench.state.open.values() if o.intent.exits]
    answer, reasons = stopping(bench, when="flat")
    assert answer["left"] == [
        f"one holds 2 {bench.instrument} on acc0",
        f"{entry.client_order_id} is pending_cancel: buy 1 {bench.instrument} of one",
    ]
    assert entry.status is OrderStatus.CANCELED
    assert not stop.closed
    assert bench.do(lambda s: s.buy(1, instrument=BTC)).reasons == (
        "the engine stops as soon as it is flat (ann: a reason)",
    )
    assert bench.do(lambda s: s.sell(1, instrument=BTC)).denied, (
        "with the stop it could sum to more than is held"
    )
    bench.advance("1h")
    assert reasons == []
    bench.broker.fill(stop, 2, 90)
    assert reasons == ["a reason (ann): flat"]
    bench.check()


def test_a_stop_once_flat_ends_at_once_where_nothing_is_held():
    """There is nothing to wait for."""
    _, reasons = stopping(make(), when="flat", within="1h")
    assert reasons == ["a reason (ann): flat"]


def test_a_stop_once_flat_does_not_wait_longer_than_it_is_told():
    """It says how it stood."""
    bench = make()
    bench.do(lambda s: s.buy(2, instrument=BTC))
    answer, reasons = stopping(bench, when="flat", within="5m")
    assert answer["within"] == "5m"
    bench.advance("299s")
    assert reasons == []
    bench.advance("1s")
    assert reasons == [
        f"a reason (ann): its time is over, and this is left: one holds 2 {bench.instrument} on acc0"
    ]


def test_a_stop_once_flat_can_be_called_off_and_does_not_outlive_the_run():
    """Resume undoes it; so does the next start."""
    bench = make()
    bench.do(lambda s: s.buy(2, instrument=BTC))
    _, reasons = stopping(bench, when="flat", within="5m")
    ask(bench, "resume")
    bench.advance("10m")
    assert reasons == []
    assert not bench.do(lambda s: s.buy(1, instrument=BTC)).denied
    stopping(bench, when="flat")
    assert bench.do(lambda s: s.buy(1, instrument=BTC)).denied
    bench.restart()
    bench.price(100)
    assert not bench.do(lambda s: s.buy(1, instrument=BTC)).denied
    assert len(bench.of(SweepEnded)) == 1
    bench.check()


def test_flatten_and_stop_once_flat_go_together():
    """The usual way home."""
    bench = make()
    bench.do(lambda s: s.buy(2, instrument=BTC))
    bench.broker.script = silence()
    _, reasons = stopping(bench, when="flat")
    [name] = ask(bench, "flatten")["orders"]
    assert reasons == []
    bench.broker.fill(name, 2, 100)
    assert reasons == ["a reason (ann): flat"]


@pytest.mark.parametrize("profile", [EVERYTHING, MARKET_AND_LIMIT], ids=["at the venue", "held"])
def test_a_refused_replacement_of_a_stop_that_was_placed_again_leaves_it_be(profile):
    """What is refused has an id of its own, and not that of the order which it was to replace."""
    bench = make(watched=(BTC,), profile=profile)
    bench.do(lambda s: s.buy(1, stop_loss=90))
    (stop,) = bench.state.open.values()
    if profile is EVERYTHING:
        bench.broker.cancel(stop)
    else:
        bench.broker.answers.append(reject())
        bench.price(89)
        bench.price(100)
    bench.advance("1s")
    (stop,) = bench.state.open.values()
    assert stop.intent.repeats
    answer = ask(bench, "replace", order=stop.client_order_id, quantity="5")
    assert answer["status"] == "denied"
    assert answer["order"] != stop.client_order_id
    assert list(bench.state.open.values()) == [stop]
    bench.check()
