"""The verbs that read the folder of a run, whether its engine lives or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fairlead._cli.verbs.options import JSON, chosen, one_run, run_folder


@click.group()
def journal() -> None:
    """The record of a run."""


@journal.command("verify")
@run_folder
@JSON
def journal_verify(run: Path, as_json: bool) -> None:
    """Verify every record of a run's journal: checksums, their chain, sequence."""
    from fairlead._cli.journals import verify_journal

    verify_journal(run, as_json)


@journal.command("backup")
@one_run
@click.argument("dest", type=click.Path(path_type=Path), metavar="DEST", required=False)
@JSON
def journal_backup(run: str | None, run_option: str | None, dest: Path | None, as_json: bool) -> None:
    """Copy a run's journal to DEST/journal, verified, also while its engine runs."""
    if dest is None and run is not None:  # with --run the one argument is DEST
        dest, run = Path(run), None
    found = chosen(run, run_option)
    if found is None or dest is None:
        raise click.UsageError("Two folders are needed: RUN, or --run RUN, and DEST.")
    from fairlead._cli.journals import backup_journal

    backup_journal(Path(found), dest, as_json)


@journal.command("compact")
@run_folder
@JSON
def journal_compact(run: Path, as_json: bool) -> None:
    """Make a snapshot and pack the segments behind it; no fact is lost, and all verbs still read them."""
    from fairlead._cli.journals import compact_journal

    compact_journal(run, as_json)


@journal.command("export")
@run_folder
@click.option(
    "--format", "shape", type=click.Choice(["jsonl", "csv", "parquet"]), default="jsonl", show_default=True
)
@click.option("--since", metavar="TIME", help="From this time on, such as 2024-01-31T00:00+00:00.")
@click.option("--until", metavar="TIME", help="Up to this time, which is left out.")
@click.option("--type", "types", multiple=True, metavar="FACT", help="Only these facts; may be repeated.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write; standard output without it.")
def journal_export(**options: Any) -> None:
    """Write the facts of a run: quantities and money as text, times as ns.

    With one --type, csv and parquet have a column for each of its fields.
    """
    from fairlead._cli.exporting import export_journal

    export_journal(**options)


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
@run_folder
@click.option("--html", type=click.Path(path_type=Path), help="Where to; RUN/reports/report.html without it.")
def report(run: Path, html: Path | None) -> None:
    """Write the HTML report of a run, also after a crash."""
    from fairlead._cli.reading import write_run_report

    write_run_report(run, html)


VERBS = (journal, trades, report)
