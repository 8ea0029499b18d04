"""The verb that compares books and venue."""

from __future__ import annotations

from typing import Any

import click

from fairlead._cli import completing
from fairlead._cli.verbs.options import MANNER, chosen, manner_of, need_reason, one_run, with_options

_ACTIONS = ("adopt", "ignore", "trade_back", "flatten", "cancel", "halt")


@click.command()
@one_run
@click.option("--account", metavar="NAME", shell_complete=completing.accounts, help="One account only.")
@click.option("--dry-run", is_flag=True, help="Only list what stands, and what each reconciler would do.")
@click.option("--approve", metavar="ID", help="Decide about one difference; needs --why.")
@click.option(
    "--action",
    type=click.Choice(_ACTIONS),
    help="With --approve: what is done; what the venue has is taken over without it.",
)
@click.option(
    "--cause", default="", metavar="TEXT", help="With --approve: what explains it, such as deposit."
)
@with_options(*MANNER)
def reconcile(
    run: str | None,
    run_option: str | None,
    account: str | None,
    dry_run: bool,
    approve: str | None,
    action: str | None,
    cause: str,
    **options: Any,
) -> None:
    """Compare books and venue, and list what differs.

    Ends with 0 where nothing does, with 3 where anything does that nobody chose to ignore.
    """
    manner = manner_of(chosen(run, run_option), options)
    if approve is None:
        if action or cause:
            raise click.UsageError(
                "--action and --cause say what is done about one difference: add --approve ID."
            )
        from fairlead._cli.reconciling import reconcile as compare

        click.get_current_context().exit(compare(account, manner, dry_run=dry_run))
    if dry_run or account:
        raise click.UsageError("--approve decides about one difference: leave --dry-run and --account out.")
    need_reason("a decision", options)
    from fairlead._cli.reconciling import approve as decide

    decide(approve, action, cause, manner)


VERBS = (reconcile,)
