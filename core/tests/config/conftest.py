"""A folder with a strategy, a plugin that takes a secret, and a process that forgets what one test told it."""

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fairlead._secrets import scrub

STRATEGY = """
from decimal import Decimal
from datetime import datetime

from fairlead import Secret, Strategy


class InAndOut(Strategy):
    def __init__(self, symbol: str = "BTC/USDT", every: int = 1, ratio: float = 0.5, tag: str = "", size=None):
        self.symbol, self.every = symbol, every

    def on_start(self):
        self.watch(self.symbol, bars="1m")

    def on_bar(self, bar):
        if self.position():
            self.close()
        else:
            self.buy(percent="50%")


class Exact(Strategy):
    def __init__(self, quantity: Decimal | None = None, when: datetime | None = None, key: Secret | None = None):
        pass


class Loose(Strategy):
    def __init__(self, **anything):
        pass


class Fussy(Strategy):
    def __init__(self, fast: int, slow: int):
        if fast >= slow:
            raise ValueError("fast must be below slow")


def helper():
    pass
"""

PLUGINS = '''
from typing import Any, Literal

import attrs
from fairlead import ConfigurationError, Instrument, Secret
from fairlead.ports import VenueProfile
from fairlead.testing import FakeBroker, FakeStream


class Keyed(FakeBroker):
    """A broker with a key."""

    def __init__(
        self,
        key: Secret,
        *,
        url: str = "https://api",
        mode: Literal["testnet", "live"] = "testnet",
        extra: dict[str, Any] | None = None,
        pair: tuple[int, str] | None = None,
        instrument: Instrument | None = None,
        hook: Any = None,
        name: str = "keyed",
    ):
        super().__init__(name=name)
        self.key, self.url, self.pair, self.instrument = key, url, pair, instrument
        self.cash = "10_000 USDT"  # what a backtest begins with
        self.profile = attrs.evolve(self.profile, environment=mode)


class Nameless(FakeBroker):
    def __init__(self):
        super().__init__()


class Broken(FakeBroker):
    def __init__(self, name: str = "broken"):
        raise RuntimeError("no such luck")


def made(name: str = "made", *, cash: str = "1 USDT", **options: str):
    return FakeBroker(name=name, cash=cash)


ready = object()
'''


@pytest.fixture(autouse=True)
def forgetting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Secrets that a test made known are unknown after it, and nothing of the caller's environment is seen."""
    for name in [name for name in os.environ if name.startswith("FAIRLEAD__")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    factory, hook, thread_hook = logging.getLogRecordFactory(), sys.excepthook, threading.excepthook
    yield
    logging.setLogRecordFactory(factory)
    sys.excepthook, threading.excepthook = hook, thread_hook
    scrub.known.clear()
    scrub._guarded = False


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with `mine.py` in it, and a distribution of plugins on the path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(STRATEGY, encoding="utf-8")
    site = tmp_path / "site"
    for distribution, requires in (("acme-venue", ">=0.1"), ("acme-old", "<0.1")):
        info = site / f"{distribution.replace('-', '_')}-1.2.3.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2.3\nRequires-Dist: fairlead{requires}\n"
        )
    classes = {"keyed": "Keyed", "nameless": "Nameless", "broken": "Broken", "made": "made", "ready": "ready"}
    names = "".join(f"{name} = acme_venue:{target}\n" for name, target in classes.items())
    points = f"[fairlead]\n{names}gone = acme_gone:Gone\n"
    (site / "acme_venue-1.2.3.dist-info" / "entry_points.txt").write_text(points)
    (site / "acme_old-1.2.3.dist-info" / "entry_points.txt").write_text("[fairlead]\nold = acme_old:Old\n")
    (site / "acme_venue.py").write_text(PLUGINS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))
    known, path = set(sys.modules), list(sys.path)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - known:
        if name.startswith(("acme", "mine", "pack")):
            del sys.modules[name]


@pytest.fixture
def fairlead() -> Callable[..., Result]:
    """The command line in this process."""
    from fairlead._cli.app import cli

    return lambda *arguments: CliRunner().invoke(cli, [str(argument) for argument in arguments])


PARTS = {
    "strategy": '[strategy.one]\nuse = "mine.py:InAndOut"\n',
    "broker": '[broker.paper]\ncash = "10_000 USDT"\n',
    "stream": '[stream.synthetic]\nspeed = 600\nduration = "1h"\n',
    "breaker": '[breaker.drawdown]\nlimit = "20%"\n',
}


@pytest.fixture
def write(folder: Path) -> Callable[..., Path]:
    """Write `test.toml`: the text given, and the sections of a whole configuration that it does not have."""

    def put(text: str, *, whole: bool = True, name: str = "test.toml") -> Path:
        rest = [part for section, part in PARTS.items() if whole and f"[{section}." not in f"\n{text}"]
        path = folder / name
        path.write_text("\n".join([text, *rest]), encoding="utf-8")
        return path

    return put
