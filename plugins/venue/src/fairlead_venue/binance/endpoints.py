"""What a product answers to: paths, WebSocket methods, weights, and who may ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from fairlead_venue.binance.params import Params
from fairlead_venue.wire import Call

NONE, KEY, SIGNED = "none", "key", "signed"
"""Who may ask: anybody, who has the key, who signs."""


@attrs.frozen
class Asked:
    """A request that was let through: its parameters and, for faults and what comes after, the call itself."""

    params: Params
    call: Call


@attrs.frozen
class Endpoint:
    """One thing that can be asked for. `label` is the common word for it; `ws` its WebSocket method, if it has one."""

    method: str
    path: str
    label: str
    run: Callable[[Asked], Any]
    weight: int = 1
    security: str = NONE
    ws: str = ""
    counts: bool = False
    """Whether it tells, and adds to, the count of orders."""
