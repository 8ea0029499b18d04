"""From a file to an engine that runs, and what can be seen of it before."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead import ConfigurationError, LiveTradingEngine, Secret
from fairlead._config.schema import schema
from fairlead._storage.journal import read_facts
from fairlead.facts import EngineStarted, Filled

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "from_a_file" / "fairlead.toml"
KEYED = '[broker.venue]\nuse = "keyed"\nkey = "secret:ACME_KEY"\n'


# --- engines ----------------------------------------------------------------------------------------------------


def test_a_file_composes_the_engine_that_a_script_would(write, folder):
    """Names, classes and arguments are those of the file."""
    engine = LiveTradingEngine.from_file(
        write('[strategy.fast]\nuse = "mine.py:InAndOut"\nevery = 3\nallocation = "50%"')
    )
    (strategy,) = engine.strategies
    assert (strategy.name, strategy.allocation, strategy.every) == ("fast", "50%", 3)
    assert list(engine.wiring.brokers) == ["paper"]
    assert engine.folder.path == Path("runs/fast").absolute() or engine.folder.path == Path("runs/fast")


def test_a_file_runs_and_its_strategy_can_be_built_from_the_journal(write, folder):
    """The journal has module, name and arguments, as for a script; another process makes the same strategy of them."""
    file = write(
        '[engine]\nrun = "out"\n[strategy.one]\nuse = "mine.py:InAndOut"\nevery = 2\nsize = [1, "a"]\n'
        '[stream.synthetic]\nspeed = "max"\nduration = "10m"'
    )
    reason = asyncio.run(LiveTradingEngine.from_file(file).run())
    assert reason == "the data ended"
    facts = list(read_facts(folder / "out" / "journal"))
    assert any(isinstance(fact, Filled) for fact in facts)
    (spec,) = next(fact for fact in facts if isinstance(fact, EngineStarted)).strategies
    assert (spec.name, spec.module, spec.qualname) == ("one", "mine", "InAndOut")
    code = (
        f"import json, {spec.module}\nargs, kwargs = json.loads({spec.arguments!r})\n"
        f"made = {spec.module}.{spec.qualname}(*args, **kwargs)\nprint(made.every, made._arguments)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20
    )
    assert done.stdout == "2 ((), {'every': 2, 'size': [1, 'a']})\n"


def test_a_run_of_a_file_is_taken_up_by_the_next(write, folder):
    """The same file, started again, goes on: nothing in it makes another run of it."""
    file = write('[engine]\nrun = "out"\n[stream.synthetic]\nspeed = "max"\nduration = "5m"')
    for _ in range(2):
        asyncio.run(LiveTradingEngine.from_file(file).run())
    starts = [fact for fact in read_facts(folder / "out" / "journal") if isinstance(fact, EngineStarted)]
    assert len(starts) == 2
    assert starts[0].strategies == starts[1].strategies


def test_paths_of_a_file_are_seen_from_the_file(write, folder, monkeypatch):
    """And those said on the command line from where it is typed."""
    (folder / "data.csv").write_text(
        "time,open,high,low,close,volume\n" + "".join(f"2024-01-01 00:0{n}:00,1,2,1,2,5\n" for n in range(3))
    )
    file = write(
        '[engine]\nrun = "out"\n[stream.data]\nuse = "replay"\npath = "data.csv"\nsymbol = "BTC/USDT"\n'
        'tz = "UTC"\nvolume_unit = "base"\nbar_label = "open"'
    )
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    engine = LiveTradingEngine.from_file(file)
    assert engine.folder.path == folder / "out"
    assert engine.backtest().events
    said = LiveTradingEngine.from_file(file, settings=["engine.run=there"])
    assert said.folder.path.absolute() == folder / "elsewhere" / "there"


def test_a_class_of_values_is_written_as_a_table(write, monkeypatch):
    """An instrument has exact numbers, however they are written."""
    monkeypatch.setenv("ACME_KEY", "sesame-open-4711")
    text = (
        'instrument = {symbol = "A/B", venue = "v", base = "A", quote = "B", settle = "B", tick = "0.10", lot = 1, '
        'contract = "linear"}\npair = [1, "x"]'
    )
    broker = LiveTradingEngine.from_file(write(KEYED + text)).wiring.brokers["venue"]
    assert str(broker.instrument.tick) == "0.10"
    assert broker.instrument.contract == "linear"
    assert broker.pair == (1, "x")


def test_reconcilers_stand_in_the_order_in_which_they_decide(write):
    """Each is a table, by its entry point's name or another, with the arguments of its class."""
    text = '[reconcile.external_orders]\npolicy = "cancel"\n[reconcile.halt]\nuse = "halt_on_mismatch"\nevery = "1m"'
    engine = LiveTradingEngine.from_file(write(text))
    assert list(engine.wiring.reconcilers) == ["external_orders", "halt"]
    assert engine.wiring.reconcilers["halt"].every_ns == 60_000_000_000


