"""What is wrong with a configuration: every fault with its place, all of them at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

import attrs

from fairlead._secrets.scrub import scrub
from fairlead.errors import ConfigurationError


@attrs.frozen
class Fault:
    """One thing that is wrong: where (`breaker.limits.max_leverage`), what and the remedy, and who said it.

    `refused` marks a plugin that is written correctly here and refuses to load.
    """

    path: str
    text: str
    origin: str = ""
    refused: bool = False

    def __str__(self) -> str:
        place = f"{self.path} ({self.origin})" if self.path and self.origin else self.path or self.origin
        return scrub(f"{place}: {self.text}" if place else self.text)


class FaultyConfiguration(ConfigurationError):
    """A configuration cannot run; `faults` has all that is wrong with it."""

    def __init__(self, file: str, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        self.refused = any(fault.refused for fault in faults)
        if len(faults) == 1:
            text = f"{file}: {faults[0]}"
        else:
            text = "\n  ".join([f"{file} has {len(faults)} faults:", *map(str, faults)])
        super().__init__(text)


def suggestion(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """`did you mean 'x'?`, or what else to say where nothing is near."""
    names = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word.casefold(), names, 1)
    if close:
        return f"did you mean {names[close[0]]!r}?"
    return otherwise or f"there are {', '.join(names.values()) or 'none'}"
