"""`Archive`: the bars of one instrument in one file, which grows wherever some are missing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from itertools import pairwise
from os import PathLike
from pathlib import Path

from fairlead import Bar, ConfigurationError, FairleadError, Instrument
from fairlead_streams.checks import Rows
from fairlead_streams.recorded import check
from fairlead_streams.replay import ReplayStream
from fairlead_streams.series import bar_interval
from fairlead_streams.sidecar import PARTIAL, TERMS, Sidecar, beside, read_sidecar
from fairlead_streams.text import interval_text
from fairlead_streams.writing import ENCODINGS, columns_of, head, lines, seal

MOST_GAPS = 1_000
_CHUNK = 10_000


class Archive:
    """A file of bars as `ReplayStream` plays it, with its sidecar: what is there is kept, what is missing can be added.

        archive = Archive("btc.csv", instrument, "1m", stream="binance-stream")
        for start, end in archive.missing(since_ns, until_ns):
            archive.add(await stream.history(Subscription(instrument.id, "bar:1m"), start, end + 1))
        archive.save()

    The file's ending says its format: csv, jsonl or parquet. `save` writes it anew and puts it in the old one's place,
    so that there is a whole one at any time. A bar counts as received when it closed. Raises ConfigurationError for a
    file that is there and is another, and where a format cannot be written.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        instrument: Instrument,
        interval: str,
        *,
        stream: str = "",
        label: str = "",
        terms: str = TERMS,
    ) -> None:
        self.path = Path(path)
        self.size = bar_interval(f"bar:{interval}")
        if not self.size:
            raise ConfigurationError(
                f"bars {interval!r} are not of one length: write an interval such as '1m'"
            )
        self.interval = interval_text(self.size)
        self.refused = 0
        encoding = self.path.suffix[1:]
        if encoding not in ENCODINGS:
            raise ConfigurationError(
                f"{path}: its ending says no format that is written: name it .{', .'.join(ENCODINGS)}"
            )
        ENCODINGS[encoding]()
        self._side = Sidecar(
            kind=f"bar:{self.interval}",
            instrument=instrument,
            recording=hashlib.sha256(f"{self.path.resolve()}|{instrument.id}".encode()).hexdigest()[:16],
            stream=stream,
            label=label,
            terms=terms,
            synthetic="SYNTHETIC" in label,
            encoding=encoding,
            patience_ns=self.size + self.size // 2,
        )
        self._bars: dict[int, Bar] = {}
        if self.path.exists():
            self._read()

    def __len__(self) -> int:
        return len(self._bars)

    @property
    def span(self) -> tuple[int, int]:
        """The first bar's beginning and the last one's end, ns; (0, 0) where there is none."""
        return (min(self._bars), max(self._bars) + self.size) if self._bars else (0, 0)

    def gaps(self) -> list[tuple[int, int]]:
        """Where bars are missing between others, each as [start, end)."""
        opens = sorted(self._bars)
        return [(a + self.size, b) for a, b in pairwise(opens) if b - a > self.size]

    def missing(self, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
        """Where bars are missing between two times, each as [start, end) from a beginning to an end of a bar."""
        start, end = -(-start_ns // self.size) * self.size, end_ns // self.size * self.size
        there = [opened for opened in sorted(self._bars) if start <= opened < end]
        edges = [start - self.size, *there, end]
        return [(a + self.size, b) for a, b in pairwise(edges) if b - a > self.size]

    def add(self, events: Iterable[object]) -> int:
        """Take bars that are missing; returns how many. What is no such bar, or none that could be, is `refused`."""
        new = {}
        for event in events:
            if not self._fits(event):
                self.refused += 1
            elif isinstance(event, Bar) and event.open_ns not in self._bars:
                new[event.open_ns] = event
        if not new:
            return 0
        ordered = [(place, new[opened]) for place, opened in enumerate(sorted(new), start=1)]
        rows = Rows("", "row")
        rows.columns = columns_of(self._side.kind, ordered)
        rows.lines.extend(range(len(ordered)))
        check(rows, self._side.kind)
        good = [bar for index, (_, bar) in enumerate(ordered) if index not in rows.bad]
        self.refused += len(rows.bad)
        self._side.refused_because = self._side.refused_because or next(iter(rows.bad.values()), "")
        self._bars.update((bar.open_ns, self._plain(bar)) for bar in good)
        return len(good)

    def save(self) -> Path:
        """Write the file. Raises FairleadError where the disk does not take it; the one before is left as it is."""
        side, opens = self._side, sorted(self._bars)
        if not opens:
            raise ConfigurationError(f"{self.path}: there is no bar to write: add some first")
        side.rows, side.refused = len(opens), self.refused
        side.start_ns, side.end_ns = opens[0] + self.size, opens[-1] + self.size
        gaps = [[start, end + self.size] for start, end in self.gaps()]
        side.gaps, side.gaps_left_out = gaps[:MOST_GAPS], max(0, len(gaps) - MOST_GAPS)
        part = self.path.with_name(self.path.name + PARTIAL)
        digest, written = hashlib.sha256(), 0
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                for data in self._data(opens):
                    digest.update(data)
                    written += file.write(data)
                file.flush()
                os.fsync(file.fileno())
            return seal(part, side, digest.hexdigest(), written)
        except OSError as fault:
            part.unlink(missing_ok=True)
            raise FairleadError(
                f"{self.path}: it cannot be written ({fault.strerror or fault}): make room, or check who may write "
                f"there; the file that was there is as it was"
            ) from None

    def _data(self, opens: list[int]) -> Iterator[bytes]:
        yield head(self._side)
        for begin in range(0, len(opens), _CHUNK):
            chunk = opens[begin : begin + _CHUNK]
            yield lines(
                self._side, [(begin + n, self._bars[opened]) for n, opened in enumerate(chunk, start=1)]
            )

    def _fits(self, event: object) -> bool:
        return (
            isinstance(event, Bar)
            and event.instrument == self._side.instrument.id
            and bar_interval(f"bar:{event.interval}") == self.size
            and event.event_ns - event.open_ns == self.size
            and event.open_ns % self.size == 0
        )

    def _plain(self, bar: Bar) -> Bar:
        """A bar as it is written: received when it closed."""
        prices = (bar.open, bar.high, bar.low, bar.close, bar.volume)
        return Bar(bar.instrument, self.interval, *prices, bar.open_ns, bar.event_ns, bar.event_ns)

    def _read(self) -> None:
        side, mine = read_sidecar(self.path), self._side
        if side is None:
            raise ConfigurationError(
                f"{self.path}: it is there already and has no sidecar {beside(self.path).name}, so nobody knows what "
                f"its rows are: give another file, or move it away"
            )
        if (side.instrument.id, side.kind) != (mine.instrument.id, mine.kind):
            raise ConfigurationError(
                f"{self.path}: it holds {side.kind} of {side.instrument.id}, and {mine.kind} of {mine.instrument.id} "
                f"were to be added: give another file"
            )
        if side.synthetic != mine.synthetic:
            raise ConfigurationError(
                f"{self.path}: invented and real bars would be in one file: give another file"
            )
        self._bars = {bar.open_ns: bar for bar in ReplayStream(self.path).replay() if isinstance(bar, Bar)}
        mine.recording, mine.terms = side.recording, side.terms
        self.refused, mine.refused_because = side.refused, side.refused_because
