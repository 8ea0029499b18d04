"""The public surface is exactly `__all__`, every name of it is documented, and its types hold."""

import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import fairlead
from fairlead import ports

ROOT = Path(__file__).parent.parent
MODULES = (
    "fairlead",
    "fairlead.ports",
    "fairlead.facts",
    "fairlead.hookspecs",
    "fairlead.testing",
    "fairlead.net",
    "fairlead.sizing",
)
MOST = 60


def public(module: ModuleType) -> list[str]:
    """A module's public names: `__all__`, or what it defines without an underscore."""
    names = getattr(module, "__all__", None)
    if names is not None:
        return list(names)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]


def documented() -> Iterator[tuple[str, Any]]:
    """Every public class and function, and every public method of those classes, by its full name."""
    for name in MODULES:
        module = importlib.import_module(name)
        for found in public(module):
            value = getattr(module, found)
            if not (inspect.isclass(value) or inspect.isfunction(value)):
                continue
            yield f"{name}.{found}", value
            if inspect.isclass(value):
                for member, inner in vars(value).items():
                    inner = inner.fget if isinstance(inner, property) else getattr(inner, "__func__", inner)
                    if not member.startswith("_") and inspect.isfunction(inner):
                        yield f"{name}.{found}.{member}", inner


def test_the_public_surface_is_exactly_all():
    """What can be taken from `fairlead` without an underscore is in `__all__`, or is one of its modules."""
    modules = {path.name.removesuffix(".py") for path in Path(fairlead.__file__).parent.iterdir()}
    names = {name for name in vars(fairlead) if not name.startswith("_")}
    assert names - modules == set(fairlead.__all__)


def test_the_public_surface_is_small_and_sorted():
    """At most sixty names: constants, classes, functions, each in the order of the alphabet, each once."""

    def place(name: str) -> tuple[int, str]:
        return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)

    assert sorted(fairlead.__all__, key=place) == list(fairlead.__all__)
    assert len(set(fairlead.__all__)) == len(fairlead.__all__) <= MOST


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_promises_is_there(name):
    """`from module import *` works, and gives nothing that is private."""
    module = importlib.import_module(name)
    for found in public(module):
        assert hasattr(module, found)
        assert not found.startswith("_")


def test_every_error_is_public():
    """The whole tree of errors can be caught by name, and all of it is one tree."""
    from fairlead import errors

    tree = {name for name, value in vars(errors).items() if inspect.isclass(value)}
    assert tree <= set(fairlead.__all__)
    for name in tree:
        assert issubclass(getattr(fairlead, name), fairlead.FairleadError)
        assert name in (errors.__doc__ or ""), "the tree is drawn in the docstring"


def test_every_public_name_has_a_docstring():
    """Classes, functions and methods say what they are for, in their own words."""
    lacking = [
        name
        for name, value in documented()
        if len((value.__doc__ or "").split()) < 2 or (value.__doc__ or "").startswith(f"{value.__name__}(")
    ]
    assert lacking == []


def test_every_public_constant_is_documented():
    """A constant is followed by a text that says what it is."""
    for name in MODULES:
        module = importlib.import_module(name)
        for found in public(module):
            value = getattr(module, found)
            if inspect.isclass(value) or callable(value) or not found.isupper():
                continue
            sources = [Path(m.__file__) for m in sys.modules.values() if _defines(m, found)]
            assert any(
                re.search(rf'^{found}\b.*?\n"""', path.read_text(), re.MULTILINE | re.DOTALL)
                for path in sources
            ), found


def _defines(module: ModuleType | None, name: str) -> bool:
    file = getattr(module, "__file__", None) or ""
    return "fairlead" in file and name in vars(module) and file.endswith(".py")


SAYS_WHAT_IT_RAISES = [
    "fairlead.LiveTradingEngine",
    "fairlead.LiveTradingEngine.run",
    "fairlead.LiveTradingEngine.backtest",
    "fairlead.LiveTradingEngine.pnl",
    "fairlead.Background.stop",
    "fairlead.Background.wait",
    "fairlead.Strategy.watch",
    "fairlead.Strategy.buy",
    "fairlead.Money.parse",
    "fairlead.decimal",
    "fairlead.duration",
    "fairlead.percent",
    "fairlead.ports.BrokerAdapter.connect",
    "fairlead.ports.BrokerAdapter.instruments",
    "fairlead.ports.DataStream.connect",
    "fairlead.ports.Lease.acquire",
    "fairlead.net.connect_websocket",
    "fairlead.net.reach",
]