def test_a_function_that_makes_a_plugin_will_do_for_a_class(write):
    """An entry point may name any callable; what it takes by ** is passed on."""
    engine = LiveTradingEngine.from_file(write('[broker.mine]\nuse = "made"\ncash = "7 USDT"\nother = "x"'))
    assert engine.wiring.brokers["mine"].balances["USDT"] == 7


def test_a_strategy_of_a_module_beside_the_file_is_found(write, folder):
    """`package.module:Class` is imported as a script would."""
    (folder / "pack_of_mine").mkdir()
    (folder / "pack_of_mine" / "deep.py").write_text("from mine import InAndOut")
    engine = LiveTradingEngine.from_file(write('[strategy.one]\nuse = "pack_of_mine.deep:InAndOut"'))
    assert type(engine.strategies[0]).__name__ == "InAndOut"


def test_a_secret_reaches_the_plugin_that_asks_for_it(write, monkeypatch):
    """As a Secret, which its code reveals."""
    monkeypatch.setenv("ACME_KEY", "sesame-open-4711")
    broker = LiveTradingEngine.from_file(write(KEYED)).wiring.brokers["venue"]
    assert isinstance(broker.key, Secret)
    assert broker.key.reveal() == "sesame-open-4711"


def test_the_env_file_beside_the_configuration_is_read(write, folder, monkeypatch):
    """Wherever the process was started, and wherever it goes then."""
    (folder / ".env").write_text("ACME_KEY=from-the-file")
    (folder / ".env").chmod(0o600)
    write(KEYED)
    engine = LiveTradingEngine.from_file("test.toml")
    monkeypatch.chdir("/")
    assert engine.wiring.brokers["venue"].key.reveal() == "from-the-file"


def test_all_faults_are_in_the_error(write):
    """A script sees them one by one."""
    with pytest.raises(ConfigurationError) as caught:
        LiveTradingEngine.from_file(write("[engine]\na = 1\nb = 2"))
    assert [fault.path for fault in caught.value.faults] == ["engine.a", "engine.b"]


WAIVED = ("--set", 'engine.waive=["daily_loss", "stale_data", "reconciler", "stop_policy"]')

# --- real money -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("[engine]\nlive = true\n", ()),
        ("[profile.real.engine]\nlive = true\n", ("--profile", "real")),
        ("", ("--live",)),
        ("", ("--set", "engine.live=true")),
    ],
)
def test_real_money_is_said_aloud_in_the_file_or_by_whoever_starts(
    text, options, write, fairlead, monkeypatch
):
    """Any of these is enough; nothing else is."""
    monkeypatch.setenv("ACME_KEY", "sesame-open-4711")
    file = write(text + KEYED + 'mode = "live"')
    assert fairlead("check", file, *options, *WAIVED).exit_code == 0
    assert fairlead("check", file, *options).exit_code == 5
    assert fairlead("check", write(KEYED + 'mode = "live"'), "--profile", "x").exit_code == 2


