"""Accounts that a journal does not explain: up and HALTED, until a person adopts them; and how one is handed over."""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlead import ConfigurationError, LeaseLost, LiveTradingEngine, Quote, Strategy
from fairlead import facts as f
from fairlead._engine import decisions, looking
from fairlead._engine.decisions import adopt, move
from fairlead._engine.folding import fold, take_snapshot
from fairlead._engine.ownership import home_of
from fairlead._engine.reopening import reopen
from fairlead._engine.replay import replay
from fairlead._kernel.apply import apply
from fairlead._kernel.clock import SystemTime
from fairlead._kernel.state import State, fingerprint
from fairlead._models.accounts import TradingState
from fairlead._secrets import scrub
from fairlead._storage.backup import copy_journal
from fairlead._storage.home import AccountHome
from fairlead._storage.journal import Journal, read_facts
from fairlead._storage.run import RunFolder
from fairlead._storage.segments import HEADER_BYTES, RECORD_BYTES, boot_id
from fairlead.ports import VenueProfile
from fairlead.testing import FakeBroker, FakeStream, VirtualClock, run_virtual
from fairlead.testing.time import START_NS

BTC = "BTC/USDT:USDT"
LIVE = VenueProfile(venue="fake", environment="live", base_currency="USDT", reduce_only=True)
PAPER = VenueProfile(venue="fake", environment="paper", base_currency="USDT", reduce_only=True)

WAIVED = ("daily_loss", "stale_data", "reconciler", "stop_policy")


class Patient(Strategy):
    """Puts one order to work far away, and remembers how often it was started."""

    def __init__(self) -> None:
        self.starts = 0

    def on_start(self) -> None:
        self.starts += 1
        self.watch(BTC, quotes=True)

    def on_quote(self, quote: Any) -> None:
        if not self.orders():
            self.buy(1, limit_price=50)

    def save(self) -> Any:
        return self.starts

    def load(self, saved: Any) -> None:
        self.starts = saved


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))


class Setting:
    """One account at a venue, and the engines that trade it, one after the other."""

    def __init__(self, profile: VenueProfile = LIVE) -> None:
        self.broker = FakeBroker(profile=profile)
        self.ns = START_NS

    def engine(self, run: Path, **settings: Any) -> LiveTradingEngine:
        stream = FakeStream(*self.broker.listed)
        plugins = [self.broker, stream, VirtualClock(self.ns), *settings.pop("plugins", ())]
        return LiveTradingEngine(
            Patient(), plugins, run=run, breakers="none", live=True, waive=WAIVED, **settings
        )

    def trade(self, run: Path, look: Callable[[Any], Any] = lambda kernel: None, **settings: Any) -> Any:
        """Run an engine for two quotes, look at its kernel, and end it in good order."""
        engine = self.engine(run, **settings)

        async def main() -> Any:
            task = asyncio.create_task(engine.run())
            while engine._session is None or not engine._session.started.is_set():
                if task.done():
                    return task.result()
                await asyncio.sleep(0.001)
            stream: Any = engine.wiring.streams["fake"]
            for price in (100.0, 101.0):
                await asyncio.sleep(1)
                now = engine._session.query(lambda kernel: kernel.agenda.now())
                stream.emit(Quote(self.broker.listed[0].id, price, price + 1, 1.0, 1.0, now, now))
            found = look(engine._session.kernel)
            engine.stop()
            await task
            return found

        try:
            return run_virtual(main())
        finally:
            self.ns += 10_000_000_000

    def home(self, run: Path) -> AccountHome:
        return home_of("fake", self.broker, RunFolder(run))


def facts_of(run: Path, kind: type[Any] = f.Fact) -> list[Any]:
    return [fact for fact in read_facts(run / "journal") if isinstance(fact, kind)]


def flip(run: Path) -> None:
    """Turn one bit inside the first record."""
    path = next(file for file in sorted((run / "journal").iterdir()) if file.stat().st_size > 200)
    data = bytearray(path.read_bytes())
    data[HEADER_BYTES + RECORD_BYTES + 10] ^= 0x10
    path.write_bytes(data)


def standing(kernel: Any) -> TradingState:
    return kernel.state.standing("fake")[0]


