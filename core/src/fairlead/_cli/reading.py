"""The verbs that read: journals, trades, and the report of a run that is there already."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import click

from fairlead._cli.engines import folder_of_run, named
from fairlead._cli.faults import USAGE, CommandFailed
from fairlead._cli.tables import print_json, print_table
from fairlead._cli.words import moment, plain, settled
from fairlead._engine.roundtrips import RoundTrip, round_trips
from fairlead._models.instrument import Instrument
from fairlead._models.orders import Fill
from fairlead._storage.index import find_facts
from fairlead._storage.journal import read_facts
from fairlead._storage.reading import segment_starts
from fairlead._storage.run import RunFolder
from fairlead.facts import Filled, FillReversed, InstrumentDefined
from fairlead.units import exact


def folder_of(run: Path) -> RunFolder:
    """The folder of a run that has a journal, or of the engine of this name.

    Raises CommandFailed, which lists the runs that there are.
    """
    folder = RunFolder(run)
    if folder.journal.is_dir():
        return folder
    if len(living := named(str(run))) == 1:
        return RunFolder(living[0].run)
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


def list_trades(run: str | None, as_json: bool) -> None:
    """Closed trades, oldest first."""
    found, instruments = trips_of(folder_of(folder_of_run(run)))
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


def last_fills(run: Path, count: int) -> list[dict[str, Any]]:
    """The last fills of a run, oldest first, without those that were taken back; 0 for all.

    A long journal is read from near its end, and further back only as far as it takes.
    """
    folder = folder_of(run).journal
    starts, back = segment_starts(folder), 1
    while True:
        since = starts[-back] if count and back <= len(starts) else 0
        found: deque[Fill] = deque(maxlen=count or None)
        for fact in read_facts(folder, since):
            if isinstance(fact, Filled):
                found.append(fact.fill)
            elif isinstance(fact, FillReversed):
                found = deque((f for f in found if f.fill_id != fact.fill.fill_id), maxlen=count or None)
        if not since or len(found) == count:
            return [_fill_row(fill) for fill in found]
        back *= 2


def _fill_row(fill: Fill) -> dict[str, Any]:
    return {
        "fill": fill.fill_id,
        "order": fill.client_order_id,
        "strategy": fill.strategy,
        "account": fill.account,
        "instrument": fill.instrument,
        "side": str(fill.side),
        "quantity": exact(fill.quantity),
        "price": exact(fill.price),
        "fee": exact(fill.fee),
        "fee_currency": fill.fee_currency,
        "liquidity": str(fill.liquidity),
        "event_ns": fill.event_ns,
    }


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
