"""The collector's share of the slowest moments: what an engine is made of is not looked through again and again."""

from __future__ import annotations

import gc
import threading
from types import TracebackType
from typing import Self

_lock = threading.Lock()
_frozen = 0


class FrozenHeap:
    """A context manager around trading: all that exists as it begins is left out of the collector's rounds.

    The collector is the process's, and so is this: engines in one process share it. Where one of several ends, what
    it was made of is given back to the collector, and the rest is left out again.
    """

    def __enter__(self) -> Self:
        global _frozen  # noqa: PLW0603  (there is one collector in a process)
        with _lock:
            _frozen += 1
            gc.collect()
            gc.freeze()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _frozen  # noqa: PLW0603
        with _lock:
            _frozen -= 1
            gc.unfreeze()
            if _frozen:
                gc.collect()
                gc.freeze()
