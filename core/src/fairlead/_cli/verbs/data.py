"""The verbs about market data: watch and record streams, fetch their past, look at files and verify them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fairlead._cli.verbs.options import JSON, data_options

_FEEDS = (
    click.argument("source", metavar="FILE.py|STREAM"),
    click.argument("symbols", metavar="SYMBOL...", nargs=-1, required=True),
    click.option("--quotes", is_flag=True, help="Best bid and ask."),
    click.option("--trades", is_flag=True, help="Public trades."),
    click.option("--bars", multiple=True, metavar="INTERVAL", help="Bars such as 1m; may be repeated."),
    click.option("--book", is_flag=True, help="The order book's best levels."),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="An argument of STREAM, such as seed=42.",
    ),
    click.option(
        "--until", metavar="D", help="Stop after a duration such as 10s or 8h, in the stream's time."
    ),
)
_FILES = click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
_SYMBOL = click.option("--symbol", "-s", help="Instrument of the rows, where the file does not name it.")


def _feeds(command: Any) -> Any:
    for option in reversed(_FEEDS):
        command = option(command)
    return command


@click.group()
def data() -> None:
    """Market data: watch, record and fetch it, look at files and verify them."""


@data.command("watch")
@_feeds
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Stop after so many events.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines with a stable schema.")
def data_watch(**options: Any) -> None:
    """Print the events of a stream as they come.

    STREAM is the name of an installed stream, such as `synthetic`; of FILE.py it is all streams of its engine. Without
    --quotes, --trades, --bars or --book it is quotes and trades, or the finest bars where there are neither.
    """
    from fairlead._cli.streaming import watch

    watch(**options)


@data.command("record")
@_feeds
@click.option("--into", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="Where to.")
@click.option(
    "--format",
    "encoding",
    type=click.Choice(["csv", "jsonl", "parquet"]),
    default="csv",
    show_default=True,
    help="Of the files.",
)
@click.option("--rotate", metavar="SIZE|D", help="Begin new files at a size such as 100MB, or each 1d, 1h.")
@click.option("--gap-after", default="1m", show_default=True, metavar="D", help="A silence so long is a gap.")
@click.option("--terms", metavar="TEXT", help="What the source allows, for the sidecar.")
@JSON
def data_record(**options: Any) -> None:
    """Record the events of a stream into files that replay as they were, until Ctrl-C.

    Without --quotes, --trades, --bars or --book it is quotes and trades, or the finest bars where there are neither.
    Each feed of each symbol gets a file, and a sidecar FILE.meta.json with the instrument's rules, gaps and a checksum.
    A growing file is called FILE.partial; what was cut short is finished by `data verify --repair`.
    """
    from fairlead._cli.streaming import record

    record(**options)


@data.command("fetch")
@click.option(
    "--stream",
    "--broker",
    "name",
    required=True,
    metavar="NAME",
    help="A venue or stream by name, or FILE.py:OBJECT.",
)
@click.option("--symbol", "-s", "symbols", multiple=True, required=True, help="Instrument; may be repeated.")
@click.option("--interval", required=True, metavar="INTERVAL", help="Of the bars, such as 1m.")
@click.option("--since", required=True, metavar="TIME|D", help="From a date or time on, or so long ago: 30d.")
@click.option("--until", metavar="TIME|D", help="To a date or time.  [default: now]")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Where to: .csv, .jsonl or .parquet."
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="An argument of the stream.")
@click.option("--terms", metavar="TEXT", help="What the source allows, for the sidecar.")
@JSON
def data_fetch(**options: Any) -> None:
    """Fetch the bars that a stream keeps of the past into a file that replays; no keys are needed.

    NAME is an installed stream such as `synthetic`, or a venue whose stream is NAME-stream. A file that is there
    already is gone on with: only what it lacks is asked for, gaps in it too. What the stream has no bars of is
    reported by time. Ctrl-C leaves a good file, and the same command goes on from there.
    """
    from fairlead._cli.fetching import fetch

    fetch(**options)


@data.command("info")
@_FILES
@_SYMBOL
@data_options
@JSON
def data_info(**options: Any) -> None:
    """Say what files of market data hold."""
    from fairlead._cli.datafiles import info

    info(**options)


@data.command("verify")
@_FILES
@_SYMBOL
@data_options
@click.option("--repair", is_flag=True, help="Finish recordings that were cut short.")
@JSON
def data_verify(**options: Any) -> None:
    """Name every fault of files of market data; exit code 1 where there is one."""
    from fairlead._cli.datafiles import verify

    verify(**options)


VERBS = (data,)
