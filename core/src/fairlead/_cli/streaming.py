"""`fairlead data watch` and `record`: streams without an engine."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Sequence
from contextlib import aclosing
from decimal import Decimal
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import msgspec

from fairlead._cli.datafiles import streams_package
from fairlead._cli.faults import FAULT, USAGE, CommandFailed
from fairlead._cli.loading import load_engine
from fairlead._cli.words import count as counted
from fairlead._cli.words import moment
from fairlead._engine.distributions import GROUP, plugin_class
from fairlead._engine.signals import signals
from fairlead._engine.tap import Tap, Wanted
from fairlead._engine.watch import events_of
from fairlead._models.market import MarketEvent, kind_of, utc
from fairlead.errors import ConfigurationError, FairleadError
from fairlead.ports import DataStream
from fairlead.units import duration

FLUSH_SECONDS = 1.0


def watch(source: str, count: int | None, as_json: bool, until: str | None, **asked: Any) -> None:
    """Print events until they end, enough were printed, or Ctrl-C."""
    streams = streams_for(source, asked["symbols"], asked["settings"])
    wanted = _wanted(asked)
    events = events_of(
        streams,
        wanted.instruments,
        wanted.kinds,
        wanted.intervals,
        finest=wanted.finest,
        within_ns=_within(until),
    )
    written = _as_json if as_json else _as_line

    async def look() -> None:
        left = count
        async with aclosing(events):
            async for event in events:
                click.echo(written(event))
                left = None if left is None else left - 1
                if left == 0:
                    return

    run_until_signaled(look())


def record(
    source: str,
    until: str | None,
    into: Path,
    encoding: str,
    rotate: str | None,
    gap_after: str,
    terms: str | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Record until the stream ends, the time is up, or Ctrl-C; then say what was written."""
    package = streams_package("Recorder")
    streams = streams_for(source, asked["symbols"], asked["settings"])
    within = _within(until)
    try:
        into.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandFailed(
            f"--into {into} cannot be made ({error.strerror}): name another folder", USAGE
        ) from None
    left = sorted(path.name for path in into.glob("*.partial"))
    for name in left:
        text = f"fairlead: {into / name} was cut short: finish it with fairlead data verify --repair"
        click.echo(text, err=True)
    settings = {
        "format": encoding,
        "stream": ", ".join(stream.name for stream in streams),
        "label": "; ".join(
            str(getattr(stream, "label", "")) for stream in streams if hasattr(stream, "label")
        ),
        "rotate": rotate,
        "gap_after": gap_after,
        **({} if terms is None else {"terms": terms}),
    }
    package.Recorder(into, (), **settings)  # refuses what cannot be, before anything is connected
    recording = _Recording(streams, lambda instruments: package.Recorder(into, instruments, **settings))
    failure: FairleadError | None = None
    try:
        run_until_signaled(recording.run(_wanted(asked), within))
    except ConfigurationError:
        raise
    except FairleadError as error:
        failure = error
    recording.show(into, as_json)
    if failure is not None:
        raise CommandFailed(str(failure), FAULT) from failure
    if recording.recorder is None or not recording.recorder.rows:
        raise CommandFailed("nothing was recorded: no event came that could be", FAULT)


