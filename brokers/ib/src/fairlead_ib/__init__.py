"""Interactive Brokers: an account of TWS or IB Gateway as a broker, and its markets as a stream."""

from fairlead_ib.broker import IbBroker
from fairlead_ib.stream import IbStream

__all__ = ["IbBroker", "IbStream"]
