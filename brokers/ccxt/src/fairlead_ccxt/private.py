"""The private stream of one connection: what an account is told, order by order and fill by fill."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from fairlead import ConnectivityError, VenueError
from fairlead.ports import Report
from fairlead_ccxt import taps
from fairlead_ccxt.account import Account
from fairlead_ccxt.facts import SPOT, Facts
from fairlead_ccxt.reports import NotUnderstood, Reader
from fairlead_ccxt.sdk import SECONDS, Sdk

log = logging.getLogger("fairlead.ccxt")

_LOOK_SECONDS = 0.01
_SETTLE_SECONDS = 1.0
_CACHES = {"orders": "ArrayCacheBySymbolById", "myTrades": "ArrayCacheBySymbolById"}


class Private:
    """Watches orders and fills; `emit` gets reports, `lost` the reason, once, when it has ended."""

    def __init__(
        self, sdk: Sdk, facts: Facts, kind: str, symbols: Sequence[str], account: Account, reader: Reader
    ) -> None:
        self._sdk = sdk
        self._facts = facts
        self._kind = kind
        self._symbols = symbols
        self._account = account
        self._reader = reader
        self._emit: Callable[[Report], None] = _nowhere
        self._keepers: list[asyncio.Task[Any]] = []
        self._naming: dict[tuple[str, str], list[Any]] = {}
        self._lines: taps.Lines | None = None

    async def open(self, emit: Callable[[Report], None], lost: Callable[[str], None]) -> None:
        """Subscribe. Raises ConnectivityError."""
        exchange, self._emit = self._sdk.exchange, emit
        self._lines = taps.Lines(exchange, lost, self._news)
        exchange.orders = self._orders = taps.cache(_CACHES["orders"], self._order)
        exchange.myTrades = self._trades = taps.cache(_CACHES["myTrades"], self._trade)
        ways = [
            name
            for name, has in (("watch_orders", "watchOrders"), ("watch_my_trades", "watchMyTrades"))
            if exchange.has.get(has)
        ]
        if self._kind != SPOT:  # it would fetch what nobody looks at
            exchange.options["watchPositions"] = {
                "fetchPositionsSnapshot": False,
                "awaitPositionsSnapshot": False,
            }
        for way in ways:
            self._keepers.append(self._sdk.start(self._keep(way)))
            await self._confirmed("orders" if way == "watch_orders" else "myTrades")

    async def _confirmed(self, word: str) -> None:
        """Wait until ccxt waits for frames.

        Then its subscription is written and, where the exchange says so, confirmed.
        """
        assert self._lines is not None
        keeper, loop = self._keepers[-1], asyncio.get_running_loop()
        until = loop.time() + SECONDS
        while not keeper.done() and loop.time() < until:
            if self._lines.waits_for(word):
                if self._facts.confirms:
                    return
                before, settle = self._lines.frames, loop.time() + _SETTLE_SECONDS
                while not keeper.done() and self._lines.frames == before and loop.time() < settle:  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK_SECONDS)
                if not keeper.done():
                    return
            await asyncio.sleep(_LOOK_SECONDS)
        error = keeper.exception() if keeper.done() and not keeper.cancelled() else None
        why = type(error).__name__ if error is not None else "no confirmation came"
        raise ConnectivityError(f"{self._facts.venue}: the private stream could not be opened: {why}")

    async def _keep(self, way: str) -> None:
        """Have ccxt keep a subscription up; what it hands over has been seen already."""
        assert self._lines is not None
        exchange = self._sdk.exchange
        try:
            while True:
                await getattr(exchange, way)()
                if exchange.orders is not self._orders or exchange.myTrades is not self._trades:
                    raise NotUnderstood("ccxt has put caches of its own in the place of ours")
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._lines.end(f"{way} failed: {type(error).__name__}")
            raise

    def close(self) -> None:
        """Say nothing any more; harmless to repeat."""
        if self._lines is not None:
            self._lines.leave()
        for keeper in self._keepers:
            keeper.cancel()

    # --- what comes ---------------------------------------------------------------------------------------------

    def _news(self, message: Any) -> None:
        ends, reports = self._facts.news(message)
        for report in reports:
            self._emit(report)
        if ends and self._lines is not None:
            self._lines.end(ends)

    def _order(self, order: Any) -> None:
        for report in self._reader.order(order):
            self._emit(report)
        self._release(str(order["symbol"]), str(order["id"]))

    def _trade(self, trade: Any) -> None:
        name = self._reader.whose(trade)
        if name is not None:
            self._emit(self._reader.fill(trade, name))
            return
        which = str(trade["symbol"]), str(trade.get("order") or "")
        waiting = self._naming.setdefault(which, [])
        waiting.append(trade)
        if len(waiting) == 1:
            self._keepers.append(self._sdk.start(self._ask_name(*which)))

    async def _ask_name(self, symbol: str, number: str) -> None:
        """A fill came before its order was told of.

        Ask whose it is. Without an answer the stream is taken for broken.
        """
        try:
            await self._account.learn(symbol, number)
            self._release(symbol, number)
        except (ConnectivityError, VenueError, NotUnderstood) as error:
            log.warning("whose order %s is could not be asked: %s", number, error)
        if self._naming.get((symbol, number)) and self._lines is not None:
            self._lines.end(f"a fill of order {number} came, and nobody says whose that is")

    def _release(self, symbol: str, number: str) -> None:
        for trade in self._naming.pop((symbol, number), []):
            name = self._reader.whose(trade)
            if name is not None:
                self._emit(self._reader.fill(trade, name))


def _nowhere(report: Report) -> None:
    """Where reports go before anybody listens."""
