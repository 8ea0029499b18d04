"""The verbs that read: journals, trades, and the report of a run that is there already."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from fairlead._cli.faults import USAGE, CommandFailed
from fairlead._cli.words import exact, moment, plain, settled
from fairlead._engine.roundtrips import RoundTrip, round_trips
from fairlead._models.instrument import Instrument
from fairlead._models.orders import Fill
from fairlead._storage.index import find_facts
from fairlead._storage.run import RunFolder
from fairlead.facts import Filled, InstrumentDefined


def print_json(value: Any) -> None:
    """Stable JSON: sorted keys, readable."""
    click.echo(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))


def print_table(rows: Sequence[Sequence[str]], headings: Sequence[str], right: str = "") -> None:
    """A plain table; `right` names the columns that hold figures."""
    widths = [max(len(str(row[i])) for row in [headings, *rows]) for i in range(len(headings))]
    for row in [headings, *rows]:
        cells = (
            cell.rjust(width) if heading in right.split() else cell.ljust(width)
            for cell, width, heading in zip(row, widths, headings, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


def folder_of(run: Path) -> RunFolder:
    """The folder of a run that has a journal. Raises CommandFailed, which lists the runs that there are."""
    folder = RunFolder(run)
    if folder.journal.is_dir():
        return folder
    near = [run, run / "runs", run.parent, Path("runs") / run, Path("runs")]
    found = next((runs for runs in map(_runs_in, near) if runs), [])
    listed = ", ".join(map(str, found[:_LISTED])) + (" and more" if len(found) > _LISTED else "")
    what = f"the runs here are {listed}" if found else "give the folder of one, such as runs/cross"
    raise CommandFailed(f"{run} {'holds no journal' if run.is_dir() else 'is no run'}: {what}", USAGE)


_LISTED = 12


def _runs_in(folder: Path) -> list[Path]:
    """The runs right below a folder and their backtests, newest first."""
    patterns = ("*/journal", "backtests/*/journal", "*/backtests/*/journal")
    found = {path.parent for pattern in patterns for path in folder.glob(pattern) if path.is_dir()}
    return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def list_trades(run: Path, as_json: bool) -> None:
    """Closed trades, oldest first."""
    found, instruments = trips_of(folder_of(run))
    if as_json:
        print_json([_plain(trip) for trip in found])
        return
    rows = [
        [
            moment(trip.opened_ns),
            moment(trip.closed_ns),
            trip.strategy,
            trip.instrument,
            "long" if trip.side == "buy" else "short",
            plain(trip.quantity),
            plain(rules.price(trip.entry_price)),
            plain(rules.price(trip.exit_price)),
            settled(trip.profit, rules.settle, signed=True),
            settled(trip.fees, rules.settle),
            rules.settle,
        ]
        for trip in found
        for rules in [instruments[trip.instrument]]
    ]
    headings = (
        "opened", "closed", "strategy", "instrument", "side", "quantity", "entry", "exit", "profit", "fees", "in",
    )  # fmt: skip
    print_table(rows, headings, right="quantity entry exit profit fees")


def trips_of(folder: RunFolder) -> tuple[list[RoundTrip], dict[str, Instrument]]:
    """The closed trades of a run, and the instruments they are in."""
    fills: list[Fill] = []
    instruments: dict[str, Instrument] = {}
    for fact in find_facts(folder, (InstrumentDefined, Filled)):
        if isinstance(fact, InstrumentDefined):
            instruments[fact.instrument.id] = fact.instrument
        elif isinstance(fact, Filled):
            fills.append(fact.fill)
    return round_trips(fills, instruments.__getitem__), instruments


def _plain(trip: RoundTrip) -> dict[str, Any]:
    return {
        "strategy": trip.strategy,
        "account": trip.account,
        "instrument": trip.instrument,
        "side": str(trip.side),
        "quantity": exact(trip.quantity),
        "entry_price": exact(trip.entry_price),
        "exit_price": exact(trip.exit_price),
        "profit": exact(trip.profit),
        "fees": exact(trip.fees),
        "opened_ns": trip.opened_ns,
        "closed_ns": trip.closed_ns,
    }


def write_run_report(run: Path, html: Path | None) -> None:
    """The report of a run, wherever it stands."""
    from fairlead._report import write_report

    click.echo(write_report(folder_of(run), html))
