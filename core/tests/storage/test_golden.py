"""Journals of earlier versions are read as those versions read them."""

import importlib.util
import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from fairlead._storage.journal import read_facts
from fairlead.facts import AnyFact

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = sorted(path.name for path in GOLDEN.iterdir() if (path / "story").is_dir())

_spec = importlib.util.spec_from_file_location("golden_make", GOLDEN / "make.py")
assert _spec is not None
assert _spec.loader is not None
make = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make)


def lacking(wanted: Any, found: Any, where: str = "") -> list[str]:
    """Where something is not what it was; what has been added since is no matter."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [
            text
            for name, value in wanted.items()
            for text in (
                lacking(value, found[name], f"{where}.{name}")
                if name in found
                else [f"{where}.{name} is gone"]
            )
        ]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = zip(wanted, found, strict=True)
        return [text for i, (one, two) in enumerate(pairs) for text in lacking(one, two, f"{where}[{i}]")]
    return [] if wanted == found else [f"{where} was {wanted!r} and is {found!r}"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_golden_journal_folds_to_the_state_it_had(version: str) -> None:
    """Orders, positions, latches, marks and timers are what they were when it was written."""
    wanted = json.loads((GOLDEN / version / "story.json").read_text())
    found = make.readable(make.fold(GOLDEN / version / "story"))
    assert lacking(wanted, found) == []
    assert wanted["orders"]
    assert wanted["lowered"]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_fact_of_a_golden_journal_is_read_as_it_was(version: str) -> None:
    """Each kind with every field set."""
    lines = (GOLDEN / version / "facts.jsonl").read_text().splitlines()
    facts = list(read_facts(GOLDEN / version / "facts"))
    assert len(facts) == len(lines) > 40
    for line, fact in zip(lines, facts, strict=True):
        assert lacking(json.loads(line), json.loads(msgspec.json.encode(fact))) == []


def test_the_newest_golden_journals_hold_every_fact() -> None:
    """A kind or field that was added is in them: run golden/make.py, with --again while its version is nobody's yet."""
    held = {type(fact): fact for fact in read_facts(GOLDEN / VERSIONS[-1] / "facts")}
    assert {kind.__name__ for kind in get_args(AnyFact)} == {kind.__name__ for kind in held}
    for fact in make.every_fact():
        assert msgspec.structs.asdict(held[type(fact)]).keys() == msgspec.structs.asdict(fact).keys()
        given = msgspec.to_builtins(held[type(fact)])
        assert given.keys() == msgspec.to_builtins(fact).keys(), type(fact).__name__


def test_what_was_lost_is_noticed() -> None:
    """The comparison itself can fail."""
    assert lacking({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2, "c": 3}], "d": 4}) == []
    assert lacking({"a": [1, {"b": 2}]}, {"a": [1, {"c": 3}]}) == [".a[1].b is gone"]
    assert lacking({"a": [1]}, {"a": [1, 2]}) == [".a was [1] and is [1, 2]"]