# --- damage ---------------------------------------------------------------------------------------------------


def test_after_damage_the_engine_is_up_and_halted_until_a_person_adopts(tmp_path: Path) -> None:
    """No strategy runs and nothing is bought; cancels work; every start is HALTED; adopted, it may reduce only."""
    setting, run = Setting(), tmp_path / "run"
    setting.trade(run)
    assert len(setting.broker.working) == 1
    epoch = setting.home(run).epoch
    flip(run)

    def look(kernel: Any) -> str:
        assert standing(kernel) is TradingState.HALTED
        kernel.command("cancel_all", "test", "to see that it works")
        return kernel.state.doubted["fake"]

    reason = setting.trade(run, look)
    assert "the checksum of a record does not match" in reason
    assert str(run / "quarantine" / "0001") in reason
    assert not setting.broker.working
    assert len(setting.broker.submits) == 1
    assert setting.trade(run, standing) is TradingState.HALTED
    assert [fact.stand_by for fact in facts_of(run, f.StrategiesStarted)] == [True, True]
    assert len(facts_of(run, f.AccountDoubted)) == 1
    replayed = replay(setting.engine(run))
    assert replayed.first_difference is None, str(replayed.first_difference)
    home = setting.home(run)
    assert adopt(home, "jo", "the venue shows what I expect") == reason
    with pytest.raises(ConfigurationError, match="is not in doubt"):
        adopt(home, "jo", "again")
    setting.broker.balances["USDT"] -= 7
    state, balances = setting.trade(
        run, lambda kernel: (standing(kernel), dict(kernel.state.accounts["fake"].balances))
    )
    assert state is TradingState.REDUCE_ONLY
    assert balances == setting.broker.balances
    assert len(setting.broker.submits) == 1, "REDUCE_ONLY buys nothing"
    assert [fact.stand_by for fact in facts_of(run, f.StrategiesStarted)] == [True, True, False]
    assert setting.home(run).epoch == epoch + 3

    def resume(kernel: Any) -> TradingState:
        kernel.command("resume", "jo", "looked at it", scope="account:fake")
        return standing(kernel)

    assert setting.trade(run, resume) is TradingState.ACTIVE
    replayed = replay(setting.engine(run))
    assert replayed.first_difference is None, str(replayed.first_difference)
    assert replayed.starts == 4
    [adopted] = facts_of(run, f.AccountAdopted)
    assert (adopted.who, adopted.why) == ("jo", "the venue shows what I expect")


def test_a_person_cannot_resume_or_reset_a_doubt_away(tmp_path: Path) -> None:
    """Only adopting explains an account."""
    setting, run = Setting(), tmp_path / "run"
    setting.trade(run)
    flip(run)

    def look(kernel: Any) -> TradingState:
        for scope in ("engine", "account:fake"):
            [still] = kernel.command("resume", "jo", "let me", scope=scope)["standing"]
            assert still.startswith("account fake is in doubt: the journal was damaged")
            assert "`fairlead account adopt KEY --run RUN --why WHY` adopts it" in still
        with pytest.raises(
            ConfigurationError, match=r"is in doubt: .*put the whole journal back.*account adopt KEY"
        ):
            kernel.command("reset", "jo", "let me", breaker="journal")
        return standing(kernel)

    assert setting.trade(run, look) is TradingState.HALTED


@pytest.mark.parametrize("profile", [LIVE, PAPER], ids=["live", "paper"])
def test_a_journal_that_is_gone_is_a_doubt(tmp_path: Path, profile: VenueProfile) -> None:
    """The account's home remembers that there was one; adopting needs no engine to have looked first."""
    setting, run = Setting(profile), tmp_path / "run"
    setting.trade(run)
    shutil.rmtree(run / "journal")
    home = setting.home(run)
    assert "its journal is gone: it had come to record" in adopt(home, "jo", "the disk died")
    assert setting.trade(run, standing) is TradingState.REDUCE_ONLY


