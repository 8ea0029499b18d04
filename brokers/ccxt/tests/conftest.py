"""Keys for the venue in a box.

ccxt pins what others need in newer versions, so the lock leaves it out: where it is not installed, what needs it is
skipped. `test_own_environment.py`, one of the long proofs, makes an environment that has it and runs all of this.
"""

import sys
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE), str(_HERE.parents[2] / "tests" / "killing")]


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BOX_KEY", "box-key-0123456789")
    monkeypatch.setenv("BOX_SECRET", "box-secret-0123456789")
