"""Reconciliation strategies for fairlead: what is done where an account's books and its venue differ.

Each is a plain object for the list of plugins of an engine. They are asked in their order, and the first that has an
answer decides.
"""

from fairlead_reconcile.strategies import (
    AutoAdjust,
    ExternalOrders,
    FlattenUnknown,
    HaltOnMismatch,
    ManualApproval,
    SyncToLocal,
    WarnOnly,
)

__all__ = [
    "AutoAdjust",
    "ExternalOrders",
    "FlattenUnknown",
    "HaltOnMismatch",
    "ManualApproval",
    "SyncToLocal",
    "WarnOnly",
]