@pytest.mark.parametrize("harm", ["damaged", "gone", "older"])
@pytest.mark.parametrize("crashed", [False, True], ids=["ended in good order", "crashed"])
def test_the_true_journal_trades_when_it_is_put_back(tmp_path: Path, harm: str, crashed: bool) -> None:
    """However often the engine was up and HALTED without it; no epoch of those starts is given out again."""
    setting, run, backup = Setting(), tmp_path / "run", tmp_path / "backup"
    setting.trade(run)
    copy_journal(run / "journal", tmp_path / "older")
    setting.trade(run)
    if crashed:
        crash(setting, run)
    copy_journal(run / "journal", backup)
    epoch = setting.home(run).epoch
    if harm == "damaged":
        flip(run)
    else:
        shutil.rmtree(run / "journal")
    if harm == "older":
        shutil.copytree(tmp_path / "older", run / "journal")
    for _ in range(3):
        assert setting.trade(run, standing) is TradingState.HALTED
    shutil.rmtree(run / "journal")
    shutil.copytree(tmp_path / "older", run / "journal")
    assert setting.trade(run, standing) is TradingState.HALTED, "one that is too old explains nothing"
    shutil.rmtree(run / "journal")
    shutil.copytree(backup, run / "journal")
    assert setting.trade(run, standing) is TradingState.ACTIVE
    assert [fact.epoch for fact in facts_of(run, f.EngineStarted)][-2:] == [epoch, epoch + 5]
    assert setting.trade(run, standing) is TradingState.ACTIVE
    assert len(setting.broker.submits) == 1, "the order of before is known, and works on"


def test_a_journal_from_before_an_adoption_is_a_doubt(tmp_path: Path) -> None:
    """A person has decided: what was put back after that lacks what was traded since."""
    setting, run = Setting(), tmp_path / "run"
    setting.trade(run)
    copy_journal(run / "journal", tmp_path / "backup")
    flip(run)
    setting.trade(run)
    adopt(setting.home(run), "jo", "no backup")
    setting.trade(run)
    shutil.rmtree(run / "journal")
    shutil.copytree(tmp_path / "backup", run / "journal")
    assert setting.trade(run, standing) is TradingState.HALTED


def test_an_account_without_a_mark_is_adopted_by_its_name(tmp_path: Path) -> None:
    """A start that finds its journal damaged remembers which account of it this is."""
    setting, run = Setting(), tmp_path / "run"
    setting.trade(run)
    flip(run)
    (setting.home(run).folder / "mark").unlink()
    assert setting.trade(run, standing) is TradingState.HALTED
    assert "damaged" in adopt(setting.home(run), "jo", "no backup")
    assert setting.trade(run, standing) is TradingState.REDUCE_ONLY


def test_an_adoption_has_the_time_of_its_run_and_keeps_its_reason(tmp_path: Path) -> None:
    """A run with a time of its own is not carried into today, also where nothing is left of its journal."""
    setting, run = Setting(), tmp_path / "run"
    setting.trade(run)
    shutil.rmtree(run / "journal")
    adopt(setting.home(run), "jo", "the disk died")
    [decided] = facts_of(run, f.AccountAdopted)
    assert decided.now == START_NS
    rows = setting.trade(run, looking.scopes)
    assert rows == [
        {
            "scope": "account:fake",
            "state": "reduce_only",
            "reason": "adopted: the disk died (jo)",
            "breaker": "",
            "remedy": "`fairlead resume --account fake --why WHY` lifts it",
        }
    ]
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**info, "own_time": False}))
    flip(run)
    before = SystemTime().now()
    adopt(setting.home(run), "jo", "on the clock on the wall")
    assert facts_of(run, f.AccountAdopted)[-1].now >= before


def test_what_a_person_decides_is_written_down_without_secrets(tmp_path: Path) -> None:
    """Also where no engine runs: neither who decided nor why has one in it."""
    setting, run = Setting(), tmp_path / "run"
    setting.trade(run)
    shutil.rmtree(run / "journal")
    scrub.known.append("open sesame")
    try:
        adopt(setting.home(run), "jo of open sesame", "the disk of open sesame died")
    finally:
        scrub.known.clear()
    [fact] = facts_of(run, f.AccountAdopted)
    assert (fact.who, fact.why) == ("jo of ***", "the disk of *** died")


