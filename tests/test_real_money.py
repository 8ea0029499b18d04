"""Real money needs a daily-loss breaker, a stale-data breaker, a reconciler and a stop policy, or a waiver by name."""

import asyncio

import pytest

from fairlead import ConfigurationError, LiveTradingEngine, Strategy
from fairlead._cli.faults import REFUSED, code_of
from fairlead._engine.control import about
from fairlead._engine.needs import missing, waived
from fairlead._storage.journal import read_facts
from fairlead.facts import EngineStarted
from fairlead.ports import VenueProfile
from fairlead.testing import FakeBroker, FakeStream, VirtualClock, run_virtual
from fairlead_breakers import DailyLoss, StaleData
from fairlead_reconcile import HaltOnMismatch

ALL = ("daily_loss", "stale_data", "reconciler", "stop_policy")


class Idle(Strategy):
    """It does nothing, and says nothing of its end."""


class Leaving(Idle):
    """It says that it leaves what there is."""

    on_exit = "leave"


class Own:
    """A breaker of somebody's own that is there against daily losses."""

    name, wants, guards = "own", (), ("daily_loss",)

    def check(self, intent, view):
        return None

    def watch(self, item, view):
        return None


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))


def engine_of(tmp_path, *plugins, strategy=None, environment="live", live=True, **settings):
    broker = FakeBroker(profile=VenueProfile(venue="fake", environment=environment, base_currency="USDT"))
    rest = [broker, FakeStream(*broker.listed), VirtualClock()]
    return LiveTradingEngine(
        strategy or Idle(), [*rest, *plugins], run=tmp_path / "run", live=live, breakers="none", **settings
    )


def test_all_that_is_missing_is_named_with_its_remedy_in_one_sentence(tmp_path):
    """The start is refused, by exit code 5, and nothing was opened."""
    engine = engine_of(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        asyncio.run(engine.run())
    text = str(caught.value)
    assert "\n" not in text
    for words in ("daily-loss breaker", "stale-data breaker", "a reconciler", "a stop policy", *ALL):
        assert words in text
    assert code_of(caught.value) == REFUSED
    assert len(missing(engine)) == 4
    assert not (tmp_path / "run").exists()


def test_what_has_all_of_it_starts(tmp_path):
    """Nothing needs to be waived then, and the fact of the start has no waiver."""
    engine = engine_of(tmp_path, DailyLoss("2%"), StaleData(), HaltOnMismatch(), strategy=Leaving())
    assert missing(engine) == []
    run_virtual(engine.run(until="1s"))
    (start,) = [fact for fact in read_facts(engine.folder.journal) if isinstance(fact, EngineStarted)]
    assert start.waived == ()


def test_a_waiver_is_a_fact_and_stands_in_the_status(tmp_path):
    """Whatever is done without is written down with the start; a waiver without effect is not."""
    engine = engine_of(tmp_path, DailyLoss("2%"), waive=ALL)
    assert waived(engine) == ("stale_data", "reconciler", "stop_policy")
    run_virtual(engine.run(until="1s"))
    (start,) = [fact for fact in read_facts(engine.folder.journal) if isinstance(fact, EngineStarted)]
    assert start.waived == ("stale_data", "reconciler", "stop_policy")


def test_a_breaker_of_ones_own_says_what_it_guards(tmp_path):
    """What a breaker is there for is its own word, not its class."""
    engine = engine_of(tmp_path, Own(), waive=ALL[1:])
    assert missing(engine) == []


@pytest.mark.parametrize(
    ("environment", "live", "wanted"),
    [("live", True, 4), ("testnet", True, 4), ("testnet", False, 0), ("paper", True, 0)],
)
def test_only_what_is_marked_live_needs_it(tmp_path, environment, live, wanted):
    """Real money always, a testnet where it is treated like real money, paper never."""
    assert len(missing(engine_of(tmp_path, environment=environment, live=live))) == wanted


def test_a_waiver_of_nothing_is_refused(tmp_path):
    """A word that waives nothing is a mistake, and the words that do are named."""
    with pytest.raises(ConfigurationError, match=r"'reconcile'.*reconciler"):
        engine_of(tmp_path, waive=("reconcile",))
    assert engine_of(tmp_path, waive="reconciler").waive == ("reconciler",)


def test_the_check_lists_what_is_missing(tmp_path, capsys):
    """A file that composes real money without it is no good, and says why, line by line."""
    from click.testing import CliRunner

    from fairlead._cli.app import cli as main

    script = tmp_path / "real_desk.py"
    script.write_text(
        "from fairlead import LiveTradingEngine, Strategy\n"
        "from fairlead.ports import VenueProfile\n"
        "from fairlead.testing import FakeBroker, FakeStream\n"
        "broker = FakeBroker(profile=VenueProfile(venue='fake', environment='live', base_currency='USDT'))\n"
        "engine = LiveTradingEngine(Strategy(), [broker, FakeStream(*broker.listed)], live=True, breakers='none',\n"
        "                           waive=('reconciler',))\n"
    )
    found = CliRunner().invoke(main, ["check", str(script)])
    assert found.exit_code == REFUSED
    assert "waived      reconciler" in found.output
    assert "a stop policy is missing" in found.output
    waiving = ["--set", f"engine.waive={list(ALL)}".replace("'", '"')]
    assert CliRunner().invoke(main, ["check", str(script), *waiving]).exit_code == 0


@pytest.mark.full
@pytest.mark.parametrize(("said", "code"), [("live=True, ", 0), ("", REFUSED)])
def test_a_script_says_live_itself(tmp_path, said, code):
    """Whatever passes the check of a script starts: `live=True` is said once, and without it no option helps."""
    from click.testing import CliRunner

    from fairlead._cli.app import cli as main

    script = tmp_path / f"desk_of_ours_{code}.py"
    script.write_text(
        "from fairlead import LiveTradingEngine, Strategy\n"
        "from fairlead.ports import VenueProfile\n"
        "from fairlead.testing import FakeBroker, FakeStream\n"
        "broker = FakeBroker(profile=VenueProfile(venue='fake', environment='live', base_currency='USDT'))\n"
        f"engine = LiveTradingEngine(Strategy(), [broker, FakeStream(*broker.listed)], {said}breakers='none',\n"
        f"                           waive={ALL!r}, run={str(tmp_path / 'run')!r})\n"
    )
    for words in (["check"], ["check", "--live"], ["run", "--until", "1s", "--no-view"]):
        done = CliRunner().invoke(main, [words[0], str(script), *words[1:]])
        assert (done.exit_code == 0) == (code == 0), done.output
        assert code == 0 or "trades real money: say live=True" in done.output


def test_the_status_says_what_is_waived(tmp_path):
    """Whoever looks at a running engine sees it."""
    engine = engine_of(tmp_path, waive=ALL)
    parts = engine.session()._parts
    assert about(engine.folder, parts, started_ns=0).waived == ALL
