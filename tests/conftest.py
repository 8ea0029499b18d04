"""What tests share with their child processes lies in `stories`, `killing`, `fuzz` and `simulation`, found by both."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path += [str(HERE / "stories"), str(HERE / "killing"), str(HERE)]

pytest.register_assert_rewrite("stage")
