"""Recorded and synthetic market data streams for fairlead.

`ReplayStream` reads what venues deliver as files.
"""

from fairlead_streams.checks import Fault, Gap
from fairlead_streams.playing import ReplayTime
from fairlead_streams.replay import ReplayStream

__all__ = ["Fault", "Gap", "ReplayStream", "ReplayTime"]
