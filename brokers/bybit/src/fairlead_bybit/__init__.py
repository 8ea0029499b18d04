"""Bybit: spot and linear contracts of one unified account as a broker, and their markets as a stream."""

from fairlead_bybit.broker import BybitBroker
from fairlead_bybit.stream import BybitStream

__all__ = ["BybitBroker", "BybitStream"]
