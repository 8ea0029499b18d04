"""Strategies that several of these tests run lie in `stories/`, where their child processes find them too."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent / "stories"))
