"""Layers of settings: the last that speaks of a key wins, and each value knows who said it."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import ConfigurationError, LiveTradingEngine
from fairlead._config.layers import Layer, Setting, merge
from fairlead._config.loading import configure
from fairlead._config.overrides import parsed

FILE = """
[engine]
profile = "careful"
[breaker.drawdown]
limit = "30%"
[profile.careful.breaker.drawdown]
limit = "20%"
"""
VARIABLE = "FAIRLEAD__BREAKER__DRAWDOWN__LIMIT"
PATH = ("breaker", "drawdown", "limit")

SAID = {
    "file": ("30%", "test.toml:5"),
    "profile": ("20%", "profile careful, test.toml:7"),
    "environment": ("10%", f"environment {VARIABLE}"),
    "--set": ("5%", "--set"),
}
"""Each layer, the later over the earlier: what it says of one key, and how its origin reads."""


@pytest.mark.parametrize(("lower", "upper"), [*pairwise(SAID), ("file", "environment"), ("file", "--set")])
def test_each_layer_speaks_over_the_one_below(lower, upper, write, monkeypatch):
    """File, profile, environment, --set: of two that speak, the later wins, and the value says so."""
    text = FILE if "profile" in (lower, upper) else FILE.replace('profile = "careful"', "")
    if "environment" in (lower, upper):
        monkeypatch.setenv(VARIABLE, SAID["environment"][0])
    settings = ["breaker.drawdown.limit=5%"] if upper == "--set" else []
    found = configure(write(text), settings=settings)
    setting = found.merged.settings[PATH]
    assert (setting.value, setting.origin) == SAID[upper]
    assert not found.faults


def test_a_file_speaks_over_the_default(write, fairlead):
    """What nobody says is the default of the class, and stands there as that."""
    shown = json.loads(fairlead("config", "show", write(FILE), "--json").stdout)["values"]
    values = {value["path"]: (value["value"], value["origin"]) for value in shown}
    assert values["engine.durability"] == ('"process"', "default")
    assert values["engine.profile"] == ('"careful"', "test.toml:3")
    assert values["breaker.drawdown.limit"] == ('"20%"', "profile careful, test.toml:7")


def test_the_profile_itself_is_chosen_in_layers(write, monkeypatch):
    """--profile over --set over the environment over the file."""
    text = '[engine]\nprofile = "a"\n' + "".join(f"[profile.{name}.engine]\n" for name in "abcd")
    file = write(text)
    assert configure(file).profile == "a"
    monkeypatch.setenv("FAIRLEAD__ENGINE__PROFILE", "b")
    assert configure(file).profile == "b"
    assert configure(file, settings=["engine.profile=c"]).profile == "c"
    assert configure(file, "d", ["engine.profile=c"]).profile == "d"


def test_a_profile_adds_tables_and_switches_what_is_used(write):
    """Another `use` begins a table anew: what was said in it before was for another class."""
    text = """
[broker.main]
use = "keyed"
key = "secret:ACME_KEY"
[profile.paper.broker.main]
use = "paper"
cash = "500 USDT"
[profile.paper.breaker.limits]
max_leverage = 2
"""
    engine = LiveTradingEngine.from_file(write(text), "paper")
    assert list(engine.wiring.brokers) == ["main"]
    assert type(engine.wiring.brokers["main"]).__name__ == "PaperBroker"
    assert set(engine.wiring.breakers) == {"limits", "drawdown"}
    with pytest.raises(ConfigurationError, match="ACME_KEY is nowhere"):
        LiveTradingEngine.from_file(write(text))


def test_tables_are_made_in_the_order_of_the_file(write):
    """The file reads as an inventory, and its order is its effect."""
    text = '[breaker.z]\nuse = "manual"\n[stream.synthetic]\n[breaker.a]\nuse = "manual"\n[breaker.manual]'
    engine = LiveTradingEngine.from_file(write(text))
    assert [wire.name for wire in engine.wiring.table] == ["z", "synthetic", "a", "manual", "paper"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("2.5", 2.5),
        ("true", True),
        ("'x'", "x"),
        ("[1, 'a']", [1, "a"]),
        ("5s", "5s"),
        ("2_000 USDT", "2_000 USDT"),
        ("10%", "10%"),
        ("", ""),
        ("1\n[engine]", "1\n[engine]"),
        ("#1", "#1"),
        ("{a = 1}", {"a": 1}),
        ("[" * 9000, "[" * 9000),
    ],
)
def test_a_value_from_outside_is_read_as_toml_would_or_is_text(text, value):
    """A shell needs no quotes within quotes, and cannot smuggle a table in."""
    assert parsed(text) == value


@pytest.mark.parametrize(
    ("setting", "wanted"),
    [
        ("broker.venue.url=5", "5"),
        ("broker.venue.url=true", "true"),
        ("broker.venue.url=https://other", "https://other"),
    ],
)
def test_a_value_from_outside_takes_the_type_that_is_wanted(setting, wanted, write, monkeypatch):
    """Where a text is wanted, what looks like a number stays a text."""
    monkeypatch.setenv("ACME_KEY", "sesame-open-4711")
    file = write('[broker.venue]\nuse = "keyed"\nkey = "secret:ACME_KEY"')
    assert LiveTradingEngine.from_file(file, settings=[setting]).wiring.brokers["venue"].url == wanted


def test_variables_find_names_that_they_cannot_spell(write, monkeypatch):
    """Upper case and dashes of a table's name are found by what a variable can say."""
    monkeypatch.setenv("FAIRLEAD__BREAKER__MY_LIMIT__LIMIT", "5%")
    found = configure(write('[breaker.My-Limit]\nuse = "drawdown"\nlimit = "10%"'))
    assert not found.faults
    assert found.merged.settings["breaker", "My-Limit", "limit"].value == "5%"


# --- for any layers ---------------------------------------------------------------------------------------------

PATHS = st.sampled_from(
    [("engine", "run"), ("engine", "live"), ("broker", "x", "a"), ("broker", "x", "b"), ("broker", "y", "a")]
)


@given(st.lists(st.dictionaries(PATHS, st.integers(), max_size=5), max_size=6))
def test_the_last_writer_wins_with_its_origin(said):
    """Whatever the layers say, each key has the value and origin of the last layer that speaks of it."""
    layers = [
        Layer({}, {path: Setting(value, f"layer {number}") for path, value in settings.items()})
        for number, settings in enumerate(said)
    ]
    merged = merge(layers).settings
    assert set(merged) == {path for settings in said for path in settings}
    for path, setting in merged.items():
        number = max(number for number, settings in enumerate(said) if path in settings)
        assert setting == Setting(said[number][path], f"layer {number}")


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["use", "a", "b"]), st.sampled_from("xyz"), max_size=3), max_size=6
    )
)
def test_no_argument_of_another_class_is_left_over(said):
    """After any layers, every argument was said in or after the layer that put the class there."""
    layers = [
        Layer(
            {("broker", "x"): ""},
            {("broker", "x", key): Setting(value, str(number)) for key, value in table.items()},
        )
        for number, table in enumerate(said)
    ]
    use, since = "x", 0
    for number, table in enumerate(said):
        if table.get("use", use) != use:
            use, since = table["use"], number
    merged = merge(layers).of(("broker", "x"))
    assert all(int(setting.origin) >= since for setting in merged.values())
    wanted = {key for table in said[since:] for key in table}
    assert set(merged) == wanted
