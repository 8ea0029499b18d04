"""Brackets under random fills, cancels, prices, sales by hand and restarts: never bare, never able to flip."""

import os
from decimal import Decimal

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fairlead import OrderStatus, OrderType
from fairlead._models.orders import AT_VENUE, STOPS
from fairlead.facts import Noted
from fairlead.testing import EVERYTHING, MARKET_AND_LIMIT, Bench, FakeBroker, fill, silence
from fairlead.units import SECOND

D = Decimal
STOPS_ONLY = attrs.evolve(MARKET_AND_LIMIT, order_types=MARKET_AND_LIMIT.order_types | {OrderType.STOP})
PROFILES = [MARKET_AND_LIMIT, STOPS_ONLY, EVERYTHING]

quantities = st.integers(1, 10).map(lambda n: D(n) / 10)
picks = st.integers(0, 1000)


class Brackets(RuleBasedStateMachine):
    """A venue that fills and cancels when it likes, and links what it can link."""

    @initialize(profile=st.sampled_from(PROFILES))
    def begin(self, profile):
        self.bench = Bench(broker=FakeBroker(profile=profile))
        self.broker = self.bench.broker
        self.broker.cancels = silence()
        self.late = False  # the answer to a cancel, for as long as a bare position may be
        self.bench.price(100)

    @property
    def held(self):
        return self.bench.state.quantity("fake", self.bench.instrument, "Puppet")

    def exits(self):
        return [o for o in self.bench.state.open.values() if o.intent.exits]

    @rule(quantity=quantities)
    def enter(self, quantity):
        if len(self.broker.working) < 4:
            self.bench.do(lambda s: s.buy(quantity, limit_price=99, stop_loss=90, take_profit=110))

    @rule(pick=picks, part=quantities)
    def fill(self, pick, part):
        names = sorted(self.broker.working)
        if not names:
            return
        name = names[pick % len(names)]
        resting = self.broker.working[name]
        size = min(part, resting.left)
        group = resting.submit.intent.group
        linked = [
            r
            for n, r in self.broker.working.items()
            if n != name and group and r.submit.intent.group == group
        ]
        report = self.broker.executed(name, size, resting.submit.intent.limit_price or 100)
        over = []
        for other in linked:  # this venue shrinks what is linked before it tells of the fill
            other.quantity -= size
            if other.left <= 0:
                over.append(self.broker.canceled(other.submit.client_order_id))
        self.broker.emit(report)
        for gone in over:
            self.broker.emit(gone)

    @rule(pick=picks)
    def confirm_a_cancel(self, pick):
        asked = sorted({c.client_order_id for c in self.broker.canceling} & self.broker.working.keys())
        if asked:
            self.broker.cancel(asked[pick % len(asked)])

    @rule(price=st.integers(85, 115))
    def move(self, price):
        self.bench.price(price)

    @rule(pick=picks)
    def give_up_an_entry(self, pick):
        entries = [
            o for o in self.bench.state.open.values() if not o.intent.exits and o.type is OrderType.LIMIT
        ]
        if entries:
            self.bench.do(lambda s: s.cancel(entries[pick % len(entries)]))

    @rule(quantity=quantities)
    def buy_without_exits(self, quantity):
        self.broker.answers.append(fill(price=100))
        if self.bench.do(lambda s: s.buy(quantity)).denied:
            self.broker.answers.clear()

    @precondition(lambda self: self.held > 0)
    @rule(part=quantities)
    def hand_over(self, part):
        """What an entry had is sold, and bought again by an order that wants no exits."""
        self.sell_by_hand(part)
        self.buy_without_exits(part)

    @precondition(lambda self: self.held > 0)
    @rule(part=quantities)
    def sell_by_hand(self, part):
        self.broker.answers.append(fill(price=100))
        order = self.bench.do(lambda s: s.sell(min(part, self.held)))
        if order.denied:
            self.broker.answers.clear()

    @rule(pick=picks, price=st.integers(86, 95))
    def move_a_stop(self, pick, price):
        stops = [o for o in self.exits() if o.type is OrderType.STOP and not o.after and not o.triggered]
        stops = [o for o in stops if o.status is not OrderStatus.PENDING_CANCEL]
        if stops:
            self.bench.do(lambda s: s.replace(stops[pick % len(stops)], stop_price=price))

    @rule(seconds=st.sampled_from([1, 1, 11]))
    def wait(self, seconds):
        self.bench.advance(f"{seconds}s")
        asked = [
            o.updated_ns for o in self.bench.state.open.values() if o.status is OrderStatus.PENDING_CANCEL
        ]
        self.late = self.late or (asked and min(asked) <= self.bench.clock.now() - 10 * SECOND)

    @rule()
    def restart(self):
        self.bench.restart()
        self.bench.price(100)

    @invariant()
    def one_leg_at_a_venue_that_cannot_link(self):
        if not hasattr(self, "bench") or self.broker.profile.oco:
            return
        groups = [o.intent.group for o in self.exits() if o.status in AT_VENUE]
        assert len(groups) == len(set(groups)), self.exits()

    @invariant()
    def exits_cannot_flip(self):
        """What stays at the venue could at most close the position."""
        if not hasattr(self, "bench"):
            return
        groups = {}
        for order in self.exits():
            if order.status in AT_VENUE and order.status is not OrderStatus.PENDING_CANCEL:
                groups[order.intent.group] = max(groups.get(order.intent.group, 0), order.remaining_quantity)
        assert sum(groups.values()) <= max(self.held, 0), (self.held, self.exits())

    @invariant()
    def never_bare(self):
        """Stops, held or at the venue, cover all that entries have, and once nothing is leaving no more than that."""
        if not hasattr(self, "bench"):
            return
        groups = {}
        for order in self.exits():
            if order.type in STOPS:
                groups[order.intent.group] = max(groups.get(order.intent.group, 0), order.remaining_quantity)
        parts = sum(self.bench.state.entries.values())
        assert parts <= max(self.held, 0)
        assert sum(groups.values()) >= parts, (parts, self.exits())
        if all(o.status is not OrderStatus.PENDING_CANCEL for o in self.exits()):
            assert sum(groups.values()) <= parts, (parts, self.exits())

    @invariant()
    def books_agree(self):
        if hasattr(self, "bench"):
            assert self.broker.positions.get(self.bench.instrument, 0) == self.held

    def teardown(self):
        if hasattr(self, "bench"):
            alarms = [fact for fact in self.bench.of(Noted) if fact.source == "unprotected"]
            assert not alarms or self.late
            self.bench.check()


