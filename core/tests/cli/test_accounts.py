"""`fairlead account ...`: who owns what, and what a person decides."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result

from fairlead._storage.journal import read_facts
from fairlead._storage.outside import OutsideKill, write_kill

Call = Callable[..., Result]

pytestmark = pytest.mark.full

VENUE = """
import asyncio
from fairlead import LiveTradingEngine, Strategy
from fairlead.ports import VenueProfile
from fairlead.testing import FakeBroker, FakeStream, VirtualClock, run_virtual

class Quiet(Strategy):
    def on_start(self):
        self.watch("BTC/USDT:USDT", quotes=True)

broker = FakeBroker(profile=VenueProfile(venue="fake", environment="testnet", base_currency="USDT"))
engine = LiveTradingEngine(Quiet(), [broker, FakeStream(*broker.listed)], run="desk", breakers="none")
"""


@pytest.fixture
def desk(script: Path, fairlead: Call, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that has traded an account of a test venue, and the script that it came from."""
    monkeypatch.setenv("FAIRLEAD_HOME", str(script.parent / "home"))
    path = script.with_name("in_and_out_desk.py")
    path.write_text(VENUE)
    start(path, fairlead)
    return script.parent / "desk"


def start(path: Path, fairlead: Call, *, code: int = 0, run: str = "desk") -> str:
    done = fairlead("run", path, "--until", "10ms", "--no-view", "--run", run)
    assert done.exit_code == code, done.output
    return done.output


def listed(fairlead: Call, *more: object, code: int = 0) -> list[dict[str, object]]:
    done = fairlead("account", "list", "--json", *more)
    assert done.exit_code == code, done.output
    found: list[dict[str, object]] = json.loads(done.output)
    return found


def test_accounts_are_listed_with_their_owners(desk: Path, fairlead: Call) -> None:
    """As a table and as JSON, with a stable schema."""
    [row] = listed(fairlead)
    assert row == {
        "key": "fake.testnet.fake", "venue": "fake", "environment": "testnet", "epoch": 1, "run": str(desk),
        "account": "fake", "pid": 0, "state": "active", "reason": "",
    }  # fmt: skip
    assert "fake.testnet.fake  fake   testnet          1  active" in fairlead("account", "list").output