class _Recording:
    """A recorder behind a tap."""

    def __init__(self, streams: list[DataStream], make: Any) -> None:
        self._make = make
        self._ended = asyncio.Event()
        self._tap = Tap(streams, self._take, on_end=self._ended.set, refused=self._refuse)
        self.recorder: Any = None
        self.refused: dict[str, int] = {}

    async def run(self, wanted: Wanted, within_ns: int) -> None:
        """From the first event to the last."""
        flushing = None
        try:
            await self._tap.open(wanted)
            if within_ns:
                self._tap.end_after(within_ns)
            flushing = asyncio.create_task(self._flush())
            await self._ended.wait()
        finally:
            if flushing is not None:
                flushing.cancel()
            await self._tap.close()
            if self.recorder is not None:
                self.recorder.close()
        if self._tap.error is not None:
            raise self._tap.error

    async def _flush(self) -> None:
        """What has come is on the disk within a second, also when nothing more comes."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            if self.recorder is not None:
                try:
                    self.recorder.flush()
                except FairleadError as error:
                    self._tap.fail(error)
                    return

    def _take(self, event: MarketEvent) -> None:
        if self.recorder is None:
            self.recorder = self._make(self._tap.instruments)
        self.recorder.take(event)

    def _refuse(self, event: MarketEvent, rule: str) -> None:
        reason = f"{kind_of(event)} of {event.instrument}: {rule}"
        if reason in self.refused or len(self.refused) < 100:
            self.refused[reason] = self.refused.get(reason, 0) + 1

    def show(self, into: Path, as_json: bool) -> None:
        """What was written, and what was not."""
        files = [str(path) for path in getattr(self.recorder, "files", [])]
        rows = getattr(self.recorder, "rows", 0)
        refused = sum(self.refused.values()) + getattr(self.recorder, "refused", 0)
        if as_json:
            found = {"files": files, "rows": rows, "refused": refused, "refused_because": dict(self.refused)}
            click.echo(json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False))
            return
        for file in files:
            click.echo(file)
        for reason, times in self.refused.items():
            click.echo(f"left out {counted(times, 'event')}, {reason}")
        click.echo(f"{counted(rows, 'event')} in {counted(len(files), 'file')} in {into}")


def run_until_signaled(work: Any) -> None:
    """Run a coroutine; Ctrl-C and SIGTERM end it in good order."""

    async def guarded() -> None:
        task = asyncio.ensure_future(work)
        with signals(asyncio.get_running_loop(), lambda _: task.cancel()):
            await asyncio.wait([task])
        if not task.cancelled():
            task.result()

    asyncio.run(guarded())


# --- what is asked for --------------------------------------------------------------------------------------


def _wanted(asked: dict[str, Any]) -> Wanted:
    kinds = [
        kind for kind, name in (("quote", "quotes"), ("trade", "trades"), ("book", "book")) if asked[name]
    ]
    return Wanted(asked["symbols"], kinds, asked["bars"], finest=not kinds and not asked["bars"])


def _within(until: str | None) -> int:
    if until is None:
        return 0
    try:
        found = duration(until)
    except ConfigurationError:
        found = 0
    if found <= 0:
        raise CommandFailed(f"--until {until!r} is no duration: write 10s, 5m or 8h", USAGE)
    return found


def streams_for(source: str, symbols: Sequence[str], settings: Sequence[str]) -> list[DataStream]:
    """The streams of a file's engine, or the stream of an entry point's name, made with `settings`."""
    if source.endswith((".py", ".toml")):
        if settings:
            raise CommandFailed(
                f"--set is for a STREAM by name, and {source} makes its own: change it there", USAGE
            )
        return list(load_engine(Path(source)).wiring.streams.values())
    names = sorted({point.name for point in metadata.entry_points(group=GROUP)})
    if source not in names:
        raise CommandFailed(
            f"{source!r} is neither FILE.py nor an installed stream (plugins are {', '.join(names) or 'none'}): check "
            f"the name, or install its distribution",
            USAGE,
        )
    made = made_with(source, plugin_class(source), symbols, settings)
    if not isinstance(made, DataStream):
        raise CommandFailed(f"plugin {source!r} is no stream: name one that is, such as synthetic", USAGE)
    return [made]


def made_with(name: str, factory: Any, symbols: Sequence[str], said: Sequence[str]) -> Any:
    """What a class or function of a stream makes with the settings of the command line, and the symbols."""
    settings = dict(map(_setting, said))
    parameters = inspect.signature(factory).parameters
    listed: Sequence[str] = ()
    if "symbols" in parameters and parameters["symbols"].kind is inspect.Parameter.VAR_POSITIONAL:
        named = settings.pop("symbols", symbols)
        listed = [named] if isinstance(named, str) else named
    elif "symbols" in parameters:
        settings.setdefault("symbols", list(symbols))
    unknown = [key for key in settings if key not in parameters]
    if unknown:
        raise CommandFailed(
            f"stream {name} has no argument {unknown[0]!r}: it has {', '.join(parameters)}", USAGE
        )
    try:
        inspect.signature(factory).bind(*listed, **settings)
    except TypeError as error:
        raise CommandFailed(
            f"stream {name} needs more ({error}): give it with --set KEY=VALUE", USAGE
        ) from None
    return factory(*listed, **settings)


def _setting(text: str) -> tuple[str, Any]:
    """`key=value`; a value that is JSON is what it says, any other a text."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise CommandFailed(f"--set {text!r} is no setting: write KEY=VALUE, such as seed=42", USAGE)
    try:
        return key.strip().replace("-", "_"), json.loads(value)
    except ValueError:
        return key.strip().replace("-", "_"), value


# --- events as text -----------------------------------------------------------------------------------------


def _as_json(event: MarketEvent) -> str:
    fields: dict[str, Any] = {"type": kind_of(event).partition(":")[0]}
    fields |= {name: _value(getattr(event, name)) for name in event.__struct_fields__}
    return msgspec.json.encode(fields).decode()


def _value(value: Any) -> Any:
    """Prices and sizes as exact decimal text; times are integers."""
    if isinstance(value, float):
        return _number(value)
    return [_value(item) for item in value] if isinstance(value, tuple) else value


def _number(value: float) -> str:
    return format(Decimal(repr(value)), "f")


def _as_line(event: Any) -> str:
    kind = kind_of(event)
    if kind == "quote":
        said = f"{_size(event.bid, event.bid_size)} / {_size(event.ask, event.ask_size)}"
    elif kind == "trade":
        said = f"{event.aggressor or '-':<4}  {_size(event.price, event.size)}"
    elif kind == "book":
        best = [_size(*levels[0]) if levels else "-" for levels in (event.bids, event.asks)]
        said = f"{' / '.join(best)}  {len(event.bids)} and {len(event.asks)} levels"
    else:
        prices = "  ".join(_number(price) for price in (event.open, event.high, event.low, event.close))
        said = f"{prices}  volume {_number(round(event.volume, 8))}"
    milliseconds = f"{utc(event.event_ns).microsecond // 1000:03d}"
    return f"{moment(event.event_ns)}.{milliseconds}  {event.instrument}  {kind:<6}  {said}"


def _size(price: float, size: float) -> str:
    return f"{_number(price)} x {_number(size)}"
