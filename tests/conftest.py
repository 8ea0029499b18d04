"""Strategies that several of these tests run lie in `stories/`, where their child processes find them too;
what throws things together by dice lies in `fuzz/`, where the command line finds it too."""

import sys
from pathlib import Path

for folder in ("stories", "fuzz"):
    sys.path.append(str(Path(__file__).parent / folder))
