"""Cases: what a suite asks of an adapter, in which order, and what came of it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import pytest

from fairlead_conformance.venue import Fault


class Tier(enum.IntEnum):
    """How much is proven; a tier includes those below it."""

    CONTRACT = 0
    """Types, numbers, promises that fit together; nothing is sent."""
    CORE = 1
    """The ordinary day."""
    FAULTS = 2
    """Whatever goes wrong on the way, one thing at a time."""
    MODEL = 3
    """Random days with faults in them, judged by what must always hold."""
    SOAK = 4
    """A long day, and memory flat."""

    def __str__(self) -> str:
        return f"T{self.value}"


class Outcome(enum.StrEnum):
    """What came of a case."""

    PASSED = "passed"
    FAILED = "failed"
    FOLLOWS = "follows"
    """Not tried, because a case that it builds on has failed: a consequence, no finding of its own."""
    UNDECLARED = "not declared"
    """The adapter does not claim to be able to."""
    UNSCRIPTED = "not scripted"
    """The venue under test cannot be made to do what the case needs, or there is none."""


class Undeclared(Exception):
    """The adapter does not claim what a case is about; the text names it."""


class Unscripted(Exception):
    """The venue under test cannot do what a case needs; the text names it."""


@attrs.frozen
class Case:
    """One case. `of` is the capability that it proves, empty for what everybody must do.

    `after` are the cases that it builds on: where one of them has not passed, this one is not tried. `unless` are those
    whose failure would explain its own: where one of them has failed, it is not tried either. `faults` is what the
    venue under test must be able to do; `alone` says that it needs no venue.
    """

    name: str
    tier: Tier
    of: str
    after: tuple[str, ...]
    unless: tuple[str, ...]
    faults: tuple[Fault, ...]
    alone: bool
    last: bool
    says: str


def case(
    tier: Tier,
    *,
    of: str = "",
    after: str | Sequence[str] = (),
    unless: str | Sequence[str] = (),
    faults: Fault | Sequence[Fault] = (),
    alone: bool = False,
    last: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a method `test_...` of a suite one of its cases; its docstring says what must hold.

    A case of your own proves what the kit has none for: `@case(Tier.CORE, of="time_in_force:OPG")`.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        info = Case(
            function.__name__.removeprefix("test_"),
            tier,
            of,
            _names(after),
            _names(unless),
            (faults,) if isinstance(faults, Fault) else tuple(faults),
            alone or tier is Tier.CONTRACT,
            last,
            " ".join((function.__doc__ or "").split()),
        )

        # Nothing of the wrapped function's signature may show, or pytest would look for fixtures.
        def test(self: Any) -> None:
            __tracebackhide__ = True
            examine(self, info, function)

        test.__name__, test.__qualname__ = function.__name__, function.__qualname__
        test.__doc__, test.__module__ = function.__doc__, function.__module__
        test.conformance_case = info  # type: ignore[attr-defined]
        return test

    return decorate


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def examine(suite: Any, info: Case, body: Callable[..., Any]) -> None:
    """Try one case, and note what came of it. Skips it, by name, where it cannot be tried."""
    __tracebackhide__ = True
    book: Book = suite.book
    for name in (*info.after, *info.unless):
        before = book.results.get(name)
        open_ones = _NOT_PASSED if name in info.after else _WRONG
        if before is not None and before.outcome in open_ones:
            root = before.root or name
            outcome = before.outcome if before.outcome is not Outcome.FAILED else Outcome.FOLLOWS
            book.note(Result(info, outcome, f"needs {root}", root))
            pytest.skip(f"{outcome}: {_why(outcome, root)}")
    try:
        suite.perform(info, body)
    except Undeclared as error:
        book.note(Result(info, Outcome.UNDECLARED, str(error)))
        pytest.skip(f"{Outcome.UNDECLARED}: {error}")
    except Unscripted as error:
        book.note(Result(info, Outcome.UNSCRIPTED, str(error)))
        pytest.skip(f"{Outcome.UNSCRIPTED}: {error}")
    except BaseException as error:
        said = " ".join(str(error).partition("\nassert ")[0].split())
        book.note(Result(info, Outcome.FAILED, said or type(error).__name__))
        raise
    book.note(Result(info, Outcome.PASSED))


def _why(outcome: Outcome, root: str) -> str:
    return f"from {root}, which failed" if outcome is Outcome.FOLLOWS else f"it needs {root}"


@attrs.frozen
class Result:
    """What came of a case: `detail` in words, `root` the case that it follows from."""

    case: Case
    outcome: Outcome
    detail: str = ""
    root: str = ""


@attrs.define
class Book:
    """What came of the cases of one suite, and of which object."""

    cases: tuple[Case, ...]
    kind: str = ""
    adapter: str = ""
    origin: Any = None
    declared: frozenset[str] = frozenset()
    results: dict[str, Result] = attrs.Factory(dict)

    def note(self, result: Result) -> None:
        """Keep it; of a case that was tried more than once, the worse one."""
        before = self.results.get(result.case.name)
        if before is None or before.outcome is not Outcome.FAILED:
            self.results[result.case.name] = result

    def of(self, *outcomes: Outcome) -> list[Result]:
        """Those with these outcomes, in the order in which they were tried."""
        return [found for found in self.results.values() if found.outcome in outcomes]

    def unproven(self) -> list[str]:
        """What is declared and no case has proven, nor tried and failed to; nothing where not every case was tried."""
        if any(case.name not in self.results for case in self.cases if not case.last):
            return []
        tried = {found.case.of for found in self.results.values() if found.outcome is not Outcome.UNSCRIPTED}
        return sorted(self.declared - tried)

    @property
    def failed(self) -> bool:
        """Whether a case has failed."""
        return bool(self.of(Outcome.FAILED))

    @property
    def tier(self) -> Tier | None:
        """The highest tier of which, and below which, nothing is open; None where not even the lowest is."""
        reached: Tier | None = None
        for tier in Tier:
            of_tier = [case for case in self.cases if case.tier is tier]
            found = [self.results.get(case.name) for case in of_tier]
            if any(one is None or one.outcome not in _SETTLED for one in found):
                break
            if of_tier:
                reached = tier
        return reached


_WRONG = (Outcome.FAILED, Outcome.FOLLOWS)
_NOT_PASSED = (*_WRONG, Outcome.UNDECLARED, Outcome.UNSCRIPTED)
_SETTLED = (Outcome.PASSED, Outcome.UNDECLARED)


def cases_of(suite: type) -> tuple[Case, ...]:
    """The cases of a suite in the order in which they are tried: what others build on first, lower tiers first."""
    found: dict[str, Case] = {}
    for owner in suite.__mro__:
        for name, value in vars(owner).items():
            info = getattr(value, "conformance_case", None)
            if info is not None and getattr(suite, name, None) is not None:
                found.setdefault(info.name, info)
    ordered = sorted(found.values(), key=lambda info: (info.last, info.tier))
    done: dict[str, Case] = {}

    def visit(info: Case, way: tuple[str, ...]) -> Iterator[None]:
        if info.name in way:
            raise TypeError(f"{suite.__name__}: {' -> '.join((*way, info.name))} build on each other")
        for name in (*info.after, *info.unless):
            if name in found and name not in done:
                yield from visit(found[name], (*way, info.name))
        done.setdefault(info.name, info)
        yield

    for info in ordered:
        for _ in visit(info, ()):
            pass
    return tuple(done.values())
