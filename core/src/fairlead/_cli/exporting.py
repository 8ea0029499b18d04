"""`fairlead journal export`: the facts of a run for other programs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any, get_args

import attrs
import msgspec

from fairlead._cli.faults import USAGE, CommandFailed
from fairlead._cli.reading import folder_of
from fairlead._engine.moments import moment
from fairlead._storage.index import find_facts
from fairlead.errors import ConfigurationError
from fairlead.facts import AnyFact, Fact

_FIRST = ("seq", "now_ns", "cause", "type")
_ROWS = 10_000

Read = Callable[[], Iterator[Fact]]


def export_journal(
    run: Path, shape: str, since: str | None, until: str | None, types: Sequence[str], out: Path | None
) -> None:
    """Write the chosen facts in the chosen form."""
    folder = folder_of(run)
    kinds = _kinds(types)
    first, last = moment(since, "--since") or 0, moment(until, "--until")

    def read() -> Iterator[Fact]:
        return find_facts(folder, kinds, since_ns=first, until_ns=last)

    if shape == "parquet":
        _parquet(read, _columns(read, kinds), out)
    elif out is None:
        _text(shape, read, kinds, sys.stdout)
    else:
        with out.open("w", encoding="utf-8", newline="") as file:
            _text(shape, read, kinds, file)


def _kinds(names: Sequence[str]) -> set[type[Fact]]:
    known = {kind.__name__: kind for kind in get_args(AnyFact)}
    for name in names:
        if name not in known:
            raise CommandFailed(f"no fact is named {name!r}: there are {', '.join(sorted(known))}", USAGE)
    return {known[name] for name in names}


def _text(shape: str, read: Read, kinds: set[type[Fact]], file: IO[str]) -> None:
    if shape == "jsonl":
        for fact in read():
            file.write(json.dumps(plain(fact), ensure_ascii=False) + "\n")
        return
    columns = _columns(read, kinds)
    writer = csv.writer(file)
    writer.writerow(columns)
    for fact in read():
        row = _row(fact, kinds)
        writer.writerow([row.get(column, "") for column in columns])


def _parquet(read: Read, columns: Sequence[str], out: Path | None) -> None:
    if out is None:
        raise CommandFailed("parquet is written to a file: name one with --out", USAGE)
    try:
        import pyarrow  # type: ignore[import-not-found, unused-ignore]
        import pyarrow.parquet  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise ConfigurationError(
            "writing Parquet needs pyarrow, which is not installed: pip install 'fairlead[parquet]'"
        ) from None
    kinds = [(name, pyarrow.int64() if _whole(name) else pyarrow.string()) for name in columns]
    schema, rows = pyarrow.schema(kinds), map(_row_of(columns), read())
    with pyarrow.parquet.ParquetWriter(out, schema) as writer:
        while some := list(islice(rows, _ROWS)):
            lists = zip(*some, strict=True)
            arrays = [pyarrow.array(list(found), kind) for found, (_, kind) in zip(lists, kinds, strict=True)]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))


def _row_of(columns: Sequence[str]) -> Callable[[Fact], list[Any]]:
    def row(fact: Fact) -> list[Any]:
        found = _row(fact, {type(fact)} if "fields" not in columns else set())
        return [_cell(name, found.get(name)) for name in columns]

    return row


def _cell(name: str, value: Any) -> Any:
    if value is None or _whole(name):
        return value
    return str(value)


def _whole(name: str) -> bool:
    return name in ("seq", "cause") or name.endswith("_ns")


def plain(fact: Fact) -> dict[str, Any]:
    """A fact as JSON holds it: money and quantities as text, bytes in base64, its time as `now_ns`."""
    fields = msgspec.to_builtins(fact)
    head = {"seq": fact.seq, "now_ns": fact.now, "cause": fact.cause, "type": fields.pop("t")}
    return {**head, **{name: value for name, value in fields.items() if name not in ("seq", "now", "cause")}}


def _columns(read: Read, kinds: set[type[Fact]]) -> list[str]:
    """Of one kind of fact its own fields, of several one with all of them as JSON."""
    if len(kinds) != 1:
        return [*_FIRST, "fields"]
    found: dict[str, None] = dict.fromkeys(_FIRST)
    for fact in read():
        found.update(dict.fromkeys(_row(fact, kinds)))
    return list(found)


def _row(fact: Fact, kinds: set[type[Fact]]) -> dict[str, Any]:
    row = {"seq": fact.seq, "now_ns": fact.now, "cause": fact.cause, "type": type(fact).__name__}
    if len(kinds) == 1:
        return {**row, **_flat(fact, "", ("seq", "now", "cause"))}
    fields = {name: value for name, value in plain(fact).items() if name not in _FIRST}
    return {**row, "fields": json.dumps(fields, ensure_ascii=False)}


def _flat(value: Any, prefix: str, without: Sequence[str] = ()) -> dict[str, Any]:
    """Fields by name, those of a structure inside under `outer.inner`."""
    row: dict[str, Any] = {}
    names = (
        value.__struct_fields__
        if isinstance(value, msgspec.Struct)
        else [a.name for a in attrs.fields(type(value))]
    )
    for name in names:
        inner = getattr(value, name)
        if name in without:
            continue
        if isinstance(inner, msgspec.Struct) or attrs.has(type(inner)):
            row.update(_flat(inner, f"{prefix}{name}."))
        else:
            found = msgspec.to_builtins(inner)
            row[prefix + name] = (
                json.dumps(found, ensure_ascii=False) if isinstance(found, list | dict) else found
            )
    return row
