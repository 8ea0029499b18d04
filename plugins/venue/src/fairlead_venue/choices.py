"""What a person chose, against what a front says it has; of what a front does not say, nothing is refused."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from fairlead import ConfigurationError
from fairlead_venue.faults import Fault

LABELS = frozenset(
    {
        "order", "cancel", "amend", "query", "account", "market", "connect", "subscribe", "session", "unknown", "user",
        "api", "stream:user", "event:order", "event:trade", "event:balance",
    }
)  # fmt: skip
"""Labels of places that every protocol may have; a front's `labels` are its own besides."""


def check_variants(front: object, protocol: str, chosen: Mapping[str, str]) -> None:
    """Refuse a variant, or a value of one, that the front's `variants` do not have. Raises ConfigurationError.

    Those are by name: the words that may be chosen, or `int`, or `str` for any text.
    """
    known: Mapping[str, tuple[str, ...] | type] | None = getattr(front, "variants", None)
    if known is None:
        return
    for name, value in chosen.items():
        if name not in known:
            raise ConfigurationError(
                f"{protocol} has no variant {name!r}: there are {', '.join(known) or 'none'}"
            )
        words = known[name]
        if isinstance(words, tuple) and value not in words:
            raise ConfigurationError(f"variant {name} has no {value!r}: write {' or '.join(words)}")
        if words is int and not (value.isdecimal() and value.isascii()):
            raise ConfigurationError(f"variant {name}: {value!r} is no whole number: write such as 100")


def check_faults(front: object, faults: Iterable[Fault]) -> None:
    """Refuse a fault on what looks like a label, and is none of the front's `labels`. Raises ConfigurationError.

    These are labels, and patterns where a label is made of other names: `executionReport.*`.
    """
    own: frozenset[str] | None = getattr(front, "labels", None)
    if own is None:
        return
    known = LABELS | own
    for fault in faults:
        if any(fnmatchcase(label, fault.on) or fnmatchcase(fault.on, label) for label in known):
            continue
        close = difflib.get_close_matches(fault.on, sorted(known), 1, 0.8)
        if close:
            raise ConfigurationError(f"a fault on {fault.on!r} strikes nothing: did you mean {close[0]!r}?")
        if fault.on.isalpha() and fault.on.islower():
            there = ", ".join(sorted(label for label in LABELS if label.isalpha()))
            raise ConfigurationError(
                f"a fault on {fault.on!r} strikes nothing: write one of {there}, or the protocol's own word"
            )
