"""Helpers of these tests are found by name; a pytest inside pytest proves the plugin."""

import sys
from pathlib import Path

pytest_plugins = ["pytester"]
sys.path.append(str(Path(__file__).parent))
