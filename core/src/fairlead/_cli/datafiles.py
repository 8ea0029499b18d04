"""`fairlead data info` and `verify`: files of market data, read as a replay reads them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from fairlead._cli.data import in_options, replay_options
from fairlead._cli.faults import FAULT, USAGE, CommandFailed
from fairlead._cli.tables import print_json
from fairlead._cli.words import count, moment, ratio
from fairlead._engine.distributions import plugin_class
from fairlead.errors import ConfigurationError
from fairlead.units import exact

_OF_REPLAYS = ("tick", "fee")
"""What is said of an instrument and not of the rows."""


def streams_package(name: str) -> Any:
    """The package whose stream is `replay`: what reads and writes files of market data. Raises ConfigurationError."""
    stream = plugin_class("replay", "fairlead-streams")
    package = importlib.import_module(stream.__module__.partition(".")[0])
    if not hasattr(package, name):
        raise ConfigurationError(
            f"the plugin 'replay' is of {package.__name__}, which has no {name}, and files are read by that: "
            f"pip install fairlead-streams"
        )
    return package


def info(files: Sequence[Path], as_json: bool, **said: Any) -> None:
    """Print what each file holds."""
    inspect = streams_package("inspect").inspect
    found = [_told(inspect, file, said) for file in files if not file.name.endswith(".meta.json")]
    if not found:
        raise CommandFailed("these are sidecars only: name the files beside them", USAGE)
    if as_json:
        print_json({"files": [_info(item) for item in found]})
        return
    for number, item in enumerate(found):
        if number:
            click.echo()
        _show(item)


def verify(files: Sequence[Path], as_json: bool, repair: bool, **said: Any) -> None:
    """Print every fault of each file, repaired first where that is asked for; a fault ends with code 1."""
    package = streams_package("verify")
    cut = [file for file in files if repair and file.name.endswith(".partial")]
    done = {file: _told(package.repair, file, {}) for file in cut}
    found = {file: _told(package.verify, file, said) for file in files if file not in done}
    if as_json:
        rows = {str(file): [_finding(item) for item in items] for file, items in found.items()}
        print_json({"files": rows, "repaired": {str(file): text for file, text in done.items()}})
    else:
        for text in done.values():
            click.echo(text)
        for file, items in found.items():
            for item in items:
                click.echo(f"{file}: {in_options(str(item))}")
            if not items:
                click.echo(f"{file}: no fault")
    faults = sum(map(len, found.values()))
    if faults:
        raise CommandFailed(f"{count(faults, 'fault')} in {count(len(found), 'file')}", FAULT)


def _told(act: Callable[..., Any], file: Path, said: dict[str, Any]) -> Any:
    """Read a file, what is wrong with it said in the words of the command line."""
    if not file.is_file():
        raise CommandFailed(f"{file} is no file: name one of market data", USAGE)
    options = {key: value for key, value in replay_options(said).items() if key not in _OF_REPLAYS}
    try:
        return act(file, **options)
    except ConfigurationError as error:
        raise CommandFailed(in_options(str(error)), FAULT) from error


# --- showing it ---------------------------------------------------------------------------------------------


def _show(found: Any) -> None:
    click.echo(found.file)
    for feed in found.feeds:
        rows = [
            ("instrument", feed.instrument or "not said"),
            ("kind", feed.kind),
            ("rows", f"{feed.rows:,}"),
            ("from", f"{moment(feed.start_ns)} {found.zone or '(zone not said)'}"),
            ("to", f"{moment(feed.end_ns)} {found.zone or '(zone not said)'}"),
            ("tick", f"{feed.tick:f}"),
            ("prices", f"{feed.low:.12g} to {feed.high:.12g}"),
        ]
        if feed.spread is not None:
            rows.append(
                ("spread", f"{ratio(feed.spread)} on average; bid and ask equal in {feed.locked:,} rows")
            )
        if feed.volume is not None:
            rows.append(("volume", f"{feed.volume:,.8g}"))
        if feed.kind.startswith("bar:"):
            rows.append(("gaps", f"{count(feed.missing, 'bar')} missing in {count(feed.gaps, 'gap')}"))
        if feed.repeated:
            rows.append(("ids", f"{feed.repeated:,} were there before"))
        for name, value in rows:
            click.echo(f"  {name:<11} {value}")
    bad, again = len(found.faults), found.duplicates
    click.echo(f"  {'bad rows':<11} {bad:,}{f', {again:,} of them duplicates' if again else ''}")
    if found.sidecar is not None:
        _show_sidecar(found.sidecar)
    for note in found.notes:
        click.echo(f"  {'note':<11} {in_options(note)}")


def _show_sidecar(side: Any) -> None:
    click.echo(f"  {'recorded':<11} from {side.stream or 'a stream without name'} {side.label}".rstrip())
    gaps = len(side.gaps) + side.gaps_left_out
    click.echo(f"  {'silences':<11} {count(gaps, 'gap')}{', such as ' if gaps else ''}{_first_gap(side)}")
    if side.refused:
        click.echo(f"  {'left out':<11} {count(side.refused, 'event')}: {side.refused_because}")
    click.echo(f"  {'terms':<11} {side.terms}")


def _first_gap(side: Any) -> str:
    return f"{moment(side.gaps[0][0])} to {moment(side.gaps[0][1])}" if side.gaps else ""


def _info(found: Any) -> dict[str, Any]:
    side = found.sidecar
    return {
        "file": found.file,
        "zone": found.zone,
        "feeds": [_feed(feed) for feed in found.feeds],
        "bad_rows": len(found.faults),
        "duplicates": found.duplicates,
        "notes": [in_options(note) for note in found.notes],
        "recording": None
        if side is None
        else {
            "stream": side.stream,
            "label": side.label,
            "synthetic": side.synthetic,
            "terms": side.terms,
            "complete": side.complete,
            "gaps_ns": side.gaps,
            "refused": side.refused,
            "sha256": side.sha256,
        },
    }


def _feed(feed: Any) -> dict[str, Any]:
    return {
        "instrument": feed.instrument,
        "kind": feed.kind,
        "rows": feed.rows,
        "start_ns": feed.start_ns,
        "end_ns": feed.end_ns,
        "tick": exact(feed.tick),
        "low": exact(feed.low),
        "high": exact(feed.high),
        "gaps": feed.gaps,
        "missing_bars": feed.missing,
        "spread": exact(feed.spread),
        "locked": feed.locked,
        "volume": exact(feed.volume),
        "repeated_ids": feed.repeated,
    }


def _finding(item: Any) -> dict[str, Any]:
    return {"line": item.line, "reason": in_options(item.reason)}
