"""What the distribution offers."""

import importlib
import re
import tomllib
from pathlib import Path

import pytest

import fairlead_reconcile
from fairlead import ConfigurationError
from fairlead.ports import Reconciler
from fairlead_reconcile import ExternalOrders, HaltOnMismatch

FOLDER = Path(__file__).parent.parent
ALL = [getattr(fairlead_reconcile, name) for name in fairlead_reconcile.__all__]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_public_name_fills_the_port(kind):
    """Each is a reconciler under its class's name, unless told another."""
    assert isinstance(kind(), Reconciler)
    assert kind().name == kind.__name__
    assert kind(name="mine").name == "mine"
    assert kind(every="1m").every_ns == 60_000_000_000


def test_every_strategy_has_an_entry_point():
    """Files name strategies by entry point, and each leads to its class."""
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = []
    for name, target in project["entry-points"]["fairlead"].items():
        module, _, attribute = target.partition(":")
        assert name == re.sub(r"(?<=[a-z])(?=[A-Z])", "_", attribute).lower()
        found.append(getattr(importlib.import_module(module), attribute))
    assert set(found) == set(ALL)


def test_the_page_tells_of_every_strategy_and_its_example_runs():
    """The page says what there is."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    names = {}
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], names)
    assert len(names["reconcilers"]) == 3
    for kind in ALL:
        assert f"| `{kind.__name__}` |" in text


def test_wrong_settings_are_refused_in_one_sentence():
    """Culprit, rule and remedy."""
    with pytest.raises(
        ConfigurationError, match="least='high' is no severity: write minor, moderate, critical"
    ):
        HaltOnMismatch(least="high")
    with pytest.raises(ConfigurationError, match="'close' is no policy: write 'adopt', 'ignore' or 'cancel'"):
        ExternalOrders("close")
