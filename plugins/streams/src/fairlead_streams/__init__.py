"""Recorded and synthetic market data streams for fairlead.

`ReplayStream` reads what venues deliver as files; `SyntheticStream` invents a market from a seed.
"""

from fairlead_streams.checks import Fault, Gap
from fairlead_streams.playing import ReplayTime
from fairlead_streams.replay import ReplayStream
from fairlead_streams.synthetic_stream import SyntheticStream

__all__ = ["Fault", "Gap", "ReplayStream", "ReplayTime", "SyntheticStream"]
