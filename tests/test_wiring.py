"""What an engine refuses to be made of: one sentence that names the culprit, the rule and the remedy."""

import sys
from types import ModuleType
from typing import Any

import attrs
import pytest

from fairlead import ConfigurationError, FairleadError, LiveTradingEngine, PluginError, Strategy
from fairlead.hookspecs import hookimpl
from fairlead.ports import EQUITY, BrokerAdapter, CircuitBreaker, DataStream, VenueProfile
from fairlead.testing import FakeBroker, FakeStream, ManualClock, Puppet, Recorder, VirtualClock


class Calm:
    """A breaker that never trips."""

    wants = (EQUITY,)

    def __init__(self, name: str = "calm") -> None:
        self.name = name

    def check(self, intent, view):
        return None

    def watch(self, item, view):
        return None


class Idle(Strategy):
    """It does nothing."""


def engine_of(*plugins: Any, strategy: Any = None, **settings: Any) -> LiveTradingEngine:
    """An engine of these plugins and whatever they lack."""
    rest = []
    for protocol, make in ((BrokerAdapter, FakeBroker), (DataStream, FakeStream), (CircuitBreaker, Calm)):
        if not any(isinstance(p, protocol) and not isinstance(p, type) for p in plugins):
            rest.append(make())
    return LiveTradingEngine(Idle() if strategy is None else strategy, [*plugins, *rest], **settings)


def refusal(*plugins: Any, kind: type[FairleadError] = ConfigurationError, **settings: Any) -> str:
    """Why such an engine is refused; always one line."""
    with pytest.raises(kind) as caught:
        engine_of(*plugins, **settings)
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- what is missing or doubled -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plugins", "rule", "remedy"),
    [
        ([FakeStream(), Calm()], "no broker", "PaperBroker("),
        ([FakeBroker(), Calm()], "no data stream", "SyntheticStream("),
        ([FakeBroker(), FakeStream()], "no circuit breaker", "breakers='none'"),
    ],
)
def test_a_part_that_is_missing_is_named_with_an_example_of_one(plugins, rule, remedy):
    """An engine without a broker, a stream or a breaker is refused, and the message shows what to add."""
    with pytest.raises(ConfigurationError) as caught:
        LiveTradingEngine(Idle(), plugins)
    assert str(caught.value).startswith(rule)
    assert remedy in str(caught.value)


def test_no_breaker_at_all_must_be_said_aloud():
    """`breakers="none"` is the only word that lets an engine trade without any breaker."""
    assert LiveTradingEngine(Idle(), [FakeBroker(), FakeStream()], breakers="none").wiring.breakers == {}
    with pytest.raises(ConfigurationError, match=r"breakers='off'.*'none'"):
        LiveTradingEngine(Idle(), [FakeBroker(), FakeStream()], breakers="off")


@pytest.mark.parametrize("make", [FakeBroker, FakeStream, Calm])
def test_two_of_one_name_are_refused(make):
    """Two brokers, streams or breakers of one name are refused, because orders and trips are kept under it."""
    one, two = make(name="twin"), make(name="twin")
    message = refusal(one, two)
    assert "are named 'twin'" in message
    assert "name='...'" in message


def test_two_plugins_with_hooks_of_one_name_are_refused():
    """Two observers of one name could not be told apart in the log."""
    assert "two plugins are named 'recorder'" in refusal(Recorder(), Recorder())


def test_a_broker_and_a_breaker_may_share_a_name():
    """Names are unique within a port, not across ports."""
    engine = engine_of(FakeBroker(name="main"), Calm("main"))
    assert list(engine.wiring.brokers) == list(engine.wiring.breakers) == ["main"]


def test_an_engine_has_one_clock():
    """A second clock is refused: there is one time."""
    assert engine_of(ManualClock()).wiring.clock is not None
    assert "two clocks, ManualClock and VirtualClock" in refusal(ManualClock(), VirtualClock())


def test_real_money_wants_live_true():
    """A broker whose profile says live is refused until the engine is told so."""
    broker = FakeBroker(profile=VenueProfile(venue="fake", environment="live"))
    message = refusal(broker)
    assert "trades real money" in message
    assert "live=True" in message
    assert engine_of(broker, live=True).live


