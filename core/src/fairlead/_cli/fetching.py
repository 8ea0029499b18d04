"""`fairlead data fetch`: the past of a stream into a file that replays."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs
import click

from fairlead._cli.datafiles import streams_package
from fairlead._cli.faults import FAULT, USAGE, CommandFailed
from fairlead._cli.progress import Say, progress
from fairlead._cli.streaming import made_with, run_until_signaled, streams_for
from fairlead._cli.tables import print_json
from fairlead._cli.words import count, moment
from fairlead._config.scripts import import_script
from fairlead._engine.distributions import GROUP
from fairlead._engine.past import connected
from fairlead._kernel.clock import SystemTime
from fairlead._models.instrument import Instrument, named
from fairlead.errors import ConfigurationError, ConnectivityError, FairleadError, PluginError, VenueError
from fairlead.ports import DataStream, Subscription
from fairlead.units import MILLISECOND, SECOND, duration

PAGE = 1_000
"""Bars of one question; the gaps between fewer bars are filled by one."""
PATIENCE_SECONDS = 120.0
PAUSES = (1.0, 5.0, 20.0)
"""Seconds before a question is asked again that has failed."""
SAVE_EACH = 50_000
SHOWN = 20


def fetch(
    name: str,
    symbols: Sequence[str],
    interval: str,
    since: str,
    until: str | None,
    out: Path | None,
    settings: Sequence[str],
    terms: str | None,
    as_json: bool,
) -> None:
    """Fetch until all is there that the stream has; then say what is in the files, and what is missing."""
    package = streams_package("Archive")
    now = SystemTime().now()
    size = _interval(interval)
    start, end = _time(since, "--since", now), now if until is None else _time(until, "--until", now)
    end = min(end, now) // size * size
    if -(-start // size) * size >= end:
        raise CommandFailed(
            f"no bar of {interval} has opened and closed from {moment(start)} to {moment(end)}: give an earlier "
            f"--since, or a later --until",
            USAGE,
        )
    _check_out(out, symbols)
    stream = _stream(name, symbols, settings)
    job = _Fetching(stream, package, interval, (start, end), out, terms)
    failure: FairleadError | None = None
    try:
        run_until_signaled(job.run(symbols))
    except ConfigurationError:
        raise
    except FairleadError as error:
        failure = error
    _show(job, as_json)
    if failure is not None:
        kept = "; what came is in the file, and the same command goes on from there"
        raise CommandFailed(f"{failure}{kept if any(part.added for part in job.parts) else ''}", FAULT)
    if not job.done:
        raise CommandFailed("interrupted before all was fetched: the same command goes on from there", FAULT)
    empty = [part.instrument.id for part in job.parts if not len(part.archive)]
    if empty:
        raise CommandFailed(
            f"stream {stream.name} has no bars of {interval} of {', '.join(empty)} from {moment(start)} to "
            f"{moment(end)} (it offers {', '.join(stream.offers(empty[0])) or 'nothing'}): give another --interval or "
            f"--since, or another stream",
            FAULT,
        )


@attrs.define
class _Part:
    """One instrument and its file."""

    instrument: Instrument
    archive: Any
    added: int = 0
    unsaved: int = 0

    def save(self) -> None:
        """Write the file, if something came since."""
        if self.unsaved:
            self.archive.save()
            self.unsaved = 0


class _Fetching:
    """The questions, one after the other, of one stream."""

    def __init__(
        self,
        stream: DataStream,
        package: Any,
        interval: str,
        window: tuple[int, int],
        out: Path | None,
        terms: str | None,
    ) -> None:
        self._stream = stream
        self._package = package
        self._interval = interval
        self.window = window
        self._out = out
        self._terms = {} if terms is None else {"terms": terms}
        self.parts: list[_Part] = []
        self.done = False

    async def run(self, symbols: Sequence[str]) -> None:
        """All of it. What came is saved, whatever ends it."""
        catalogue = {found.id: found for found in await self._stream.instruments()}
        wanted = list(dict.fromkeys(named(symbol, catalogue) for symbol in symbols))
        self.parts = [self._part(instrument) for instrument in wanted]
        with ExitStack() as saving:
            for part in self.parts:
                saving.callback(part.save)
            async with connected(self._stream, self.window[1]):
                for part in self.parts:
                    await self._fetch(part)
        self.done = True

    def _part(self, instrument: Instrument) -> _Part:
        label = str(getattr(self._stream, "label", ""))
        name = re.sub(r"[^A-Za-z0-9@.+-]", "_", instrument.id.replace("/", "-"))
        invented = "SYNTHETIC-" if "SYNTHETIC" in label else ""
        path = self._out if self._out is not None else Path()
        if path.is_dir() or not path.suffix:
            path = path / f"{invented}{name}.bar-{self._interval}.csv"
        archive = self._package.Archive(
            path, instrument, self._interval, stream=self._stream.name, label=label, **self._terms
        )
        return _Part(instrument, archive)

    async def _fetch(self, part: _Part) -> None:
        size = part.archive.size
        pages = list(_pages(part.archive.missing(*self.window), size * PAGE))
        total = sum(end - start for start, end in pages) // size
        done = 0
        with progress(f"bars of {part.instrument.id}", total) as say:
            for start, end in pages:
                await self._page(part, start, end)
                done += (end - start) // size
                _say(say, part, end, done)
                if part.unsaved >= max(SAVE_EACH, len(part.archive) // 4):
                    part.save()

    async def _page(self, part: _Part, start: int, end: int) -> None:
        subscription = Subscription(part.instrument.id, f"bar:{part.archive.interval}")
        events = await self._ask(subscription, start, end + 1)
        inside = [e for e in events if start <= getattr(e, "open_ns", -1) and e.event_ns <= end]
        new = part.archive.add(inside)
        part.added += new
        part.unsaved += new

    async def _ask(self, subscription: Subscription, start: int, end: int) -> Sequence[Any]:
        """A page; what fails is asked for again, ever later. Raises what the stream does in the end."""
        for pause in (*PAUSES, None):
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    return await self._stream.history(subscription, start, end)
            except (ConnectivityError, VenueError, TimeoutError) as error:
                why = str(error) or f"no answer within {PATIENCE_SECONDS:g} s"
                failed = f"stream {self._stream.name} gave no bars from {moment(start)} on ({why})"
                if pause is None:
                    raise ConnectivityError(failed) from error
            except FairleadError:
                raise
            except Exception as error:  # a plugin can fail in any way; it is named
                name = self._stream.name
                raise PluginError(
                    f"stream {name} failed in history ({type(error).__name__}: {error}): repair or update it",
                    plugin=name,
                ) from error
            click.echo(f"fairlead: {failed}: asked again in {pause:g} s", err=True)
            await asyncio.sleep(pause)
        raise AssertionError


def _say(say: Say | None, part: _Part, end: int, done: int) -> None:
    if say is not None:
        say(f"bars of {part.instrument.id} to {moment(end)}", done)


def _pages(missing: Sequence[tuple[int, int]], length: int) -> list[tuple[int, int]]:
    """What is asked for, a page at a time: gaps that lie within one page of each other are asked for together."""
    pages: list[tuple[int, int]] = []
    for start, end in missing:
        if pages and end - pages[-1][0] <= length:
            pages[-1] = (pages[-1][0], end)
            continue
        pages += [(first, min(first + length, end)) for first in range(start, end, length)]
    return pages


# --- what is asked for --------------------------------------------------------------------------------------


def _stream(name: str, symbols: Sequence[str], settings: Sequence[str]) -> DataStream:
    file, colon, attribute = name.partition(".py:")
    if colon:
        return _of_file(Path(f"{file}.py"), attribute, symbols, settings)
    if name.endswith((".py", ".toml")):
        raise CommandFailed(f"{name} does not say which object is the stream: write {name}:OBJECT", USAGE)
    installed = {point.name for point in metadata.entry_points(group=GROUP)}
    beside = f"{name}-stream"  # a venue's broker and its stream are of one distribution
    (stream,) = streams_for(beside if beside in installed else name, symbols, settings)
    return stream


def _of_file(file: Path, attribute: str, symbols: Sequence[str], settings: Sequence[str]) -> DataStream:
    made = getattr(import_script(file), attribute, None)
    if made is None:
        raise CommandFailed(
            f"{file} has no {attribute!r}: name a stream of it, or a class that makes one", USAGE
        )
    if isinstance(made, type) or not isinstance(made, DataStream):
        if not callable(made):
            raise CommandFailed(
                f"{file}:{attribute} is {type(made).__name__}, and no stream: name one", USAGE
            )
        made = made_with(f"{file}:{attribute}", made, symbols, settings)
    elif settings:
        raise CommandFailed(
            f"--set is for what makes a stream, and {file}:{attribute} is one: change it there", USAGE
        )
    if not isinstance(made, DataStream):
        raise CommandFailed(
            f"{file}:{attribute} makes {type(made).__name__}, and no stream: name another", USAGE
        )
    return made


def _interval(text: str) -> int:
    try:
        size = duration(text)
    except ConfigurationError:
        size = 0
    if size < MILLISECOND:
        raise CommandFailed(f"--interval {text!r} is no interval of time: write 1m, 1h or 1d", USAGE)
    return size


def _time(text: str, what: str, now: int) -> int:
    """A time with its zone, a date (UTC), or how long ago."""
    try:
        return now - duration(text)
    except ConfigurationError:
        pass
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise CommandFailed(
            f"{what} {text!r} is no time: write 2024-01-31, 2024-01-31T09:30Z, or how long ago, such as 30d",
            USAGE,
        ) from None
    if when.tzinfo is None and len(text) > len("2024-01-31"):
        raise CommandFailed(f"{what} {text} names no zone: write {text}Z", USAGE)
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return round((when - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * SECOND


def _check_out(out: Path | None, symbols: Sequence[str]) -> None:
    if out is not None and len(symbols) > 1 and not out.is_dir():
        raise CommandFailed(
            f"--out {out} is one file, and {len(symbols)} symbols need one each: name a folder that is there",
            USAGE,
        )


# --- what came of it ----------------------------------------------------------------------------------------


def _show(job: _Fetching, as_json: bool) -> None:
    if as_json:
        print_json({"complete": job.done, "files": [_told(part) for part in job.parts]})
        return
    for part in job.parts:
        archive = part.archive
        if not len(archive):
            continue
        first, last = archive.span
        click.echo(f"{archive.path}")
        click.echo(
            f"  {count(len(archive), 'bar')} of {archive.interval} of {part.instrument.id} from {moment(first)} to "
            f"{moment(last)}, {part.added:,} of them new"
        )
        gaps = archive.gaps()
        for start, end in gaps[:SHOWN]:
            bars = (end - start) // archive.size
            click.echo(f"  missing: {count(bars, 'bar')} from {moment(start)} to {moment(end)}")
        if len(gaps) > SHOWN:
            click.echo(f"  missing: {count(len(gaps) - SHOWN, 'more gap')}; --json lists them")
        if archive.refused:
            click.echo(f"  left out: {count(archive.refused, 'bar')} that cannot be")


def _told(part: _Part) -> dict[str, Any]:
    archive = part.archive
    first, last = archive.span
    return {
        "file": str(archive.path) if len(archive) else None,
        "instrument": part.instrument.id,
        "interval": archive.interval,
        "rows": len(archive),
        "added": part.added,
        "start_ns": first,
        "end_ns": last,
        "refused": archive.refused,
        "gaps": [
            {"start_ns": start, "end_ns": end, "missing_bars": (end - start) // archive.size}
            for start, end in archive.gaps()
        ],
    }
