"""The verbs about accounts: who owns them, and what only a person decides."""

from __future__ import annotations

from pathlib import Path

import click

from fairlead._cli.verbs.options import JSON, Place

KEY = click.argument("key", metavar="KEY")
WHY = click.option("--why", required=True, metavar="TEXT", help="The reason; it is written down.")
YES = click.option("--yes", is_flag=True, help="Do not ask.")
PAPER = click.option(
    "--run", type=Place(path_type=Path), metavar="RUN", help="Look for accounts on paper in this run."
)


@click.group()
def account() -> None:
    """Who may trade an account, and from which run."""


@account.command("list")
@PAPER
@JSON
def account_list(run: Path | None, as_json: bool) -> None:
    """List the accounts that were traded from this machine; exit code 4 where one is HALTED."""
    from fairlead._cli.accounts import list_accounts

    list_accounts(run, as_json)


@account.command("move")
@KEY
@click.option("--to", required=True, type=Place(path_type=Path), metavar="RUN", help="The new run.")
@WHY
@YES
def account_move(key: str, to: Path, why: str, yes: bool) -> None:
    """Hand an account over to a new run, with its orders, positions, limits and marks.

    The new run begins with a copy of the old one's journal; the old run can never trade the account again.
    """
    from fairlead._cli.accounts import move_account

    move_account(key, to, why, yes)


@account.command("adopt")
@KEY
@PAPER
@WHY
@YES
def account_adopt(key: str, run: Path | None, why: str, yes: bool) -> None:
    """Take the venue's word for an account whose journal is lost.

    The next start opens its books from the venue and may only reduce until you resume it: what was latched, the
    day's first equity and the high-water mark stood in the journal that is lost.
    """
    from fairlead._cli.accounts import adopt_account

    adopt_account(key, run, why, yes)


VERBS = (account,)
