"""ccxt: any exchange that it supports, an account there as a broker, and the markets there as a stream."""

from fairlead_ccxt.broker import CcxtBroker
from fairlead_ccxt.facts import Codes, Facts
from fairlead_ccxt.stream import CcxtStream

__all__ = ["CcxtBroker", "CcxtStream", "Codes", "Facts"]
