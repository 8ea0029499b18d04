"""A script that is read to find its engine must not start it: reading it would trade."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fairlead.errors import ConfigurationError


class Reading:
    """A script being read; `started` says that it tried to start an engine."""

    def __init__(self) -> None:
        self.started = False


_in_hand: list[Reading] = []
"""One for the whole process, not for a thread: what a script starts in a thread of its own trades just as well."""


@contextmanager
def reading() -> Iterator[Reading]:
    """While this lasts no engine of this process starts."""
    script = Reading()
    _in_hand.append(script)
    try:
        yield script
    finally:
        _in_hand.remove(script)


def refuse_while_read() -> None:
    """Raise ConfigurationError while a script is being read."""
    if _in_hand:
        _in_hand[-1].started = True
        raise ConfigurationError(
            "it starts its engine while it is being read: put that under if __name__ == '__main__':"
        )
