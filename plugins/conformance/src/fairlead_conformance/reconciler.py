"""The suite for reconcilers."""

from fairlead_conformance.suite import Conformance


class ReconcilerConformance(Conformance):
    """Proves."""

    kind = "reconciler"
