"""Venues in a box: fairlead's simulated venue behind real venues' wire protocols, on loopback.

`Venue` runs one in a thread or a process and holds its control line; `fairlead venue` runs one from the command line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fairlead.hookspecs import hookimpl

if TYPE_CHECKING:
    from fairlead_venue.faults import Fault, FaultKind, FaultPlan
    from fairlead_venue.handle import Venue, VenueRefused

__all__ = ["Fault", "FaultKind", "FaultPlan", "Venue", "VenueRefused", "verbs"]

_HOMES = {
    "Fault": "faults", "FaultKind": "faults", "FaultPlan": "faults", "Venue": "handle", "VenueRefused": "handle",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import what is asked for: the command line needs none of it to know its verbs."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"fairlead_venue.{_HOMES[name]}"), name)


class _Verbs:
    """The verb `fairlead venue`, as a plugin."""

    name = "venue"

    @hookimpl
    def fairlead_register_command(self, register: Callable[[Any], None]) -> None:
        """Bring the verb."""
        from fairlead_venue.verbs import venue

        register(venue)


verbs = _Verbs()
"""What the entry point names."""
