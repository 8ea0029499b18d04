"""`fairlead check` and `fairlead doctor`: what a file is made of, and what is wrong with the machine under it."""

import asyncio
import json
import os
import resource
import socket
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead import ConfigurationError, ConnectivityError
from fairlead._cli import machine
from fairlead._cli.findings import Finding
from fairlead.net import reach

GIB = 1 << 30


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("FAIRLEAD_HOME", str(folder))
    return folder


@pytest.fixture
def listening() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def silent() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def findings(done) -> list[dict[str, str]]:
    """What doctor found, from its JSON."""
    found: list[dict[str, str]] = json.loads(done.stdout)["findings"]
    return found


def grade(found, check: str) -> str:
    """The worst grade of a check."""
    grades = [finding["grade"] for finding in found if finding["check"] == check]
    return max(grades, key=["ok", "warn", "fail"].index)


# --- check --------------------------------------------------------------------------------------------------


def test_check_shows_wiring_run_and_versions(fairlead, script: Path) -> None:
    """The table of what serves what, where the run would lie, and with which versions; no folder appears."""
    done = fairlead("check", script)
    assert done.exit_code == 0, done.output
    table, rest = done.stdout.split("\n\n")
    assert "breaker       Drawdown" in table
    assert "accounts    PAPER" in rest
    assert "fairlead 0.1.0, Python 3." in rest
    assert not (script.parent / "run").exists()


def test_check_has_a_stable_schema(fairlead, script: Path) -> None:
    """The same for a program, hooks by the plugins that implement them."""
    text = script.read_text(encoding="utf-8")
    text = text.replace('Drawdown("20%")', 'Drawdown("20%"), Recorder()')
    script.write_text("from fairlead.testing import Recorder\nprint('loaded')\n" + text, encoding="utf-8")
    found = json.loads(fairlead("check", script, "--json").stdout)
    assert (found["ok"], found["exit_code"], found["accounts"], found["live"]) == (True, 0, "paper", False)
    assert found["run"] == str(script.parent / "run")
    assert found["hooks"] == {"fairlead_fact": ["recorder"], "fairlead_stopped": ["recorder"]}
    assert {
        "port": "broker",
        "name": "paper",
        "plugin": "PaperBroker",
        "distribution": "fairlead-paper",
    }.items() <= (found["wiring"][1].items())


