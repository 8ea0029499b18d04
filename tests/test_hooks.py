"""Hooks: each one is documented, and each one is called by a running engine, in the order of the user's list."""

import inspect
import logging
import re
import sys
import threading
import types
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from fairlead import ConfigurationError, LiveTradingEngine, Strategy, facts, hookspecs
from fairlead._cli import plugged
from fairlead._cli.app import cli
from fairlead._storage.journal import read_facts
from fairlead.facts import CashChanged
from fairlead.hookspecs import hookimpl
from fairlead.ports import Action, Resolution
from fairlead.testing import FakeBroker, FakeStream, VirtualClock, run_virtual
from fairlead_breakers import Manual
from fairlead_paper import PaperBroker
from fairlead_streams import SyntheticStream

ROOT = Path(__file__).parent.parent
HOOKS = {name: spec for name, spec in vars(hookspecs).items() if name.startswith("fairlead_")}
QUESTIONS = ("When", "Task", "May it block", "If it raises", "Since")


class Calm:
    """A breaker that counts what it is asked."""

    wants = (facts.OrderSubmitted,)

    def __init__(self, name: str = "calm") -> None:
        self.name = name
        self.checks = 0

    def check(self, intent, view):
        self.checks += 1

    def watch(self, item, view):
        return None


class OneOrder(Strategy):
    """Buys once, on the first quote."""

    def on_start(self):
        self.watch("BTC/USDT:USDT", quotes=True)

    def on_quote(self, quote):
        if not self.position():
            self.buy(1)


class Quoting(FakeStream):
    """A stream that gives one quote when it is subscribed to."""

    async def connect(self, emit, clock):
        await super().connect(emit, clock)
        self.clock = clock

    async def subscribe(self, subscriptions):
        from fairlead import Quote

        confirmed = await super().subscribe(subscriptions)
        now, name = self.clock.now(), self.listed[0].id
        self.clock.call_at(now, lambda: self.emit(Quote(name, 99.9, 100.1, 9.0, 9.0, now, now)))
        return confirmed


def run(tmp_path: Path, *plugins: Any, **settings: Any) -> LiveTradingEngine:
    """Run an engine of these plugins for a second of virtual time."""
    engine = LiveTradingEngine(OneOrder(), [*plugins, VirtualClock()], run=tmp_path / "run", **settings)
    run_virtual(engine.run(until="1s"))
    return engine


