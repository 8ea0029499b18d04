"""The verbs that look at a running engine, and at what a run has left."""

from __future__ import annotations

import click

from fairlead._cli.verbs.options import JSON, chosen, one_run


@click.command()
@one_run
@click.option("--live", is_flag=True, help="Stay, and follow it: the same as top.")
@JSON
@click.pass_context
def status(ctx: click.Context, run: str | None, run_option: str | None, live: bool, as_json: bool) -> None:
    """Show how a running engine stands.

    Exit codes: 0 ok, 3 degraded (something is down, stale, unknown, tripped or halted), 4 the engine or an
    account is halted or killed.
    """
    from fairlead._cli import showing

    which = chosen(run, run_option)
    if live:
        showing.top(which)
    else:
        ctx.exit(showing.status(which, as_json))


@click.command()
@one_run
@JSON
def positions(run: str | None, run_option: str | None, as_json: bool) -> None:
    """List the open positions of a running engine."""
    from fairlead._cli import showing

    showing.positions(chosen(run, run_option), as_json)


@click.command()
@one_run
@JSON
def orders(run: str | None, run_option: str | None, as_json: bool) -> None:
    """List the open orders of a running engine."""
    from fairlead._cli import showing

    showing.orders(chosen(run, run_option), as_json)


@click.command()
@one_run
@click.option(
    "--last", type=click.IntRange(min=0), default=50, show_default=True, help="How many; 0 for all."
)
@JSON
def fills(run: str | None, run_option: str | None, last: int, as_json: bool) -> None:
    """List the last fills of a run, whether it runs or not."""
    from fairlead._cli import showing

    showing.fills(chosen(run, run_option), last, as_json)


@click.command()
@one_run
@JSON
def balance(run: str | None, run_option: str | None, as_json: bool) -> None:
    """List what the accounts of a running engine hold."""
    from fairlead._cli import showing

    showing.balance(chosen(run, run_option), as_json)


@click.command()
@one_run
@JSON
def breakers(run: str | None, run_option: str | None, as_json: bool) -> None:
    """List the breakers of a running engine."""
    from fairlead._cli import showing

    showing.breakers(chosen(run, run_option), as_json)


@click.command()
@one_run
@JSON
def risk(run: str | None, run_option: str | None, as_json: bool) -> None:
    """Show what is at risk, beside its limits.

    Of a run that has ended, as it was last: it leaves a snapshot every 30 seconds.
    """
    from fairlead._cli import risking

    risking.risk(chosen(run, run_option), as_json)


@click.command()
@JSON
def ps(as_json: bool) -> None:
    """List the engines that run on this host."""
    from fairlead._cli import showing

    showing.ps(as_json)


@click.command()
@one_run
@click.option("--attached", is_flag=True, hidden=True, help="End when standard input is closed.")
def top(run: str | None, run_option: str | None, attached: bool) -> None:
    """Watch a run in this terminal.

    Ctrl-C leaves it, and the engine goes on.
    """
    from fairlead._cli import showing

    showing.top(chosen(run, run_option), attached=attached)


@click.command()
@one_run
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option(
    "--level",
    type=click.Choice(["debug", "info", "warning", "error", "critical"]),
    help="Only what is at least so grave.",
)
@click.option("--grep", metavar="PATTERN", help="Only lines with this in them; a regular expression.")
@click.option(
    "--last", type=click.IntRange(min=0), default=200, show_default=True, help="How many; 0 for all."
)
def logs(
    run: str | None, run_option: str | None, follow: bool, level: str | None, grep: str | None, last: int
) -> None:
    """Print the log of a run, whether it runs or not."""
    from fairlead._cli.logs import logs as print_logs

    print_logs(chosen(run, run_option), follow, level, grep, last)


VERBS = (status, positions, orders, fills, balance, breakers, risk, ps, top, logs)
