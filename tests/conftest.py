"""Strategies that several tests run lie in `stories/`, where their child processes find them; so do packages here."""

import sys
from pathlib import Path

sys.path += [str(Path(__file__).parent / "stories"), str(Path(__file__).parent)]