def test_two_strategies_on_one_account_need_allocations():
    """Percentages and cash mean a strategy's share, so each must say what its share is."""
    pair = [Puppet(name="a", allocation="50%"), Puppet(name="b")]
    message = refusal(strategy=pair)
    assert "b has no allocation" in message
    assert "allocation='50%'" in message


def test_strategies_have_names_of_their_own():
    """Two strategies of one name would share positions, timers and saved state."""
    pair = [Puppet(allocation="50%"), Puppet(allocation="50%")]
    assert "two strategies are named 'Puppet'" in refusal(strategy=pair)


def test_names_that_the_engine_needs_itself_are_refused():
    """What nobody ordered stands under EXTERNAL, and a person's kill among the breakers."""
    assert "no strategy can be named EXTERNAL" in refusal(strategy=Puppet(name="EXTERNAL"))
    assert "no breaker can be named 'kill'" in refusal(Calm("kill"))


def test_no_strategy_is_refused():
    """An empty list of strategies is a mistake, not an idle engine."""
    assert "no strategy" in refusal(strategy=[])


@pytest.mark.parametrize(
    ("name", "meant"),
    [("on_quotes", "did you mean on_quote?"), ("on_candle", "the handlers are on_start, on_bar")],
)
def test_a_misspelt_handler_is_refused(name, meant):
    """A method that nobody would ever call is refused when the engine is made, with the one that was meant."""
    kind = type("Mine", (Idle,), {name: lambda self, event: None})
    assert f"Mine.{name} is no handler: {meant}" in refusal(strategy=kind())


def test_a_strategy_is_an_object_of_a_strategy_class():
    """A class, or an object of another kind, is named with what to pass instead."""
    assert "strategy Idle is a class: pass an object, Idle(...)" in refusal(strategy=Idle)
    assert "strategy Idle is a class" in refusal(strategy=[Idle])
    assert "is no strategy: derive its class from fairlead.Strategy" in refusal(strategy=[7])


@pytest.mark.parametrize(
    ("plugins", "shown"), [(FakeBroker(), r"FakeBroker\(\.\.\.\)"), ("paper", "'paper'")]
)
def test_plugins_are_a_list(plugins, shown):
    """One plugin without its list is named, also where it is a text that could be taken apart."""
    with pytest.raises(ConfigurationError, match=rf"plugins={shown} is one plugin: put it into a list"):
        LiveTradingEngine(Idle(), plugins)


def test_an_unknown_durability_is_refused():
    """Durability is one of two words."""
    assert "'process' or 'full'" in refusal(durability="best")


# --- what does not fit --------------------------------------------------------------------------------------


def test_a_class_is_not_a_plugin():
    """Forgotten parentheses are named as such."""
    assert "plugins=[FakeBroker] is a class: put an object there, FakeBroker(...)" in refusal(FakeBroker)


def test_an_object_that_fills_no_port_is_told_what_it_lacks():
    """The nearest port is named with the members that are missing."""

    class Almost:
        name = "almost"
        wants = ()

        def check(self, intent, view):
            return None

    message = refusal(Almost())
    assert "plugins=[Almost(...)] fills no port" in message
    assert "as a breaker it lacks watch" in message


def test_an_object_that_fills_two_ports_is_refused():
    """One `connect` cannot be a broker's and a stream's."""

    class Both(FakeStream, FakeBroker):
        def __init__(self) -> None:
            FakeBroker.__init__(self)

    assert "is a broker and a stream at once" in refusal(Both())


@pytest.mark.parametrize("name", ["", 7])
def test_a_name_is_a_text(name):
    """A plugin whose name is empty or no text cannot be kept in facts."""
    assert "a name is a text that is not empty" in refusal(Calm(name))


def test_a_plain_method_that_is_a_coroutine_is_refused():
    """A coroutine returned by `send` or `check` would be made and never run."""

    class Late(Calm):
        async def check(self, intent, view):
            return None

    message = refusal(Late())
    assert "breaker calm: Late.check is `async def`, and must be a plain function" in message
    assert "write `def check(self, intent, view)`" in message


