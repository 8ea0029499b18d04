"""Which accounts use their venue's dead-man switch, after what time, and how a run leaves it at its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from fairlead._engine.door import Door
from fairlead._kernel.kernel import Kernel
from fairlead._models.orders import STOPS
from fairlead._models.venue import VenueProfile
from fairlead.errors import ConfigurationError
from fairlead.units import SECOND, duration, duration_text

log = logging.getLogger("fairlead.engine")

USUAL_NS = 60 * SECOND
"""The time of a switch that nobody has set, within what its venue takes."""

_ANSWER_SECONDS = 3.0

DeadManSetting = str | Mapping[str, str] | None
"""A duration or "off", for all accounts or by the names of their brokers."""


def timeouts(setting: DeadManSetting, profiles: Mapping[str, VenueProfile]) -> dict[str, int]:
    """The accounts that use a switch, with its time in ns.

    Where nothing is said it is used if it cannot take a stop away from a position: at a venue that spares stops, or has
    none. Raises ConfigurationError for an account that is not there, a venue without a switch, a time that it does not
    take.
    """
    by_name = setting if isinstance(setting, Mapping) else {}
    unknown = [name for name in by_name if name not in profiles]
    if unknown:
        raise ConfigurationError(
            f"dead_man: there is no broker {unknown[0]!r} (there are: {', '.join(profiles)})"
        )
    found = {}
    for name, profile in profiles.items():
        wanted = by_name.get(name) if isinstance(setting, Mapping) else setting
        timeout = (
            _usual(profile) if wanted is None else _said(name, wanted, profile, alone=len(profiles) == 1)
        )
        if timeout:
            found[name] = timeout
    return found


def _usual(profile: VenueProfile) -> int:
    bounds = profile.dead_man
    strips = bool(profile.order_types & STOPS) and not profile.dead_man_spares_stops
    if bounds is None or strips or profile.exact:
        return 0
    return min(max(USUAL_NS, bounds[0]), bounds[1])


def _said(name: str, wanted: str, profile: VenueProfile, *, alone: bool) -> int:
    if wanted == "off":
        return 0
    bounds = profile.dead_man
    if bounds is None:
        remedy = "leave it out" if alone else f"say which accounts have one, or {name}='off'"
        raise ConfigurationError(
            f"dead_man={wanted!r}: {profile.venue} has no dead-man switch for account {name}: {remedy}"
        )
    timeout = duration(wanted)
    if not bounds[0] <= timeout <= bounds[1]:
        raise ConfigurationError(
            f"dead_man={wanted!r}: {profile.venue} takes between {duration_text(bounds[0])} and "
            f"{duration_text(bounds[1])} for account {name}"
        )
    return timeout


async def call_off(kernel: Kernel, door: Door) -> None:
    """At an end in good order: have every venue leave the orders where they are. One that does not answer is named."""
    men, answered = kernel.dead_men, asyncio.Event()
    if not men.armed:
        return
    men.told = lambda: None if men.armed else answered.set()
    door.put(kernel.turn, men.call_off)
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            while men.armed:
                await answered.wait()
                answered.clear()
    except TimeoutError:
        log.warning(
            "the dead-man switch of %s could not be called off: its venue will cancel every order",
            ", ".join(men.armed),
        )
