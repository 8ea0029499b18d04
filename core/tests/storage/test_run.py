"""The run's folder."""

import os
import subprocess
import sys

import pytest

from fairlead._storage.journal import Journal
from fairlead._storage.run import RunFolder
from fairlead.errors import ConfigurationError


def test_touches_nothing_until_used(tmp_path):
    """To name a run is to create nothing."""
    run = RunFolder(tmp_path / "runs" / "cross")
    assert run.name == "cross"
    assert run.read_info() == {}
    assert run.quarantined is None
    assert not (tmp_path / "runs").exists()


def test_second_engine_is_refused(tmp_path):
    """One engine a run: another is told who has it and what to do, until the first has ended."""
    run, other = RunFolder(tmp_path / "cross"), RunFolder(tmp_path / "cross")
    run.lock()
    with pytest.raises(ConfigurationError, match=rf"in use by process {os.getpid()}: stop it"):
        other.lock()
    run.unlock()
    run.unlock()
    other.lock()
    other.unlock()


def test_lock_ends_with_its_process(tmp_path):
    """A process that has the lock keeps others out, and a killed one does not."""
    script = (
        "import sys; from fairlead._storage.run import RunFolder\n"
        "run = RunFolder(sys.argv[1]); run.lock(); print('locked', flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    run = RunFolder(tmp_path / "cross")
    with subprocess.Popen([sys.executable, "-c", script, str(run.path)], **pipes) as child:
        assert child.stdout.readline() == b"locked\n"
        with pytest.raises(ConfigurationError, match=f"process {child.pid}"):
            run.lock()
        child.kill()
    run.lock()
    run.unlock()


def test_info_is_written_whole(tmp_path):
    """`run.json` holds what was given, is replaced in one step, and says so where it is not JSON."""
    run = RunFolder(tmp_path / "cross")
    for created in (1, 2):
        run.write_info(
            script="cross.py", versions={"fairlead": "0.1.0"}, created_ns=created, argv=["cross.py"]
        )
    wanted = {"script": "cross.py", "versions": {"fairlead": "0.1.0"}, "argv": ["cross.py"]}
    assert run.read_info() == {
        **wanted,
        "kind": "",
        "data": [],
        "own_time": False,
        "pid": os.getpid(),
        "created_ns": 2,
    }
    assert [path.name for path in run.path.iterdir()] == ["run.json"]
    run.info.write_text("{")
    with pytest.raises(ConfigurationError, match=r"run\.json is not what an engine wrote"):
        run.read_info()


def test_backtests_are_fresh(tmp_path):
    """Each backtest has its own numbered folder."""
    run = RunFolder(tmp_path / "cross")
    first, second = run.new_backtest(), run.new_backtest()
    assert [first.path, second.path] == [run.backtests / "0001", run.backtests / "0002"]
    assert list(first.path.iterdir()) == []


def test_damage_goes_to_quarantine(tmp_path):
    """A damaged journal is moved away whole, with its snapshots, and the newest is named for good."""
    run = RunFolder(tmp_path / "cross")
    for number in ("0001", "0002"):
        Journal.open(run.journal, boot_id="", sync_behind=False).close()
        run.snapshots.mkdir()
        (run.snapshots / "1.snap").write_bytes(b"x")
        kept = {path.name: path.read_bytes() for path in run.journal.iterdir()}
        assert run.quarantine_journal() == run.quarantined == run.quarantine / number
        moved = {
            path.name: path.read_bytes() for path in (run.quarantine / number).iterdir() if path.is_file()
        }
        assert moved == kept
        assert (run.quarantine / number / "snapshots" / "1.snap").exists()
        assert not run.journal.exists()
        assert not run.snapshots.exists()