def test_an_optional_method_that_is_a_coroutine_is_refused():
    """The members beyond the port are looked at too."""

    class Late(Calm):
        async def due(self, view):
            return 0

    assert "Late.due is `async def`" in refusal(Late())


def test_a_coroutine_method_that_is_plain_is_refused():
    """What the engine awaits must be awaitable."""

    class Quick(FakeStream):
        def close(self):
            return None

    assert "Quick.close is a plain function, and must be a coroutine" in refusal(Quick())


def test_a_method_that_cannot_take_its_arguments_is_refused():
    """A wrong signature shows when the engine is made, not when the first order is judged."""

    class Narrow(Calm):
        def check(self, intent):
            return None

    message = refusal(Narrow())
    assert "Narrow.check cannot take what it is called with" in message
    assert "write `def check(self, intent, view)`" in message


@pytest.mark.parametrize(
    ("make", "member", "words"),
    [
        (FakeBroker, "market", "broker fake: Odd.market is no method"),
        (FakeStream, "time", "stream fake: Odd.time is no method"),
        (Calm, "quiet", "breaker calm: Odd.quiet is no method"),
        (Calm, "allows", "breaker calm: Odd.allows is no method"),
        (Calm, "save", "breaker calm: Odd.save is no method"),
    ],
)
def test_an_optional_member_that_means_something_else_is_refused(make, member, words):
    """An attribute that happens to have the name of an optional method would be called, or switch something off."""
    odd = type("Odd", (make,), {member: "spot"})()
    message = refusal(odd)
    assert words in message
    assert "rename it" in message


def test_a_breaker_that_does_not_want_equity_cannot_be_quiet():
    """`quiet` spares calls of `check` while equity stays in a band: without EQUITY it would spare all of them."""

    class Hushed(Calm):
        wants = ()

        def quiet(self, account, view):
            return (0.0, 1e12)

    assert "add EQUITY to wants, or rename quiet" in refusal(Hushed())


# --- hooks --------------------------------------------------------------------------------------------------


def test_a_hook_of_the_wrong_colour_is_refused():
    """An `async def` hook would be called and never awaited."""

    class Late:
        @hookimpl
        async def fairlead_fact(self, fact):
            pass

    message = refusal(Late())
    assert "plugin Late (your script) implements fairlead_fact as `async def`" in message
    assert "write `def fairlead_fact(...)`" in message


def test_a_misspelt_hook_is_refused_with_the_right_spelling():
    """pluggy would keep a hook that nobody calls; here it is refused."""

    class Typo:
        @hookimpl
        def fairlead_facts(self, fact):
            pass

    assert "implements fairlead_facts, and there is no such hook: did you mean fairlead_fact?" in refusal(
        Typo()
    )


def test_a_hook_without_its_mark_is_refused():
    """A method named like a hook that lacks the mark would silently never be called."""

    class Bare:
        def fairlead_fact(self, fact):
            pass

    assert "put @fairlead.hookspecs.hookimpl above it" in refusal(Bare())


def test_a_wrapper_is_refused():
    """The engine calls hooks itself, one by one: there is nothing to wrap."""

    class Around:
        @hookimpl(wrapper=True)
        def fairlead_fact(self, fact):
            return (yield)

    assert "as a wrapper" in refusal(Around())


def test_a_hook_that_wants_more_than_there_is_is_refused():
    """An argument that the specification does not have is named, with the plugin."""

    class Greedy:
        @hookimpl
        def fairlead_fact(self, fact, market):
            pass

    with pytest.raises(PluginError, match=r"plugin Greedy \(your script\) has a hook.*market") as caught:
        engine_of(Greedy())
    assert caught.value.plugin == "Greedy"


def test_a_breaker_may_observe_too():
    """An object that fills a port and implements hooks is wired as both."""

    class Watcher(Calm):
        @hookimpl
        def fairlead_fact(self, fact):
            pass

    rows = [(wire.port, wire.name) for wire in engine_of(Watcher("both")).wiring.table]
    assert rows[:2] == [("breaker", "both"), ("fairlead_fact", "both")]