@pytest.mark.parametrize(
    ("old", "new", "code", "why"),
    [
        ("engine = ", "1 / 0\nengine = ", 2, "ZeroDivisionError"),
        ('Drawdown("20%")', 'Drawdown("200%")', 5, "200%"),
        ('plugins=[PaperBroker(cash="10_000 USDT"), ', "plugins=[", 5, "no broker"),
    ],
)
def test_check_ends_with_the_code_of_its_fault(fairlead, script: Path, old, new, code, why) -> None:
    """2 for a file that cannot be read, 5 for an engine that refuses; as JSON the fault is there too."""
    script.write_text(script.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    done = fairlead("check", script, "--json")
    found = json.loads(done.stdout)
    assert done.exit_code == found["exit_code"] == code
    assert why in found["faults"][0]
    assert why in done.stderr


def test_check_lists_all_faults_of_a_configuration(fairlead, script: Path) -> None:
    """Each by itself, for a program; --profile and --set are heard."""
    file = script.parent / "bot.toml"
    file.write_text(
        f"""[strategy.in_and_out]
use = "{script.name}:InAndOut"
[broker.paper]
cash = "1_000 USDT"
[stream.synthetic]
[breaker.drawdown]
limit = "10%"
[profile.rash.breaker.drawdown]
limit = "200%"
colour = "red"
""",
        encoding="utf-8",
    )
    assert fairlead("check", file).exit_code == 0
    faults = json.loads(fairlead("check", file, "--profile", "rash", "--json").stdout)["faults"]
    assert len(faults) == 2
    assert fairlead("check", file, "--set", "breaker.drawdown.limit=300%").exit_code == 2
    assert grade(findings(fairlead("doctor", file, "--profile", "rash", "--json")), "file") == "fail"


# --- doctor -------------------------------------------------------------------------------------------------


def test_doctor_looks_at_everything(fairlead, script: Path) -> None:
    """Each line has a check, a grade and a remedy where something can be done; the code is that of the worst."""
    done = fairlead("doctor", script, "--json")
    found = findings(done)
    assert {finding["check"] for finding in found} >= {
        "python", "loop", "fairlead", "plugin", "file", "clock", "time service", "boot id", "run folder", "home",
        "open files", "terminal",
    }  # fmt: skip
    assert all(finding["remedy"] for finding in found if finding["grade"] != "ok")
    worst = json.loads(done.stdout)["worst"]
    assert done.exit_code == {"ok": 0, "warn": 3, "fail": 1}[worst]
    assert grade(found, "file") == grade(found, "plugin") == "ok"
    assert not (script.parent / "run").exists()


def test_doctor_needs_no_file(fairlead) -> None:
    """The machine alone can be looked at."""
    done = fairlead("doctor")
    assert done.exit_code in (0, 3)
    assert "ok    python" in done.stdout


def test_a_file_that_is_wrong_is_a_failure(fairlead, script: Path) -> None:
    """With the fault, and all the rest all the same."""
    script.write_text("engine = None", encoding="utf-8")
    done = fairlead("doctor", script, "--json")
    assert done.exit_code == 1
    assert grade(findings(done), "file") == "fail"
    assert grade(findings(done), "home") == "ok"


STREAM = '''
class Wired(SyntheticStream):
    """A stream with addresses."""

    def endpoints(self):
        return ADDRESSES


'''


def with_endpoints(script: Path, addresses: str) -> None:
    """Let the script's stream name these addresses."""
    text = script.read_text(encoding="utf-8").replace("SyntheticStream(", "Wired(", 1)
    text = text.replace("class InAndOut", f"ADDRESSES = {addresses}\n{STREAM}class InAndOut")
    script.write_text(text, encoding="utf-8")


def test_what_a_stream_connects_to_is_tried(fairlead, script: Path, listening: int, silent: int) -> None:
    """Each address that it names, and none for paper; one that does not answer is a failure."""
    with_endpoints(script, f"['ws://127.0.0.1:{listening}/feed', '127.0.0.1:{silent}', 'nonsense']")
    done = fairlead("doctor", script, "--json")
    tried = [finding for finding in findings(done) if finding["check"] == "stream synthetic"]
    assert [finding["grade"] for finding in tried] == ["ok", "fail", "fail"]
    assert f"ws://127.0.0.1:{listening}/feed answers after" in tried[0]["said"]
    assert done.exit_code == 1
    assert not any(finding["check"] == "broker paper" for finding in findings(done))


def test_an_adapter_that_cannot_say_is_a_failure(fairlead, script: Path) -> None:
    """An exception in endpoints() is named."""
    with_endpoints(script, "7")
    [tried] = [f for f in findings(fairlead("doctor", script, "--json")) if f["check"] == "stream synthetic"]
    assert "endpoints() failed: TypeError" in tried["said"]


def test_endpoints_are_a_plain_method() -> None:
    """A coroutine would never be awaited: the engine refuses it."""
    from fairlead import LiveTradingEngine
    from fairlead.testing import FakeBroker, FakeStream, Puppet

    class Late(FakeStream):
        async def endpoints(self):
            return ()

    with pytest.raises(ConfigurationError, match=r"Late.endpoints is `async def`"):
        LiveTradingEngine(Puppet(), [FakeBroker(), Late()], breakers="none")


@pytest.mark.parametrize("address", ["nonsense", "host:port", "ftp://host", "wss://", "host:99999"])
def test_what_is_no_address_is_refused(address: str) -> None:
    """A URL of a known kind, or host:port."""
    with pytest.raises(ConfigurationError, match="is no address: write a URL"):
        asyncio.run(reach(address))


def test_reach_takes_a_connection_and_nothing_more(listening: int, silent: int) -> None:
    """It gives the seconds; where nobody listens it says so."""
    assert 0 <= asyncio.run(reach(f"127.0.0.1:{listening}")) < 3
    with pytest.raises(ConnectivityError, match=f"127.0.0.1:{silent}"):
        asyncio.run(reach(f"http://127.0.0.1:{silent}"))


# --- the machine --------------------------------------------------------------------------------------------


def one(found: Iterator[Finding] | list[Finding], check: str) -> Finding:
    """The only finding of a check."""
    [finding] = [finding for finding in found if finding.check == check]
    return finding


@pytest.mark.parametrize(("free", "grade"), [(GIB // 8, "fail"), (GIB, "warn"), (9 * GIB, "ok")])
def test_little_room_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, grade: str) -> None:
    """An engine that cannot write its journal stops trading."""
    usage = namedtuple("usage", "total used free")(GIB, 0, free)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage)
    assert machine.room("run folder", tmp_path / "not" / "there").grade == grade


def test_a_folder_that_cannot_be_written_fails(tmp_path: Path) -> None:
    """Named with what is in the way, also where it would have to be made first."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    finding = machine.writable("run folder", tmp_path / "file" / "run")
    assert finding.grade == "fail"
    assert str(tmp_path / "file") in finding.remedy
    assert machine.writable("run folder", tmp_path / "new" / "run").grade == "ok"


def test_secrets_are_for_their_owner(tmp_path: Path) -> None:
    """A .env that others can read fails; none is fine."""
    assert list(machine.secrets(tmp_path)) == []
    file = tmp_path / ".env"
    file.write_text("KEY=1", encoding="utf-8")
    file.chmod(0o644)
    assert one(machine.secrets(tmp_path), "secrets").remedy == f"chmod 600 {file}"
    file.chmod(0o600)
    assert one(machine.secrets(tmp_path), "secrets").grade == "ok"


def test_a_home_that_is_open_warns(tmp_path: Path, home: Path) -> None:
    """Keys' fingerprints and epochs lie there."""
    home.chmod(0o755)
    assert any(finding.remedy == f"chmod 700 {home}" for finding in machine.folders(tmp_path / "run", home))


def test_a_lock_without_its_owner_warns(tmp_path: Path) -> None:
    """The process that died is named; one that lives is in use, and one that let go is nothing."""
    own, dead, free = tmp_path / "own", tmp_path / "dead", tmp_path / "free"
    own.write_text(f"{os.getpid()}\n", encoding="ascii")
    dead.write_text(f"{1 << 30}\n", encoding="ascii")
    free.write_text("", encoding="ascii")
    found = list(machine.locks([own, dead, free, tmp_path / "none"]))
    assert [finding.grade for finding in found] == ["ok", "warn"]
    assert f"process {1 << 30} left" in found[1].said


@pytest.mark.parametrize(("known", "grade"), [(None, "warn"), ((False, 16.0), "warn"), ((True, 0.01), "ok")])
def test_an_unknown_time_service_is_said_to_be_unknown(monkeypatch: pytest.MonkeyPatch, known, grade) -> None:
    """Nobody is told that a clock is right because nobody can say."""
    monkeypatch.setattr(machine, "kernel_time", lambda: known)
    assert one(asyncio.run(machine.clock()), "time service").grade == grade


def test_the_kernel_says_how_its_clock_is() -> None:
    """Kept in time or not, and an error that is no nonsense; or nothing at all."""
    known = machine.kernel_time()
    assert known is None or known[1] >= 0


@pytest.mark.parametrize(("most", "grade"), [(32, "fail"), (256, "warn"), (4096, "ok")])
def test_few_open_files_are_said(monkeypatch: pytest.MonkeyPatch, most: int, grade: str) -> None:
    """Each connection and segment is one."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (most, most))
    assert one(machine.surroundings(), "open files").grade == grade


def test_a_machine_without_a_boot_id_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut could not be told from a crash."""
    monkeypatch.setattr(machine, "boot_id", lambda: "")
    assert one(asyncio.run(machine.clock()), "boot id").grade == "warn"
