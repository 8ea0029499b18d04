"""Flatten and kill under random fills, late cancels, lost answers, rejections and restarts: never over zero."""

import os
from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fairlead import OrderStatus, OrderType
from fairlead._models.accounts import EXTERNAL
from fairlead.ports import Submit
from fairlead.testing import EVERYTHING, MARKET_AND_LIMIT, Bench, FakeBroker, Puppet, lose, reject, silence

D = Decimal
SIDES = {"long": "buy", "short": "sell", EXTERNAL: "buy"}

quantities = st.integers(1, 10).map(lambda n: D(n) / 10)
picks = st.integers(0, 1000)
scopes = st.sampled_from(
    ["engine", "account:fake", "strategy:long", "strategy:short", f"strategy:{EXTERNAL}"]
)


class Sweeping(RuleBasedStateMachine):
    """One strategy only ever buys to open, one only ever sells; a person buys; the venue answers when it likes."""

    @initialize(profile=st.sampled_from([MARKET_AND_LIMIT, EVERYTHING]))
    def begin(self, profile):
        puppets = [Puppet(name=name, allocation="50%") for name in ("long", "short")]
        self.bench = Bench(*puppets, broker=FakeBroker(profile=profile))
        self.broker = self.bench.broker
        self.broker.cancels = self.broker.script = silence()
        self.before = dict.fromkeys(SIDES, D(0))
        self.killed = None
        self.bench.price(100)

    def held(self, name):
        return self.bench.state.quantity("fake", self.bench.instrument, name)

    def ask(self, verb, **arguments):
        return self.bench.kernel.command(verb, "ann", "at random", **arguments)

    # --- what strategies and persons do ---------------------------------------------------------------------

    @precondition(lambda self: len(self.bench.state.open) < 10)
    @rule(which=st.integers(0, 1), quantity=quantities, bracket=st.booleans(), market=st.booleans())
    def enter(self, which, quantity, bracket, market):
        name = ["long", "short"][which]
        limit = None if market else (90 if name == "long" else 110)
        stop = (80 if name == "long" else 120) if bracket else None

        def trade(strategy):
            do = strategy.buy if name == "long" else strategy.sell
            return do(quantity, limit_price=limit, stop_loss=stop)

        self.bench.do(trade, strategy=which)

    @rule(quantity=quantities)
    def a_person_buys(self, quantity):
        if len(self.bench.state.open) < 10:
            self.ask("submit", instrument=self.bench.instrument, side="buy", quantity=str(quantity))

    @rule(which=st.integers(0, 1))
    def close_by_hand(self, which):
        self.bench.do(lambda s: s.close(), strategy=which)

    # --- what is asked for ----------------------------------------------------------------------------------

    @rule(scope=scopes)
    def flatten(self, scope):
        self.ask("flatten", scope=scope)

    @rule(flatten=st.sampled_from(["", "true"]), scope=st.sampled_from(["engine", "account:fake"]))
    def kill(self, flatten, scope):
        self.ask("kill", scope=scope, flatten=flatten)
        if self.killed is None:
            self.killed = len(self.broker.commands)

    @rule(scope=scopes)
    def cancel_all(self, scope):
        self.ask("cancel_all", scope=scope)

    @rule(scope=scopes)
    def resume(self, scope):
        self.ask("resume", scope=scope)

    @rule()
    def reset(self):
        self.ask("reset", breaker="kill")
        self.killed = None

    # --- what the venue and time do -------------------------------------------------------------------------

    @rule(pick=picks, part=quantities)
    def fill(self, pick, part):
        names = sorted(self.broker.working)
        if names:
            name = names[pick % len(names)]
            self.broker.fill(name, min(part, self.broker.working[name].left), 100)

    @rule(pick=picks)
    def confirm_a_cancel(self, pick):
        asked = sorted({c.client_order_id for c in self.broker.canceling} & self.broker.working.keys())
        if asked:
            self.broker.cancel(asked[pick % len(asked)])

    @rule(answer=st.sampled_from([reject, lose]))
    def next_answer(self, answer):
        if not self.broker.answers:
            self.broker.answers.append(answer())

    @rule(price=st.sampled_from([85, 95, 100, 105, 115]))
    def move(self, price):
        self.bench.price(price)

    @rule(seconds=st.sampled_from([1, 1, 3, 11]))
    def wait(self, seconds):
        self.bench.advance(f"{seconds}s")

    @rule()
    def restart(self):
        self.bench.restart()
        self.bench.price(100)

    # --- what always holds ----------------------------------------------------------------------------------

    @invariant()
    def nobody_is_on_the_other_side(self):
        if not hasattr(self, "bench"):
            return
        assert self.held("long") >= 0
        assert self.held("short") <= 0
        assert self.held(EXTERNAL) >= 0

    @invariant()
    def only_what_closes_is_sent_once_killed(self):
        if not hasattr(self, "bench") or self.killed is None:
            return
        sent = [c for c in self.broker.commands[self.killed :] if isinstance(c, Submit)]
        assert all(c.intent.sweep and c.intent.reduce_only for c in sent)

    @invariant()
    def a_position_is_closed_by_one_order_at_a_time(self):
        if not hasattr(self, "bench"):
            return
        for name in SIDES:
            closing = [o for o in self.bench.state.open.values() if o.intent.sweep and o.strategy == name]
            assert len(closing) <= 1

    @invariant()
    def the_fold_is_the_state(self):
        if hasattr(self, "bench"):
            self.bench.check()

    def teardown(self):
        """In the end all is flattened, and the venue answers at last: nothing is left, whatever went before."""
        if not hasattr(self, "bench"):
            return
        self.broker.answers.clear()
        self.broker.cancels = lambda broker, cancel: [broker.canceled(cancel.client_order_id)]
        self.ask("flatten")
        for _ in range(12):
            for name, resting in list(self.broker.working.items()):
                order = self.bench.state.orders[name]
                if name not in self.broker.working:
                    continue
                asked = any(c.client_order_id == name for c in self.broker.canceling)
                if resting.submit.intent.type is OrderType.MARKET:
                    self.broker.fill(name, None, 100)
                elif asked or order.status is OrderStatus.PENDING_CANCEL:
                    self.broker.cancel(name)
            self.bench.advance("15s")
        assert {name: self.held(name) for name in SIDES} == dict.fromkeys(SIDES, D(0))
        assert not [o for o in self.bench.state.open.values() if o.status is not OrderStatus.HELD]
        assert not self.bench.state.sweeps
        self.bench.check()


def at(examples: int) -> settings:
    return settings(max_examples=examples, stateful_step_count=40, deadline=None)


@pytest.mark.full
class TestSweeping(Sweeping.TestCase):
    settings = at(50)


@pytest.mark.prove
class TestSweepingAtLength(Sweeping.TestCase):
    settings = at({"full": 1000}.get(os.environ.get("FAIRLEAD_PROVE", ""), 200))
