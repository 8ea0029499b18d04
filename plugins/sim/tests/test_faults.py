"""Faults on the wire, while the venue stays honest."""

import pytest

from fairlead import ConfigurationError
from fairlead.ports import FillReport, OutcomeUnknown, StreamUp
from fairlead_sim import Fault, FaultKind, FaultPlan


def at(bench, plan):
    on = bench(faults=FaultPlan.parse(plan))
    on.quote(100.0, 100.1)
    return on


STORIES = [
    ("reject@1", ["Rejected"], 0),
    ("lose@1", ["OutcomeUnknown"], 0),
    ("lose_answer@1", ["FillReport", "OutcomeUnknown"], 1),
    ("delay@1:200ms", ["Accepted", "FillReport"], 1),
    ("delay@1:3s", ["OutcomeUnknown", "Accepted", "FillReport"], 1),
    ("duplicate@1", ["Accepted", "Accepted", "FillReport", "FillReport"], 1),
    ("reorder@1", ["FillReport", "Accepted"], 1),
    ("drop@1:2s", ["StreamDown", "OutcomeUnknown", "StreamUp"], 1),
    ("lose@2", ["Accepted", "FillReport"], 1),
    ("patience=1ms lose@1  # gone", ["OutcomeUnknown"], 0),
    ("reject:100%", ["Rejected"], 0),
    ("reject:0% seed=4", ["Accepted", "FillReport"], 1),
]


@pytest.mark.parametrize(("plan", "kinds", "position"), STORIES)
def test_stories(bench, plan, kinds, position):
    """Each kind of fault gives its own story, and the venue's books hold the truth."""
    on = at(bench, plan)
    on.buy("1")
    on.clock.advance(10 * 10**9)
    assert on.kinds == kinds
    assert on.position == position


def test_what_a_dropped_stream_missed_can_be_asked_for(bench, settled):
    """Fills missed while the stream was down are in `fills`, `lookup` and `snapshot`."""
    on = at(bench, "drop@1:2s")
    name = on.buy("1")
    on.clock.advance(5 * 10**9)
    assert isinstance(on.reports[-1], StreamUp)
    assert on.reports[-1].epoch == 2
    (fill,) = settled(on.broker.fills(0))
    assert isinstance(fill, FillReport)
    assert settled(on.broker.fills(fill.event_ns + 1)) == []
    assert on.lookup(name)[name].status == "filled"
    assert on.snapshot().positions == {on.instrument.id: 1}


def test_a_lost_command_never_existed(bench):
    """The venue knows nothing of a command that was lost, and another may use nothing of it."""
    on = at(bench, "lose@1")
    name = on.buy("1")
    on.clock.advance(10**10)
    assert isinstance(on.reports[-1], OutcomeUnknown)
    assert on.lookup(name) == {name: None}


def test_cancels_fail_too(bench):
    """A rejected cancel leaves the order working."""
    on = at(bench, "reject@2")
    name = on.limit("buy", "1", "99")
    on.cancel(name)
    assert on.kinds == ["Accepted", "CancelRejected"]
    assert on.lookup(name)[name].open
    on.cancel_all()
    assert on.kinds[-1] == "Canceled"


def test_a_plan_reads_as_it_is_written():
    """A plan is words: faults by number, chances, a seed, patience."""
    plan = FaultPlan.parse("reject@3\nlose:5% # sometimes\nseed=7 drop@9:2s patience=3s")
    assert plan.faults == (Fault(FaultKind.REJECT, 3), Fault(FaultKind.DROP, 9, 2_000_000_000))
    assert plan.chances == {FaultKind.LOSE: 0.05}
    assert (plan.seed, plan.patience_ns) == (7, 3_000_000_000)
    for wrong in ("burn@1", "reject@x", "lose", "delay@1:soon", "seed=x"):
        with pytest.raises(ConfigurationError, match="is no fault"):
            FaultPlan.parse(wrong)


def test_chance_is_seeded(bench):
    """The same seed gives the same faults."""
    stories = []
    for _ in range(2):
        on = at(bench, "reject:30% duplicate:30% seed=5")
        for _ in range(30):
            on.buy("0.1")
        stories.append(on.kinds)
    assert stories[0] == stories[1]
    assert {"Rejected", "FillReport"} <= set(stories[0])
