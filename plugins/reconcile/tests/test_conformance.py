"""Every strategy of this distribution, proven."""

from __future__ import annotations

from fairlead.ports import Action, Reconciler
from fairlead_conformance import ReconcilerConformance
from fairlead_reconcile import (
    AutoAdjust,
    ExternalOrders,
    FlattenUnknown,
    HaltOnMismatch,
    ManualApproval,
    SyncToLocal,
    WarnOnly,
)

A = Action


class TestWarnOnly(ReconcilerConformance):
    """It tells, and changes nothing."""

    actions = frozenset({A.WARN})

    def make(self) -> Reconciler:
        return WarnOnly(every="5s")


class TestAutoAdjust(ReconcilerConformance):
    """It takes the venue's truth over."""

    actions = frozenset({A.WARN, A.ADOPT, A.CANCEL})

    def make(self) -> Reconciler:
        return AutoAdjust(every="5s")


class TestSyncToLocal(ReconcilerConformance):
    """It trades until the venue has what was here."""

    actions = frozenset({A.WARN, A.TRADE_BACK, A.CANCEL})

    def make(self) -> Reconciler:
        return SyncToLocal(every="5s")


class TestHaltOnMismatch(ReconcilerConformance):
    """It halts the account."""

    actions = frozenset({A.HALT})

    def make(self) -> Reconciler:
        return HaltOnMismatch(every="5s")


class TestManualApproval(ReconcilerConformance):
    """It asks a person."""

    actions = frozenset({A.ASK})

    def make(self) -> Reconciler:
        return ManualApproval(every="5s")


class TestFlattenUnknown(ReconcilerConformance):
    """It closes what nobody here wanted."""

    actions = frozenset({A.FLATTEN, A.CANCEL})

    def make(self) -> Reconciler:
        return FlattenUnknown(every="5s")


class TestAdopting(ReconcilerConformance):
    """It adopts what nobody here placed."""

    actions = frozenset({A.ADOPT})

    def make(self) -> Reconciler:
        return ExternalOrders("adopt", every="5s")


class TestIgnoring(ReconcilerConformance):
    """It lives with what nobody here placed."""

    actions = frozenset({A.IGNORE})

    def make(self) -> Reconciler:
        return ExternalOrders("ignore", every="5s", name="ignoring")


class TestCanceling(ReconcilerConformance):
    """It takes back what nobody here placed."""

    actions = frozenset({A.CANCEL})

    def make(self) -> Reconciler:
        return ExternalOrders("cancel", every="5s", name="canceling")
