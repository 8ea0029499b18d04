"""Trying all cases of a suite without a pytest of their own."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from fairlead_conformance.cases import Book, Outcome, Tier


def prove(suite: type[Any], upto: str = "") -> Book:
    """The book of a suite of which every case was tried, in order; of the long ones only this one."""
    for case in suite.book.cases:
        if upto not in ("", case.name) and case.tier > Tier.FAULTS:
            continue
        with contextlib.suppress(Exception, pytest.skip.Exception):
            getattr(suite(), f"test_{case.name}")()
    book: Book = suite.book
    return book


def failures(book: Book) -> list[str]:
    """The names of the cases that failed, consequences left out."""
    return [result.case.name for result in book.of(Outcome.FAILED)]


def details(book: Book) -> str:
    """What they said."""
    return "; ".join(f"{result.case.name}: {result.detail}" for result in book.of(Outcome.FAILED))
