"""The verbs that read the folder of a run, whether its engine lives or not."""

from __future__ import annotations

from pathlib import Path

import click

from fairlead._cli.verbs.options import JSON, RUN, settings_options


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
@RUN
@JSON
def trades(run: Path, as_json: bool) -> None:
    """List the closed trades of a run, rounded as their currency is counted; --json has them exact."""
    from fairlead._cli.reading import list_trades

    list_trades(run, as_json)


@click.command()
@RUN
@click.option("--html", type=click.Path(path_type=Path), help="Where to; RUN/reports/report.html without it.")
def report(run: Path, html: Path | None) -> None:
    """Write the HTML report of a run, also after a crash."""
    from fairlead._cli.reading import write_run_report

    write_run_report(run, html)


@click.command(hidden=True)
@RUN
@click.option(
    "--file", type=click.Path(path_type=Path), help="The file that runs, to show how far its breakers are."
)
@settings_options
@click.option("--demo", help="Settings of a demo, as JSON.")
@click.option("--attached", is_flag=True, help="End when standard input is closed.")
def top(
    run: Path,
    file: Path | None,
    profile: str | None,
    settings: tuple[str, ...],
    demo: str | None,
    attached: bool,
) -> None:
    """Watch a run in this terminal; it may be another process's."""
    from fairlead._cli.demo import breakers_of
    from fairlead._cli.loading import load_engine
    from fairlead._cli.screen import watch
    from fairlead._storage.run import RunFolder

    if demo:
        breakers = breakers_of(demo)
    else:
        breakers = (
            load_engine(file, profile, settings, live=True, secrets=False).wiring.breakers if file else {}
        )
    watch(RunFolder(run), breakers, attached=attached)


VERBS = (journal, trades, report, top)
