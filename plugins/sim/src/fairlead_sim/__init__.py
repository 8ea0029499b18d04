"""The simulated venue of fairlead: matching, fees, slippage, latency and margin.

`SimulatedBroker` is the venue behind the broker port; `SimulatedVenue` is the venue itself.
"""

from fairlead_sim.broker import SimulatedBroker
from fairlead_sim.ledger import Holding, Ledger
from fairlead_sim.market import Market
from fairlead_sim.models import (
    FeeModel,
    FillByChance,
    FillByQueue,
    FillBySize,
    FillByVolume,
    FillEverything,
    FillModel,
    FixedFees,
    FixedLatency,
    InstrumentFees,
    LatencyModel,
    NoSlippage,
    RatioSlippage,
    SlippageModel,
    TickSlippage,
    UniformLatency,
    VolumeSlippage,
)
from fairlead_sim.orders import WorkingOrder
from fairlead_sim.profile import full_profile
from fairlead_sim.venue import SimulatedVenue

__all__ = [
    "FeeModel",
    "FillByChance",
    "FillByQueue",
    "FillBySize",
    "FillByVolume",
    "FillEverything",
    "FillModel",
    "FixedFees",
    "FixedLatency",
    "Holding",
    "InstrumentFees",
    "LatencyModel",
    "Ledger",
    "Market",
    "NoSlippage",
    "RatioSlippage",
    "SimulatedBroker",
    "SimulatedVenue",
    "SlippageModel",
    "TickSlippage",
    "UniformLatency",
    "VolumeSlippage",
    "WorkingOrder",
    "full_profile",
]
