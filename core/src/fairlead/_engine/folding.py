"""From the journal to the state: from the newest snapshot that can be believed, else from the first record on."""

from __future__ import annotations

import ast
import functools
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import msgspec

from fairlead._engine.distributions import core_version
from fairlead._kernel.apply import apply
from fairlead._kernel.packing import pack, unpack
from fairlead._kernel.state import State
from fairlead._storage.archive import pack as pack_segment
from fairlead._storage.files import FileLock, make_folder
from fairlead._storage.journal import decode_facts
from fairlead._storage.reading import Position, read_on
from fairlead._storage.run import RunFolder
from fairlead._storage.segments import segment_numbers
from fairlead._storage.snapshots import Snapshot, digests_of, newest_snapshot, write_snapshot
from fairlead.errors import ConfigurationError
from fairlead.facts import SCHEMA

_ROOTS = ("fairlead._kernel.apply", "fairlead._kernel.packing")
"""What folds a journal, and what writes a snapshot of it."""


@attrs.frozen
class Folded:
    """A state, the place behind the last record in it, the snapshot it was begun from, and what was passed over."""

    state: State
    at: Position
    snapshot: Snapshot | None = None
    refused: tuple[str, ...] = ()


def fold(folder: RunFolder) -> Folded:
    """The state of a run's journal, every byte of it verified. Raises JournalDamaged, or JournalError as reading does.

    A torn tail is left out; cut it first where somebody is going to write.
    """
    snapshot, refused = newest_snapshot(folder.snapshots, folder.journal, code_id())
    state, at = State(), Position()
    if snapshot is not None:
        try:
            state, at = unpack(snapshot.state), snapshot.at
        except (msgspec.MsgspecError, KeyError) as error:
            refused.append(f"the snapshot after record {snapshot.at.seq} is passed over: {error}")
            snapshot = None
    for record, behind in read_on(folder.journal, at):
        for fact in decode_facts(record):
            apply(state, fact)
        at = behind
    return Folded(state, at, snapshot, tuple(refused))


def take_snapshot(folder: RunFolder) -> Path | None:
    """Make a snapshot of a run as its journal stands, also while its engine runs; None where there is nothing new.

    Raises JournalDamaged where the journal is not what was written, ConfigurationError while another is being made.
    """
    make_folder(folder.snapshots)
    lock = FileLock(folder.snapshots / "lock")
    if not lock.take():
        raise ConfigurationError(
            f"a snapshot of {folder.path} is being made by {lock.holder()}: try again later"
        )
    try:
        folded = fold(folder)
        before = folded.snapshot
        if not folded.at.number:
            return None
        digests = digests_of(folder.journal, folded.at, before.digests if before else ())
        if before is not None and (before.at, before.digests) == (folded.at, digests):
            return None
        snapshot = Snapshot(code_id(), SCHEMA, folded.at, digests, pack(folded.state))
        return write_snapshot(folder.snapshots, snapshot)
    finally:
        lock.release()


def pack_segments(folder: RunFolder) -> tuple[list[int], int]:
    """Pack the segments that lie wholly behind the newest snapshot; their numbers, and how many bytes became free.

    The last two segments of the journal stay as they are: its writer may be in them.
    """
    snapshot, _ = newest_snapshot(folder.snapshots, folder.journal, code_id())
    if snapshot is None:
        return [], 0
    plain = segment_numbers(folder.journal)
    behind = [number for number in plain[:-2] if number < snapshot.at.number]
    freed = sum(pack_segment(folder.journal, number) for number in behind)
    return behind, freed


@functools.cache
def code_id() -> str:
    """What tells this code's fold from another's."""
    digest = hashlib.blake2b(core_version().encode(), digest_size=16)
    for name in folding_code():
        digest.update(name.encode() + _source(name))
    return digest.hexdigest()


def folding_code() -> list[str]:
    """The modules that decide what a journal folds to: all that its fold imports, near and far."""
    found: set[str] = set()
    waiting = list(_ROOTS)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imported(ast.parse(_source(name)))
    return sorted(found)


def _imported(module: ast.Module) -> Iterator[str]:
    """What a module of this package imports of it when it is run; what only its types need is in no `body`."""
    for statement in module.body:
        if isinstance(statement, ast.Import):
            names = [(alias.name, "") for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            names = [(statement.module or "", alias.name) for alias in statement.names]
        else:
            continue
        for package, name in names:
            if package.partition(".")[0] == "fairlead":
                yield whole if (whole := f"{package}.{name}") in sys.modules else package


def _source(name: str) -> bytes:
    """The source of a module, empty where it is shipped without."""
    file = sys.modules[name].__file__
    return Path(file).read_bytes() if file and Path(file).exists() else b""
