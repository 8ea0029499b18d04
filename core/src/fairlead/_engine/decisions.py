"""What a person decides about an account while no engine has it: adopt it, or hand it over to another run."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from fairlead._engine.reopening import Opened, doubt, reopen
from fairlead._kernel.clock import SystemTime
from fairlead._secrets.scrub import hidden
from fairlead._storage.backup import copy_journal
from fairlead._storage.files import sync_folder
from fairlead._storage.home import AccountHome, Mark, homes
from fairlead._storage.journal import Journal
from fairlead._storage.reading import read
from fairlead._storage.run import RunFolder
from fairlead._storage.segments import boot_id
from fairlead._storage.tape import last_event
from fairlead.errors import ConfigurationError
from fairlead.facts import AccountAdopted, AccountDoubted, AccountMoved, Fact


def adopt(home: AccountHome, who: str, why: str) -> str:
    """Take the venue's word for an account that its journal does not explain; returns what was in doubt.

    The next start opens its books anew from the venue, in REDUCE_ONLY until somebody resumes it: latched breakers,
    the day's first equity and the high-water marks of before are lost. Raises ConfigurationError where nothing is in
    doubt, LeaseLost while an engine has it.
    """
    run = _run_of(home)
    with _held(home, run):
        opened = reopen(run, boot_id())
        account = _account_of(home, opened)
        facts = [
            AccountDoubted(seq=0, now=0, cause=0, account=name, reason=reason)
            for name, reason in _doubts(home, run, opened).items()
            if name not in opened.state.doubted
        ]
        reasons = {**opened.state.doubted, **{fact.account: fact.reason for fact in facts}}
        if account not in reasons:
            raise ConfigurationError(
                f"the account {home.key} is not in doubt: its journal in {run.path} explains it, so there is nothing "
                f"to adopt"
            )
        decided = AccountAdopted(seq=0, now=0, cause=0, account=account, who=who, why=why)
        _write(run, opened, [*facts, decided])
        _mark(home, run, account)
    return reasons[account]


def move(home: AccountHome, to: Path, who: str, why: str) -> None:
    """Hand an account over to a run that has no journal yet: that one begins with all the facts of the old one.

    Orders, positions, latches, marks and watermarks go along; other accounts of the old run stay there. No engine
    starts with the account between the first step and the last; repeated after a crash it goes on, and moved to where
    it still is, it stays there. Raises ConfigurationError where it cannot be moved, LeaseLost while an engine has it.
    """
    target = RunFolder(to)
    if _is_called_off(home, target):
        with _held(home, target):
            home.end_move()
        return
    run = _source_of(home, target)
    with _held(home, run, target):
        opened = reopen(run, boot_id())
        account = _account_of(home, opened)
        if home.owner == run.path:
            _refuse_unexplained(home, run, opened, account)
            home.begin_move(run.path, target.path)
            if not _is_copy(run.journal, target.journal):
                _bring(run, target)
            _leave(target, account, run.name, who, why, others=True)
            home.hand_over(target.path)
        _mark(home, target, account)
        _leave(run, account, target.name, who, why, others=False)
        home.end_move()


def _is_called_off(home: AccountHome, target: RunFolder) -> bool:
    """Whether a move was begun and is to go back, while the account has not left yet."""
    begun = home.moving
    return begun is not None and begun.source == str(target.path) == str(home.owner)


def _source_of(home: AccountHome, target: RunFolder) -> RunFolder:
    """The run that an account is to leave; of a move that was interrupted, the one that it was leaving."""
    begun = home.moving
    if begun is not None and begun.to != str(target.path):
        raise ConfigurationError(
            f"the account {home.key} is on its way to {begun.to}, and that was interrupted: finish it first, "
            f"`fairlead account move {home.key} --to {begun.to}`"
        )
    run = _run_of(home) if begun is None else RunFolder(Path(begun.source))
    if home.root == run.paper:
        raise ConfigurationError(
            f"the account {home.key} is on paper, and lives in its run: begin a new run with an account of its own"
        )
    if target.path == run.path:
        raise ConfigurationError(f"the account {home.key} belongs to {run.path} already")
    return run


def _refuse_unexplained(home: AccountHome, run: RunFolder, opened: Opened, account: str) -> None:
    reason = opened.state.doubted.get(account) or doubt(opened, home.mark)
    if reason or account not in opened.state.accounts:
        raise ConfigurationError(
            f"the journal in {run.path} does not explain the account {home.key} "
            f"({reason or 'it does not know it'}): adopt it first"
        )


def _leave(run: RunFolder, account: str, to: str, who: str, why: str, *, others: bool) -> None:
    """Write into a journal that an account has left it, or all `others` have; nothing where that is done already."""
    opened = reopen(run, boot_id())
    gone = [name for name in opened.state.accounts if (name != account) is others]
    _write(
        run,
        opened,
        [AccountMoved(seq=0, now=0, cause=0, account=name, to=to, who=who, why=why) for name in gone],
    )


def _mark(home: AccountHome, run: RunFolder, account: str) -> None:
    """Remember how far the journal of the account has come."""
    opened = reopen(run, boot_id())
    home.set_mark(Mark(account, opened.state.epoch, opened.at.seq))


def _bring(run: RunFolder, target: RunFolder) -> None:
    """Copy a journal into a run that has none, in one step at its end."""
    if target.journal.is_dir() and any(read(target.journal)):
        raise ConfigurationError(
            f"the run {target.path} has a journal already: an account can only be moved to a run that is new"
        )
    new = target.path / "journal.new"
    _discard(new)
    copy_journal(run.journal, new)
    _discard(target.journal)
    new.rename(target.journal)
    sync_folder(target.path)


def _discard(folder: Path) -> None:
    """Delete a journal that has no record, or was never finished."""
    if folder.is_dir():
        shutil.rmtree(folder)


def _is_copy(journal: Path, other: Path) -> bool:
    """Whether another journal begins with all of this one's records: a move that was interrupted."""
    if not other.is_dir():
        return False
    pairs = itertools.zip_longest(read(journal), read(other))
    return all(one is None or (two is not None and one.checksum == two.checksum) for one, two in pairs)


