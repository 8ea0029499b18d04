"""`fairlead journal ...`: verify, backup, compact, export, on the run of a script."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from fairlead._storage.archive import archive_path
from fairlead._storage.journal import Journal, read_facts
from fairlead.facts import Filled, Noted

Call = Callable[..., Result]

pytestmark = pytest.mark.full


@pytest.fixture
def own(script: Path, fairlead: Call) -> Path:
    """A run that traded for some minutes of its own time, and can go on."""
    done = fairlead("run", script, "--until", "20m", "--no-view")
    assert done.exit_code == 0, done.output
    return script.parent / "run"


@pytest.fixture(scope="module")
def traded() -> list[Path]:
    """The folder of the run that tests have copies of, once it has been made."""
    return []


@pytest.fixture
def run(request: pytest.FixtureRequest, traded: list[Path], script: Path) -> Path:
    """A copy of such a run, to look at: its account belongs to the one that traded."""
    run = script.parent / "run"
    if traded:
        shutil.copytree(traded[0], run)
    else:
        kept = request.getfixturevalue("tmp_path_factory").mktemp("traded") / "run"
        traded.append(shutil.copytree(request.getfixturevalue("own"), kept))
    return run


def test_verify_tells_what_there_is(run: Path, fairlead: Call) -> None:
    """As a sentence and as JSON; a torn end is told, and left for the next start to cut."""
    said = fairlead("journal", "verify", run)
    assert said.exit_code == 0
    assert said.output.endswith("all verified\n")
    found = json.loads(fairlead("journal", "verify", run, "--json").output)
    assert found["records"] > 10
    assert (found["packed"], found["torn_bytes"], found["schema"]) == (0, 0, 1)
    with max((run / "journal").glob("*.seg")).open("ab") as file:
        file.write(b"\x99\x00\x00\x00torn")
    assert (
        "after them come 8 bytes of a record that was never whole"
        in fairlead("journal", "verify", run).output
    )
    assert json.loads(fairlead("journal", "verify", run, "--json").output) == {**found, "torn_bytes": 8}


def test_a_backup_is_the_journal_and_goes_on(own: Path, script: Path, fairlead: Call, tmp_path: Path) -> None:
    """Put in the place of a journal that was lost, it is what was lost; a folder that holds something is refused."""
    before = fairlead("journal", "verify", own, "--json").output
    said = fairlead("journal", "backup", own, tmp_path / "kept", "--json")
    assert json.loads(said.output)["last_seq"] == json.loads(before)["last_seq"]
    assert (
        json.loads(fairlead("journal", "verify", tmp_path / "kept", "--json").output)["journal_hash"]
        in before
    )
    refused = fairlead("journal", "backup", own, tmp_path / "kept")
    assert refused.exit_code == 2
    assert "is not empty" in refused.output
    shutil.rmtree(own / "journal")
    shutil.copytree(tmp_path / "kept" / "journal", own / "journal")
    again = fairlead("run", script, "--until", "5m", "--no-view")
    assert again.exit_code == 0, again.output
    assert "HALTED" not in again.output


def test_compacting_loses_nothing(own: Path, script: Path, fairlead: Call) -> None:
    """Every fact is read as before, by every verb, and the run goes on."""
    journal = Journal.open(own / "journal", boot_id="", sync_behind=False, segment_bytes=8192)
    seq = journal.last_seq
    for number in range(seq + 1, seq + 200):
        journal.append([Noted(seq=number, now=number, cause=number, source="test", text="x" * 200)])
    journal.close()
    before = json.loads(fairlead("journal", "verify", own, "--json").output)
    trades = fairlead("trades", own, "--json").output
    found = json.loads(fairlead("journal", "compact", own, "--json").output)
    assert found["packed_segments"] > 3
    assert found["freed_bytes"] > 0
    assert archive_path(own / "journal", 1).exists()
    after = json.loads(fairlead("journal", "verify", own, "--json").output)
    assert after == {**before, "packed": found["packed_segments"]}
    assert fairlead("trades", own, "--json").output == trades
    assert "0 segments packed" in fairlead("journal", "compact", own).output


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_export_writes_every_fact(run: Path, fairlead: Call) -> None:
    """A line each, in order, with its number, time, cause and kind; quantities are text."""
    facts = list(read_facts(run / "journal"))
    lines = rows(fairlead("journal", "export", run).output)
    assert [line["seq"] for line in lines] == [fact.seq for fact in facts]
    assert [line["type"] for line in lines] == [type(fact).__name__ for fact in facts]
    fill = next(line for line in lines if line["type"] == "Filled")
    assert isinstance(fill["fill"]["price"], str)
    assert {"seq", "now_ns", "cause", "type", "fill"} <= fill.keys()


def test_export_takes_kinds_and_times(run: Path, fairlead: Call) -> None:
    """Only what was asked for; from a time on, up to another, which is left out."""
    facts = [fact for fact in read_facts(run / "journal") if isinstance(fact, Filled)]
    lines = rows(fairlead("journal", "export", run, "--type", "Filled").output)
    assert [line["seq"] for line in lines] == [fact.seq for fact in facts]
    from datetime import UTC, datetime, timedelta

    when = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=facts[2].now // 1000 + 1)
    early = rows(fairlead("journal", "export", run, "--type", "Filled", "--until", when.isoformat()).output)
    late = rows(fairlead("journal", "export", run, "--type", "Filled", "--since", when.isoformat()).output)
    assert early + late == lines
    assert len(early) == 3
    wrong = fairlead("journal", "export", run, "--type", "Fillled")
    assert wrong.exit_code == 2
    assert "no fact is named 'Fillled': there are" in wrong.output
    assert fairlead("journal", "export", run, "--since", "monday").exit_code == 2


def test_export_as_a_table_has_a_column_for_each_field(run: Path, fairlead: Call, tmp_path: Path) -> None:
    """Of one kind of fact; of several, the rest is JSON in one column."""
    out = tmp_path / "fills.csv"
    done = fairlead("journal", "export", run, "--type", "Filled", "--format", "csv", "--out", out)
    assert done.exit_code == 0, done.output
    with out.open(newline="") as file:
        table = list(csv.DictReader(file))
    fills = [fact for fact in read_facts(run / "journal") if isinstance(fact, Filled)]
    assert [(row["seq"], row["fill.price"], row["fill.side"]) for row in table] == [
        (str(fact.seq), str(fact.fill.price), str(fact.fill.side)) for fact in fills
    ]
    whole = fairlead("journal", "export", run, "--format", "csv").output.splitlines()
    assert whole[0] == "seq,now_ns,cause,type,fields"
    assert len(whole) > len(table)


def test_export_as_parquet(run: Path, fairlead: Call, tmp_path: Path) -> None:
    """Numbers of facts and times are whole numbers, everything else is text."""
    parquet = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "fills.parquet"
    done = fairlead("journal", "export", run, "--type", "Filled", "--format", "parquet", "--out", out)
    assert done.exit_code == 0, done.output
    table = parquet.read_table(out).to_pylist()
    fills = [fact for fact in read_facts(run / "journal") if isinstance(fact, Filled)]
    assert [(row["seq"], row["now_ns"], row["fill.quantity"]) for row in table] == [
        (fact.seq, fact.now, str(fact.fill.quantity)) for fact in fills
    ]
    assert fairlead("journal", "export", run, "--format", "parquet").exit_code == 2


def test_a_journal_of_a_newer_version_is_looked_at_and_not_traded_on(
    own: Path, script: Path, fairlead: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start refuses with the remedy and leaves it as it is; verify and trades still read what they know."""
    with monkeypatch.context() as patch:
        patch.setattr("fairlead._storage.journal.SCHEMA", 2)
        journal = Journal.open(own / "journal", boot_id="", sync_behind=False)
        seq = journal.last_seq + 1
        journal.append([Noted(seq=seq, now=seq, cause=seq, source="test", text="from the future")])
        journal.close()
    before = fairlead("journal", "verify", own, "--json").output
    assert json.loads(before)["schema"] == 2
    done = fairlead("run", script, "--until", "5m", "--no-view")
    assert done.exit_code == 5
    assert "was written by a newer fairlead" in done.output
    assert "start it with that version or a later one" in done.output
    assert not (own / "quarantine").exists()
    assert json.loads(fairlead("journal", "verify", own, "--json").output) == json.loads(before)
    assert fairlead("trades", own).exit_code == 0


@pytest.mark.parametrize("verb", ["verify", "compact", "export"])
def test_a_run_is_named_as_an_argument_or_an_option(verb, fairlead, run):
    """`--run` works with every verb that is about a run, and two different ones are refused."""
    assert fairlead("journal", verb, "--run", run).exit_code == 0
    assert fairlead("journal", verb, run).exit_code == 0
    assert fairlead("journal", verb).exit_code == 2
    assert fairlead("journal", verb, run, "--run", "another").exit_code == 2


def test_a_backup_names_its_run_either_way(fairlead, run, tmp_path):
    """With the option, the one argument is where to."""
    assert fairlead("journal", "backup", "--run", run, tmp_path / "one").exit_code == 0
    assert (tmp_path / "one" / "journal").is_dir()
    assert fairlead("journal", "backup", "--run", run).exit_code == 2
    assert fairlead("journal", "backup", run).exit_code == 2
