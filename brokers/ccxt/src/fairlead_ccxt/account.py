"""The account, asked: what is open, held and owned, what became of orders, what has filled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from fairlead import ConfigurationError, ConnectivityError, VenueError
from fairlead.ports import FillReport, OrderReport, Snapshot
from fairlead_ccxt.facts import SPOT, Facts
from fairlead_ccxt.instruments import Listing
from fairlead_ccxt.known import Known
from fairlead_ccxt.reports import NotUnderstood, Reader, decimal_of
from fairlead_ccxt.sdk import Sdk

log = logging.getLogger("fairlead.ccxt")

_NEEDED = ("createOrder", "cancelOrder", "fetchOpenOrders", "fetchMyTrades", "fetchOrder")
_AT_ONCE = 8
_PAGE = 500
_FEW = 3
"""So many orders are asked for one by one; more are listed."""


class Account:
    """Answers about one account that trades `symbols` of one kind, by ccxt's names of them."""

    def __init__(
        self, facts: Facts, kind: str, symbols: Sequence[str], listing: Listing, known: Known, reader: Reader
    ) -> None:
        self._facts = facts
        self._kind = kind
        self._symbols = symbols
        self._listing = listing
        self._known = known
        self._reader = reader
        self.sdk: Sdk | None = None

    def _open(self) -> Sdk:
        if self.sdk is None:
            raise ConnectivityError(f"there is no connection to {self._facts.venue}")
        return self.sdk

    async def check(self) -> None:
        """Refuse an account or exchange that cannot be traded so. Raises ConfigurationError."""
        sdk = self._open()
        has = sdk.exchange.has
        lacking = [
            name
            for name in ("createOrder", "cancelOrder", "fetchOpenOrders", "fetchMyTrades")
            if not has.get(name)
        ]
        if lacking:
            raise ConfigurationError(
                f"{self._facts.venue} has no {', '.join(lacking)} in ccxt, and an account needs it: "
                f"use another adapter"
            )
        if self._kind != SPOT and has.get("fetchPositionMode"):
            mode = await sdk.ask("fetch_position_mode", self._symbols[0])
            if mode.get("hedged"):
                raise ConfigurationError(
                    f"this {self._facts.venue} account is in hedge mode: set it to one-way mode there, then start again"
                )

    # --- the account as a whole ---------------------------------------------------------------------------------

    async def snapshot(self) -> Snapshot:
        """The account; what could not be had is None."""
        orders, balances, positions = await asyncio.gather(
            self._orders(), self._balances(), self._positions()
        )
        held, prices = positions if positions is not None else (None, {})
        return Snapshot(
            orders=orders,
            positions={} if self._kind == SPOT else held,
            balances=balances,
            entry_prices=prices,
            modes=await self._modes(),
        )

    async def _orders(self) -> tuple[OrderReport, ...] | None:
        sdk, found = self._open(), []
        ways: list[Mapping[str, Any]] = [{}, *filter(None, [self._facts.conditional.get(self._kind)])]
        try:
            for symbol in self._symbols:
                for params in ways:
                    rows = await sdk.ask("fetch_open_orders", symbol, None, None, dict(params))
                    found += [self._reader.report(row) for row in rows]
        except (ConnectivityError, VenueError, NotUnderstood) as error:
            log.warning("open orders could not be had: %s", error)
            return None
        return tuple(found)

    async def _balances(self) -> Mapping[str, Decimal] | None:
        sdk = self._open()
        if self._kind != SPOT and self._facts.wallet is None:
            return None  # what ccxt calls the total has the open profit in it on some exchanges, and not on others
        try:
            answer = await sdk.ask("fetch_balance")
            total = answer["total"]
            if self._kind != SPOT and self._facts.wallet is not None:
                total = self._facts.wallet(answer["info"])
            return {
                currency: decimal_of(amount) or Decimal(0)
                for currency, amount in total.items()
                if amount is not None
            }
        except (ConnectivityError, VenueError) as error:
            log.warning("balances could not be had: %s", error)
        except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
            log.warning("balances cannot be read: %r", error)
        return None

    async def _positions(self) -> tuple[dict[str, Decimal], dict[str, Decimal]] | None:
        sdk = self._open()
        if self._kind == SPOT:
            return {}, {}
        if not sdk.exchange.has.get("fetchPositions"):
            return None
        held: dict[str, Decimal] = {}
        prices: dict[str, Decimal] = {}
        try:
            for row in await sdk.ask("fetch_positions", list(self._symbols)):
                name, quantity = self._listing.id(row["symbol"]), decimal_of(row["contracts"]) or Decimal(0)
                if not quantity:
                    continue
                held[name] = held.get(name, Decimal(0)) + (-quantity if row["side"] == "short" else quantity)
                price = decimal_of(row.get("entryPrice"))
                if price:
                    prices[name] = price
        except (ConnectivityError, VenueError) as error:
            log.warning("positions could not be had: %s", error)
            return None
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            log.warning("positions cannot be read: %r", error)
            return None
        return held, prices

    async def _modes(self) -> Mapping[str, str] | None:
        sdk = self._open()
        if self._kind == SPOT:
            return {}
        if not sdk.exchange.has.get("fetchPositionMode"):
            return None
        try:
            mode = await sdk.ask("fetch_position_mode", self._symbols[0])
        except (ConnectivityError, VenueError) as error:
            log.warning("the position mode could not be had: %s", error)
            return None
        return {"position_mode": "hedge" if mode.get("hedged") else "net"}

    # --- orders by name -----------------------------------------------------------------------------------------

    async def lookup(self, names: Sequence[str]) -> dict[str, OrderReport | None]:
        """What is known there of these orders; a name is absent where that could not be asked."""
        turns, found = asyncio.Semaphore(_AT_ONCE), dict[str, OrderReport | None]()

        async def one(name: str) -> None:
            async with turns:
                try:
                    sure, report = await self._look_up(name)
                except (ConnectivityError, VenueError, NotUnderstood) as error:
                    log.warning("what became of %s could not be asked: %s", name, error)
                    return
                if sure or report is not None:
                    found[name] = report

        await asyncio.gather(*(one(name) for name in names))
        return found

    async def _look_up(self, name: str) -> tuple[bool, OrderReport | None]:
        """Whether the answer says all, and the order."""
        symbol = self._known.symbol(name)
        symbols = self._symbols if symbol is None else [symbol]
        number = self._known.number(name)
        if not self._facts.find and not number:
            return await self._listed(name, symbols)
        for each in symbols:
            row = await self._fetch(
                number if not self._facts.find else "", each, name if self._facts.find else ""
            )
            if row is not None:
                return True, self._reader.report(row, name)
        return bool(self._facts.find), None

    async def _fetch(self, number: str, symbol: str, name: str = "") -> Mapping[str, Any] | None:
        """One order by their id or, with a name, by ours; None where there is none. Raises VenueError otherwise."""
        args: tuple[Any, ...] = (number, symbol)
        if name:
            ours = self._facts.names.write(name)
            args = (
                (ours, symbol)
                if self._facts.find == "id"
                else ("", symbol, {self._facts.find: ours, **self._facts.find_more})
            )
        codes = self._facts.codes
        try:
            row: Mapping[str, Any] = await self._open().ask("fetch_order", *args)
        except VenueError as error:
            if codes is not None and error.code in codes.absent:
                return None
            raise
        if name and self._facts.names.read(str(row.get("clientOrderId") or "")) != name:
            raise NotUnderstood(
                f"{self._facts.venue} answered with another order than the one that was asked for"
            )
        return row

    async def _listed(self, name: str, symbols: Sequence[str]) -> tuple[bool, OrderReport | None]:
        """An order among those that are open or were lately; not to be there proves nothing."""
        sdk = self._open()
        lists = [method for method, has in _LISTS if sdk.exchange.has.get(has)]
        for symbol in symbols:
            for method in lists:
                for row in await sdk.ask(method, symbol):
                    if self._reader.name(row) == name:
                        return True, self._reader.report(row, name)
        return False, None

    # --- fills --------------------------------------------------------------------------------------------------

    async def fills(self, since_ns: int) -> list[FillReport]:
        """Our executions since then in every symbol, oldest first."""
        found: list[FillReport] = []
        for symbol in self._symbols:
            found += await self.fills_of(symbol, since_ns)
        return sorted(found, key=lambda fill: fill.event_ns)

    async def fills_of(self, symbol: str, since_ns: int) -> list[FillReport]:
        """Our executions since then in one symbol. Raises ConnectivityError, VenueError or NotUnderstood."""
        rows = await self._trades(symbol, since_ns // 1_000_000)
        strange = {str(row["order"]) for row in rows if self._reader.whose(row) is None}
        await self._name(symbol, strange)
        return [self._reader.fill(row, self._whose(row)) for row in rows]

    def _whose(self, row: Mapping[str, Any]) -> str:
        return self._reader.whose(row) or f"{row['symbol']}-{row['order']}"

    async def _trades(self, symbol: str, since_ms: int) -> list[Mapping[str, Any]]:
        """All pages of them, by id: pages overlap by the trades of one moment."""
        sdk, found = self._open(), dict[str, Mapping[str, Any]]()
        window, now_ms = self._facts.trades_window_ns // 1_000_000, sdk.clock.now() // 1_000_000
        if self._kind != SPOT and self._facts.trades_reach_ns:
            since_ms = max(since_ms, now_ms - self._facts.trades_reach_ns // 1_000_000)
        while True:
            rows = await sdk.ask("fetch_my_trades", symbol, since_ms, _PAGE)
            new = [row for row in rows if str(row["id"]) not in found]
            found |= {str(row["id"]): row for row in new}
            last = max((int(row["timestamp"]) for row in new), default=since_ms)
            if len(rows) >= _PAGE and new:
                since_ms = last if last > since_ms else last + 1
            elif self._kind != SPOT and window and since_ms + window < now_ms:
                since_ms += window  # a question reaches no further
            else:
                return sorted(found.values(), key=lambda row: int(row["timestamp"]))

    async def _name(self, symbol: str, numbers: set[str]) -> None:
        """Find out what we call the orders with these numbers: a list of trades does not say."""
        sdk = self._open()
        if len(numbers) > _FEW:
            for method, has in _LISTS:
                if sdk.exchange.has.get(has):
                    for row in await sdk.ask(method, symbol):
                        self._reader.report(row)
            numbers = {number for number in numbers if self._known.named(symbol, number) is None}
        for number in sorted(numbers):
            row = await self._fetch(number, symbol)
            if row is not None:
                self._reader.report(row)

    async def learn(self, symbol: str, number: str) -> None:
        """Find out what we call one order. Raises as `fills_of` does."""
        await self._name(symbol, {number})


_LISTS = (
    ("fetch_open_orders", "fetchOpenOrders"),
    ("fetch_orders", "fetchOrders"),
    ("fetch_closed_orders", "fetchClosedOrders"),
)
