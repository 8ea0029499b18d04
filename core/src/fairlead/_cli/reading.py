"""The verbs that read: plugins, journals, trades, and the report of a run that is there already."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import click

from fairlead._cli.faults import USAGE, CommandFailed
from fairlead._cli.words import exact, gain, moment, plain
from fairlead._engine.roundtrips import RoundTrip, round_trips
from fairlead._storage.journal import read_facts
from fairlead._storage.reading import payload_hash, read
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
    """The folder of a run that has a journal. Raises CommandFailed."""
    folder = RunFolder(run)
    if not folder.journal.is_dir():
        raise CommandFailed(f"{run} holds no journal: give the folder of a run, such as runs/cross", USAGE)
    return folder


def list_plugins(as_json: bool) -> None:
    """Entry points as their distributions declare them."""
    points = sorted(metadata.entry_points(group="fairlead"), key=lambda point: point.name)
    rows = [
        {
            "name": point.name,
            "distribution": point.dist.name if point.dist is not None else "",
            "version": point.dist.version if point.dist is not None else "",
            "object": point.value,
        }
        for point in points
    ]
    if as_json:
        print_json(rows)
        return
    headings = ("name", "distribution", "version", "object")
    print_table([[row[name] for name in headings] for row in rows], headings)


def verify_journal(run: Path, as_json: bool) -> None:
    """Read every record; JournalDamaged says where the first fault is."""
    folder = folder_of(run)
    records, last, hashed = 0, 0, payload_hash()
    for record in read(folder.journal):
        records, last = records + 1, record.seq
        hashed.update(record.payload)
    found = hashed.hexdigest() if records else ""
    if as_json:
        print_json({"records": records, "last_seq": last, "journal_hash": found})
    else:
        click.echo(f"{records:,} records, last sequence number {last:,}, hash {found or '-'}: all verified")


def list_trades(run: Path, as_json: bool) -> None:
    """Closed trades, oldest first."""
    found = trips_of(folder_of(run))
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
            plain(round(trip.entry_price, 8)),
            plain(round(trip.exit_price, 8)),
            gain(trip.profit),
            plain(round(trip.fees, 8)),
        ]
        for trip in found
    ]
    headings = (
        "opened", "closed", "strategy", "instrument", "side", "quantity", "entry", "exit", "profit", "fees",
    )  # fmt: skip
    print_table(rows, headings, right="quantity entry exit profit fees")


def trips_of(folder: RunFolder) -> list[RoundTrip]:
    """The closed trades of a run."""
    fills, instruments = [], {}
    for fact in read_facts(folder.journal):
        if isinstance(fact, InstrumentDefined):
            instruments[fact.instrument.id] = fact.instrument
        elif isinstance(fact, Filled):
            fills.append(fact.fill)
    return round_trips(fills, instruments.__getitem__)


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
