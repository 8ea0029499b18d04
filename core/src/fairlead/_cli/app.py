"""The verbs and their options; the work is done by the modules beside this one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fairlead._cli.faults import CommandFailed, code_of
from fairlead.errors import FairleadError

SCRIPT = click.argument("file", type=click.Path(path_type=Path), metavar="FILE.py")
RUN = click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON with a stable schema.")

_DATA = (
    click.option("--tz", metavar="ZONE", help="Zone of times that have none: UTC, Europe/Berlin."),
    click.option("--volume-unit", type=click.Choice(["base", "quote"]), help="What volumes count."),
    click.option(
        "--bar-label", type=click.Choice(["open", "close"]), help="Which end of a bar its time marks."
    ),
    click.option("--tick", help="Price step; the finest decimal of the first rows without it."),
    click.option("--fee", help="Fee ratio, such as 0.0005, or 0.05%."),
    click.option("--interval", help="Length of the bars, where the file does not tell."),
    click.option(
        "--kind", type=click.Choice(["bars", "quotes", "trades"]), help="What the rows are, if unclear."
    ),
    click.option(
        "--columns", metavar="ROLE=COLUMN,..", help="Columns of other names, such as close=settle,volume=vol."
    ),
    click.option(
        "--on-fault",
        type=click.Choice(["refuse", "skip"]),
        help="Rows that cannot be used; skip leaves them out.",
    ),
)


def data_options(command: Any) -> Any:
    """What a data file may leave unsaid."""
    for option in reversed(_DATA):
        command = option(command)
    return command


class Verbs(click.Group):
    """Ends a command in one sentence where fairlead knows what is wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb."""
        try:
            return super().invoke(ctx)
        except CommandFailed as error:
            click.echo(f"fairlead: {error}", err=True)
            ctx.exit(error.code)
        except FairleadError as error:
            click.echo(f"fairlead: {error}", err=True)
            ctx.exit(code_of(error))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer meets them, not by the alphabet."""
        return list(self.commands)


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"fairlead {version('fairlead')}")
        ctx.exit()


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Print the version."
)
def cli() -> None:
    """Trade strategies live, on paper or as a backtest.

    Exit codes: 0 ok, 1 fault, 2 usage or configuration, 5 refused to start.
    """


@cli.command()
@click.option(
    "--seconds", type=click.FloatRange(min=1), default=20.0, show_default=True, help="How long it takes."
)
@click.option(
    "--speed", type=click.FloatRange(min=1), default=1080.0, show_default=True, help="Times real time."
)
@click.option("--seed", type=int, default=42, show_default=True, help="Of the invented market.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Play this recording instead of an invented market.",
)
@click.option("--symbol", "-s", help="Instrument of that recording.")
@data_options
@click.option("--run", type=click.Path(path_type=Path), help="Folder of the run; runs/demo-<n> without it.")
def demo(**options: Any) -> None:
    """Watch two strategies trade on paper, offline, for 20 seconds."""
    from fairlead._cli.demo import demo as run_demo

    run_demo(**options)


@cli.command()
@SCRIPT
@click.option("--live", is_flag=True, help="Allow brokers that trade real money.")
@click.option(
    "--until",
    metavar="D",
    help="Stop after a duration such as 30s, 5m, 8h, or at a time with zone, both in the engine's time: "
    "with speed= that of the data, else the wall clock's.",
)
@click.option("--run", type=click.Path(path_type=Path), help="Folder of the run, instead of the script's.")
@click.option("--view/--no-view", default=None, help="Live view; on a terminal it is on without asking.")
def run(**options: Any) -> None:
    """Run the engine of FILE.py until Ctrl-C.

    A second Ctrl-C ends it at once; the next start takes up what the journal holds.
    """
    from fairlead._cli.running import run as run_engine

    run_engine(**options)


@cli.command()
@SCRIPT
@click.option(
    "--data", "-d", type=click.Path(path_type=Path), multiple=True, help="Data file; may be repeated."
)
@click.option("--symbol", "-s", multiple=True, help="Instrument of the data: one, or one per file.")
@data_options
@click.option("--start", metavar="TIME", help="First moment, such as 2024-01-31T00:00+00:00.")
@click.option("--end", metavar="TIME", help="First moment that is left out.")
@JSON
@click.option("--html", type=click.Path(path_type=Path), help="Write the report here.")
def backtest(**options: Any) -> None:
    """Run the engine of FILE.py over recorded data.

    Without --data it runs over the script's own streams, where they have an end.
    """
    from fairlead._cli.backtesting import backtest as run_backtest

    run_backtest(**options)


@cli.command()
@SCRIPT
def check(file: Path) -> None:
    """Print the wiring of FILE.py; nothing is connected."""
    from fairlead._cli.loading import load_engine

    click.echo(load_engine(file).describe())


@cli.group()
def plugins() -> None:
    """What is installed."""


@plugins.command("list")
@JSON
def plugins_list(as_json: bool) -> None:
    """List the plugins of all installed distributions, importing none."""
    from fairlead._cli.reading import list_plugins

    list_plugins(as_json)


@cli.group()
def journal() -> None:
    """The record of a run."""


@journal.command("verify")
@RUN
@JSON
def journal_verify(run: Path, as_json: bool) -> None:
    """Verify every record of a run's journal: checksums, their chain, sequence."""
    from fairlead._cli.reading import verify_journal

    verify_journal(run, as_json)


@cli.command()
@RUN
@JSON
def trades(run: Path, as_json: bool) -> None:
    """List the closed trades of a run, rounded as their currency is counted; --json has them exact."""
    from fairlead._cli.reading import list_trades

    list_trades(run, as_json)


@cli.command()
@RUN
@click.option("--html", type=click.Path(path_type=Path), help="Where to; RUN/reports/report.html without it.")
def report(run: Path, html: Path | None) -> None:
    """Write the HTML report of a run, also after a crash."""
    from fairlead._cli.reading import write_run_report

    write_run_report(run, html)


@cli.command(hidden=True)
@RUN
@click.option("--file", type=click.Path(path_type=Path), help="The script, to show how far its breakers are.")
@click.option("--demo", help="Settings of a demo, as JSON.")
@click.option("--attached", is_flag=True, help="End when standard input is closed.")
def top(run: Path, file: Path | None, demo: str | None, attached: bool) -> None:
    """Watch a run in this terminal; it may be another process's."""
    from fairlead._cli.demo import breakers_of
    from fairlead._cli.loading import load_engine
    from fairlead._cli.screen import watch
    from fairlead._storage.run import RunFolder

    breakers = breakers_of(demo) if demo else load_engine(file).wiring.breakers if file else {}
    watch(RunFolder(run), breakers, attached=attached)
