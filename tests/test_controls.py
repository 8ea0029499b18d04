"""docs/controls.md is true: each check that it names can be imported, each proof is a test that exists."""

import ast
import inspect
import re
from functools import cache
from pathlib import Path

import pytest

import fairlead_breakers
import fairlead_reconcile
from fairlead import LiveTradingEngine, hookspecs

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "controls.md"
LISTS = ("SEC 15c3-5", "RTS 6", "FIA")


def rows():
    """Control, check, proof and what is left, of each row; by the heading above it."""
    found, heading = [], ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        heading = line.removeprefix("## ") if line.startswith("## ") else heading
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 4 and cells[0] not in ("Control", "---"):
            found.append((heading, *cells))
    return found


ROWS = rows()


def names(cell):
    return re.findall(r"`([^`]+)`", cell)


@cache
def defined_in(path):
    """The tests of a file."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def exists(name):
    """Whether a check can be found where it says."""
    owner, _, rest = name.partition("(" if name.endswith(")") else ".")
    classes = {"Limits": fairlead_breakers.Limits, "LiveTradingEngine": LiveTradingEngine}
    if name.endswith(")"):
        return rest[:-1] in inspect.signature(classes[owner]).parameters
    if owner == "engine":
        return callable(getattr(LiveTradingEngine, rest, None))
    return any(name in vars(place) for place in (fairlead_breakers, fairlead_reconcile, hookspecs))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1].split(":")[0])
def test_a_control_has_its_check_and_its_proof(row):
    """Each name in the second column is there to be used, and each in the third is a test; the last is filled in."""
    _, control, check, proof, left = row
    assert control
    assert check
    assert left
    assert [name for name in names(check) if not exists(name)] == []
    assert names(proof)
    for place in names(proof):
        path, _, test = place.partition("::")
        assert test in defined_in(path), place


def test_each_list_is_gone_through():
    """All three, with the articles of RTS 6 from the kill switch to security."""
    headings = [row[0] for row in ROWS]
    for name in LISTS:
        assert sum(heading.startswith(name) for heading in headings) >= 10
    european = " ".join(row[1] for row in ROWS if row[0].startswith("RTS 6"))
    for article in ["12", *(f"15({n})" for n in range(1, 7)), "13", "14", "16", "17", "18"]:
        assert f"Article {article}" in european


def test_every_limit_and_breaker_answers_to_something():
    """But for those that are about trading well and not about trading safely."""
    named = {name.partition("(")[2].rstrip(")") or name for row in ROWS for name in names(row[2])}
    limits = set(inspect.signature(fairlead_breakers.Limits).parameters)
    tables = {"name", "instruments", "groups"}
    of_the_strategy = {"min_stop", "max_stop", "max_correlation", "max_open_orders"}
    assert limits - named - tables - of_the_strategy == set()
    of_the_market = {"Cooldown", "Correlation", "FillRate", "LowProfitInstrument", "Limits"}
    assert set(fairlead_breakers.__all__) - named - of_the_market == set()