# --- documented ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_answers_six_questions(name):
    """When, how often, in which task, may it block, what if it raises, since which version: in its docstring."""
    text = inspect.getdoc(HOOKS[name]) or ""
    assert re.search(r"When: (once|for every)", text), "when, and how often"
    for question in QUESTIONS:
        assert f"{question}" in text.replace("\n", " ")
    for argument in inspect.signature(HOOKS[name]).parameters:
        assert f":param {argument}:" in text


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_stands_in_the_documentation_with_its_arguments(name):
    """The table of docs/hooks.md has each hook with its argument list and its answers, word for word."""
    assert row(name) in (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8").splitlines()


def test_the_documentation_has_no_other_hooks():
    """A hook that was removed leaves the table too."""
    text = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(fairlead_\w+)\(", text, re.MULTILINE)) == set(HOOKS)


def row(name: str) -> str:
    """A hook's line in the table of docs/hooks.md: its signature and the six answers."""
    spec = HOOKS[name]
    text = " ".join((inspect.getdoc(spec) or "").split())
    found = re.search(
        r"When: (?P<often>once [^,]+|for every [^,]+), (?P<when>.+?)\. Task: (?P<task>.+?)\. "
        r"May it block: (?P<block>.+?)\. If it raises: (?P<raises>.+?)\. Since (?P<since>[\d.]+)\.",
        text,
    )
    assert found is not None, f"{name} does not answer in the usual order"
    arguments = ", ".join(inspect.signature(spec).parameters)
    return f"| `{name}({arguments})` | " + " | ".join(found.groups()) + " |"


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_has_a_test_that_a_running_engine_calls_it(name):
    """A hook without a caller is decoration: each has a test named after it in this file."""
    assert f"test_hook_{name}" in globals()


# --- called -------------------------------------------------------------------------------------------------


def test_hook_fairlead_register_broker(tmp_path):
    """A broker that a hook offers gets the orders of a running engine."""
    broker = FakeBroker()

    class Offers:
        @hookimpl
        def fairlead_register_broker(self, register):
            register(broker)

    run(tmp_path, Offers(), Quoting(), Calm())
    assert len(broker.submits) == 1


def test_hook_fairlead_register_stream(tmp_path):
    """A stream that a hook offers feeds a running engine."""
    broker, stream = FakeBroker(), Quoting()

    class Offers:
        @hookimpl
        def fairlead_register_stream(self, register):
            register(stream)

    run(tmp_path, broker, Offers(), Calm())
    assert len(broker.submits) == 1
    assert stream.closed


def test_hook_fairlead_register_reconciler(tmp_path):
    """A reconciler that a hook offers decides what a running engine does about a difference."""
    broker = FakeBroker()
    broker.balances["USDT"] += 5

    class Drifting:
        name, every_ns = "drifting", 100_000_000

        def resolve(self, discrepancy, view):
            return Resolution(Action.ADOPT, "a gift")

    class Offers:
        @hookimpl
        def fairlead_register_reconciler(self, register):
            register(Drifting())

    class Generous(Quoting):
        async def subscribe(self, subscriptions):
            broker.balances["USDT"] += 7
            return await super().subscribe(subscriptions)

    engine = run(tmp_path, broker, Generous(), Calm(), Offers())
    changed = [fact for fact in read_facts(engine.folder.journal) if isinstance(fact, CashChanged)]
    assert [(str(fact.amount), fact.reason) for fact in changed] == [("7", "a gift")]


def test_hook_fairlead_register_breaker(tmp_path):
    """A breaker that a hook offers judges the orders of a running engine, and can refuse them."""
    broker = FakeBroker()

    class Never(Calm):
        def check(self, intent, view):
            from fairlead.ports import Trip

            return Trip("not today")

    class Offers:
        @hookimpl
        def fairlead_register_breaker(self, register):
            register(Never("never"))

    run(tmp_path, broker, Quoting(), Offers())
    assert broker.submits == []


def test_hook_fairlead_register_command(monkeypatch):
    """The command line lists a plugin's verb, runs it, keeps its own, and names a plugin that fails."""

    class Verbs:
        @hookimpl
        def fairlead_register_command(self, register):
            register(click.Command("wave", callback=lambda: click.echo("ahoy")))

    class Broken:
        @hookimpl
        def fairlead_register_command(self, register):
            raise OSError("no wind")

    class Greedy:
        @hookimpl
        def fairlead_register_command(self, register):
            register(click.Command("run", callback=lambda: click.echo("mine now")))

    points = []
    for name, made_of in (("wave", Verbs()), ("calm", Broken()), ("greedy", Greedy())):
        module = types.ModuleType(f"desk_plugin_{name}")
        module.verbs = made_of
        monkeypatch.setitem(sys.modules, module.__name__, module)
        points.append(metadata.EntryPoint(name, f"{module.__name__}:verbs", "fairlead"))
    points.append(metadata.EntryPoint("untouched", "no_such_module:Broker", "fairlead"))
    monkeypatch.setattr(plugged, "entry_points", lambda: points)
    monkeypatch.setattr(cli, "_of_plugins", None)
    asked = CliRunner()
    assert asked.invoke(cli, ["wave"]).output == "ahoy\n"
    listed = asked.invoke(cli, ["--help"]).output
    assert all(f"\n  {verb}" in listed for verb in ("wave", "calm", "greedy", "run"))
    for verb, reason in (("calm", "no wind"), ("greedy", "there is one already")):
        refused = asked.invoke(cli, [verb, "--whatever"])
        assert refused.exit_code
        assert reason in refused.output
    assert "mine now" not in asked.invoke(cli, ["run", "--help"]).output


def test_hook_fairlead_started(tmp_path):
    """It is told once, with the engine, when brokers and streams are connected and before any market event."""
    stream = Quoting()
    seen = []

    class Watches:
        @hookimpl
        def fairlead_started(self, engine):
            seen.append((engine, len(stream.subscribed), [type(f).__name__ for f in told]))

        @hookimpl
        def fairlead_fact(self, fact):
            told.append(fact)

    told: list[facts.Fact] = []
    engine = run(tmp_path, FakeBroker(), stream, Calm(), Watches())
    [(given, subscribed, before)] = seen
    assert given is engine
    assert subscribed == 1
    assert "EngineStarted" in before
    assert "OrderSubmitted" not in before
    assert any(isinstance(fact, facts.OrderSubmitted) for fact in told)


def test_hook_fairlead_fact(tmp_path):
    """It is told of every fact of the journal, in order, and of an order only after its command was sent."""
    broker = FakeBroker()
    told: list[facts.Fact] = []
    sent = []

    class Watches:
        @hookimpl
        def fairlead_fact(self, fact):
            told.append(fact)
            if isinstance(fact, facts.OrderSubmitted):
                sent.append(len(broker.submits))

    engine = run(tmp_path, broker, Quoting(), Calm(), Watches())
    from fairlead._storage.journal import read_facts

    assert told == list(read_facts(engine.folder.journal))
    assert sent == [1]


def test_hook_fairlead_stopped(tmp_path):
    """It is told once why the engine ended, after brokers and streams are closed."""
    stream, told = Quoting(), []

    class Watches:
        @hookimpl
        def fairlead_stopped(self, reason):
            told.append((reason, stream.closed))

    run(tmp_path, FakeBroker(), stream, Calm(), Watches())
    assert told == [("the time was up", True)]


def test_an_observer_is_told_of_an_end_in_failure_too(tmp_path):
    """A run that fails after its start still says that it ended."""
    told = []

    class Watches:
        @hookimpl
        def fairlead_stopped(self, reason):
            told.append(reason)

    class Breaks(Quoting):
        async def connect(self, emit, clock):
            await super().connect(emit, clock)
            clock.call_at(clock.now() + 1000, lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        run(tmp_path, FakeBroker(), Breaks(), Calm(), Watches())
    assert told == ["it failed: division by zero"]


def test_an_observer_names_only_the_arguments_it_wants(tmp_path):
    """A hook without arguments is called all the same."""
    told = []

    class Counts:
        @hookimpl
        def fairlead_fact(self):
            told.append(1)

    run(tmp_path, FakeBroker(), Quoting(), Calm(), Counts())
    assert told


# --- order --------------------------------------------------------------------------------------------------


def test_registration_and_observation_follow_the_list(tmp_path):
    """What stands first in the list registers first, judges first and is told first."""
    said: list[str] = []

    class Talker(Calm):
        def check(self, intent, view):
            said.append(f"{self.name} judges")

        @hookimpl
        def fairlead_register_breaker(self, register):
            said.append(f"{self.name} registers")
            register(self)

        @hookimpl
        def fairlead_started(self):
            said.append(f"{self.name} hears")

    run(tmp_path, Talker("first"), FakeBroker(), Talker("second"), Quoting(), Talker("third"))
    order = ["first", "second", "third"]
    assert said == [f"{n} {verb}" for verb in ("registers", "hears", "judges") for n in order]


# --- the user's own objects ---------------------------------------------------------------------------------


def test_the_breaker_that_a_user_listed_is_the_one_that_judges(tmp_path):
    """A person who trips a breaker by hand reaches the running engine, and can read what it counted."""
    manual, broker, calm = Manual(), FakeBroker(), Calm()

    class Hand:
        @hookimpl
        def fairlead_started(self):
            manual.trip("lunch")

    run(tmp_path, manual, calm, broker, Quoting(), Hand())
    assert broker.submits == []
    assert calm.checks > 0


def test_a_backtest_begins_with_breakers_as_they_were_made(tmp_path):
    """What a breaker counted in a run is not in a backtest after it, nor the other way round."""
    calm = Calm()
    stream = SyntheticStream("BTC/USDT:USDT", speed="max", duration="10s")
    engine = LiveTradingEngine(OneOrder(), [PaperBroker(), stream, calm], run=tmp_path / "run")
    first = engine.backtest()
    assert first.fills_count > 0
    assert calm.checks == 0
    calm.checks = 10**9
    assert engine.backtest().journal_hash == first.journal_hash


def test_a_breaker_that_cannot_be_copied_runs_live_only(tmp_path):
    """A lock in a breaker is no reason to refuse it; a backtest says what stands in its way."""

    class Locked(Calm):
        def __init__(self) -> None:
            super().__init__("locked")
            self.lock = threading.Lock()

    broker = FakeBroker()
    engine = run(tmp_path, Locked(), broker, Quoting())
    assert len(broker.submits) == 1
    with pytest.raises(ConfigurationError, match=r"breaker locked cannot be copied .*__deepcopy__"):
        engine.backtest(SyntheticStream("BTC/USDT:USDT", duration="10s"))


# --- raising ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hook", ["fairlead_started", "fairlead_fact", "fairlead_stopped"])
def test_an_observer_that_raises_is_named_once_and_trading_goes_on(tmp_path, caplog, hook):
    """It is logged once by its name, told of nothing more, and neither trading nor other observers notice."""
    calls, told = [], []

    def fails(self, **_):
        calls.append(1)
        raise RuntimeError("out of paper")

    argument = next(iter(inspect.signature(HOOKS[hook]).parameters))
    scope: dict[str, Any] = {"fails": fails}
    exec(f"def {hook}(self, {argument}): fails(self)", scope)
    broken = type("Printer", (), {"name": "printer", hook: hookimpl(scope[hook])})()

    class Healthy:
        @hookimpl
        def fairlead_fact(self, fact):
            told.append(fact)

    broker = FakeBroker()
    with caplog.at_level(logging.ERROR, "fairlead.plugins"):
        run(tmp_path, broken, broker, Quoting(), Calm(), Healthy())
    named = [r.getMessage() for r in caplog.records if r.name == "fairlead.plugins"]
    assert named == [f"plugin printer raised in {hook}: it is told of nothing more"]
    assert len(calls) == 1
    assert len(broker.submits) == 1
    assert isinstance(told[-1], facts.EngineStopped)


def test_an_observer_that_raised_is_told_nothing_through_any_hook(tmp_path):
    """Disabled means all its observation hooks."""
    told = []

    class Printer:
        name = "printer"

        @hookimpl
        def fairlead_started(self, engine):
            raise RuntimeError

        @hookimpl
        def fairlead_stopped(self, reason):
            told.append(reason)

    run(tmp_path, FakeBroker(), Quoting(), Calm(), Printer())
    assert told == []
