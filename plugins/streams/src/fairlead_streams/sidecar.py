"""The sidecar of a recorded file: what the rows are, whose rules hold, where they came from, and their checksum."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs

from fairlead import ConfigurationError, Contract, Instrument, decimal

FORMAT, VERSION = "fairlead-recording", 1
ENDING, PARTIAL = ".meta.json", ".partial"
COLUMNS = {
    "quote": ("bid", "ask", "bid_size", "ask_size"),
    "trade": ("price", "size", "aggressor", "trade_id"),
    "book": ("bids", "asks"),
    "bar": ("open_ns", "open", "high", "low", "close", "volume"),
}
TERMS = "For the use of whoever recorded it; the terms of the source say whether it may be passed on."


@attrs.define(kw_only=True)
class Sidecar:
    """What stands beside a recorded file. Times are ns UTC, of receipt; a gap is [start, end] without an event for
    longer than `patience_ns`.

    `recording` is shared by all files that were recorded together. `complete` says that the file is whole: then
    `rows`, `bytes` and `sha256` are those of the file.
    """

    kind: str
    instrument: Instrument
    recording: str
    stream: str = ""
    label: str = ""
    synthetic: bool = False
    terms: str = TERMS
    encoding: str = "csv"
    complete: bool = False
    rows: int = 0
    start_ns: int = 0
    end_ns: int = 0
    bytes: int = 0
    sha256: str = ""
    refused: int = 0
    refused_because: str = ""
    patience_ns: int = 0
    gaps: list[list[int]] = attrs.field(factory=list)
    gaps_left_out: int = 0

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the file's columns, in order."""
        return ("seq", "event_ns", "received_ns", *COLUMNS[self.kind.partition(":")[0]])

    def text(self) -> str:
        """As JSON."""
        fields = attrs.asdict(self, recurse=False)
        fields["instrument"] = {
            name: str(value) if isinstance(value, Decimal) else value
            for name, value in attrs.asdict(self.instrument).items()
        }
        return json.dumps({"format": FORMAT, "version": VERSION, **fields}, indent=2, ensure_ascii=False)


def beside(path: Path) -> Path:
    """Where the sidecar of a file stands, or would."""
    return path.with_name(path.name.removesuffix(PARTIAL) + ENDING)


def read_sidecar(path: Path) -> Sidecar | None:
    """The sidecar of a file, None where there is none. Raises ConfigurationError for one that cannot be believed."""
    place = beside(path)
    try:
        text = place.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as fault:
        raise _unusable(place, str(fault)) from None
    try:
        found = json.loads(text)
    except ValueError as fault:
        raise _unusable(place, f"it is no JSON, {fault}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise _unusable(place, f"its format is not {FORMAT!r}")
    if found.get("version") != VERSION:
        raise _unusable(place, f"its version is {found.get('version')!r}, and {VERSION} is read here")
    try:
        return _built(found)
    except (ConfigurationError, TypeError, ValueError, KeyError) as fault:
        raise _unusable(place, str(fault)) from None


def _built(found: dict[str, Any]) -> Sidecar:
    known = {field.name: field.type for field in attrs.fields(Sidecar)}
    values = {name: value for name, value in found.items() if name in known}
    for name, value in values.items():
        kind = {"str": str, "int": int, "bool": bool}.get(str(known[name]))
        if kind is not None and type(value) is not kind:
            raise ValueError(f"{name} is {value!r}")
    values["instrument"] = _instrument(values["instrument"])
    head, _, interval = values["kind"].partition(":")
    if head not in COLUMNS or (head == "bar") != bool(interval):
        raise ValueError(f"kind is {values['kind']!r}")
    if not all(
        isinstance(pair, list) and list(map(type, pair)) == [int, int] for pair in values.get("gaps", [])
    ):
        raise ValueError("gaps are pairs of times")
    return Sidecar(**values)


_READ: dict[str, Callable[[Any], Any]] = {
    "str": lambda value: value if isinstance(value, str) else _wrong(value),
    "int": lambda value: value if type(value) is int else _wrong(value),
    "Decimal": lambda value: decimal(value, "rule") if isinstance(value, str) else _wrong(value),
    "Decimal | None": lambda value: None if value is None else decimal(value, "rule"),
    "Contract": Contract,
}


def _wrong(value: object) -> Any:
    raise ValueError(f"an instrument's rule is {value!r}")


def _instrument(found: Any) -> Instrument:
    if not isinstance(found, dict):
        raise ValueError("instrument is no object")
    kinds = {field.name: str(field.type) for field in attrs.fields(Instrument)}
    return Instrument(**{name: _READ[kinds[name]](value) for name, value in found.items() if name in kinds})


def _unusable(place: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{place}: it cannot be used ({' '.join(why.split())}), and a recording is read by what its sidecar says: "
        f"restore it, or remove it and say yourself what the file holds"
    )


def write_whole(path: Path, text: str) -> None:
    """Write a small file so that it is there whole or not at all, also after a power cut. Raises OSError."""
    draft = path.with_name(path.name + ".new")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise


def sync_folder(folder: Path) -> None:
    """Make new names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def checksum(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