def test_nothing_was_traded_yet(fairlead: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says where it looked."""
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path))
    said = fairlead("account", "list")
    assert said.exit_code == 0
    assert f"no account was traded from here yet ({tmp_path})" in said.output
    assert listed(fairlead) == []


def test_accounts_on_paper_are_found_in_their_run(
    script: Path, fairlead: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --run; one whose journal is gone is adopted there."""
    monkeypatch.setenv("FAIRLEAD_HOME", str(script.parent / "home"))
    assert fairlead("run", script, "--until", "5m", "--no-view").exit_code == 0
    [row] = listed(fairlead, "--run", "run")
    key = row["key"]
    shutil.rmtree(script.parent / "run" / "journal")
    [row] = listed(fairlead, "--run", "run", code=4)
    assert row["state"] == "halted"
    done = fairlead("account", "adopt", key, "--run", "run", "--why", "the disk died", "--yes")
    assert done.exit_code == 0, done.output
    assert "its journal is gone" in done.output
    assert "REDUCE_ONLY until you resume it" in done.output
    assert fairlead("run", script, "--until", "1m", "--no-view").exit_code == 0
    assert listed(fairlead, "--run", "run")[0]["state"] == "reduce_only"


def test_an_account_is_handed_over(desk: Path, fairlead: Call) -> None:
    """Asked for on a terminal only; the old run is refused from then on, and says how the account is reached."""
    path = desk.with_name("in_and_out_desk.py")
    asked = fairlead("account", "move", "fake.testnet.fake", "--to", "new", "--why", "a better name")
    assert asked.exit_code == 2
    assert "say --yes" in asked.output
    done = fairlead("account", "move", "fake.testnet.fake", "--to", "new", "--why", "a better name", "--yes")
    assert done.exit_code == 0, done.output
    assert listed(fairlead)[0]["run"] == str(desk.with_name("new"))
    assert "belongs to the run" in start(path, fairlead, code=5)
    start(path, fairlead, run="new")
    assert listed(fairlead)[0]["epoch"] == 2


def test_an_account_that_is_not_there_is_named(desk: Path, fairlead: Call) -> None:
    """With those that are; and one that is not in doubt needs no adopting."""
    for verb in (("adopt",), ("move", "--to", "new")):
        done = fairlead("account", *verb, "fake.live.fake", "--why", "x", "--yes")
        assert done.exit_code == 2
        assert "there is no account 'fake.live.fake' (there are: fake.testnet.fake)" in done.output
    done = fairlead("account", "adopt", "fake.testnet.fake", "--why", "x", "--yes")
    assert done.exit_code == 2
    assert "is not in doubt" in done.output


def test_a_kill_from_outside_is_listed_before_any_start(desk: Path, fairlead: Call) -> None:
    """Its word lies in the home: with code 4, and with who and why; one that cannot be read counts as halted."""
    folder = desk.parent / "home" / "accounts" / "fake.testnet.fake"
    write_kill(folder, OutsideKill(at_ns=1, who="jo", why="it hangs", pid=1, done=True))
    [row] = listed(fairlead, code=4)
    assert (row["state"], row["reason"]) == ("killed", "it hangs (jo, from outside the engine)")
    (folder / "killed").write_text("{")
    [row] = listed(fairlead, code=4)
    assert row["state"] == "halted"
    assert "cannot be read" in str(row["reason"])


def test_a_start_in_doubt_tells_the_damage_once(desk: Path, fairlead: Call) -> None:
    """With what lifts it; later starts as well."""
    path = desk.with_name("in_and_out_desk.py")
    shutil.rmtree(desk / "journal")
    for _ in range(2):
        said = start(path, fairlead)
        assert said.count("its journal is gone: it had come to record") == 1, said
        assert "`fairlead account adopt KEY --run RUN --why WHY` adopts it" in said


RECORDED = """
from fairlead import LiveTradingEngine, Strategy
from fairlead_paper import PaperBroker
from fairlead_streams import ReplayStream

class Quiet(Strategy):
    def on_start(self):
        self.watch("BTC/USDT:USDT", bars="1m")

data = ReplayStream("bars.csv", symbol="BTC/USDT:USDT", tz="UTC", volume_unit="base", bar_label="open")
engine = LiveTradingEngine(Quiet(), [PaperBroker(), data], run="desk", breakers="none")
"""


def test_an_adopted_run_on_recorded_data_goes_on_in_them(
    script: Path, bars: Path, fairlead: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not carried into today; what lies before its last fact is passed over, and how much is said once."""
    monkeypatch.setenv("FAIRLEAD_HOME", str(script.parent / "home"))
    path, run = script.with_name("in_and_out_recorded.py"), script.parent / "desk"
    path.write_text(RECORDED)
    done = fairlead("run", path, "--until", "20m", "--no-view")
    assert done.exit_code == 0, done.output
    assert "passed over" not in done.output
    shutil.rmtree(run / "journal")
    key = listed(fairlead, "--run", "desk", code=4)[0]["key"]
    done = fairlead("account", "adopt", key, "--run", "desk", "--why", "the disk died", "--yes")
    assert done.exit_code == 0, done.output
    done = fairlead("run", path, "--no-view")
    assert done.exit_code == 0, done.output
    facts = list(read_facts(run / "journal"))
    assert max(fact.now for fact in facts) == last_ns(2024, 1, 1, 1)
    assert any(type(fact).__name__ == "EquitySampled" for fact in facts)
    done = fairlead("run", path, "--no-view")
    assert done.exit_code == 0, done.output
    assert done.output.count("60 of 60 rows passed over, none left") == 1, done.output
    assert "last fact, which is of 2024-01-01T01:00:00Z" in done.output


def last_ns(*moment: int) -> int:
    """A time of UTC in ns."""
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1_000_000_000  # type: ignore[misc,arg-type]
