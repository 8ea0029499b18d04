"""Packages that others make: installed by pip they are found, pass their own tests, and a running engine uses them."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from fairlead._cli.scaffold import kinds, new_plugin

ROOT = Path(__file__).parent.parent
QUIET = ROOT / "examples" / "plugins" / "fairlead-breaker-quiet-hours"
SATURDAY_NS = 1_700_265_600_000_000_000
SITE = sysconfig.get_path("purelib")

pytestmark = pytest.mark.full

TRADE = """
import json, sys
from decimal import Decimal
from fairlead import LiveTradingEngine, Strategy
from fairlead.facts import BreakerTripped, DiscrepancyResolved, Filled, OrderDenied
from fairlead.testing import FakeBroker, Recorder, VirtualClock, make_instrument, run_virtual
from fairlead_paper import PaperBroker
from fairlead_streams import SyntheticStream


class Buyer(Strategy):
    def on_start(self):
        self.seen = 0
        self.watch("BTC/USDT", quotes=True)

    def on_quote(self, quote):
        self.seen += 1
        self.buy(value="100 USDT" if kind == "reconciler" else "10 USDT")


kind, plugin, start = sys.argv[1:]
if ":" in plugin:
    import importlib

    module, _, name = plugin.partition(":")
    plugin = getattr(importlib.import_module(module), name)()
fake = FakeBroker(make_instrument("BTC/USDT", "acme"))
broker = plugin if kind == "broker" else PaperBroker() if kind == "breaker" else fake
if kind == "reconciler":
    settle = fake.executed

    def rebated(*filled):  # each fill comes with a rebate that nobody tells of
        report, held = settle(*filled), fake.balances
        held["BTC"] = held.get("BTC", 0) + report.quantity
        held["USDT"] += Decimal("0.01") - report.quantity * report.price
        return report

    fake.executed = rebated
stream = plugin if kind == "stream" else SyntheticStream("BTC/USDT@acme")
recorder, buyer = Recorder(), Buyer()
more = [plugin] if kind in ("breaker", "reconciler") else []
plugins = [broker, stream, *more, recorder, VirtualClock(int(start))]
engine = LiveTradingEngine(buyer, plugins, run="run", breakers="none")
run_virtual(engine.run(until="30s"))
print(json.dumps({
    "seen": buyer.seen,
    "fills": len(recorder.of(Filled)),
    "trips": len(recorder.of(BreakerTripped)),
    "adopted": [fact.who for fact in recorder.of(DiscrepancyResolved) if fact.action == "adopt"],
    "denied": sorted({reason for fact in recorder.of(OrderDenied) for reason in fact.reasons}),
    "table": engine.describe(),
}))
"""


def run(*command: object, cwd: Path, site: Path | None = None, python: Path | str = sys.executable) -> str:
    """A command of a Python, to its end; what it printed."""
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INDEX": "1"}
    if site is not None:
        environment["PYTHONPATH"] = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [str(part) for part in (python, *command)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=55,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(folder: Path, site: Path) -> None:
    """Build a package and install it into a folder, without a network."""
    pip = ("-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", site)
    run(*pip, folder, cwd=folder.parent)


def listed(
    cwd: Path, site: Path | None = None, python: Path | str = sys.executable
) -> dict[str, dict[str, str]]:
    """The plugins that are found, by name."""
    said = run("-m", "fairlead", "plugins", "list", "--json", cwd=cwd, site=site, python=python)
    return {row["name"]: row for row in json.loads(said)}


@pytest.mark.parametrize("kind", kinds())
def test_a_new_plugin_is_installed_found_tested_and_used(tmp_path: Path, kind: str) -> None:
    """From the template to an engine that runs with it, by its name alone."""
    new_plugin(kind, "acme", tmp_path)
    folder, site = tmp_path / "fairlead-acme", tmp_path / "site"
    install(folder, site)
    found = listed(tmp_path, site)["acme"]
    assert (found["kind"], found["state"], found["version"]) == (kind, "ok", "0.1.0")
    assert "passed" in run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder, site=site)
    snippet = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert snippet is not None
    run("-W", "error", "-c", snippet[1], cwd=tmp_path, site=site)
    (tmp_path / "trade.py").write_text(TRADE, encoding="utf-8")
    said = json.loads(run("-W", "error", "trade.py", kind, "acme", SATURDAY_NS, cwd=tmp_path, site=site))
    assert "fairlead-acme 0.1.0" in said["table"]
    assert said["seen"] > 20
    assert said["fills"] > 20 if kind != "breaker" else said["trips"] == 1
    assert set(said["adopted"]) == ({"acme"} if kind == "reconciler" else set())


def test_the_wheel_of_the_core_has_every_template(tmp_path: Path) -> None:
    """Files that are no modules, and some whose names git ignores elsewhere, are packed with the rest."""
    run("-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=ROOT / "core")
    [wheel] = tmp_path.glob("*.whl")
    source = ROOT / "core" / "src"
    wanted = {path.relative_to(source).as_posix() for path in source.rglob("*.tmpl")}
    with zipfile.ZipFile(wheel) as archive:
        assert len(wanted) > 20
        assert wanted <= set(archive.namelist())


def test_a_new_plugin_is_installed_editable(tmp_path: Path) -> None:
    """`pip install -e` in an environment: found at once, and a change in the source is a change in what runs."""
    new_plugin("breaker", "acme", tmp_path)
    run("-m", "venv", "--without-pip", "env", cwd=tmp_path)
    python = tmp_path / "env" / "bin" / "python"
    own = Path(
        run(
            "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path, python=python
        ).strip()
    )
    (own / "project.pth").write_text(f"import site; site.addsitedir({SITE!r})\n", encoding="utf-8")
    pip = ("-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "-e", "fairlead-acme")
    run(*pip, cwd=tmp_path, python=python)
    assert listed(tmp_path, python=python)["acme"]["state"] == "ok"
    source = tmp_path / "fairlead-acme" / "src" / "fairlead_acme" / "breaker.py"
    source.write_text("1 / 0\n", encoding="utf-8")
    assert "ZeroDivisionError" in listed(tmp_path, python=python)["acme"]["fault"]


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the example of a plugin is installed into."""
    site = tmp_path_factory.mktemp("quiet") / "site"
    install(QUIET, site)
    return site


@pytest.mark.parametrize("plugin", ["quiet_hours", "fairlead_breaker_quiet_hours:QuietHours"])
def test_the_example_of_a_plugin_is_installed_and_obeyed(tmp_path: Path, quiet: Path, plugin: str) -> None:
    """By its entry point's name, and as an object: a running engine opens nothing over the weekend."""
    site = quiet
    assert listed(tmp_path, site)["quiet_hours"]["kind"] == "breaker"
    (tmp_path / "trade.py").write_text(TRADE, encoding="utf-8")
    said = json.loads(run("-W", "error", "trade.py", "breaker", plugin, SATURDAY_NS, cwd=tmp_path, site=site))
    assert "fairlead-breaker-quiet-hours 0.1.0" in said["table"]
    assert said["fills"] == 0
    [reason] = said["denied"]
    assert reason.startswith("quiet_hours: it is quiet at Fri 19:00 America/New_York")


def test_the_example_of_a_plugin_passes_its_own_tests(quiet: Path) -> None:
    """As its author would run them, on what was installed."""
    assert "passed" in run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=QUIET, site=quiet)
