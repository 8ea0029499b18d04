"""What tests share with their child processes lies in `stories/` and `killing/`, where both find it."""

import sys
from pathlib import Path

sys.path += [str(Path(__file__).parent / name) for name in ("stories", "killing")]
