"""From words, as a command line or a handle has them, to a venue in a box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from fairlead import ConfigurationError, Instrument, decimal, default_instrument
from fairlead_sim import SimulatedBroker
from fairlead_venue.box import Box
from fairlead_venue.faults import FaultPlan
from fairlead_venue.feed import Feed, FileFeed, SyntheticFeed
from fairlead_venue.fronts import Settings, quote_of


def box_of(
    *,
    protocol: str,
    cash: Sequence[str] = (),
    pairs: Mapping[str, str] | None = None,
    instruments: Sequence[Any] = (),
    key: str = "venue-key",
    secret: str = "venue-secret",
    public_key: str = "",
    data: str = "",
    symbol: str = "",
    synthetic: bool = False,
    speed: float = 1.0,
    seed: int = 42,
    faults: str = "",
    plan: Mapping[str, Any] | None = None,
    latency: str = "0ms",
    variants: Mapping[str, str] | None = None,
) -> Box:
    """A venue that is not open yet. Raises ConfigurationError.

    `faults` is a plan in TOML or a file of it, `plan` what `FaultPlan.words` says; `instruments` are as msgspec says
    them in plain words.
    """
    if data and synthetic:
        raise ConfigurationError("a venue has one market: name a file with data, or choose synthetic")
    feed: Feed | None = None
    if data:
        feed = FileFeed(Path(data), symbol=symbol, speed=speed)
    elif synthetic:
        feed = SyntheticFeed(list(pairs or [f"BTC/{quote_of(protocol)}"]), seed=seed)
    settings = Settings(
        key=key,
        secret=secret,
        public_key=public_key,
        cash=SimulatedBroker(list(cash)).cash if cash else {},
        pairs={} if synthetic else {pair: _tick(pair, tick) for pair, tick in (pairs or {}).items()},
        instruments=msgspec.convert(instruments, list[Instrument]),
        variants=variants or {},
    )
    chosen = FaultPlan.of(plan) if plan is not None else _plan(faults)
    return Box(protocol, settings, feed=feed, plan=chosen, latency=latency)


def _tick(pair: str, tick: str) -> Decimal:
    """The tick of a pair. Raises ConfigurationError for either."""
    step = decimal(tick, f"tick of {pair}")
    if step <= 0:
        raise ConfigurationError(f"tick of {pair}: {tick} is not above 0: write {pair}=0.01")
    try:
        default_instrument(pair, "venue", tick=step)
    except ConfigurationError as error:
        raise ConfigurationError(f"pair {error}") from None
    return step


def _plan(text: str) -> FaultPlan | None:
    if not text:
        return None
    return FaultPlan.parse(text) if "\n" in text or "=" in text else FaultPlan.read(Path(text))
