"""What was proven, for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from fairlead_conformance.cases import Book, Outcome, Result, Tier

_GREEN, _RED, _GREY = {"green": True}, {"red": True, "bold": True}, {"light": True}
_COLOURS = {Outcome.PASSED: _GREEN, Outcome.FAILED: _RED, Outcome.FOLLOWS: _RED}

SOME = 6
"""So many cases that follow from a failed one are named."""


class Now(Protocol):
    """Whatever knows the time in ns UTC."""

    def now(self) -> int:
        """The time now."""
        ...


def lines(book: Book, *, whole: bool) -> Iterator[tuple[str, dict[str, bool]]]:
    """The lines of a suite, with colours: what failed first, each with what follows from it."""
    failed = book.of(Outcome.FAILED)
    reached = "no tier" if book.tier is None else f"tier {book.tier}"
    of_all = f"{len(book.of(Outcome.PASSED))} of {len(book.cases)} cases passed"
    yield f"{book.kind} {_title(book)}: {reached}, {of_all}", (_RED if failed else _GREEN) | {"bold": True}
    for result in failed:
        yield f"  {result.case.name}: {result.detail}", _RED
        follows = [one.case.name for one in book.of(Outcome.FOLLOWS) if one.root == result.case.name]
        if follows:
            more = f" and {len(follows) - SOME} more" if len(follows) > SOME else ""
            yield f"    not tried, because they build on it: {', '.join(follows[:SOME])}{more}", _GREY
    if not whole:
        return
    wide = max((len(case.name) for case in book.cases), default=0)
    capable = max((len(case.of) for case in book.cases), default=0)
    for case in book.cases:
        found = book.results.get(case.name)
        outcome = "not selected" if found is None else str(found.outcome)
        detail = (
            f" ({found.detail})"
            if found is not None and found.outcome is not Outcome.FAILED and found.detail
            else ""
        )
        colour = _COLOURS.get(found.outcome, _GREY) if found is not None else _GREY
        yield f"  {case.tier}  {case.name:<{wide}}  {case.of or '-':<{capable}}  {outcome}{detail}", colour


def _title(book: Book) -> str:
    origin = book.origin
    if origin is None or not origin.name:
        return book.adapter or "?"
    return f"{book.adapter} ({origin.name} {origin.version})"


def summary(books: Sequence[Book]) -> str:
    """One line about several suites."""
    failed = sum(bool(book.of(Outcome.FAILED)) for book in books)
    tiers = [book.tier for book in books]
    counts = ", ".join(
        f"{tiers.count(tier)} at {tier if tier is not None else 'no tier'}"
        for tier in (*reversed(Tier), None)
        if tier in tiers
    )
    return f"{len(books)} suites: {counts}; {failed} with failures"


def as_json(books: Iterable[Book], clock: Now) -> dict[str, Any]:
    """What `conformance.json` holds: the lowest tier of all suites, versions, the date, and each case."""
    kept = sorted(books, key=lambda book: (book.kind, book.adapter))
    tiers = [book.tier for book in kept]
    lowest = None if not tiers or None in tiers else min(tier for tier in tiers if tier is not None)
    return {
        "tier": "none" if lowest is None else str(lowest),
        "date": datetime.fromtimestamp(clock.now() // 1_000_000_000, UTC).date().isoformat(),
        "versions": {name: metadata.version(name) for name in ("fairlead", "fairlead-conformance")},
        "adapters": [_adapter(book) for book in kept],
    }


def _adapter(book: Book) -> dict[str, Any]:
    return {
        "kind": book.kind,
        "name": book.adapter,
        "distribution": book.origin.name if book.origin is not None else "",
        "version": book.origin.version if book.origin is not None else "",
        "tier": "none" if book.tier is None else str(book.tier),
        "declared": sorted(book.declared),
        "cases": {result.case.name: _words(result) for result in book.results.values()},
    }


def _words(result: Result) -> str:
    return f"{result.outcome}: {result.detail}" if result.detail else str(result.outcome)


def write(path: Path, books: Iterable[Book], clock: Now) -> None:
    """Write `conformance.json`. Raises OSError."""
    path.write_text(json.dumps(as_json(books, clock), indent=1) + "\n", encoding="utf-8")
