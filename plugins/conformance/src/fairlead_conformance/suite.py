"""What the suites have in common: what an author says, and how one case is tried."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from importlib import metadata
from typing import Any, ClassVar

import attrs

from fairlead.testing import run_virtual
from fairlead_conformance.cases import Book, Case, Undeclared, Unscripted, cases_of
from fairlead_conformance.venue import Venue
from fairlead_conformance.watch import Watch


@attrs.frozen
class Origin:
    """The distribution that an adapter comes from; both are empty for what no distribution owns."""

    name: str = ""
    version: str = ""


class Conformance:
    """A suite: subclass one of its kinds in a test module, name the class `Test...`, and write `make`.

    `secrets` are texts that must never show: keys and pass phrases that `make` gives to the adapter.
    """

    kind: ClassVar[str] = ""
    book: ClassVar[Book]
    secrets: tuple[str, ...] = ()
    watch: Watch
    """What the adapter does to its process during the case in hand."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.book = Book(cases_of(cls), cls.kind)

    def make(self) -> Any:
        """A new adapter, not connected yet. Called for each case, sometimes more than once."""
        raise NotImplementedError(
            f"{type(self).__name__}: write `def make(self)`, which returns what is to be proven"
        )

    def declared(self, adapter: Any) -> frozenset[str]:
        """What the adapter says that it can do, each in the words that cases name in `of`."""
        return frozenset()

    def perform(self, info: Case, body: Callable[..., Any]) -> None:
        """Try a case: a plain function of the suite, or a coroutine that is given what the suite prepares."""
        raise NotImplementedError

    # --- for the suites -------------------------------------------------------------------------------------

    def known(self, adapter: Any) -> None:
        """Note what is examined."""
        book = type(self).book
        if not book.adapter:
            book.adapter = str(getattr(adapter, "name", type(adapter).__name__))
            book.origin = origin_of(type(adapter))
            book.declared = self.declared(adapter)

    def want(self, info: Case, adapter: Any, venue: Venue | None) -> None:
        """Raise Undeclared or Unscripted where a case cannot be tried."""
        if info.of and info.of not in self.declared(adapter):
            raise Undeclared(info.of)
        if venue is None and not info.alone:
            raise Unscripted("there is no venue under test: write `def make_venue(self)`")
        missing = [fault for fault in info.faults if venue is None or fault not in venue.faults]
        if missing:
            raise Unscripted(f"the venue under test cannot {', '.join(missing)}")

    def play(self, story: Coroutine[Any, Any, None], virtual: bool) -> None:
        """Run a story to its end in a loop of its own, and watch."""
        __tracebackhide__ = True
        with Watch() as self.watch:
            if virtual:
                run_virtual(story)
            else:
                asyncio.run(story)


def origin_of(made_of: type) -> Origin:
    """The installed distribution that has a class, by the top of its module's name."""
    top = made_of.__module__.partition(".")[0]
    for entry in metadata.entry_points(group="fairlead"):
        if entry.module.partition(".")[0] == top and entry.dist is not None:
            return Origin(entry.dist.name, entry.dist.version)
    return Origin()