def test_a_stop_that_is_being_resized_comes_back_once():
    """A take-profit that is reached meanwhile waits for the old stop too, and brings back none of the old size."""
    venue = Brackets()
    venue.begin(STOPS_ONLY)
    venue.enter(D("0.2"))
    venue.fill(0, D("0.2"))
    venue.hand_over(D("0.1"))
    venue.move(110)
    venue.confirm_a_cancel(0)
    assert [(o.type, o.quantity) for o in venue.exits()] == [
        (OrderType.LIMIT, D("0.1")),
        (OrderType.STOP, D("0.1")),
    ]
    venue.never_bare()
    venue.teardown()


def test_an_exit_that_filled_on_its_way_out_leaves_no_other_in_its_place():
    """What then is held was bought without exits: nothing of the entry is left to close, so nothing may close it."""
    venue = Brackets()
    venue.begin(STOPS_ONLY)
    venue.enter(D("0.2"))
    venue.fill(0, D("0.1"))
    venue.move(110)
    venue.hand_over(D("0.1"))
    venue.fill(0, D("0.1"))
    venue.fill(0, D("0.1"))
    assert venue.held == D("0.1")
    assert not venue.exits()
    venue.teardown()


def at(examples: int) -> settings:
    return settings(max_examples=examples, stateful_step_count=40, deadline=None)


@pytest.mark.full
class TestBrackets(Brackets.TestCase):
    settings = at(50)


@pytest.mark.prove
class TestBracketsAtLength(Brackets.TestCase):
    settings = at({"full": 1000}.get(os.environ.get("FAIRLEAD_PROVE", ""), 200))
