"""The private stream of an exchange that has none in ccxt: open orders and fills, asked for again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from fairlead import ConnectivityError, VenueError
from fairlead.ports import Accepted, Canceled, OrderReport, Report
from fairlead_ccxt.account import Account
from fairlead_ccxt.reports import NotUnderstood
from fairlead_ccxt.sdk import Sdk

OVERLAP_NS = 60_000_000_000
"""So much further back each question for fills reaches: lists lag. What comes twice is known by its id."""


class Polling:
    """Asks every `seconds`; an order that is open no more is looked up by its id before anything is said of it."""

    def __init__(self, sdk: Sdk, account: Account, symbols: Sequence[str], seconds: float) -> None:
        self._sdk = sdk
        self._account = account
        self._symbols = symbols
        self._seconds = seconds
        self._open: dict[str, OrderReport] = {}
        self._seen: dict[str, None] = {}
        self._keeper: asyncio.Task[None] | None = None

    async def open(self, emit: Callable[[Report], None], lost: Callable[[str], None]) -> None:
        """Begin. Raises ConnectivityError or VenueError where the first question fails."""
        since_ns = self._sdk.clock.now()
        await self._ask(emit, since_ns)
        self._keeper = self._sdk.start(self._keep(emit, lost, since_ns))

    def close(self) -> None:
        """Ask no more; harmless to repeat."""
        if self._keeper is not None:
            self._keeper.cancel()

    async def _keep(self, emit: Callable[[Report], None], lost: Callable[[str], None], since_ns: int) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            began = self._sdk.clock.now()
            try:
                await self._ask(emit, since_ns)
            except (ConnectivityError, VenueError, NotUnderstood) as error:
                lost(f"open orders and fills could not be asked for: {error}")
                return
            since_ns = began

    async def _ask(self, emit: Callable[[Report], None], since_ns: int) -> None:
        for fill in await self._account.fills(since_ns - OVERLAP_NS):
            if fill.fill_id not in self._seen:
                self._seen[fill.fill_id] = None
                emit(fill)
        while len(self._seen) > 20_000:
            del self._seen[next(iter(self._seen))]
        snapshot = await self._account.snapshot()
        if snapshot.orders is None:
            raise ConnectivityError("the list of open orders could not be had")
        now_open = {order.client_order_id: order for order in snapshot.orders}
        for name, order in now_open.items():
            if name not in self._open:
                emit(Accepted(client_order_id=name, broker_order_id=order.broker_order_id))
        gone = [name for name in self._open if name not in now_open]
        known = await self._account.lookup(gone) if gone else {}
        for name in gone:
            found = known.get(name)
            if found is None or found.open:
                now_open[name] = self._open[name]  # nothing proves that it has ended
            elif found.filled_quantity < found.quantity:
                filled, number = found.filled_quantity, found.broker_order_id
                emit(Canceled(client_order_id=name, broker_order_id=number, filled_quantity=filled))
        self._open = now_open