def test_an_older_copy_of_a_journal_is_a_doubt(tmp_path: Path) -> None:
    """What was restored lacks what happened since: it is HALTED, says up to where it knows, and adopting goes on."""
    setting, run = Setting(), tmp_path / "run"
    setting.trade(run)
    copy_journal(run / "journal", tmp_path / "backup")
    setting.trade(run)
    shutil.rmtree(run / "journal")
    shutil.copytree(tmp_path / "backup", run / "journal")
    reason = setting.trade(run, lambda kernel: kernel.state.doubted["fake"])
    assert "an older copy was put in its place" in reason
    adopt(setting.home(run), "jo", "restored from the backup of tonight")
    assert setting.trade(run, standing) is TradingState.REDUCE_ONLY


def test_another_journal_in_its_place_is_a_doubt(tmp_path: Path) -> None:
    """The home knows the last record of a journal that ended in good order."""
    setting, run = Setting(), tmp_path / "run"
    setting.trade(run)
    folded = fold(RunFolder(run))
    path = max((run / "journal").glob("*.seg"))
    facts = facts_of(run)
    shutil.rmtree(run / "journal")
    journal = Journal.open(run / "journal", boot_id="", sync_behind=False)
    journal.append(facts)
    journal.close()
    assert path.exists() or folded.at.number > 1
    reason = setting.trade(run, lambda kernel: kernel.state.doubted["fake"])
    assert "is not the one that it ended with" in reason


def test_a_backup_restored_elsewhere_goes_on_in_a_higher_epoch(tmp_path: Path, monkeypatch: Any) -> None:
    """On a machine that has never seen the account, the journal knows the epoch: no order's id comes twice."""
    setting, run = Setting(), tmp_path / "run"
    for _ in range(3):
        setting.trade(run)
    copy_journal(run / "journal", tmp_path / "there" / "journal")
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "another"))
    assert setting.trade(tmp_path / "there", lambda kernel: kernel.state.epoch) == 4
    assert setting.home(tmp_path / "there").epoch == 4


def test_a_torn_end_is_cut_and_said(tmp_path: Path) -> None:
    """Half a record is no damage: it is cut, and a fact says how much, and whether the machine was started since."""
    setting, run = Setting(), tmp_path / "run"
    setting.trade(run)
    path = max((run / "journal").glob("*.seg"))
    with path.open("ab") as file:
        file.write(b"\x40\x00\x00\x00half a record")
    setting.trade(run)
    [cut] = facts_of(run, f.JournalCut)
    assert (cut.size, cut.other_boot) == (17, False)


def test_a_start_knows_whether_the_machine_was_started_since(tmp_path: Path) -> None:
    """After another boot, records that no disk had yet can be missing in good faith, unless each was synced."""
    setting, run = Setting(), tmp_path / "run"
    setting.trade(run)
    same, other = reopen(RunFolder(run), boot_id()), reopen(RunFolder(run), "another boot")
    assert (same.other_boot, same.explains_missing_tail("process")) == (False, False)
    assert (other.other_boot, other.explains_missing_tail("process")) == (True, True)
    assert not other.explains_missing_tail("full")
    assert other.at.seq == facts_of(run)[-1].seq


# --- crashes --------------------------------------------------------------------------------------------------


def crash(setting: Setting, run: Path, **settings: Any) -> None:
    """A start that fails when it is nearly done."""

    async def connect(*_: Any) -> None:
        raise RuntimeError("boom")

    engine = setting.engine(run, **settings)
    engine.wiring.streams["fake"].connect = connect  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="boom"):
        run_virtual(engine.run())
    setting.ns += 1_000_000_000


def test_a_start_after_three_crashes_is_halted(tmp_path: Path) -> None:
    """Until a person resumes; starts that ended in good order, or long ago, do not count."""
    setting, run = Setting(), tmp_path / "run"
    setting.trade(run)
    for _ in range(2):
        crash(setting, run)
    assert setting.trade(run, standing) is TradingState.ACTIVE
    setting.ns += 700_000_000_000
    for _ in range(3):
        crash(setting, run)
    state, why = setting.trade(run, lambda kernel: kernel.state.standing("fake"))
    assert state is TradingState.HALTED
    [halt] = facts_of(run, f.StateChanged)
    assert halt.reason == "3 starts within 10m did not end in good order: find out why, then resume"
    assert halt.who == "engine"
    assert why == "engine is halted"
    setting.ns += 700_000_000_000
    assert setting.trade(run, standing) is TradingState.HALTED, "a restart never raises a state"

    def resume(kernel: Any) -> TradingState:
        kernel.command("resume", "jo", "found it")
        return standing(kernel)

    assert setting.trade(run, resume) is TradingState.ACTIVE