def test_a_plugin_may_offer_several_objects():
    """A registration hook offers as many as it likes, and the table says who offered them."""

    class Pair:
        name = "pair"

        @hookimpl
        def fairlead_register_breaker(self, register):
            register(Calm("left"))
            register(Calm("right"))

    engine = engine_of(Pair())
    assert list(engine.wiring.breakers)[:2] == ["left", "right"]
    assert "Calm by pair" in engine.describe()


@pytest.mark.parametrize(
    ("offered", "words"),
    [
        (Calm, "offers the class Calm as a breaker: offer an object"),
        (FakeStream(), "offers FakeStream as a breaker, which lacks check, wants, watch"),
    ],
)
def test_what_a_hook_offers_must_fit(offered, words):
    """An object offered for the wrong port is refused with the plugin's name."""

    class Wrong:
        name = "wrong"

        @hookimpl
        def fairlead_register_breaker(self, register):
            register(offered)

    assert f"plugin wrong {words}" in refusal(Wrong())


def test_a_module_can_be_a_plugin():
    """Hooks may be a module's functions."""
    module = ModuleType("my_hooks")

    @hookimpl
    def fairlead_fact(fact):
        pass

    module.fairlead_fact = fairlead_fact
    assert ("fairlead_fact", "my_hooks") in [(w.port, w.name) for w in engine_of(module).wiring.table]


