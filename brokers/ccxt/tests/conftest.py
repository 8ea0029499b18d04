"""Keys for the venue in a box, and the library, where it is installed."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

WITHOUT = "ccxt is not installed: its pins do not go with the lock; the proof of this folder has an environment of its own"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOX_KEY", "box-key-0123456789")
    monkeypatch.setenv("BOX_SECRET", "box-secret-0123456789")
