"""Recorded and synthetic market data streams for fairlead.

`ReplayStream` reads what venues deliver as files; `SyntheticStream` invents a market from a seed; `FunctionStream` asks
a user's functions for candles; `Recorder` writes what any stream emits into files that replay as it was, `Archive` what
one keeps of the past, and `inspect`, `verify` and `repair` look after files.
"""

from fairlead_streams.archive import Archive
from fairlead_streams.checks import Fault, Gap
from fairlead_streams.functions import FunctionStream
from fairlead_streams.inspection import FeedInfo, FileInfo, Finding, inspect, repair, verify
from fairlead_streams.playing import ReplayTime
from fairlead_streams.recorder import Recorder
from fairlead_streams.replay import ReplayStream
from fairlead_streams.sidecar import Sidecar
from fairlead_streams.synthetic_stream import SyntheticStream

__all__ = [
    "Archive",
    "Fault",
    "FeedInfo",
    "FileInfo",
    "Finding",
    "FunctionStream",
    "Gap",
    "Recorder",
    "ReplayStream",
    "ReplayTime",
    "Sidecar",
    "SyntheticStream",
    "inspect",
    "repair",
    "verify",
]