@pytest.mark.parametrize("name", SAYS_WHAT_IT_RAISES)
def test_what_can_fail_says_how(name):
    """Names that raise say what they raise."""
    assert "aises" in (dict(documented())[name].__doc__ or "")


def test_times_say_their_unit():
    """A field that ends in `_ns` is integer nanoseconds, and no public name hides a unit in plain `time`."""
    from fairlead._models import market

    for kind in (fairlead.Quote, fairlead.Trade, fairlead.Bar, fairlead.Book):
        for field in kind.__struct_fields__:
            if "time" in field or field.endswith("_ns"):
                assert field.endswith("_ns")
                assert kind.__annotations__[field] in ("int", int)
    assert "nanoseconds" in (market.__doc__ or "")


# --- the glossary -------------------------------------------------------------------------------------------

TERMS = [
    "Instrument",
    "Balance",
    "OrderIntent",
    "Order",
    "Side",
    "OrderType",
    "TimeInForce",
    "OrderStatus",
    "Fill",
    "Trade",
    "Quote",
    "Bar",
    "Position",
    "Liquidity",
    "TradingState",
    "Money",
    "Leg",
    "RoundTrip",
]

FIELDS = {
    "Order": "client_order_id broker_order_id quantity filled_quantity remaining_quantity limit_price average_price",
    "OrderIntent": "side type time_in_force stop_price post_only reduce_only venue_options",
    "Fill": "fill_id fee fee_currency liquidity",
    "Quote": "bid ask event_ns received_ns",
    "Instrument": "symbol venue native tick lot",
}

MEMBERS = {
    "OrderStatus": "DENIED HELD SUBMITTED UNKNOWN ACCEPTED PARTIALLY_FILLED PENDING_CANCEL PENDING_REPLACE FILLED "
    "CANCELED REJECTED EXPIRED",
    "OrderType": "MARKET LIMIT STOP STOP_LIMIT TRAILING_STOP",
    "TimeInForce": "GTC DAY IOC FOK GTD OPG CLS",
    "TradingState": "RECOVERING ACTIVE REDUCE_ONLY HALTED KILLED",
    "Side": "BUY SELL",
    "Liquidity": "MAKER TAKER UNKNOWN",
    "Leg": "NET LONG SHORT",
}


@pytest.mark.parametrize("term", TERMS)
def test_a_term_of_the_glossary_is_a_public_name(term):
    """One word each: the words that people say are the names that code imports."""
    assert term in fairlead.__all__
    assert f"`{term}" in (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", FIELDS)
def test_the_fields_of_the_glossary_exist(kind):
    """Spelled out in full, the same everywhere."""
    made = getattr(fairlead, kind)
    have = {name for owner in made.__mro__ for name in (*vars(owner), *getattr(owner, "__annotations__", ()))}
    assert set(FIELDS[kind].split()) <= have


@pytest.mark.parametrize("kind", MEMBERS)
def test_the_states_of_the_glossary_are_all_there_are(kind):
    """No state more, none less."""
    assert {member.name for member in getattr(fairlead, kind)} == set(MEMBERS[kind].split())


def test_other_peoples_words_are_not_ours():
    """`cancelled`, `amend`, `asset` and their like appear in no public name."""
    foreign = re.compile(r"cancelled|amend|asset|\bqty\b|_qty|_px|_tif", re.IGNORECASE)
    assert [name for name, _ in documented() if foreign.search(name)] == []
    assert [name for name in (*fairlead.__all__, *ports.__all__) if foreign.search(name)] == []


# --- types --------------------------------------------------------------------------------------------------


@pytest.mark.full
def test_example_calls_pass_the_type_checker():
    """tests/typing/api.py is how users call fairlead; mypy --strict accepts it, and refuses what it marks as wrong."""
    command = [sys.executable, "-m", "mypy", "--strict", "--warn-unused-ignores", "tests/typing/api.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=55)
    assert done.returncode == 0, done.stdout + done.stderr


def test_example_calls_run(tmp_path, monkeypatch):
    """The same file runs: what is typed is also true."""
    monkeypatch.chdir(tmp_path)
    import runpy

    runpy.run_path(str(ROOT / "tests" / "typing" / "api.py"), run_name="__main__")
