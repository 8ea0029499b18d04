"""Which objects run, in this process: a strategy, a broker, a stream or a breaker serves one engine at a time.

Its callbacks lead to one engine, so a second one would take the first one's answers away.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fairlead._engine.parts import Parts
from fairlead.errors import ConfigurationError

_lock = threading.Lock()
_claimed: dict[int, str] = {}
"""By the id of an object that runs, the run's folder."""


@contextmanager
def claim(parts: Parts, run: str) -> Iterator[None]:
    """Have the parts for a run. Raises ConfigurationError where another run of this process has one of them."""
    parties = dict(_parties(parts))
    with _lock:
        for identity, name in parties.items():
            if identity in _claimed:
                raise ConfigurationError(
                    f"{name} runs already, in the engine of {_claimed[identity]}: make one for each engine"
                )
        _claimed.update(dict.fromkeys(parties, run))
    try:
        yield
    finally:
        with _lock:
            for identity in parties:
                del _claimed[identity]


def _parties(parts: Parts) -> Iterator[tuple[int, str]]:
    named: list[tuple[str, list[Any]]] = [
        ("strategy", [*parts.strategies]),
        ("broker", [*parts.brokers.values()]),
        ("stream", [*parts.streams.values()]),
        ("breaker", [*parts.breakers]),
        ("reconciler", [*parts.reconcilers]),
    ]
    for kind, objects in named:
        for each in objects:
            yield id(each), f"{kind} {each.name}"
