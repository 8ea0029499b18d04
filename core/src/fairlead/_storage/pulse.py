"""The pulse of an account: a page of memory that the engine which trades it shares with those who watch over it.

The engine counts up in it from its own loop, so that a loop that hangs is seen to; and it looks at the fence in it
before each order that it sends. Whoever puts the fence up is heard at once, however long the engine has slept.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from pathlib import Path

from fairlead._storage.files import make_folder

_SIZE = 32
_COUNT, _ALIVE, FENCE = slice(0, 8), 8, 9


class Pulse:
    """One account's page, made where there is none. Raises OSError where it cannot be.

    `page[FENCE]` is 1 while nothing may be sent.
    """

    def __init__(self, folder: Path) -> None:
        make_folder(folder, 0o700)
        file = os.open(folder / "pulse", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(file).st_size < _SIZE:
                os.ftruncate(file, _SIZE)
            self.page = mmap.mmap(file, _SIZE)
        finally:
            os.close(file)

    def beat(self) -> None:
        """The engine is there, and its loop goes round."""
        self.page[_COUNT] = (self.count + 1).to_bytes(8, "little")
        self.page[_ALIVE] = 1

    def rest(self) -> None:
        """The engine has ended in good order: it is silent, and does not hang."""
        self.page[_ALIVE] = 0

    @property
    def count(self) -> int:
        """How often it has beaten: while this does not change, the engine is silent."""
        return int.from_bytes(self.page[_COUNT], "little")

    @property
    def alive(self) -> bool:
        """Whether an engine has begun, and has not ended in good order."""
        return bool(self.page[_ALIVE])

    @property
    def fenced(self) -> bool:
        """Whether nothing may be sent."""
        return bool(self.page[FENCE])

    def fence(self) -> None:
        """From now on nothing is sent by the engine, until it has taken the kill into its journal."""
        self.page[FENCE] = 1
        self.page.flush()

    def lift(self) -> None:
        """What the fence stood for is in the journal."""
        self.page[FENCE] = 0

    def close(self) -> None:
        """Let go of the page; harmless to repeat."""
        with contextlib.suppress(ValueError, BufferError):
            self.page.close()
