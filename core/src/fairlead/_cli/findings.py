"""What `fairlead doctor` finds: one line each, with a remedy where something can be done."""

from __future__ import annotations

from enum import StrEnum

import attrs


class Grade(StrEnum):
    """How a finding stands: a failure stops trading or endangers it, a warning is worth a look."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@attrs.frozen
class Finding:
    """One thing that was looked at."""

    check: str
    grade: Grade
    said: str
    remedy: str = ""


def ok(check: str, said: str) -> Finding:
    """All well."""
    return Finding(check, Grade.OK, said)


def warn(check: str, said: str, remedy: str) -> Finding:
    """Worth a look."""
    return Finding(check, Grade.WARN, said, remedy)


def fail(check: str, said: str, remedy: str) -> Finding:
    """Something that must be put right."""
    return Finding(check, Grade.FAIL, said, remedy)
