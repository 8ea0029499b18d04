"""The benchmarks keep their targets; in continuous integration, bounds so wide that only a blunder breaks them."""

import importlib
import os

import pytest
from benchmarks import startup
from benchmarks.__main__ import NAMES
from benchmarks.rig import SIZES, child
from benchmarks.system import cores, has_proc

pytestmark = pytest.mark.prove

FULL = os.environ.get("FAIRLEAD_PROVE") == "full"
SIZE = SIZES["full" if FULL else "ci"]

full = pytest.mark.skipif(not FULL, reason="needs a quiet machine: ./dev prove")
ci = pytest.mark.skipif(FULL, reason="the targets themselves are proved instead")
proc = pytest.mark.skipif(not has_proc(), reason="memory is read from /proc")


def measured(name):
    report = importlib.import_module(f"benchmarks.{name}").run(SIZE, print)
    print("\n".join(report.lines()))
    return report


@full
@pytest.mark.parametrize("name", NAMES)
def test_targets_are_met(name):
    targets = measured(name).targets
    missed = [target.line() for target in targets if target.met is False]
    assert not missed, "\n".join(missed)
    unknown = [target.line() for target in targets if target.met is None]
    if unknown:
        pytest.skip("\n".join(unknown))


@ci
def test_the_core_imports_quickly():
    bare, full = startup.import_ms("pass", "import fairlead", SIZE.starts)
    assert full - bare <= 300


@ci
@proc
def test_the_core_is_small_in_memory():
    assert startup.resident_mib("import fairlead") <= 35


@ci
@proc
def test_an_event_costs_the_same_late_as_early_and_leaves_nothing_behind():
    cost, growth = measured("memory").targets
    assert cost.figure <= 1.5
    assert growth.met


@ci
def test_every_engine_is_given_the_same_numbers(tmp_path):
    from benchmarks import series, throughput

    for kind in throughput.FLOORS:
        series.save(series.make(kind, SIZE.events), tmp_path / kind)
        task = {"kind": kind, "folder": str(tmp_path / kind), "every": SIZE.order_every}
        found = child("benchmarks.throughput.fairlead", task)
        assert found["seen"] == SIZE.events
        assert found["sides"] == throughput.wanted_sides(SIZE)
        assert SIZE.events / found["seconds"] >= 20_000


@ci
def test_an_order_leaves_in_the_call_that_brought_its_tick():
    chain = child("benchmarks.latency.inside", {"orders": 400, "warm_up": 100})
    assert len(chain["engine_ns"]) == 300
    assert chain["engine_ns"][150] <= 500_000


@ci
@pytest.mark.skipif(len(cores()) < 2, reason="a core for the venue, one for the client")
def test_ticks_become_orders_over_a_socket():
    from benchmarks.latency.rows import BARE, ENGINE, RAW, Row, measure

    found = measure([Row(RAW, BARE), Row("fairlead", ENGINE)], 1, SIZE.orders, SIZE.warm_up, print)
    if found.missing:
        pytest.skip("; ".join(found.missing.values()))
    assert found.ratio("fairlead", RAW, "p50") <= 15


@ci
def test_the_journal_takes_a_record_in_microseconds():
    assert child("benchmarks.journal", {"appends": SIZE.appends})["p50"] <= 100
