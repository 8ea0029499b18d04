"""Checks that more than one suite makes."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from fairlead import Contract, Instrument
from fairlead_conformance.suite import origin_of
from fairlead_conformance.watch import Leftovers


def looks_like_port(adapter: Any, port: Any, plain: Sequence[str], awaited: Sequence[str]) -> None:
    """Assert that an adapter fills a port: what blocks nobody is plain, what waits is a coroutine."""
    assert not inspect.isclass(adapter), "`make` returns a class: return an object of it"
    assert isinstance(adapter, port), f"it lacks {', '.join(_missing(adapter, port))} of {port.__name__}"
    for name in awaited:
        assert inspect.iscoroutinefunction(getattr(adapter, name)), (
            f"{name} is no coroutine: write `async def {name}`"
        )
    for name in plain:
        if hasattr(adapter, name):
            found = getattr(adapter, name)
            assert not inspect.iscoroutinefunction(found), (
                f"{name} is a coroutine, and is called like a function"
            )


def _missing(adapter: Any, port: Any) -> list[str]:
    wanted = [name for name in (*vars(port), *port.__annotations__) if not name.startswith("_")]
    return [name for name in dict.fromkeys(wanted) if not hasattr(adapter, name)] or ["nothing by name"]


def makes_nothing(make: Callable[[], Any]) -> None:
    """Assert that what is only made opens nothing."""
    before = Leftovers()
    made = make()
    more = before.more()
    assert not more, f"making {type(made).__name__} opens {', '.join(more)}: open it in `connect`"


_PROBE = """
import socket, sys, threading

def refuse(*words, **more):
    raise SystemExit("its import opens a socket: open it in `connect`")

class Refused(socket.socket):
    __init__ = refuse

socket.socket = Refused
__import__(sys.argv[1])
if threading.active_count() > 1:
    raise SystemExit("its import starts a thread: start it in `connect`")
"""


def opens_nothing_at_import(made_of: type) -> None:
    """Assert that importing a class's module opens no socket and starts no thread; only of what a distribution owns."""
    name = made_of.__module__
    if not origin_of(made_of).name:
        return
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, name], capture_output=True, text=True, check=False, timeout=50
    )
    said = done.stderr.strip().rpartition("\n")[2]
    assert not done.returncode, f"importing {name} in a process of its own fails: {said}"


def exact_instrument(instrument: Instrument) -> None:
    """Assert that the rules of an instrument are exact numbers that fit together."""
    name = instrument.id
    for field in ("tick", "lot", "contract_size", "min_quantity", "min_notional", "maker_fee", "taker_fee"):
        value = getattr(instrument, field)
        assert isinstance(value, Decimal) and value.is_finite(), f"{name}: {field} is {value!r}, no Decimal"
    assert instrument.symbol and instrument.venue, f"{name}: symbol and venue are named"
    assert instrument.min_quantity >= 0 and instrument.min_notional >= 0, f"{name}: a minimum is below 0"
    assert not instrument.min_quantity % instrument.lot, f"{name}: min_quantity is no multiple of lot"
    for field in ("maker_fee", "taker_fee"):
        assert abs(getattr(instrument, field)) < Decimal("0.05"), (
            f"{name}: {field} is a ratio, 0.0005 for 0.05 %"
        )
    wanted = {Contract.SPOT: (instrument.quote,), Contract.INVERSE: (instrument.base,)}
    settles = wanted.get(instrument.contract, (instrument.settle,))
    assert instrument.settle in settles, f"{name}: a {instrument.contract} contract settles in {settles[0]}"


def distinct(names: Sequence[str], what: str) -> None:
    """Assert that no name stands twice."""
    twice = sorted({name for name in names if names.count(name) > 1})
    assert not twice, f"{what} {', '.join(twice[:3])} is there twice"
