"""The simulated venue of fairlead: matching, fees, slippage, latency and margin.

`SimulatedBroker` is the venue behind the broker port; `SimulatedVenue` is the venue itself.
"""

from fairlead_sim.broker import Cash, Fees, Latency, SimulatedBroker, Slippage
from fairlead_sim.faults import Fault, FaultKind, FaultPlan, Wire
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
from fairlead_sim.remote import RemoteBroker
from fairlead_sim.store import LedgerFile
from fairlead_sim.venue import SimulatedVenue

__all__ = [
    "Cash",
    "Fault",
    "FaultKind",
    "FaultPlan",
    "FeeModel",
    "Fees",
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
    "Latency",
    "LatencyModel",
    "Ledger",
    "LedgerFile",
    "Market",
    "NoSlippage",
    "RatioSlippage",
    "RemoteBroker",
    "SimulatedBroker",
    "SimulatedVenue",
    "Slippage",
    "SlippageModel",
    "TickSlippage",
    "UniformLatency",
    "VolumeSlippage",
    "Wire",
    "WorkingOrder",
    "full_profile",
]
