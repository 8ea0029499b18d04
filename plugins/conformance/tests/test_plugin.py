"""The pytest plugin: what is collected, shown, written, and skipped by name."""

import fnmatch
import json
import xml.etree.ElementTree as ET

import pytest

from fairlead_conformance.report import write
from fairlead_conformance.suite import Origin

PAPER = """
from fairlead_conformance import BrokerConformance, Tier, case
from fairlead_paper import PaperBroker


class TestMine(BrokerConformance):
    def make(self):
        return PaperBroker()
"""

BAD = (
    PAPER
    + """

class Mute(PaperBroker):
    def send(self, command):
        pass


class TestMute(BrokerConformance):
    def make(self):
        return Mute(name="mute")
"""
)


@pytest.fixture
def run(pytester):
    """A pytest in a process and a folder of its own, with the plugin as it is installed."""

    def start(*words, text=""):
        if text:
            pytester.makepyfile(test_mine=text)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *words)

    return start


@pytest.mark.full
def test_a_suite_is_shown_case_by_case(run):
    """Tier, case, capability and result; what the adapter or the venue cannot do is skipped by name."""
    result = run(text=PAPER)
    result.stdout.fnmatch_lines(
        [
            "broker paper (fairlead-paper *): tier T4, 63 of 79 cases passed",
            "  T0  it_fills_the_port * passed",
            "  T1  a_stop_waits_and_fills *order_type:stop * passed",
            "  T2  too_many_requests_have_a_name *rate_limits * not declared*",
        ]
    )
    assert result.ret == 0


@pytest.mark.full
def test_a_root_cause_comes_first_with_what_follows(run, pytester):
    """One failure where twenty cases build on it; the others are skipped as its consequences, in JUnit too."""
    result = run("-k", "TestMute", "--junit-xml=junit.xml", text=BAD)
    outcomes = result.parseoutcomes()
    result.stdout.fnmatch_lines(
        [
            "broker mute*: tier T0, *",
            "  a_limit_order_rests: a limit order to buy is never Accepted; it said nothing",
            "    not tried, because they build on it: *",
        ]
    )
    assert outcomes["failed"] < 8
    assert outcomes["skipped"] > 40
    cases = ET.parse(pytester.path / "junit.xml").getroot().iter("testcase")
    skipped = [case.find("skipped").get("message") for case in cases if case.find("skipped") is not None]
    assert "follows: from a_limit_order_rests, which failed" in skipped


@pytest.mark.full
def test_conformance_json_is_what_plugins_list_reads(run, pytester):
    """Tier, date, versions, and each case of each adapter."""
    result = run("--conformance-json=conformance.json", text=PAPER)
    said = json.loads((pytester.path / "conformance.json").read_text(encoding="utf-8"))
    assert result.ret == 0
    assert said["tier"] == "T4"
    assert set(said["versions"]) == {"fairlead", "fairlead-conformance"}
    [adapter] = said["adapters"]
    assert (adapter["kind"], adapter["name"], adapter["distribution"]) == (
        "broker",
        "paper",
        "fairlead-paper",
    )
    assert adapter["cases"]["a_limit_order_rests"] == "passed"
    assert adapter["cases"]["too_many_requests_have_a_name"] == "not declared: rate_limits"


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "said"),
    [("warn_only", "reconciler WarnOnly (fairlead-reconcile *): tier T3, *"), ("synthetic", "stream *")],
)
def test_an_installed_plugin_is_proven_by_name(run, name, said):
    """No file is written for it, and no other test runs."""
    result = run("--conformance", name)
    result.stdout.fnmatch_lines([said])
    assert result.ret == 0


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("warn_onli", "*no plugin of fairlead is named 'warn_onli': did you mean 'warn_only'?*"),
        ("daily_loss", "*daily_loss cannot be made without arguments (*write a suite of your own*"),
    ],
)
def test_a_name_that_cannot_be_proven_is_refused(run, name, said):
    """In one sentence, with what to do."""
    result = run("--conformance", name)
    assert result.ret != 0
    assert fnmatch.fnmatch(" ".join([*result.outlines, *result.errlines]), said)


@pytest.mark.full
def test_a_case_of_ones_own_proves_what_the_kit_cannot(run):
    """A capability that no case of the kit knows is proven by one of the author's, or the suite fails."""
    text = """
import attrs
from fairlead_conformance import BrokerConformance, Tier, case
from fairlead_paper import PaperBroker


class TestMine(BrokerConformance):
    def make(self):
        broker = PaperBroker()
        broker.profile = attrs.evolve(broker.profile, venue_options=frozenset({"iceberg"}))
        return broker


class TestProven(TestMine):
    @case(Tier.CORE, of="venue_option:iceberg", after="a_limit_order_rests")
    async def test_an_iceberg_rests(self, desk):
        "It is taken."
        await desk.place(venue_options={"iceberg": "1"})
"""
    result = run(text=text)
    result.stdout.fnmatch_lines(
        ["  all_that_is_declared_is_proven: it declares venue_option:iceberg, and no case *"]
    )
    assert result.parseoutcomes()["failed"] == 1


@pytest.mark.full
def test_a_part_of_a_suite_proves_nothing_as_a_whole(run):
    """With -k only what is chosen runs, nothing fails for what was left out, and no tier is reached."""
    result = run("-k", "rests or declared", text=PAPER)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["broker paper*: no tier, *"])


def test_the_date_is_that_of_the_clock(tmp_path):
    """A report is dated by the clock that it is given, and of no suites it has no tier."""

    class Clock:
        def now(self):
            return 1_700_006_400_000_000_000

    write(tmp_path / "c.json", [], Clock())
    said = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    assert (said["date"], said["tier"], said["adapters"]) == ("2023-11-15", "none", [])
    assert Origin().name == ""