def test_a_profile_switches_from_paper_to_the_venue(write, fairlead, monkeypatch):
    """One file: paper without a word, the testnet and the venue by name."""
    monkeypatch.setenv("ACME_KEY", "sesame-open-4711")
    file = write(
        '[engine]\nprofile = "paper"\n[profile.paper.broker.main]\nuse = "paper"\n'
        + "".join(
            f'[profile.{name}.broker.main]\nuse = "keyed"\nkey = "secret:ACME_KEY"\nmode = "{name}"\n'
            for name in ("testnet", "live")
        )
        + PARTS_WITHOUT_BROKER,
        whole=False,
    )
    for options, kind in (
        ((), "PaperBroker"),
        (("--profile", "testnet"), "Keyed"),
        (("--profile", "live", "--live", *WAIVED), "Keyed"),
    ):
        done = fairlead("check", file, *options)
        assert done.exit_code == 0, done.output
        assert f" {kind} " in done.stdout
    done = fairlead("check", file, "--profile", "live")
    assert done.exit_code == 2
    assert "broker.main: it trades real money" in done.stderr


PARTS_WITHOUT_BROKER = (
    '[strategy.one]\nuse = "mine.py:InAndOut"\n[stream.synthetic]\n[breaker.drawdown]\nlimit = "20%"\n'
)


# --- the command line -------------------------------------------------------------------------------------------


