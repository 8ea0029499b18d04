"""`Recorder`: market events into files that `ReplayStream` gives back as they were.

While a file grows it is called `….partial` and holds whole lines; it takes its final name when it is whole, synced and
described by its sidecar. Whatever ends the process, what was flushed is there.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from os import PathLike
from pathlib import Path

import attrs

from fairlead import Bar, Book, ConfigurationError, FairleadError, Instrument, Quote, Trade, duration
from fairlead.ports import MarketEvent
from fairlead_streams.checks import Rows
from fairlead_streams.recorded import check
from fairlead_streams.series import bar_interval
from fairlead_streams.sidecar import PARTIAL, TERMS, Sidecar, beside, sync_folder, write_whole
from fairlead_streams.text import plural
from fairlead_streams.writing import ENCODINGS, columns_of, head, lines, seal

FLUSH_ROWS = 512
FLUSH_NS = 1_000_000_000
MOST_GAPS = 1_000
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kMG])B\s*")
_FACTORS = {"k": 1_000, "M": 1_000_000, "G": 1_000_000_000}


@attrs.define
class _Part:
    """One file in the making."""

    path: Path
    side: Sidecar
    file: int
    size: int = 0
    digest: hashlib._Hash = attrs.field(factory=hashlib.sha256)


@attrs.define
class _Lane:
    """One feed: what waits to be written, the file it goes to, and when it was last heard of."""

    waiting: list[tuple[int, MarketEvent]] = attrs.field(factory=list)
    part: _Part | None = None
    last_ns: int | None = None
    silences: list[list[int]] = attrs.field(factory=list)
    silences_left_out: int = 0
    before: tuple[int, MarketEvent] | None = None


class Recorder:
    """Writes each feed of each instrument into a folder, a file of its own with a sidecar `….meta.json`.

        recorder = Recorder("data", instruments, stream="binance", rotate="1d")
        recorder.take(event)
        recorder.close()

    Quotes, trades, bars and books are recorded; a row that no stream could replay is left out and counted in the
    sidecar. `format` is csv, jsonl or parquet. `rotate` begins new files at a size such as "100MB" or at each multiple
    of a duration such as "1d". A silence longer than `gap_after` is a gap, and stands in the sidecar, as missing bars
    do. `label` says what the data are: SYNTHETIC in it stays on the files and on whatever replays them.

    Rows reach the disk after a second, after 512 of them, or at `flush`. Raises ConfigurationError for settings that
    cannot be used, and FairleadError where the disk takes no more; what was written by then is whole.
    """

    def __init__(
        self,
        folder: str | PathLike[str],
        instruments: Iterable[Instrument],
        *,
        format: str = "csv",
        stream: str = "",
        label: str = "",
        terms: str = TERMS,
        rotate: str | None = None,
        gap_after: str | int = "1m",
    ) -> None:
        if format not in ENCODINGS:
            raise ConfigurationError(f"format {format!r} is not known: use one of {', '.join(ENCODINGS)}")
        ENCODINGS[format]()
        self._folder = Path(folder)
        self._encoding = format
        self._most_bytes, self._period_ns = _rotation(rotate)
        self._gap_ns = duration(gap_after)
        self._known = {instrument.id: instrument for instrument in instruments}
        self._stream, self._label, self._terms = stream, label, terms
        self._lanes: dict[tuple[str, str], _Lane] = {}
        self._seq = self._waiting = self._flushed_ns = self._last_ns = 0
        self._period = -1
        self._recording = ""
        self._closed = False
        self.rows = self.refused = 0
        self.files: list[Path] = []

    def take(self, event: MarketEvent) -> None:
        """One event more. Raises ConfigurationError for one on an instrument that is not known, and after `close`."""
        if self._closed:
            raise ConfigurationError("this recorder has been closed, and takes no more: make another")
        kind = _kind(event)
        if event.instrument not in self._known:
            raise ConfigurationError(
                f"an event is on {event.instrument!r}, and recorded are {', '.join(self._known)}: name its instrument"
            )
        now = self._last_ns = max(self._last_ns, event.received_ns)
        if self._period_ns and now // self._period_ns != self._period:
            if self._period >= 0:
                self.rotate()
            self._period = now // self._period_ns
        self._seq += 1
        lane = self._lanes.setdefault((event.instrument, kind), _Lane())
        lane.waiting.append((self._seq, event))
        self._waiting += 1
        if self._waiting >= FLUSH_ROWS or now - self._flushed_ns >= FLUSH_NS:
            self.flush()

    def flush(self) -> None:
        """Hand all rows to the operating system: they survive the death of the process."""
        self._waiting, self._flushed_ns = 0, self._last_ns
        for (instrument, kind), lane in self._lanes.items():
            waiting, lane.waiting = lane.waiting, []
            if waiting:
                self._write(instrument, kind, lane, waiting)
                if self._most_bytes and lane.part is not None and lane.part.size >= self._most_bytes:
                    self._finish(lane)

    def rotate(self) -> None:
        """Finish all files; what comes next goes into new ones."""
        self.flush()
        for lane in self._lanes.values():
            self._finish(lane)

    def close(self) -> None:
        """Finish all files; harmless to repeat."""
        if not self._closed:
            self.rotate()
            self._closed = True

    # --- writing --------------------------------------------------------------------------------------------

    def _write(self, instrument: str, kind: str, lane: _Lane, waiting: list[tuple[int, MarketEvent]]) -> None:
        rows, reasons = _good(kind, lane, waiting)
        self.refused += len(reasons)
        if lane.part is None:
            if not rows:
                return
            lane.part = self._open(instrument, kind)
        part, side = lane.part, lane.part.side
        side.refused += len(reasons)
        side.refused_because = side.refused_because or next(iter(reasons), "")
        if not rows:
            return
        self._listen(side.patience_ns, lane, rows)
        data = lines(side, rows)
        try:
            self._append(part, data)
        except OSError as fault:
            raise self._failed(fault) from None
        side.rows += len(rows)
        side.start_ns = side.start_ns or rows[0][1].received_ns
        side.end_ns = rows[-1][1].received_ns
        side.gaps += lane.silences
        side.gaps_left_out += lane.silences_left_out
        lane.silences, lane.silences_left_out = [], 0
        self.rows += len(rows)

    def _append(self, part: _Part, data: bytes) -> None:
        """Write whole lines or none. Raises OSError."""
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(part.file, view) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(part.file, part.size)
            raise
        part.size += len(data)
        part.digest.update(data)

    def _failed(self, fault: OSError) -> FairleadError:
        self._closed = True
        for lane in self._lanes.values():
            lane.waiting.clear()
            with suppress(OSError):
                self._seal(lane)
        left = [lane.part.path.name for lane in self._lanes.values() if lane.part is not None]
        whole = f"{plural(self.rows, 'row')} in {plural(len(self.files), 'finished file')}"
        rest = f"; {', '.join(left)} can be finished with `fairlead data verify --repair`" if left else ""
        full = fault.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        remedy = "make room" if full else "check the folder and who may write there"
        return FairleadError(
            f"{self._folder}: nothing more can be recorded ({fault.strerror or fault}): {remedy}; what was written is "
            f"intact ({whole}{rest})"
        )

    def _open(self, instrument: str, kind: str) -> _Part:
        synthetic = "SYNTHETIC" in self._label
        stem = f"{'SYNTHETIC-' if synthetic else ''}{_plain(instrument)}.{_plain(kind)}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path, file = _new_file(self._folder, stem, self._encoding)
        except OSError as fault:
            raise self._failed(fault) from None
        if not self._recording:
            identity = f"{path.resolve()}|{os.getpid()}|{self._last_ns}"
            self._recording = hashlib.sha256(identity.encode()).hexdigest()[:16]
        side = Sidecar(
            kind=kind,
            instrument=self._known[instrument],
            recording=self._recording,
            stream=self._stream,
            label=self._label,
            patience_ns=self._patience(kind),
            synthetic=synthetic,
            terms=self._terms,
            encoding=self._encoding,
        )
        part = _Part(path, side, file)
        try:
            write_whole(beside(path), side.text())
            self._append(part, head(side))
        except OSError as fault:
            os.close(file)
            path.unlink()
            beside(path).unlink(missing_ok=True)
            raise self._failed(fault) from None
        return part

    def _finish(self, lane: _Lane) -> None:
        try:
            self._seal(lane)
        except OSError as fault:
            raise self._failed(fault) from None

    def _seal(self, lane: _Lane) -> None:
        """Give the file of a feed, if it has one, its final name. Raises OSError, and it stays as it is."""
        part = lane.part
        if part is None:
            return
        os.fsync(part.file)
        final = seal(part.path, part.side, part.digest.hexdigest(), part.size)
        os.close(part.file)
        lane.part = None
        self.files.append(final)

    # --- gaps -----------------------------------------------------------------------------------------------

    def _patience(self, kind: str) -> int:
        """How long a feed may be silent: a bar more than its interval, in any case `gap_after`."""
        interval = bar_interval(kind) if kind.startswith("bar:") else 0
        return max(self._gap_ns, interval + interval // 2)

    def _listen(self, patience: int, lane: _Lane, rows: list[tuple[int, MarketEvent]]) -> None:
        """Note where nothing came for too long, or bars are missing."""
        for _, event in rows:
            now = event.received_ns
            if lane.last_ns is not None and now - lane.last_ns > patience:
                if len(lane.silences) < MOST_GAPS:
                    lane.silences.append([lane.last_ns, now])
                else:
                    lane.silences_left_out += 1
            lane.last_ns = now


def _good(
    kind: str, lane: _Lane, waiting: list[tuple[int, MarketEvent]]
) -> tuple[list[tuple[int, MarketEvent]], list[str]]:
    """The rows that can be replayed, and why the others cannot; the last one before them is looked at too."""
    ahead = [lane.before] if lane.before is not None else []
    rows = Rows("", "row")
    rows.columns = columns_of(kind, [*ahead, *waiting])
    rows.lines.extend(range(len(ahead) + len(waiting)))
    for index, (_, event) in enumerate([*ahead, *waiting]):
        if isinstance(event, Trade) and not (event.trade_id + event.aggressor).isprintable():
            rows.blame(index, "its trade id holds what cannot be printed")
        elif isinstance(event, Trade) and event.aggressor not in ("", "buy", "sell"):
            rows.blame(index, f"its aggressor is {event.aggressor!r}")
    check(rows, kind)
    first = len(ahead)
    good = [pair for index, pair in enumerate(waiting, start=first) if index not in rows.bad]
    if good:
        lane.before = good[-1]
    return good, [reason for index, reason in sorted(rows.bad.items()) if index >= first]


def _kind(event: MarketEvent) -> str:
    if isinstance(event, Bar):
        return f"bar:{event.interval}"
    if isinstance(event, Quote | Trade | Book):
        return type(event).__name__.lower()
    raise ConfigurationError(
        f"a {type(event).__name__} cannot be recorded: record quotes, trades, bars and books"
    )


def _plain(text: str) -> str:
    """A text as part of a file name."""
    return re.sub(r"[^A-Za-z0-9@.+-]", "_", text.replace("/", "-").replace("bar:", "bar-"))


def _new_file(folder: Path, stem: str, encoding: str) -> tuple[Path, int]:
    """A file of the next free number, nobody else's."""
    taken = re.compile(re.escape(stem) + r"\.(\d{4,})\.")
    numbers = [int(match[1]) for name in os.listdir(folder) if (match := taken.match(name))]
    number = max(numbers, default=0) + 1
    while True:
        path = folder / f"{stem}.{number:04d}.{encoding}{PARTIAL}"
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            number += 1
            continue
        sync_folder(folder)
        return path, file


def _rotation(rotate: str | None) -> tuple[int, int]:
    """Most bytes of a file, and its longest time in ns; 0 is no limit."""
    if rotate is None:
        return 0, 0
    match = _SIZE.fullmatch(rotate)
    if match:
        return max(1, int(float(match[1]) * _FACTORS[match[2]])), 0
    try:
        period = duration(rotate)
    except ConfigurationError:
        period = 0
    if period <= 0:
        raise ConfigurationError(f"rotate {rotate!r} is neither a size nor a duration: write 100MB or 1d")
    return 0, period