# --- installed plugins --------------------------------------------------------------------------------------


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a tiny distribution on the path: `install(name, module, code, entry points, requires)`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    known = set(sys.modules)

    def put(distribution, module, code, points, requires="fairlead>=0.1,<0.2"):
        info = tmp_path / f"{distribution.replace('-', '_')}-1.2.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2.3\nRequires-Dist: {requires}\n"
        )
        lines = [f"{name} = {target}" for name, target in points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[fairlead]", *lines]) + "\n")
        (tmp_path / f"{module}.py").write_text(code)

    yield put
    for name in set(sys.modules) - known:
        if name.startswith("acme"):
            del sys.modules[name]


GOOD = """
class Brake:
    name = "brake"
    wants = ()
    def check(self, intent, view): return None
    def watch(self, item, view): return None
"""


def test_an_installed_plugin_is_found_by_name_and_shown_with_its_distribution(install):
    """The wiring table names the distribution and version that a plugin came from."""
    install("acme-brakes", "acme_brakes", GOOD, {"brake": "acme_brakes:Brake"})
    table = engine_of("brake").describe().splitlines()
    assert [line.split() for line in table if "brake" in line] == [
        ["breaker", "brake", "Brake", "acme-brakes", "1.2.3"]
    ]


def test_installed_is_not_enabled(install):
    """A distribution that is installed and not listed is not even imported."""
    install("acme-brakes", "acme_brakes", GOOD, {"brake": "acme_brakes:Brake"})
    assert "brake" not in engine_of().wiring.breakers
    assert "acme_brakes" not in sys.modules


def test_an_unknown_name_is_refused_with_the_nearest(install):
    """A misspelt entry-point name gets a suggestion, and the list of what is installed."""
    install("acme-brakes", "acme_brakes", GOOD, {"brake": "acme_brakes:Brake"})
    message = refusal("braek")
    assert "no plugin is named 'braek' (installed: " in message
    assert " brake, " in message
    assert "did you mean 'brake'?" in message
    assert "install it, or check the spelling" in refusal("something-else-entirely")


def test_two_distributions_with_one_name_are_refused(install):
    """Which of two packages runs must not depend on the order of an environment."""
    for name in ("acme-one", "acme-two"):
        install(name, name.replace("-", "_"), GOOD, {"brake": f"{name.replace('-', '_')}:Brake"})
    message = refusal("brake")
    assert "several distributions offer a plugin 'brake' (acme-one, acme-two)" in message
    assert "uninstall all but one" in message


def test_a_plugin_that_raises_at_import_is_named(install):
    """Whatever an import raises, the message says which plugin of which distribution, and why."""
    install("acme-broken", "acme_broken", "raise RuntimeError('no licence')", {"broken": "acme_broken:X"})
    message = refusal("broken", kind=PluginError)
    assert "plugin 'broken' of acme-broken 1.2.3 cannot be loaded (RuntimeError: no licence)" in message


def test_a_plugin_that_names_nothing_is_named(install):
    """An entry point that points at nothing is a plugin's fault, and named."""
    install("acme-empty", "acme_empty", "", {"empty": "acme_empty:Missing"})
    assert "plugin 'empty' of acme-empty 1.2.3 cannot be loaded" in refusal("empty", kind=PluginError)


def test_a_plugin_that_cannot_be_made_is_named(install):
    """An exception in a constructor is the plugin's; one about arguments says to pass an object."""
    code = "class A:\n def __init__(self): 1 / 0\nclass B:\n def __init__(self, limit): pass\n"
    install("acme-makes", "acme_makes", code, {"a": "acme_makes:A", "b": "acme_makes:B"})
    assert "cannot be made (ZeroDivisionError" in refusal("a", kind=PluginError)
    assert "'b' needs arguments (missing a required argument: 'limit')" in refusal("b")


def test_a_plugin_for_another_version_is_refused_before_its_import(install):
    """The range is read from the distribution's metadata; none of its code runs."""
    install(
        "acme-future",
        "acme_future",
        "raise SystemExit",
        {"future": "acme_future:X"},
        requires="fairlead>=9,<10",
    )
    message = refusal("future", kind=PluginError)
    assert "plugin 'future' (acme-future 1.2.3) was built for fairlead <10,>=9, and this is 0.1.0" in message
    assert "install a matching version" in message
    assert "acme_future" not in sys.modules


def test_an_object_of_another_version_is_refused_too(install):
    """An object that a script imported itself passes the same check."""
    install("acme-old", "acme_old", GOOD, {"old": "acme_old:Brake"}, requires="fairlead<0.1")
    import acme_old

    with pytest.raises(PluginError, match=r"plugin 'brake' \(acme-old 1.2.3\) was built for fairlead <0.1"):
        engine_of(acme_old.Brake())


# --- a hook that fails --------------------------------------------------------------------------------------


def test_a_registration_hook_that_raises_refuses_the_engine_and_starts_nothing(install, tmp_path):
    """The plugin and its distribution are named; no folder, no connection, nothing half-made is left."""
    code = "from fairlead.hookspecs import hookimpl\n" + (
        "class Rude:\n"
        "    name = 'rude'\n"
        "    @hookimpl\n"
        "    def fairlead_register_stream(self, register):\n"
        "        raise OSError('no feed today')\n"
    )
    install("acme-rude", "acme_rude", code, {"rude": "acme_rude:Rude"})
    broker, run = FakeBroker(), tmp_path / "run"
    with pytest.raises(PluginError) as caught:
        engine_of(broker, "rude", run=run)
    assert "plugin rude (acme-rude 1.2.3) failed in fairlead_register_stream (OSError: no feed today)" in str(
        caught.value
    )
    assert (caught.value.plugin, caught.value.distribution) == ("rude", "acme-rude")
    assert not run.exists()
    assert engine_of(broker, run=run).wiring.brokers == {"fake": broker}


# --- describe -----------------------------------------------------------------------------------------------


def test_the_wiring_table_reads_in_the_order_of_the_list():
    """Order on the page is order of effect: strategies, then every plugin where it stands."""
    engine = engine_of(Recorder(), Calm("b"), FakeStream(), Calm("a"), FakeBroker())
    assert [line.split()[:2] for line in engine.describe().splitlines()[1:]] == [
        ["strategy", "Idle"],
        ["fairlead_fact", "recorder"],
        ["fairlead_stopped", "recorder"],
        ["breaker", "b"],
        ["stream", "fake"],
        ["breaker", "a"],
        ["broker", "fake"],
    ]


def test_a_stream_shows_what_its_data_are():
    """A stream's label stands in the table: invented data cannot pass for real ones."""

    class Invented(FakeStream):
        label = "SYNTHETIC seed=1"

    assert "Invented (SYNTHETIC seed=1)" in engine_of(Invented()).describe()


def test_an_object_with_slots_can_be_a_breaker():
    """Nothing is inherited and nothing is set on a plugin."""

    @attrs.frozen
    class Tight:
        name: str = "tight"
        wants: tuple[str, ...] = ()

        def check(self, intent, view):
            return None

        def watch(self, item, view):
            return None

    assert "tight" in engine_of(Tight()).wiring.breakers
