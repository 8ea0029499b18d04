"""`index.sqlite`: some kinds of facts, to be found by kind and time without reading the journal.

It is disposable. Whoever asks builds it and catches it up from where it ended; one that is damaged, old, or of
another journal is thrown away and built again, and where it cannot be written the journal is read instead. A small
journal is always read: that takes less time than opening an index.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead._storage.archive import numbers, open_source, place
from fairlead._storage.journal import known_facts, read_facts
from fairlead._storage.reading import BEGINNING, Position, read_on
from fairlead._storage.run import RunFolder
from fairlead.errors import JournalError
from fairlead.facts import (
    AnyFact,
    EquitySampled,
    Fact,
    Filled,
    FillReversed,
    InstrumentDefined,
    OrderDenied,
    OrderSubmitted,
    decode,
    encode,
)

if TYPE_CHECKING:
    import sqlite3

VERSION = 1

LARGE_BYTES = 8 << 20
"""From this size of a journal on an index pays."""

INDEXED: frozenset[type[Fact]] = frozenset(
    {InstrumentDefined, OrderSubmitted, OrderDenied, Filled, FillReversed, EquitySampled}
)
"""The kinds of facts that are in it."""

_TABLES = """
CREATE TABLE place (number INTEGER, offset INTEGER, seq INTEGER, chain INTEGER, before BLOB);
CREATE TABLE facts (
    seq INTEGER PRIMARY KEY, now INTEGER, type TEXT, data BLOB
);
CREATE INDEX by_type ON facts (type, now);
"""
_ROWS = 5_000
_WAIT_SECONDS = 60.0
_BEFORE = 64


def find_facts(
    run: RunFolder, kinds: Collection[type[Fact]], *, since_ns: int = 0, until_ns: int | None = None
) -> Iterator[AnyFact]:
    """The facts of some kinds (of all, without one) and of a span of time, in order, up to a torn tail.

    Kinds that this version does not know are passed over. Raises JournalDamaged.
    """
    if kinds and set(kinds) <= INDEXED and _size(run.journal) >= LARGE_BYTES:
        connection = _caught_up(run)
        if connection is not None:
            with contextlib.closing(connection):
                yield from _query(connection, kinds, since_ns, until_ns)
            return
    for fact in read_facts(run.journal, known_only=True):
        in_time = fact.now >= since_ns and (until_ns is None or fact.now < until_ns)
        if in_time and (not kinds or type(fact) in kinds):
            yield fact


def _size(journal: Path) -> int:
    return sum(place(journal, number).stat().st_size for number in numbers(journal))


def _caught_up(run: RunFolder) -> sqlite3.Connection | None:
    """An index that holds all that the journal does; None where it cannot be had."""
    import sqlite3

    for _ in range(2):  # the second time from nothing
        try:
            connection = sqlite3.connect(run.index, timeout=_WAIT_SECONDS, isolation_level=None)
        except sqlite3.Error:
            return None
        try:
            _catch_up(connection, run.journal)
            return connection
        except sqlite3.OperationalError:  # it cannot be written, or somebody else builds it for too long
            connection.close()
            return None
        except (sqlite3.DatabaseError, _Stale):
            connection.close()
            run.index.unlink(missing_ok=True)
        except BaseException:  # the journal is damaged, say: that is for the caller to hear
            connection.close()
            raise
    return None


class _Stale(Exception):
    """An index that is not of this journal, or of another version."""


def _catch_up(connection: sqlite3.Connection, journal: Path) -> None:
    """Add what has come since, in one transaction: another process waits for it, or sees the index as it was."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        at = _place(connection, journal)
        rows: list[tuple[Any, ...]] = []
        for record, behind in read_on(journal, at):
            at = behind
            rows += [_row(fact) for fact in known_facts(record) if type(fact) in INDEXED]
            if len(rows) >= _ROWS:
                _insert(connection, rows)
                rows = []
        _insert(connection, rows)
        connection.execute("DELETE FROM place")
        stands = (at.number, at.offset, at.seq, at.chain, _bytes_before(journal, at))
        connection.execute("INSERT INTO place VALUES (?, ?, ?, ?, ?)", stands)
        connection.execute("COMMIT")
    except BaseException:  # whatever stopped it: nothing of it stays
        with contextlib.suppress(Exception):
            connection.execute("ROLLBACK")
        raise


def _place(connection: sqlite3.Connection, journal: Path) -> Position:
    """Where the index ends in the journal. Raises _Stale where that is no place of it."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if version == 0 and not tables:
        for statement in _TABLES.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        return BEGINNING
    if version != VERSION or tables != {"place", "facts"}:
        raise _Stale
    row = connection.execute("SELECT number, offset, seq, chain, before FROM place").fetchone()
    if row is None:
        return BEGINNING
    at = Position(*row[:4])
    try:
        if _bytes_before(journal, at) != row[4]:
            raise _Stale
    except (OSError, JournalError) as error:
        raise _Stale from error
    return at


def _bytes_before(journal: Path, at: Position) -> bytes:
    """What stands in the journal right before a place: the same bytes, the same journal."""
    if not at.number:
        return b""
    source = open_source(place(journal, at.number))
    try:
        return source.read(min(_BEFORE, at.offset), max(0, at.offset - _BEFORE))
    finally:
        source.close()


def _insert(connection: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
    connection.executemany("INSERT INTO facts VALUES (?, ?, ?, ?)", rows)


def _row(fact: Fact) -> tuple[Any, ...]:
    return fact.seq, fact.now, type(fact).__name__, encode(fact)


def _query(
    connection: sqlite3.Connection, kinds: Collection[type[Fact]], since_ns: int, until_ns: int | None
) -> Iterator[AnyFact]:
    names = sorted(kind.__name__ for kind in kinds)
    marks = ", ".join("?" * len(names))
    last = until_ns if until_ns is not None else _FOREVER
    sql = f"SELECT data FROM facts WHERE type IN ({marks}) AND now >= ? AND now < ? ORDER BY seq"
    for (data,) in connection.execute(sql, (*names, since_ns, last)):
        yield decode(data)


_FOREVER = (1 << 63) - 1
