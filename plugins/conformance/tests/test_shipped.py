"""What the distributions of this repository say of themselves is what the kit asks today."""

import json
from pathlib import Path

import pytest

from fairlead._engine.catalogue import installed
from fairlead_conformance import (
    BreakerConformance,
    BrokerConformance,
    ReconcilerConformance,
    StreamConformance,
)

ROOT = Path(__file__).parents[3]
FILES = sorted(
    [*ROOT.glob("plugins/*/src/*/conformance.json"), *ROOT.glob("brokers/*/src/*/conformance.json")]
)
SUITES = {
    suite.kind: suite
    for suite in (BrokerConformance, StreamConformance, BreakerConformance, ReconcilerConformance)
}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_a_shipped_report_is_of_todays_cases(file):
    """Every adapter was tried with each case of its suite, and none failed."""
    said = json.loads(file.read_text(encoding="utf-8"))
    assert said["tier"] in ("T2", "T3", "T4")
    for adapter in said["adapters"]:
        cases = {case.name for case in SUITES[adapter["kind"]].book.cases}
        assert set(adapter["cases"]) == cases, f"{file}: write it again, with --conformance-json"
        assert not [
            name for name, result in adapter["cases"].items() if result.startswith(("failed", "follows"))
        ]


UNREPORTED = {f"fairlead-{name}" for name in ("binance", "bybit", "ccxt", "hyperliquid", "ib")}
"""Distributions that bring no report of a whole run of the kit: the list claims no tier for them."""


def test_plugins_list_shows_the_tier():
    """Of everything here that fills a port."""
    ours = [
        plugin
        for plugin in installed()
        if plugin.origin.name.startswith("fairlead-") and plugin.kind in SUITES
    ]
    assert len(ours) > 30
    assert {plugin.tier for plugin in ours if plugin.origin.name not in UNREPORTED} <= {"T2", "T3", "T4"}
    assert {plugin.tier for plugin in ours if plugin.origin.name in UNREPORTED} == {""}
    assert {plugin.kind for plugin in ours} == set(SUITES)


def test_the_page_counts_the_cases():
    """So many for each kind, as many as there are."""
    page = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    counts = {kind: len(suite.book.cases) for kind, suite in SUITES.items()}
    said = (
        f"{counts['broker']} cases for brokers, {counts['stream']} for streams, {counts['breaker']} for breakers, "
        f"{counts['reconciler']} for reconcilers"
    )
    assert said in " ".join(page.split())


@pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
def test_every_case_says_what_must_hold(suite):
    """In a sentence, and builds on cases that there are and that come before it."""
    seen = set()
    for case in suite.book.cases:
        assert case.says.endswith(".")
        assert set(case.after) <= seen
        assert set(case.unless) <= {other.name for other in suite.book.cases}
        seen.add(case.name)
