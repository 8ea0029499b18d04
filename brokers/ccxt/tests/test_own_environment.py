"""The adapter's tests in an environment of their own, which has ccxt; and what is said where it is missing."""

import asyncio
import importlib.util
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fairlead import ConfigurationError
from fairlead_ccxt import CcxtStream

ROOT = Path(__file__).parents[3]
TESTS = Path(__file__).parent
NAMES = ("sim", "streams", "breakers", "reconcile", "venue", "conformance")
MEMBERS = [ROOT / "core", *(ROOT / "plugins" / name for name in NAMES), ROOT / "brokers" / "ccxt"]


@pytest.mark.prove
def test_all_tests_pass_where_ccxt_is_installed(tmp_path: Path) -> None:
    """ccxt and its pins go into a new environment with the tree: nothing is skipped for want of it."""
    python = tmp_path / "env" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    needs = {"pytest", "pytest-timeout", "hypothesis", "hatchling", "editables", "picows"}
    for member in MEMBERS:
        project = tomllib.loads((member / "pyproject.toml").read_text())["project"]
        needs |= {need for need in project.get("dependencies", []) if not need.startswith("fairlead")}
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    subprocess.run([*install, *sorted(needs)], env=clean, check=True, timeout=600)
    tree = [word for member in MEMBERS for word in ("-e", str(member))]
    subprocess.run([*install, "--no-deps", "--no-build-isolation", *tree], env=clean, check=True, timeout=300)
    words = [str(python), "-m", "pytest", "-q", "-m", "not prove", "-p", "no:cacheprovider", str(TESTS)]
    if os.environ.get("FAIRLEAD_PROVE") != "full":  # the suite times the loop, which wants a quiet machine
        words += ["--ignore", str(TESTS / "test_conformance.py")]
    done = subprocess.run(
        words, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:]
    assert "ccxt is not installed" not in done.stdout


@pytest.mark.skipif(importlib.util.find_spec("ccxt") is not None, reason="ccxt is installed")
def test_a_missing_ccxt_is_named_with_what_to_install() -> None:
    """The error says which package, and that it likes an environment of its own."""
    with pytest.raises(ConfigurationError, match="pip install 'ccxt"):
        asyncio.run(CcxtStream("binance", "BTC/USDT").instruments())
