"""What tests share with their child processes lies in `stories/` and `killing/`, where both find it; so does `simulation`."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path += [str(HERE / "stories"), str(HERE / "killing"), str(HERE)]