def test_how_many_crashes_are_allowed_is_set_by_the_engine(tmp_path: Path) -> None:
    """One, say, or any number; another text is refused when the engine is made."""
    setting = Setting()
    setting.trade(tmp_path / "any")
    for _ in range(4):
        crash(setting, tmp_path / "any", crash_limit=None)
    assert setting.trade(tmp_path / "any", standing, crash_limit=None) is TradingState.ACTIVE
    assert setting.trade(tmp_path / "any", standing, crash_limit="5/1h") is TradingState.ACTIVE
    assert setting.trade(tmp_path / "any", standing, crash_limit="1/1h") is TradingState.HALTED
    with pytest.raises(ConfigurationError, match="crash_limit='often': write how many starts in how long"):
        setting.engine(tmp_path / "other", crash_limit="often")


# --- moving ---------------------------------------------------------------------------------------------------


def test_an_account_moves_with_all_that_is_known_of_it(tmp_path: Path) -> None:
    """Orders, positions, latches and what strategies saved are the same in the new run; the old one is refused."""
    setting, old, new = Setting(), tmp_path / "old", tmp_path / "new"

    def lower(kernel: Any) -> None:
        kernel.command("halt", "jo", "by hand", scope="account:fake")

    setting.trade(old, lower)
    before = fold(RunFolder(old)).state
    move(setting.home(old), new, "jo", "a better name")
    assert fingerprint(fold(RunFolder(new)).state) == fingerprint(before)
    with pytest.raises(ConfigurationError, match=r"belongs to the run .*new"):
        setting.trade(old)
    assert "fake" not in fold(RunFolder(old)).state.accounts
    assert facts_of(old, f.AccountMoved)[0].to == "new"
    names = set(setting.broker.working)
    state, open_orders, starts = setting.trade(
        new,
        lambda kernel: (standing(kernel), set(kernel.state.open), kernel.runners["Patient"].strategy.starts),
    )
    assert (state, open_orders, starts) == (TradingState.HALTED, names, 2)
    assert len(setting.broker.submits) == 1
    with pytest.raises(ConfigurationError, match=r"belongs to .*new already"):
        move(setting.home(new), new, "jo", "once more")


STEPS = (
    (AccountHome, "begin_move"),
    (decisions, "_bring"),
    (decisions, "_leave"),
    (AccountHome, "hand_over"),
    (decisions, "_mark"),
    (AccountHome, "end_move"),
)
"""Where a move can be killed: before each of its steps, and after it; the account leaves its journals in two."""


class PowerCut(Exception):
    """The end of a process, for a test."""


def kill_move(patch: pytest.MonkeyPatch, step: int, *, after: bool, times: int = 1) -> None:
    """Let a move die at one of its steps, the time that is named."""
    where, name = STEPS[step]
    real, calls = getattr(where, name), []

    def dying(*args: Any, **settings: Any) -> Any:
        calls.append(name)
        if len(calls) == times and not after:
            raise PowerCut
        found = real(*args, **settings)
        if len(calls) == times:
            raise PowerCut
        return found

    patch.setattr(where, name, dying)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("step", "times"), [*((step, 1) for step in range(len(STEPS))), (2, 2)], ids=str)
