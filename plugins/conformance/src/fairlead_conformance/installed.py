"""Suites for what is installed, by name: `pytest --conformance NAME`."""

from __future__ import annotations

import difflib
from importlib import metadata
from typing import Any

from fairlead import ConfigurationError
from fairlead.ports import BrokerAdapter, CircuitBreaker, DataStream, Reconciler
from fairlead_conformance.breaker import BreakerConformance
from fairlead_conformance.broker import BrokerConformance
from fairlead_conformance.reconciler import ReconcilerConformance
from fairlead_conformance.stream import StreamConformance
from fairlead_conformance.suite import Conformance

SUITES: tuple[tuple[Any, type[Conformance]], ...] = (
    (BrokerAdapter, BrokerConformance),
    (DataStream, StreamConformance),
    (CircuitBreaker, BreakerConformance),
    (Reconciler, ReconcilerConformance),
)


def suite_for(name: str) -> type[Conformance]:
    """A suite that proves the plugin of this name, made with its defaults.

    Raises ConfigurationError for a name that nobody has, for what cannot be made without arguments, or fills no port.
    """
    found = {point.name: point for point in metadata.entry_points(group="fairlead")}
    if name not in found:
        near = difflib.get_close_matches(name, found, 1)
        remedy = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(found)) or 'none'}"
        raise ConfigurationError(f"no plugin of fairlead is named {name!r}: {remedy}")
    made_of = found[name].load()
    try:
        adapter = made_of() if isinstance(made_of, type) else made_of
    except TypeError as error:
        raise ConfigurationError(
            f"{name} cannot be made without arguments ({error}): write a suite of your own with a `make` that has them"
        ) from error
    for port, suite in SUITES:
        if isinstance(adapter, port):
            return type(
                f"Test_{name}",
                (suite,),
                {"make": lambda _: made_of() if isinstance(made_of, type) else made_of},
            )
    kinds = ", ".join(suite.kind for _, suite in SUITES)
    raise ConfigurationError(f"{name} fills none of the ports that have a suite: {kinds}")
