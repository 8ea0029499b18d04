"""What the verbs about accounts do."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Any

import click

from fairlead._cli.faults import HALTED, USAGE, CommandFailed
from fairlead._cli.tables import print_json, print_table
from fairlead._engine.folding import fold
from fairlead._engine.reopening import Opened, doubt
from fairlead._models.accounts import TradingState
from fairlead._storage.home import AccountHome, fairlead_home, homes
from fairlead._storage.outside import latch_reason, read_kill
from fairlead._storage.run import RunFolder
from fairlead.errors import FairleadError


def list_accounts(run: Path | None, as_json: bool) -> None:
    """Every account of this user, and those on paper of a run; code 4 where one is halted."""
    rows = [_row(home) for home in _homes(run)]
    if as_json:
        print_json(rows)
    elif not rows:
        click.echo(f"no account was traded from here yet ({fairlead_home()}); --run RUN shows those on paper")
    else:
        headings = ("key", "venue", "environment", "epoch", "state", "pid", "run")
        print_table(
            [[str(row[name] or "-") for name in headings] for row in rows], headings, right="epoch pid"
        )
        for row in rows:
            if row["reason"]:
                click.echo(f"\n{row['key']}: {row['reason']}")
    if any(row["state"] in ("halted", "killed") for row in rows):
        raise click.exceptions.Exit(HALTED)


def move_account(key: str, to: Path, why: str, yes: bool) -> None:
    """Confirm, and hand it over."""
    home = _find(key, None)
    _confirm(f"Move the account {key} from {home.owner} to {to.absolute()} for good?", yes)
    from fairlead._engine.decisions import move

    move(home, to, _who(), why)
    click.echo(f"{key} belongs to {to.absolute()} now: go on with run={str(to)!r}")


def adopt_account(key: str, run: Path | None, why: str, yes: bool) -> None:
    """Confirm, and write down that the venue is believed."""
    home = _find(key, run)
    question = (
        f"Adopt the account {key} as its venue has it, and give up the limits that were latched for it?"
    )
    _confirm(question, yes)
    from fairlead._engine.decisions import adopt

    reason = adopt(home, _who(), why)
    click.echo(f"{key} is adopted (it was in doubt: {reason})")
    click.echo("the next start opens its books from the venue, REDUCE_ONLY until you resume it")


def _row(home: AccountHome) -> dict[str, Any]:
    venue, _, rest = home.key.partition(".")
    mark, owner, state, reason = home.mark, home.owner, "", ""
    if owner is not None and mark is not None:
        state, reason = _killed(home) or _standing(RunFolder(owner), home)
    return {
        "key": home.key,
        "venue": venue,
        "environment": rest.partition(".")[0],
        "epoch": _epoch(home),
        "run": str(owner) if owner is not None else "",
        "account": mark.account if mark is not None else "",
        "pid": home.holder,
        "state": state,
        "reason": reason,
    }


def _epoch(home: AccountHome) -> int:
    try:
        return home.epoch
    except FairleadError:
        return 0


def _killed(home: AccountHome) -> tuple[str, str] | None:
    """A kill from outside that no start has taken into the journal yet."""
    try:
        kill = read_kill(home.folder)
    except FairleadError as error:
        return str(TradingState.HALTED), str(error)
    return None if kill is None else (str(TradingState.KILLED), latch_reason(kill))


def _standing(run: RunFolder, home: AccountHome) -> tuple[str, str]:
    """The trading state of an account as its journal has it, and why it is not active."""
    mark = home.mark
    assert mark is not None
    try:
        folded = fold(run)
    except FairleadError as error:
        return str(TradingState.HALTED), str(error)
    if doubted := folded.state.doubted.get(mark.account):
        return str(TradingState.HALTED), doubted
    if not home.holder and (lost := doubt(Opened(folded.state, folded.at), mark)):
        return str(TradingState.HALTED), lost
    state, why = folded.state.standing(mark.account)
    return str(state), why


def _homes(run: Path | None) -> list[AccountHome]:
    return homes(fairlead_home()) + (homes(RunFolder(run).paper) if run is not None else [])


def _find(key: str, run: Path | None) -> AccountHome:
    known = _homes(run)
    for home in known:
        if home.key == key:
            return home
    there = ", ".join(home.key for home in known) or "none"
    raise CommandFailed(
        f"there is no account {key!r} (there are: {there}); one on paper is found with --run RUN", USAGE
    )


def _confirm(question: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandFailed("there is no terminal to ask on: say --yes", USAGE)
    if not click.confirm(question):
        raise CommandFailed("nothing was changed", USAGE)


def _who() -> str:
    """The name of this user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"