def test_a_backtest_needs_no_secrets_and_no_word_for_real_money(write, fairlead):
    """No broker is connected: whoever has no key can still backtest the file that will trade."""
    file = write(KEYED + 'mode = "live"')
    done = fairlead("backtest", file, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["fills"] > 0


@pytest.mark.full
def test_the_example_is_wired_backtested_and_run(folder, monkeypatch):
    """As its first lines say, in a process of its own."""
    import shutil

    shutil.copytree(EXAMPLE.parent, folder / "example", ignore=shutil.ignore_patterns("runs", "__pycache__"))
    file = folder / "example" / "fairlead.toml"

    def call(*arguments):
        command = [sys.executable, "-m", "fairlead", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=40)
        assert done.returncode == 0, done.stderr
        return done.stdout

    table = call("check", file).partition("\n\n")[0].splitlines()
    names = ["cross", "paper", "market", "limits", "daily_loss", "drawdown"]
    assert [line.split()[1] for line in table[1:]] == names
    base = json.loads(call("backtest", file, "--json", "--set", "stream.market.duration=3h"))
    other = json.loads(
        call(
            "backtest",
            file,
            "--json",
            "--set",
            "stream.market.duration=3h",
            "--set",
            "strategy.cross.slow=60",
        )
    )
    assert base["trades"] > 0
    assert base["journal_hash"] != other["journal_hash"]
    ran = call("run", file, "--profile", "fast", "--until", "1h")
    assert "ended: the time was up" in ran


def test_a_script_takes_settings_of_its_engine(folder, fairlead, monkeypatch):
    """The run's folder from the environment, durability from --set."""
    (folder / "mine_composed.py").write_text(
        "from fairlead import LiveTradingEngine\nfrom mine import InAndOut\n"
        "engine = LiveTradingEngine(InAndOut(), ['paper', 'synthetic'], breakers='none')\n"
    )
    from fairlead._cli.loading import load_engine

    monkeypatch.setenv("FAIRLEAD__ENGINE__RUN", "from-outside")
    engine = load_engine(
        folder / "mine_composed.py", settings=["engine.durability=full", "engine.busy_poll=true"]
    )
    assert engine.folder.path.name == "from-outside"
    assert (engine.durability, engine.busy_poll) == ("full", True)
    monkeypatch.setenv("FAIRLEAD__BROKER__PAPER__CASH", "5 USDT")
    with pytest.raises(
        ConfigurationError, match=r"broker.paper.cash \(environment FAIRLEAD__BROKER.*a script composes"
    ):
        load_engine(folder / "mine_composed.py")


# --- config show, config schema ---------------------------------------------------------------------------------


def shown(done) -> dict[str, tuple[str, str]]:
    """The values of `config show --json`, by path."""
    return {value["path"]: (value["value"], value["origin"]) for value in json.loads(done.stdout)["values"]}


@pytest.mark.parametrize(
    ("store", "words"),
    [("environment", "found in environment"), (".env", "found in .env"), (None, "missing")],
)
def test_config_show_says_where_a_secret_is_and_never_what(
    store, words, write, folder, fairlead, monkeypatch
):
    """A missing one is a fault besides."""
    if store == "environment":
        monkeypatch.setenv("ACME_KEY", "sesame-open-4711")
    elif store:
        (folder / ".env").write_text("ACME_KEY=sesame-open-4711")
        (folder / ".env").chmod(0o600)
    done = fairlead("config", "show", write(KEYED), "--json")
    assert done.exit_code == (0 if store else 2)
    assert shown(done)["broker.venue.key"] == (f"secret:ACME_KEY ({words})", "test.toml:3")
    assert "sesame" not in done.output


@pytest.mark.parametrize(
    "line",
    [
        'key = "sesame-open-4711"',
        'api_key = "sesame-open-4711"',
        'password = "sesame-open-4711"',
        'extra = {token = "sesame-open-4711"}',
        'secret_key = "sesame-open-4711"',
    ],
)
def test_config_show_hides_what_should_not_be_in_the_file(line, write, fairlead):
    """A key that somebody wrote in plain is refused or unknown, and not shown on the way."""
    for use in ("keyed", "gone"):
        done = fairlead("config", "show", write(f'[broker.venue]\nuse = "{use}"\n{line}'))
        assert done.exit_code in (2, 5)
        assert "***" in done.stdout
        assert "sesame" not in done.output


def test_config_show_works_with_faults(write, fairlead):
    """The values first, then all that is wrong; in JSON both."""
    file = write('[engine]\nrn = 1\n[broker.papr]\n[breaker.drawdown]\nlimit = "x"')
    done = fairlead("config", "show", file)
    assert done.exit_code == 2
    assert "breaker.drawdown.limit" in done.stdout
    assert "has 3 faults" in done.stderr
    done = fairlead("config", "show", file, "--json")
    found = json.loads(done.stdout)
    assert (found["schema"], found["profile"]) == (1, "")
    assert [fault["path"] for fault in found["faults"]] == [
        "engine.rn",
        "broker.papr",
        "breaker.drawdown.limit",
    ]
    assert found["faults"][0]["origin"] == "test.toml:2"


def test_config_show_names_the_profile_in_use(write, fairlead):
    """Said on the command line, it stands over the file's own."""
    file = write('[engine]\nprofile = "a"\n[profile.a.engine]\n[profile.b.engine]\ndurability = "full"')
    values = shown(fairlead("config", "show", file, "--profile", "b", "--json"))
    assert values["engine.profile"] == ('"b"', "--profile")
    assert values["engine.durability"] == ('"full"', "profile b, test.toml:5")


def test_config_show_takes_fairlead_toml_of_this_folder(write, folder, fairlead):
    """Without a name; without a file it says what to write. A script has nothing to show."""
    done = fairlead("config", "show")
    assert (done.exit_code, "there is no fairlead.toml here" in done.stderr) == (2, True)
    write("", name="fairlead.toml")
    assert fairlead("config", "show").exit_code == 0
    done = fairlead("config", "show", folder / "mine.py")
    assert (done.exit_code, "fairlead check" in done.stderr) == (2, True)


def test_config_schema_has_every_argument_of_every_plugin(fairlead):
    """Sections, keys, types and defaults are those of the code."""
    sections = {
        part["section"]: part
        for part in json.loads(fairlead("config", "schema", "--json").stdout)["sections"]
    }
    assert list(sections) == ["engine", "strategy", "broker", "stream", "breaker", "reconcile"]
    keys = {key["name"]: key for key in sections["engine"]["keys"]}
    assert keys["durability"]["type"] == '"process" or "full"'
    plugins = {plugin["use"]: plugin for plugin in sections["breaker"]["plugins"]}
    settings = {key["name"]: key for key in plugins["daily_loss"]["keys"]}
    limit, reset = settings["limit"], settings["reset"]
    assert limit == {"name": "limit", "type": "text or money", "default": "", "required": True}
    assert reset["default"] == '"manual"'
    lines = fairlead("config", "schema").stdout.splitlines()
    assert any(
        line.split()
        == ["[breaker.NAME]", "daily_loss", "limit", "text", "or", "money", "(must", "be", "given)"]
        for line in lines
    )


def test_config_schema_shows_secrets_as_such(folder):
    """An operator sees which keys take a reference."""
    broker = next(part for part in schema() if part.section.name == "broker")
    keyed = next(plugin for plugin in broker.plugins if plugin.use == "keyed")
    assert {key.name: key.type for key in keyed.keys}["key"] == "secret"


def test_the_page_of_the_documentation_is_what_the_code_says():
    """docs/configuration.md is written by scripts/configuration.py, and nobody forgot to run it."""
    command = [sys.executable, ROOT / "scripts" / "configuration.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr


def test_the_file_of_the_documentation_composes(folder):
    """The first TOML of docs/configuration.md, beside the example's strategy."""
    text = (
        (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
    )
    (folder / "mine_cross.py").write_text((EXAMPLE.parent / "cross.py").read_text(encoding="utf-8"))
    (folder / "doc.toml").write_text(text.replace("cross.py", "mine_cross.py"))
    assert "DailyLoss" in LiveTradingEngine.from_file(folder / "doc.toml").describe()


def test_importing_fairlead_reads_no_configuration_code():
    """Whoever composes in Python pays nothing for files and secrets."""
    code = "import sys, fairlead; print(*[name for name in sys.modules if name.startswith('fairlead.')])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20
    )
    brought = done.stdout.split()
    assert "fairlead._secrets.secret" in brought
    assert "fairlead._secrets.stores" not in brought
    assert not any(name.startswith("fairlead._config") for name in brought)


def test_a_plugin_of_ones_own_needs_no_package(write, fairlead, folder):
    """A breaker in a file beside the configuration is named as a strategy is; what is none is said to be none."""
    (folder / "minebrakes.py").write_text(
        "class Calm:\n    wants = ()\n"
        "    def __init__(self, most: int, name: str = 'calm'):\n        self.name, self.most = name, most\n"
        "    def check(self, intent, view):\n        return None\n"
        "    def watch(self, item, view):\n        return None\n"
        "class Other:\n    pass\n"
    )
    done = fairlead("check", write('[breaker.own]\nuse = "minebrakes.py:Calm"\nmost = 3'))
    assert done.exit_code == 0, done.output
    assert " own " in done.stdout
    for use, said in (
        ("minebrakes.py:Clam", "has no breaker 'Clam': did you mean 'Calm'?"),
        ("minebrakes.py:Other", "it is no breaker"),
        ("gone.py:Calm", "is no file"),
    ):
        done = fairlead("check", write(f'[breaker.own]\nuse = "{use}"\nmost = 3'))
        assert done.exit_code == 2
        assert said in done.stderr
    done = fairlead("check", write('[broker.own]\nuse = "minebrakes.py:Calm"\nmost = 3'))
    assert "is a breaker and no broker" in done.stderr


def test_a_secret_that_a_script_lacks_is_a_fault_of_its_configuration(folder, fairlead):
    """Exit code 2, as for a configuration: nothing refused to start, something is missing beside it."""
    (folder / "mine_keyless.py").write_text("from fairlead import Secret\nSecret('NOWHERE_KEY').reveal()\n")
    done = fairlead("check", "mine_keyless.py")
    assert done.exit_code == 2
    assert "NOWHERE_KEY is nowhere" in done.stderr
