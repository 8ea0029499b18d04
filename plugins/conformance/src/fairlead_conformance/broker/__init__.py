"""The suite for broker adapters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import attrs

from fairlead import Instrument, default_instrument, duration
from fairlead.ports import BrokerAdapter
from fairlead_conformance.broker.account import Account
from fairlead_conformance.broker.cancels import Cancels
from fairlead_conformance.broker.connection import Connection
from fairlead_conformance.broker.contract import Contract
from fairlead_conformance.broker.faults import Faults
from fairlead_conformance.broker.model import Model
from fairlead_conformance.broker.orders import Orders
from fairlead_conformance.broker.replacing import Replacing
from fairlead_conformance.cases import Case, Undeclared
from fairlead_conformance.desk import Desk
from fairlead_conformance.venue import MarketVenue, Venue
from fairlead_conformance.watch import Leftovers

IDS_PER_CASE = 100_000


class BrokerConformance(Contract, Connection, Orders, Cancels, Replacing, Account, Faults, Model):
    """Proves a broker adapter: write `make`, and `make_venue` where the adapter does not simulate by itself.

    `self.venue` is what `make_venue` gave, open, when `make` is called: it may have the address to connect to. Without
    one, only what needs no venue is tried, so nothing is ever sent to a real account. `symbol` chooses the instrument
    (the first that is listed), `mid` a price that it may trade at. What is waited for comes within `patience`, and
    what shall not come is waited for `settle`.
    """

    kind = "broker"
    symbol: str = ""
    mid: float = 100.0
    patience: str = "10s"
    settle: str = "20ms"
    venue: Any = None
    _first_id: int = 0

    def make(self) -> BrokerAdapter:
        """A new adapter, not connected yet."""
        adapter: BrokerAdapter = super().make()
        return adapter

    def make_venue(self) -> Venue | None:
        """A new venue under test; None where there is none. A broker that simulates needs none."""
        return None

    def listing(self) -> Sequence[Instrument]:
        """What a broker that is told its instruments by streams is told here."""
        return [
            attrs.evolve(default_instrument(symbol, "demo", tick="0.1"), lot=Decimal("0.001"))
            for symbol in ("BTC/USDT:USDT", "ETH/USDT:USDT", "BTC/USDT")
        ]

    def declared(self, adapter: BrokerAdapter) -> frozenset[str]:
        """What its profile says."""
        profile = adapter.profile
        flags = [flag for flag in ("post_only", "reduce_only", "oco", "own_fills") if getattr(profile, flag)]
        return frozenset(
            [
                *(f"order_type:{word}" for word in profile.order_types),
                *(f"time_in_force:{word}" for word in profile.time_in_force),
                *flags,
                *(f"mode:{name}" for name in profile.modes),
                *(f"venue_option:{name}" for name in profile.venue_options),
                *(f"replace:{word}" for word in profile.replaces),
                *(["rate_limits"] if profile.rate_limits else []),
                *(["dead_man"] if profile.dead_man is not None else []),
            ]
        )

    def want(self, info: Case, adapter: BrokerAdapter, venue: Venue | None) -> None:
        """As for all; between an `exact` adapter and its venue nothing lies that could go wrong."""
        declared = not info.of or info.of in self.declared(adapter)
        if (
            declared
            and adapter.profile.exact
            and venue is not None
            and not set(info.faults) <= set(venue.faults)
        ):
            raise Undeclared("exact: nothing lies between it and its venue")
        super().want(info, adapter, venue)

    def perform(self, info: Case, body: Callable[..., Any]) -> None:
        """Try a case on a new adapter at a new venue."""
        __tracebackhide__ = True
        venue = self.make_venue()
        type(self)._first_id += IDS_PER_CASE
        self.play(self._story(info, body, venue), venue is None or venue.virtual)

    async def _story(self, info: Case, body: Callable[..., Any], venue: Venue | None) -> None:
        self.watch.attend()
        before = Leftovers()
        if venue is not None:
            await venue.open()
        self.venue = venue
        try:
            broker = self.make()
            self.known(broker)
            if venue is None and hasattr(broker, "market"):
                self.venue = venue = MarketVenue(broker)
            self.want(info, broker, venue)
            if info.alone:
                body(self, broker)
                return
            assert venue is not None
            self.teach(broker)
            desk = self.desk(broker, venue)
            try:
                await desk.connect(self.symbol)
                await body(self, desk)
            finally:
                await desk.leave()
                self.overheard(desk)
        finally:
            if venue is not None:
                await venue.close()
        self.after(info, before)

    def teach(self, broker: Any) -> None:
        """List instruments with a broker that learns them from streams."""
        if hasattr(broker, "learn"):
            for instrument in self.listing():
                broker.learn(instrument)

    def desk(self, broker: BrokerAdapter, venue: Venue) -> Desk:
        """A desk that is not connected yet."""
        patience, settle = duration(self.patience), duration(self.settle)
        return Desk(
            broker, venue, mid=self.mid, patience_ns=patience, settle_ns=settle, first_id=type(self)._first_id
        )


__all__ = ["BrokerConformance"]
