"""The benchmarks keep their targets; in continuous integration, bounds so wide that only a blunder breaks them."""

import importlib
import os

import pytest
from benchmarks import startup
from benchmarks.__main__ import NAMES
from benchmarks.rig import SIZES, ChildFailed, child
from benchmarks.rig import start as child_of
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


@pytest.mark.parametrize("module", ["benchmarks.latency.inside", "benchmarks.latency.engine"])
def test_a_child_that_cannot_go_on_says_why_and_ends(module, monkeypatch, tmp_path):
    """Whoever waits for it is told what it wrote, at once."""
    (tmp_path / "sitecustomize.py").write_text(
        "from fairlead import LiveTradingEngine\n"
        "async def broken(self, until=None): raise OSError('no such engine')\n"
        "LiveTradingEngine.run = broken\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    task = {"orders": 10, "warm_up": 1, "core": None, "port": 1, "every": 5, "spinning": False}
    with pytest.raises(ChildFailed, match="no such engine"):
        child(module, task, timeout=60)


def test_a_venue_that_dies_fails_the_measurement(monkeypatch):
    """Before it listens or after: its last words are in the failure."""
    from benchmarks.latency import rows, server

    monkeypatch.setattr(rows, "SETTLE_NS", None)  # it ends once both connections are there
    with pytest.raises(ChildFailed, match="TypeError"):
        rows.measure([rows.Row(rows.RAW, rows.BARE)], 1, 10, 1, print)
    monkeypatch.setattr(rows, "start", lambda module, task: child_of(server.__name__, {}))
    with pytest.raises(ChildFailed, match="KeyError"):
        rows.measure([rows.Row(rows.RAW, rows.BARE)], 1, 10, 1, print)


@ci
@pytest.mark.skipif(len(cores()) < 2, reason="a core for the venue, one for the client")
def test_what_the_journal_costs_an_order_is_measured_in_one_run():
    """Bounds that a busy machine keeps; the lines themselves are printed."""
    process, full = measured("journal").targets
    for target, bound in ((process, 2.5), (full, 8)):
        if target.figure is None:
            pytest.skip(target.line())
        assert target.figure <= bound, target.line()


@ci
def test_a_killed_engine_is_back_in_seconds():
    from_snapshot, killed = measured("restart").targets
    assert from_snapshot.figure <= 30
    assert killed.figure <= 30
