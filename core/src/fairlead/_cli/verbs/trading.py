"""The verbs that run an engine: demo, run, backtest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fairlead._cli.verbs.options import JSON, SCRIPT, Place, data_options, settings_options


@click.command()
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
@click.option("--run", type=Place(path_type=Path), help="Folder of the run; runs/demo-<n> without it.")
def demo(**options: Any) -> None:
    """Watch two strategies trade on paper, offline, for 20 seconds."""
    from fairlead._cli.demo import demo as run_demo

    run_demo(**options)


@click.command()
@SCRIPT
@settings_options
@click.option(
    "--live", is_flag=True, help="Allow FILE.toml brokers that trade real money; a script says live=True."
)
@click.option(
    "--until",
    metavar="D",
    help="Stop after a duration such as 30s, 5m, 8h, or at a time with zone, both in the engine's time: "
    "with speed= that of the data, else the wall clock's.",
)
@click.option("--run", type=Place(path_type=Path), help="Folder of the run, instead of the file's.")
@click.option("--view/--no-view", default=None, help="Live view; on a terminal it is on without asking.")
def run(**options: Any) -> None:
    """Run the engine of FILE.py or FILE.toml until Ctrl-C.

    A second Ctrl-C ends it at once; the next start takes up what the journal holds.
    """
    from fairlead._cli.running import run as run_engine

    run_engine(**options)


@click.command()
@SCRIPT
@settings_options
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
    """Run the engine of FILE.py or FILE.toml over recorded data.

    Without --data it runs over the file's own streams, where they have an end.
    """
    from fairlead._cli.backtesting import backtest as run_backtest

    run_backtest(**options)


VERBS = (demo, run, backtest)
