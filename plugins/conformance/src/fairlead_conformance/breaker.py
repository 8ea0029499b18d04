"""The suite for breakers."""

from fairlead_conformance.suite import Conformance


class BreakerConformance(Conformance):
    """Proves."""

    kind = "breaker"