def test_a_move_that_was_killed_anywhere_is_named_and_goes_on(
    tmp_path: Path, monkeypatch: Any, step: int, times: int, after: bool
) -> None:
    """Neither run starts with the account in between, which says how to go on; then it is as if nothing had been."""
    setting, old, new = Setting(), tmp_path / "old", tmp_path / "new"
    setting.trade(old)
    before = fold(RunFolder(old)).state
    with monkeypatch.context() as patch:
        kill_move(patch, step, after=after, times=times)
        with pytest.raises(PowerCut):
            move(setting.home(old), new, "jo", "a better name")
    home = setting.home(old)
    if home.moving is None:
        assert (step, after) in ((0, False), (5, True)), "only before the first step, and after the last"
    else:
        for run in (old, new):
            with pytest.raises(ConfigurationError, match=r"on its way .* account move .* --to .*new"):
                setting.trade(run)
        with pytest.raises(ConfigurationError, match=r"finish it first"):
            move(home, tmp_path / "third", "jo", "changed my mind")
    if home.moving is not None or home.owner == old:
        move(home, new, "jo", "a better name")
    assert (home.owner, home.moving) == (new, None)
    assert fingerprint(fold(RunFolder(new)).state) == fingerprint(before)
    assert len(facts_of(old, f.AccountMoved)) == 1
    assert "fake" not in fold(RunFolder(old)).state.accounts
    names = set(setting.broker.working)
    assert setting.trade(new, lambda kernel: (standing(kernel), set(kernel.state.open))) == (
        TradingState.ACTIVE,
        names,
    )


def test_a_move_that_has_not_left_can_be_called_off(tmp_path: Path, monkeypatch: Any) -> None:
    """The account stays in its run, which goes on; once it has left there is no way back but a move."""
    setting, old, new = Setting(), tmp_path / "old", tmp_path / "new"
    setting.trade(old)
    with monkeypatch.context() as patch:
        kill_move(patch, 3, after=False)
        with pytest.raises(PowerCut):
            move(setting.home(old), new, "jo", "a better name")
    move(setting.home(old), old, "jo", "let it be")
    assert setting.trade(old, standing) is TradingState.ACTIVE
    with pytest.raises(ConfigurationError, match="has a journal already"):
        move(setting.home(old), new, "jo", "a better name")
    shutil.rmtree(new)
    with monkeypatch.context() as patch:
        kill_move(patch, 3, after=True)
        with pytest.raises(PowerCut):
            move(setting.home(old), new, "jo", "a better name")
    with pytest.raises(ConfigurationError, match="finish it first"):
        move(setting.home(old), old, "jo", "let it be")


def test_a_move_whose_file_is_spoilt_is_named(tmp_path: Path) -> None:
    """It does not tell where the account was to go, and a person has to look."""
    setting, run = Setting(), tmp_path / "run"
    setting.trade(run)
    (setting.home(run).folder / "move").write_bytes(b"{")
    with pytest.raises(ConfigurationError, match="does not tell which move was begun"):
        setting.trade(run)


def test_what_cannot_be_moved_says_why(tmp_path: Path) -> None:
    """An account on paper, one that is being traded, one in doubt, one that was never traded."""
    paper, setting, run = Setting(PAPER), Setting(), tmp_path / "run"
    paper.trade(tmp_path / "paper")
    with pytest.raises(ConfigurationError, match="is on paper"):
        move(paper.home(tmp_path / "paper"), tmp_path / "new", "jo", "why not")
    with pytest.raises(ConfigurationError, match="never traded from here"):
        move(setting.home(run), tmp_path / "new", "jo", "why not")
    setting.trade(run)
    home = setting.home(run)
    home.lock()
    with pytest.raises(LeaseLost, match="is being traded by process"):
        move(setting.home(run), tmp_path / "new", "jo", "why not")
    home.release()
    shutil.rmtree(run / "journal")
    with pytest.raises(ConfigurationError, match=r"its journal is gone.*adopt it first"):
        move(home, tmp_path / "new", "jo", "why not")


# --- snapshots ------------------------------------------------------------------------------------------------


def test_an_engine_starts_from_a_snapshot_as_it_would_from_the_whole_journal(tmp_path: Path) -> None:
    """The same state, byte for byte, and what came after the snapshot is folded on."""
    setting, run = Setting(), tmp_path / "run"
    setting.trade(run)
    assert take_snapshot(RunFolder(run)) is not None
    assert take_snapshot(RunFolder(run)) is None, "there is nothing new"
    setting.trade(run)
    folded = fold(RunFolder(run))
    assert folded.snapshot is not None
    assert folded.snapshot.at.seq < folded.at.seq
    state = State()
    for fact in facts_of(run):
        apply(state, fact)
    assert fingerprint(folded.state) == fingerprint(state)
    assert setting.trade(run, lambda kernel: kernel.state.epoch) == 3
