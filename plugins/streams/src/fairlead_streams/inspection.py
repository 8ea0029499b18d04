"""Looking at files of market data: what they hold, what is wrong with them, and how a cut recording is finished."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import Any

import attrs

from fairlead import Bar, ConfigurationError, Trade
from fairlead_streams.checks import Fault, Gap, Rows
from fairlead_streams.csv_reader import read_csv
from fairlead_streams.jsonl_reader import read_json
from fairlead_streams.loading import TICK_ROWS, UNNAMED, Feed, Loaded, finest, load, reading
from fairlead_streams.recorded import PRICES, check, gather
from fairlead_streams.sidecar import ENDING, PARTIAL, Sidecar, beside, checksum, read_sidecar
from fairlead_streams.text import plural
from fairlead_streams.writing import head, seal

Source = str | PathLike[str]


@attrs.frozen(kw_only=True)
class FeedInfo:
    """One feed of a file. Times are ns UTC, of the events; sizes and volumes in base units, None for no such thing.

    `spread` is the mean distance of ask and bid as a ratio of the price, `locked` how often they are equal. `repeated`
    counts trades whose id was there before. `instrument` is "" where the file names none.
    """

    instrument: str
    kind: str
    rows: int
    start_ns: int
    end_ns: int
    tick: Decimal
    low: float
    high: float
    gaps: int = 0
    missing: int = 0
    spread: float | None = None
    locked: int | None = None
    volume: float | None = None
    repeated: int | None = None


@attrs.frozen(kw_only=True)
class FileInfo:
    """What a file holds. `faults` are rows that cannot be used, `notes` what a replay must be told or has assumed.

    `zone` is that of its times, "" where nobody said it; `sidecar` is there for a recording.
    """

    file: str
    zone: str
    feeds: tuple[FeedInfo, ...]
    faults: tuple[Fault, ...]
    gaps: tuple[Gap, ...]
    notes: tuple[str, ...]
    sidecar: Sidecar | None = None

    @property
    def duplicates(self) -> int:
        """How many of the faults are rows that were there before."""
        return sum("duplicate" in fault.reason for fault in self.faults)


def inspect(path: Source, **said: Any) -> FileInfo:
    """What a file holds, also where a replay would have to be told more; `said` is what `ReplayStream` takes.

    Raises ConfigurationError for a file that cannot be read at all.
    """
    path = Path(path)
    told = reading(**{**said, "on_fault": "skip"}, lenient=True)
    loaded = load(path, told)
    side = read_sidecar(path)
    unsaid = any("tz=" in note for note in loaded.notes)
    zone = "" if unsaid else str(told.zone) if told.zone is not None else "UTC"
    return FileInfo(
        file=str(path),
        zone=zone,
        feeds=tuple(_feed_info(feed, loaded) for feed in loaded.feeds),
        faults=tuple(loaded.faults),
        gaps=tuple(loaded.gaps),
        notes=tuple(loaded.notes),
        sidecar=side,
    )


def _feed_info(feed: Feed, loaded: Loaded) -> FeedInfo:
    series, columns = feed.series, feed.rows.columns
    kind = series.kind.partition(":")[0]
    several = len(loaded.feeds) > 1
    gaps = [gap for gap in loaded.gaps if not several or gap.line in set(feed.rows.lines)]
    prices = [columns[role] for role in PRICES[kind]]
    found = [column for column in prices if len(column)]
    instrument = "" if series.instrument.startswith(UNNAMED) else series.instrument
    return FeedInfo(
        instrument=instrument,
        kind=series.kind,
        rows=len(series),
        start_ns=series.event[0],
        end_ns=series.event[-1],
        tick=finest(price for column in found for price in column[:TICK_ROWS]) if found else feed.tick,
        low=min(map(min, found), default=0.0),
        high=max(map(max, found), default=0.0),
        gaps=len(gaps),
        missing=sum(gap.missing for gap in gaps),
        **_figures(kind, feed, columns),
    )


def _figures(kind: str, feed: Feed, columns: Mapping[str, Any]) -> dict[str, Any]:
    events = [event for block in feed.series.blocks(0, len(feed.series)) for event in block]
    if kind == "quote":
        pairs = list(zip(columns["bid"], columns["ask"], strict=True))
        spread = sum((ask - bid) * 2 / (ask + bid) for bid, ask in pairs) / len(pairs)
        return {"spread": spread, "locked": sum(bid == ask for bid, ask in pairs)}
    if kind == "bar":
        return {"volume": sum(event.volume for event in events if isinstance(event, Bar))}
    if kind == "trade":
        trades = [event for event in events if isinstance(event, Trade)]
        ids = [event.trade_id for event in trades]
        repeated = len(ids) - len(set(ids)) if any(ids) else None
        return {"volume": sum(event.size for event in trades), "repeated": repeated}
    return {}


# --- verifying ----------------------------------------------------------------------------------------------


@attrs.frozen
class Finding:
    """Something wrong with a file; `line` is 0 where it is the file as a whole, `word` says what is counted."""

    file: str
    line: int
    reason: str
    word: str = "line"

    def __str__(self) -> str:
        return f"{self.word} {self.line}: {self.reason}" if self.line else self.reason


def verify(path: Source, **said: Any) -> list[Finding]:
    """All that is wrong with a file, in its order; empty for a clean one. The checks are those of a replay.

    `said` is what `ReplayStream` takes. What a replay must be told and the checks can do without is not wanted here.
    """
    path = Path(path)
    if path.name.endswith(ENDING):
        return _described(path)
    try:
        found = inspect(path, **said)
        findings = [Finding(found.file, fault.line, fault.reason, fault.word) for fault in found.faults]
        findings += [Finding(found.file, gap.line, _gap(gap), gap.word) for gap in found.gaps]
        findings.sort(key=lambda finding: finding.line)
    except ConfigurationError as refusal:
        said_of = str(refusal).removeprefix(f"{path}: ").removeprefix(f"{path.name}: ")
        findings = [Finding(str(path), 0, said_of)]
    return [*_against_sidecar(path), *findings]


def _described(sidecar: Path) -> list[Finding]:
    """A sidecar is looked at with its file; one without is what is left of a recording."""
    file = sidecar.with_name(sidecar.name.removesuffix(ENDING))
    if file.is_file() or file.with_name(file.name + PARTIAL).is_file():
        return []
    return [Finding(str(sidecar), 0, f"the file that it describes, {file.name}, is not there: restore it")]


def _gap(gap: Gap) -> str:
    return str(gap).partition(": ")[2]


def _against_sidecar(path: Path) -> list[Finding]:
    try:
        side = read_sidecar(path)
    except ConfigurationError as refusal:
        return [Finding(str(path), 0, str(refusal))]
    if side is None or not path.is_file():
        return []
    if path.name.endswith(PARTIAL):
        torn = _torn(path)
        reason = f"; its last line is cut after {plural(len(torn), 'byte')} ({torn[:40]!r})" if torn else ""
        return [Finding(str(path), 0, f"its recording was cut short{reason}: finish it with --repair")]
    if not side.complete:
        return [Finding(str(path), 0, "its sidecar is not that of a finished recording: restore it")]
    if checksum(path) != side.sha256:
        size = path.stat().st_size
        words = f"{size:,} bytes instead of {side.bytes:,}" if size != side.bytes else "changed bytes"
        return [Finding(str(path), 0, f"its checksum is not that of its sidecar: it has {words}; restore it")]
    return []


# --- repairing ----------------------------------------------------------------------------------------------


def repair(path: Source) -> str:
    """Finish a recording that was cut short: cut a torn last line, seal the rest. Says in a sentence what was done.

    Raises ConfigurationError for a file that is no recording which was cut short, or whose rows are bad.
    """
    path = Path(path)
    side = read_sidecar(path) if path.is_file() else None
    if side is None or not path.name.endswith(PARTIAL):
        raise ConfigurationError(
            f"{path}: it is no recording that was cut short, FILE{PARTIAL} with its sidecar, and only one can be "
            f"finished: correct the file by hand"
        )
    torn = _torn(path)
    whole = path.stat().st_size - len(torn)
    if whole <= len(head(side)):
        path.unlink()
        beside(path).unlink()
        return f"{path.name}: it held no whole row, and was removed"
    rows = _rows(path, side, whole)
    with path.open("r+b") as file:
        file.truncate(whole)
        os.fsync(file.fileno())
    side.rows = len(rows)
    times = rows.columns["received_ns"]
    side.start_ns, side.end_ns = times[0], times[-1]
    side.gaps = [[one, other] for one, other in pairwise(times) if other - one > side.patience_ns > 0]
    final = seal(path, side, checksum(path), whole)
    cut = (
        f"a torn last line of {plural(len(torn), 'byte')} ({torn[:40]!r}) was cut"
        if torn
        else "nothing was torn"
    )
    return f"{path.name}: {cut}, and {plural(len(rows), 'row')} are now {final.name}"


def _torn(path: Path) -> bytes:
    """What stands after the last whole line."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        tail = b""
        while end and b"\n" not in tail:
            step = min(end, 65_536)
            end = file.seek(end - step)
            tail = file.read(step) + tail
    return tail[tail.rfind(b"\n") + 1 :]


def _rows(path: Path, side: Sidecar, whole: int) -> Rows:
    """The rows of the whole lines, each of which must be good."""
    with path.open("rb") as file:
        text = io.TextIOWrapper(io.BytesIO(file.read(whole)), "utf-8", newline="")
    rows = gather(path.name, (read_json if side.encoding == "jsonl" else read_csv)(path.name, text), side)
    check(rows, side.kind)
    if rows.bad:
        raise ConfigurationError(
            f"{path.name}: {plural(len(rows.bad), 'row')} are damaged ({rows.faults()[0]}), and what was recorded is "
            f"not to be guessed: correct the file by hand"
        )
    return rows


__all__ = ["FeedInfo", "FileInfo", "Finding", "inspect", "repair", "verify"]
