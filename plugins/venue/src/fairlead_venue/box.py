"""A venue in a box: exchange, front, feed and control, opened and closed together."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs

from fairlead_venue.choices import check_faults, check_variants
from fairlead_venue.clock import VenueClock
from fairlead_venue.control import Control
from fairlead_venue.exchange import Exchange
from fairlead_venue.faults import FaultPlan, Faults
from fairlead_venue.feed import Feed
from fairlead_venue.fronts import Settings, front_class, quote_of
from fairlead_venue.gate import Latency
from fairlead_venue.server import VenueServer

_CASH = Decimal(100_000)
_BASES = ("BTC", "ETH")
_TICK = Decimal("0.01")


class Box:
    """Everything of one venue, in the running loop.

    `pairs` and `cash` of the settings have defaults, since every front needs some: a front's own of these names, else
    BTC and ETH in the currency of its protocol, and 100,000 of that.
    """

    def __init__(
        self,
        protocol: str,
        settings: Settings,
        *,
        feed: Feed | None = None,
        plan: FaultPlan | None = None,
        latency: str = "0ms",
    ) -> None:
        plan = plan or FaultPlan()
        self.protocol = protocol
        self.clock = VenueClock()
        self.exchange = Exchange(self.clock)
        self.faults = Faults(plan)
        self.server = VenueServer(self.exchange, self.faults, Latency(latency, seed=plan.seed))
        self.front: object = None
        self._settings = settings
        self._plan = plan
        self._feed = feed
        self._control = Control(self)

    async def open(self, host: str = "127.0.0.1", port: int = 0) -> Mapping[str, str]:
        """Listen; returns all addresses, `control` among them. Raises ConfigurationError."""
        settings, kind = self._settings, front_class(self.protocol)
        check_variants(kind, self.protocol, settings.variants)
        if not settings.cash:
            settings = attrs.evolve(settings, cash=getattr(kind, "cash", {quote_of(self.protocol): _CASH}))
        if not settings.pairs and not settings.instruments:
            usual = {f"{base}/{quote_of(self.protocol)}": _TICK for base in _BASES}
            listed = await self._feed.pairs() if self._feed else getattr(kind, "pairs", usual)
            settings = attrs.evolve(settings, pairs=listed)
        front: Any = kind(settings, self.server)
        check_faults(front, self._plan.faults)
        self.front = front
        if self._feed is not None:
            await self._feed.open(self.exchange.market, self.clock)
        addresses = await self.server.open(front, host, port)
        return {**addresses, "control": await self._control.open(host)}

    async def close(self) -> None:
        """Let go of everybody."""
        if self._feed is not None:
            await self._feed.close()
        await self._control.close()
        await self.server.close()
        self.clock.close()