def _run_of(home: AccountHome) -> RunFolder:
    owner = home.owner
    if owner is None:
        raise ConfigurationError(f"there is no account {home.key}, or it was never traded from here")
    return RunFolder(owner)


def _account_of(home: AccountHome, opened: Opened) -> str:
    """The name that an account has in its journal."""
    mark = home.mark
    if mark is not None:
        return mark.account
    names = list(opened.state.accounts)
    if len(names) == 1:
        return names[0]
    raise ConfigurationError(
        f"{home.folder} does not say which account of its run this is: start that run once with this version"
    )


def _doubts(home: AccountHome, run: RunFolder, opened: Opened) -> dict[str, str]:
    """What is in doubt about the accounts of a run: this one's journal is theirs as well."""
    found = {}
    for other in homes(home.root):
        mark = other.mark
        if other.owner == run.path and mark is not None and (reason := doubt(opened, mark)):
            found[mark.account] = reason
    return found


def _write(run: RunFolder, opened: Opened, facts: Sequence[Fact]) -> None:
    """Append facts to a run that no engine has, synced."""
    if not facts:
        return
    now = max(_now(run), opened.state.now)
    seq = max(opened.at.seq, last_event(run.tape))
    journal = Journal.open(run.journal, boot_id=boot_id(), sync_behind=False)
    try:
        for number, fact in enumerate(facts, seq + 1):
            clean = hidden(fact, "reason", "who", "why")
            journal.append([msgspec.structs.replace(clean, seq=number, now=now, cause=number)])
        journal.sync()
    finally:
        journal.close()


def _now(run: RunFolder) -> int:
    """The time on the clock of a run; of one with a time of its own, when it was last started.

    One that plays a recording would find all the rest of it in the past, if its facts came to be of today.
    """
    info = run.read_info()
    created = info.get("created_ns")
    return created if info.get("own_time") and isinstance(created, int) else SystemTime().now()


@contextlib.contextmanager
def _held(home: AccountHome, *runs: RunFolder) -> Iterator[None]:
    """Keep engines out of an account and of runs."""
    with contextlib.ExitStack() as stack:
        home.lock()
        stack.callback(home.release)
        for run in runs:
            run.lock()
            stack.callback(run.unlock)
        yield
