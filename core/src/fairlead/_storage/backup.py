"""A copy of a journal that is whole, also while its engine goes on writing."""

from __future__ import annotations

import os
from pathlib import Path

from fairlead._storage.archive import archive_path, place
from fairlead._storage.files import make_folder, sync_folder
from fairlead._storage.reading import BEGINNING, Position, read_on
from fairlead._storage.segments import segment_path
from fairlead._storage.snapshots import digests_of
from fairlead.errors import ConfigurationError, JournalError


def copy_journal(journal: Path, to: Path) -> Position:
    """Copy a journal up to its last whole record into a new folder, verified and synced; the place it ends at.

    Raises JournalDamaged where it is not what was written, ConfigurationError where there is no record or the folder
    is not empty, JournalError where the copy is not what it should be.
    """
    if to.exists() and any(to.iterdir()):
        raise ConfigurationError(f"{to} is not empty: give a folder that is, or one that does not exist yet")
    at = BEGINNING
    for _, behind in read_on(journal, BEGINNING):
        at = behind
    if not at.number:
        raise ConfigurationError(f"{journal} has no record yet: there is nothing to copy")
    make_folder(to)
    for number in range(1, at.number + 1):
        path = place(journal, number)
        if path.suffix == ".gz":
            make_folder(archive_path(to, number).parent)
            _copy(path, archive_path(to, number), None)
        else:
            _copy(path, segment_path(to, number), at.offset if number == at.number else None)
    sync_folder(to)
    if digests_of(to, at) != digests_of(journal, at):
        raise JournalError(f"{to} does not hold what was copied to it: check that disk")
    return at


def _copy(path: Path, to: Path, size: int | None) -> None:
    """Copy the first `size` bytes of a file, all of it without a size; segments are small enough to be held."""
    with to.open("xb") as file:
        file.write(path.read_bytes()[:size])
        file.flush()
        os.fsync(file.fileno())
    sync_folder(to.parent)
