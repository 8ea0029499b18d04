"""Tools for testing strategies and plugins: time moved by hand, a broker and a stream that do what a test says.

    bench = Bench(Cross("BTC/USDT:USDT", fast=10, slow=30))
    bench.quote(99.9, 100.1)
    bench.advance("1m")
    assert bench.broker.submits[0].intent.side is Side.BUY

Nothing here sleeps or opens a socket.
"""

from fairlead.testing.bench import Bench, Puppet
from fairlead.testing.broker import (
    EVERYTHING,
    MARKET_AND_LIMIT,
    FakeBroker,
    Script,
    accept,
    duplicated,
    fill,
    lose,
    reject,
    reordered,
    silence,
)
from fairlead.testing.facts import FactList, Recorder
from fairlead.testing.lease import FakeLease
from fairlead.testing.market import FakeStream, make_instrument
from fairlead.testing.time import ManualClock, VirtualClock, VirtualLoop, run_virtual

__all__ = [
    "EVERYTHING",
    "MARKET_AND_LIMIT",
    "Bench",
    "FactList",
    "FakeBroker",
    "FakeLease",
    "FakeStream",
    "ManualClock",
    "Puppet",
    "Recorder",
    "Script",
    "VirtualClock",
    "VirtualLoop",
    "accept",
    "duplicated",
    "fill",
    "lose",
    "make_instrument",
    "reject",
    "reordered",
    "run_virtual",
    "silence",
]
