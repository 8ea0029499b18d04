"""The verbs that read the folder of a run, whether its engine lives or not."""

from __future__ import annotations

from pathlib import Path

import click

from fairlead._cli.verbs.options import JSON, RUN, chosen, one_run


@click.group()
def journal() -> None:
    """The record of a run."""


@journal.command("verify")
@RUN
@JSON
def journal_verify(run: Path, as_json: bool) -> None:
    """Verify every record of a run's journal: checksums, their chain, sequence."""
    from fairlead._cli.reading import verify_journal

    verify_journal(run, as_json)


@click.command()
@one_run
@JSON
def trades(run: str | None, run_option: str | None, as_json: bool) -> None:
    """List the closed trades of a run.

    Amounts are rounded as their currency is counted; --json has them exact.
    """
    from fairlead._cli.reading import list_trades

    list_trades(chosen(run, run_option), as_json)


@click.command()
@RUN
@click.option("--html", type=click.Path(path_type=Path), help="Where to; RUN/reports/report.html without it.")
def report(run: Path, html: Path | None) -> None:
    """Write the HTML report of a run, also after a crash."""
    from fairlead._cli.reading import write_run_report

    write_run_report(run, html)


VERBS = (journal, trades, report)
