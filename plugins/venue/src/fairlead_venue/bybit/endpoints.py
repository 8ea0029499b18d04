"""What the venue answers to: paths, socket operations, limits, and who may ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from fairlead_venue.bybit.params import Params
from fairlead_venue.wire import Call


@attrs.frozen
class Asked:
    """A request that was let through: its parameters and, for faults and what comes after, the call itself."""

    params: Params
    call: Call


@attrs.frozen
class Endpoint:
    """One thing that can be asked for.

    `label` is the common word for it, `op` its operation on the trade socket, if it has one; `group` the limit per
    account that it counts against, none where it needs no key.
    """

    method: str
    path: str
    label: str
    run: Callable[[Asked], Any]
    group: str = ""
    op: str = ""
    rows: str = ""
    """Where a batch has its list of requests."""
