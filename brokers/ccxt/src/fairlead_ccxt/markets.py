"""What an exchange lists, asked without a key: with one, ccxt asks for more than anybody wants to know."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import attrs

from fairlead import Instrument
from fairlead_ccxt import watching
from fairlead_ccxt.facts import Facts
from fairlead_ccxt.instruments import instruments
from fairlead_ccxt.place import Place
from fairlead_ccxt.sdk import Sdk, aside


@attrs.frozen
class Markets:
    """Loaded markets, to be shared by all instances of the exchange."""

    _exchange: Any
    _venue: str

    def instruments(self, symbols: Sequence[str]) -> list[Instrument]:
        """Those of the symbols. Raises ConfigurationError or VenueError."""
        return instruments(self._exchange, symbols, self._venue)

    def feeds(self, ticks: Sequence[str]) -> tuple[str, ...]:
        """The kinds of feed that there are, of these and of bars."""
        found = [kind for kind in ticks if watching.has(self._exchange, kind)]
        if watching.has(self._exchange, "bar"):
            found += [f"bar:{name}" for name in self._exchange.timeframes or {} if _is_interval(name)]
        return tuple(found)

    async def give(self, exchange: Any) -> None:
        """Let another instance know them."""
        there = self._exchange
        await aside(exchange.set_markets, list(there.markets.values()), there.currencies)


def _is_interval(name: str) -> bool:
    """Whether it is a duration: their 1M is a month, which has none, and weeks begin on a day of their own."""
    return name[-1:] in ("s", "m", "h", "d") and name[:-1].isdecimal()


async def markets_of(place: Place, facts: Facts) -> Markets:
    """Load them. Raises ConfigurationError, ConnectivityError or VenueError."""
    loop = asyncio.get_running_loop()
    sdk = await Sdk.open(place, facts, lambda: int(loop.time() * 1e9))
    try:
        await sdk.ask("load_markets")
    finally:
        await sdk.close()
    return Markets(sdk.exchange, facts.venue)
