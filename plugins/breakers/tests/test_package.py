"""What the distribution offers."""

import importlib
import re
import tomllib
from pathlib import Path

import fairlead_breakers
from fairlead.ports import CircuitBreaker

FOLDER = Path(__file__).parent.parent
NEEDS = {"Limits": {"max_leverage": 2}, "DailyLoss": {"limit": "5%"}, "Drawdown": {"limit": "10%"},
         "RollingLoss": {"limit": "5%"}}  # fmt: skip
ALL = [getattr(fairlead_breakers, name)(**NEEDS.get(name, {})) for name in fairlead_breakers.__all__]


def test_every_public_name_fills_the_port():
    """Each is a breaker under its class's name, unless told another."""
    assert fairlead_breakers.__all__ == sorted(type(breaker).__name__ for breaker in ALL)
    assert len(ALL) > 25
    for breaker in ALL:
        assert isinstance(breaker, CircuitBreaker)
        assert breaker.name == type(breaker).__name__


def test_every_breaker_has_an_entry_point():
    """Files name breakers by entry point, and each leads to its class."""
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = []
    for name, target in project["entry-points"]["fairlead"].items():
        module, _, attribute = target.partition(":")
        assert name == re.sub(r"(?<=[a-z])(?=[A-Z])", "_", attribute).lower()
        found.append(getattr(importlib.import_module(module), attribute))
    assert set(found) == {type(breaker) for breaker in ALL}


def test_readme_tells_of_every_breaker_and_its_example_runs():
    """The page says what there is."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    names = {}
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], names)
    assert {type(breaker) for breaker in names["breakers"]} == {type(breaker) for breaker in ALL}
    for breaker in ALL:
        assert f"| `{breaker.name}` |" in text
