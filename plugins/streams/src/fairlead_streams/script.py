"""Scripted faults of an invented feed: one of each asked kind in every block, at a seeded moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from zlib import crc32

from fairlead import ConfigurationError, Quote, Trade
from fairlead.ports import MarketEvent
from fairlead_streams.synthetic import BLOCK_NS

FAULTS = ("gap", "stale", "duplicate", "bad_tick", "disconnect")


def check_faults(faults: Iterable[str] | str) -> tuple[str, ...]:
    """The kinds asked for. Raises ConfigurationError for one that is not known."""
    asked = tuple(part.strip() for part in faults.split(",")) if isinstance(faults, str) else tuple(faults)
    for kind in asked:
        if kind not in FAULTS:
            raise ConfigurationError(f"fault {kind!r} is not known: use some of {', '.join(FAULTS)}")
    return asked


def moment(kind: str, seed: int, symbol: str, block: int, every_ns: int) -> tuple[int, int]:
    """When in a block a fault begins and ends, on the grid; a disconnect is the same for all symbols."""
    random = Random(crc32(f"{kind}|{seed}|{'' if kind == 'disconnect' else symbol}|{block}".encode()))
    steps = BLOCK_NS // every_ns
    length = {"gap": 20, "stale": 30, "disconnect": 45}.get(kind, 1)
    length = max(1, min(int(length * (0.5 + random.random())), steps // 4))
    begin = block * BLOCK_NS + int(random.random() * (steps - length)) * every_ns
    return begin, begin + length * every_ns


def disturb(
    events: Sequence[MarketEvent],
    faults: Sequence[str],
    seed: int,
    symbol: str,
    block: int,
    every_ns: int,
    stuck: dict[tuple[str, int], Quote],
) -> list[MarketEvent]:
    """Events of one feed in one block, as a feed with these faults would have given them.

    `stuck` keeps the quote of a symbol that a block has been stuck on, from one part of it to the next.
    gap and disconnect: nothing comes; stale: the last values go on arriving under their old time; duplicate: what
    came at one moment comes twice; bad_tick: prices of one moment are ten times too high.
    """
    result = list(events)
    for kind in faults:
        begin, end = moment(kind, seed, symbol, block, every_ns)
        if kind in {"gap", "disconnect"}:
            result = [event for event in result if not begin <= event.received_ns < end]
        elif kind == "duplicate":
            result = [
                event for one in result for event in ([one, one] if begin <= one.received_ns < end else [one])
            ]
        elif kind == "bad_tick":
            result = [_times_ten(event) if begin <= event.received_ns < end else event for event in result]
        else:
            result = _stuck(result, begin, end, stuck, (symbol, block))
    return result


def _times_ten(event: MarketEvent) -> MarketEvent:
    if isinstance(event, Quote):
        return _quote(event, event.received_ns, 10.0)
    return _trade(event, event.received_ns, 10.0) if isinstance(event, Trade) else event


def _stuck(
    events: Sequence[MarketEvent],
    begin: int,
    end: int,
    stuck: dict[tuple[str, int], Quote],
    place: tuple[str, int],
) -> list[MarketEvent]:
    result: list[MarketEvent] = []
    for event in events:
        if not begin <= event.received_ns < end:
            result.append(event)
        elif isinstance(event, Quote):
            result.append(_quote(stuck.setdefault(place, event), event.received_ns))
    return result


def received_at(event: MarketEvent, now: int) -> MarketEvent:
    """The event as it is when it arrives `now`."""
    if isinstance(event, Quote):
        return _quote(event, now)
    return _trade(event, now) if isinstance(event, Trade) else event


def _quote(event: Quote, received: int, factor: float = 1.0) -> Quote:
    return Quote(
        event.instrument, event.bid * factor, event.ask * factor, event.bid_size, event.ask_size, event.event_ns,
        received,
    )  # fmt: skip


def _trade(event: Trade, received: int, factor: float = 1.0) -> Trade:
    return Trade(
        event.instrument,
        event.price * factor,
        event.size,
        event.event_ns,
        received,
        event.aggressor,
        event.trade_id,
    )
