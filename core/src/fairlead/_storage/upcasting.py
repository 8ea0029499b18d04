"""What became of facts: how one that an older release wrote is said today.

A fact whose meaning changed gets an entry here for each version that it has left behind. Most changes need none: a
field that was added has a default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from fairlead.facts import SCHEMA

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

UPCASTERS: dict[tuple[str, int], Upcaster] = {}
"""By name of the fact and version of the schema: makes of its fields those of the next version."""


def upcast(
    payload: bytes,
    schema: int,
    *,
    upcasters: Mapping[tuple[str, int], Upcaster] = UPCASTERS,
    to: int = SCHEMA,
) -> list[dict[str, Any]]:
    """The facts of a record that version `schema` wrote, as version `to` would have written them."""
    facts: list[dict[str, Any]] = msgspec.msgpack.decode(payload, type=list[dict[str, Any]])
    for version in range(schema, to):
        facts = [upcasters.get((fact["t"], version), _as_it_is)(fact) for fact in facts]
    return facts


def _as_it_is(fact: dict[str, Any]) -> dict[str, Any]:
    return fact
