"""The list of the engines of this host, and where their sockets lie."""

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead._control.places import MOST_PATH_BYTES, socket_path
from fairlead._control.registry import Announcement, Engine, engines


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own."""
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def engine(run: str = "/runs/one", **more: object) -> Engine:
    """An engine of this host."""
    settings: dict[str, object] = {"run": run, "pid": os.getpid(), "host": socket.gethostname()}
    settings |= {"kind": "PAPER", "socket": "", "started_ns": 1}
    return Engine(**{**settings, **more})


def test_an_engine_is_listed_while_it_lives(home):
    """From its start to its end, under its name; its file is its owner's alone."""
    assert engines() == []
    announced = Announcement(engine())
    assert engines() == [engine()]
    assert engines()[0].name == "one"
    (file,) = (home / "engines").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((home / "engines").stat().st_mode) == 0o700
    announced.withdraw()
    assert engines() == []
    assert list((home / "engines").iterdir()) == []


def test_two_engines_of_one_process(home):
    """Each has its own entry; the older comes first."""
    second, first = Announcement(engine("/runs/two", started_ns=2)), Announcement(engine())
    assert [one.name for one in engines()] == ["one", "two"]
    first.withdraw()
    assert [one.name for one in engines()] == ["two"]
    second.withdraw()


def test_a_dead_engine_is_recognised_and_swept(home):
    """A process that was killed leaves its file, not its lock; whoever looks takes it away."""
    code = (
        "import os, signal; from fairlead._control.registry import *; import socket;"
        "a = Announcement(Engine(run='/runs/dead', pid=os.getpid(), host=socket.gethostname(), kind='PAPER',"
        " socket='', started_ns=1)); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=20).returncode == -9
    assert len(list((home / "engines").iterdir())) == 1
    assert engines() == []
    assert list((home / "engines").iterdir()) == []


def test_what_is_no_entry_and_what_is_of_another_host_is_left_alone(home):
    """A home may be shared, and may hold what is none of ours."""
    (home / "engines").mkdir(parents=True)
    (home / "engines" / "notes.json").write_text("mine", encoding="utf-8")
    other = {"run": "/r", "pid": 1, "host": "elsewhere", "kind": "PAPER", "socket": "", "started_ns": 1}
    (home / "engines" / "other.json").write_text(json.dumps(other), encoding="utf-8")
    assert engines() == []
    assert len(list((home / "engines").iterdir())) == 2


def test_a_socket_lies_in_its_runs_folder(tmp_path):
    """As long as its name fits."""
    assert socket_path(Path("/runs/cross")) == Path("/runs/cross/control.sock")


@pytest.mark.parametrize(("name", "folder"), [("XDG_RUNTIME_DIR", "fairlead"), ("FAIRLEAD_HOME", "sockets")])
def test_a_long_name_is_put_elsewhere(name, folder):
    """Where the path passes what the system takes, a short one stands for the run, and for no other."""
    run = Path("/runs") / ("x" * MOST_PATH_BYTES)
    found = socket_path(run, {name: "/short"})
    assert found.parent == Path("/short") / folder
    assert len(os.fsencode(found)) < MOST_PATH_BYTES
    assert found != socket_path(run.with_name("y" * MOST_PATH_BYTES), {name: "/short"})
    assert found == socket_path(run, {name: "/short"})
