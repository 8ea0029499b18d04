"""The pytest plugin: suites in order, `--conformance NAME`, the table, and `conformance.json`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fairlead_conformance.cases import Book

pytest.register_assert_rewrite("fairlead_conformance")

INSTALLED = Path(__file__).with_name("installed.py")
FEW = 3
"""So many suites are shown case by case; of more, only what is wrong."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Two options of our own."""
    group = parser.getgroup("fairlead")
    group.addoption(
        "--conformance",
        metavar="NAME",
        action="append",
        default=[],
        help="prove an installed plugin of fairlead, by its entry point's name",
    )
    group.addoption(
        "--conformance-json",
        metavar="FILE",
        type=Path,
        help="write what was proven; beside a package's __init__.py, as conformance.json, `plugins list` shows it",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Prove what is installed where a name is given, and nothing else unless files are named as well."""
    if not config.getoption("conformance"):
        return
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args = []
    config.args.append(str(INSTALLED))


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """The module of suites for what is installed."""
    if module_path != INSTALLED:
        return None
    return _Installed.from_parent(parent, path=module_path)


class _Installed(pytest.Module):
    """A suite for each name of `--conformance`."""

    def collect(self) -> Iterator[Any]:
        from fairlead import ConfigurationError
        from fairlead_conformance.installed import suite_for

        for name in self.config.getoption("conformance"):
            try:
                suite = suite_for(name)
            except ConfigurationError as error:
                raise pytest.UsageError(str(error)) from None
            setattr(self.obj, suite.__name__, suite)
            yield pytest.Class.from_parent(self, name=suite.__name__)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Within a suite, what others build on comes first."""
    places: dict[Any, list[int]] = {}
    for place, item in enumerate(items):
        if hasattr(getattr(item, "cls", None), "book"):
            places.setdefault(item.cls, []).append(place)  # type: ignore[attr-defined]
    for suite, found in places.items():
        rank = {f"test_{case.name}": number for number, case in enumerate(suite.book.cases)}
        ours = sorted((items[place] for place in found), key=lambda item: rank.get(_name(item), len(rank)))
        for place, item in zip(found, ours, strict=True):
            items[place] = item


def pytest_collection_finish(session: pytest.Session) -> None:
    """Remember the suites that will run."""
    suites: dict[Any, None] = dict.fromkeys(getattr(item, "cls", None) for item in session.items)
    session.config.stash[_BOOKS] = [suite.book for suite in suites if hasattr(suite, "book")]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The table: case, capability, result; what is wrong comes first, with what follows from it."""
    books = [book for book in config.stash.get(_BOOKS, []) if book.results]
    if not books:
        return
    from fairlead_conformance.report import lines, summary, write

    quiet = terminalreporter.verbosity < 0
    whole = terminalreporter.verbosity > 0 or (len(books) <= FEW and not quiet)
    wrong = [book for book in books if book.failed]
    if whole or wrong or not quiet:
        terminalreporter.section("conformance")
    for book in books:
        if whole or not quiet or book in wrong:
            for line, colour in lines(book, whole=whole):
                terminalreporter.write_line(line, **colour)
    if len(books) > 1 and not quiet:
        terminalreporter.write_line(summary(books))
    if (path := config.getoption("conformance_json")) is not None:
        from fairlead_conformance.wall import WallClock

        write(path, books, WallClock())
        terminalreporter.write_line(f"written: {path}")


def _name(item: pytest.Item) -> str:
    return str(getattr(item, "originalname", None) or item.name)


_BOOKS = pytest.StashKey[list["Book"]]()
