"""Recorded data as the command line names it: options into a stream, and a stream's words into options."""

from __future__ import annotations

import ast
import re
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fairlead._cli.faults import USAGE, CommandFailed
from fairlead._cli.words import count, moment
from fairlead.units import percent


def streams_of(
    data: Sequence[Path], symbols: Sequence[str], said: Mapping[str, Any], *, timed: bool
) -> list[Any] | None:
    """The data as streams: all files one instrument, or as many instruments as files; None where none is given.

    `timed` says that times are given besides, which a zone may be meant for.
    """
    from fairlead._engine.distributions import plugin_class

    if not data:
        given = ["--symbol"] * bool(symbols)
        given += [option(name) for name, value in said.items() if value is not None]
        given = [name for name in given if not (timed and name == "--tz")]
        if given:
            raise CommandFailed(
                f"{', '.join(given)} describes data, and there is none: add --data FILE", USAGE
            )
        return None
    for path in data:
        if not path.is_file():
            raise CommandFailed(f"--data {path} is no file", USAGE)
    options = replay_options(said)
    replay = plugin_class("replay")
    if len(symbols) > 1:
        if len(symbols) != len(data):
            raise CommandFailed(
                f"{count(len(symbols), '--symbol')} for {count(len(data), '--data')}: give one for all files, "
                f"or one for each",
                USAGE,
            )
        return [replay(str(path), symbol=name, **options) for path, name in zip(data, symbols, strict=True)]
    return [replay([str(path) for path in data], symbol=symbols[0] if symbols else None, **options)]


def replay_options(said: Mapping[str, Any]) -> dict[str, Any]:
    """What was said of the data, as the arguments of a replay; what was not said is left out."""
    options = {name: value for name, value in said.items() if value is not None}
    if "fee" in options:
        options["fee"] = str(percent(options["fee"]))
    if "columns" in options:
        options["columns"] = _columns(options["columns"])
    return options


def _columns(text: str) -> dict[str, str | int] | list[str]:
    """`close=settle,volume=5` by role, or `time,price,size` in order."""
    parts = [part.strip() for part in text.split(",")]
    pairs = [part.partition("=") for part in parts]
    if all(not equals for _, equals, _ in pairs) and len(parts) > 1:
        return parts
    if any(not (role and equals and name) for role, equals, name in pairs):
        raise CommandFailed(
            f"--columns {text!r} is no list of columns: write ROLE=COLUMN,.. such as close=settle, "
            f"or the roles in order such as time,price,size",
            USAGE,
        )
    return {role.strip(): int(name) if name.strip().isdecimal() else name.strip() for role, _, name in pairs}


def time_of(text: str | None, what: str, zone: str | None) -> datetime | None:
    """The time of an option, in the zone of `--tz` where it names none itself."""
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise CommandFailed(
            f"{what} {text!r} is no time: write it as 2024-01-31T00:00+00:00", USAGE
        ) from None
    if parsed.tzinfo is not None:
        return parsed
    if zone is None:
        raise CommandFailed(
            f"{what} {text} names no zone: write {parsed.isoformat(timespec='minutes')}+00:00, or give --tz UTC",
            USAGE,
        )
    if zone.upper() in ("UTC", "Z"):
        return parsed.replace(tzinfo=UTC)
    try:
        return parsed.replace(tzinfo=ZoneInfo(zone))
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise CommandFailed(
            f"--tz {zone!r} is not a time zone: write UTC or a name such as Europe/Berlin", USAGE
        ) from None


# --- words ------------------------------------------------------------------------------------------------------

_NAMES = "symbol|tz|volume_unit|bar_label|interval|tick|fee|kind|columns|on_fault|start|end"
_SAID = re.compile(rf"\b({_NAMES})=(\{{.*?\}}|\(.*?\)|'[^']*'(?: or '[^']*')*)?")
_BARE = re.compile(r"\b(volume_unit|bar_label|on_fault)\b")


def option(name: str) -> str:
    """An argument's name as an option."""
    return f"--{name.replace('_', '-')}"


def in_options(message: str) -> str:
    """A message of a stream names its arguments: the same in the words of the command line."""
    return _BARE.sub(lambda found: option(found[1]), _SAID.sub(_written, message))


def _written(found: re.Match[str]) -> str:
    value = found[2] or ""
    if value[:1] in ("{", "("):
        named = ast.literal_eval(value)
        value = ",".join(f"{k}={v}" for k, v in named.items()) if isinstance(named, dict) else ",".join(named)
    return f"{option(found[1])} {value.replace(chr(39), '')}".rstrip()


def no_rows(streams: Sequence[Any], start: datetime | None, end: datetime | None) -> str:
    """Why a backtest over these data had nothing to do."""
    first, last = 1 << 63, 0
    for stream in streams:
        events = stream.replay()
        begin = next(events, None)
        if begin is not None:
            final = deque(events, maxlen=1)
            first, last = min(first, begin.received_ns), max(last, (final or [begin])[0].received_ns)
    files = ", ".join(stream.label for stream in streams)
    if last and not _overlap(first, last, start, end):
        since = f"from {_shown(start)} on" if end is None else f"between {_shown(start)} and {_shown(end)}"
        if start is None:
            since = f"before {_shown(end)}"
        return f"no rows {since}: {files} has {moment(first)} to {moment(last)} UTC"
    return f"no row of {files} reached a strategy: have it watch what the data hold, with self.watch(...) in on_start"


def _overlap(first: int, last: int, start: datetime | None, end: datetime | None) -> bool:
    after = start is not None and start.timestamp() * 1e9 > last
    return not after and (end is None or end.timestamp() * 1e9 > first)


def _shown(when: datetime | None) -> str:
    return "" if when is None else f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


__all__ = ["in_options", "no_rows", "option", "replay_options", "streams_of", "time_of"]
