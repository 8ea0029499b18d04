"""What is asked of the account: its key, its settings, how it stands, its orders and executions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import attrs
import msgspec

from fairlead import ConfigurationError, ConnectivityError, Instrument, VenueError, duration
from fairlead.ports import FillReport, OrderReport, Snapshot
from fairlead_bybit import commands, instruments
from fairlead_bybit.frames import ExecutionRow
from fairlead_bybit.instruments import LINEAR, SPOT, ZERO, Listing
from fairlead_bybit.known import Known
from fairlead_bybit.reports import FUNDING, Reports, Unreadable, report_of
from fairlead_bybit.rest import Rest

log = logging.getLogger("fairlead.bybit")

_SECOND_NS = duration("1s")
_WEEK_NS = 7 * 86_400 * _SECOND_NS
_KEPT_NS = 104 * _WEEK_NS
"""Executions of two years are listed: https://bybit-exchange.github.io/docs/v5/order/execution"""

_MARGINS = {"REGULAR_MARGIN": "cross", "ISOLATED_MARGIN": "isolated", "PORTFOLIO_MARGIN": "portfolio"}
_UNIFIED = frozenset({3, 4, 5, 6})
_PERMISSIONS = {SPOT: ("Spot", "SpotTrade"), LINEAR: ("ContractTrade", "Order")}
_ORDERS_PAGE, _FILLS_PAGE, _POSITIONS_PAGE, _LIST_PAGE = 50, 100, 200, 1000


@attrs.frozen
class _Held:
    """What is held, at which prices, and how the account is set for it."""

    quantities: dict[str, Decimal]
    entries: dict[str, Decimal]
    modes: dict[str, str]


class Account:
    """Asks about one account, of the products that its symbols are of."""

    def __init__(self, rest: Rest, listing: Listing, known: Known, symbols: Sequence[str]) -> None:
        self.products = tuple(dict.fromkeys(instruments.product_of(symbol) for symbol in symbols))
        self._rest = rest
        self._listing = listing
        self._known = known
        self._symbols = symbols
        self._reports = Reports(listing, known, _nowhere)

    # --- what is checked at the start ---------------------------------------------------------------------------

    async def check_key(self, *, allow_withdrawal: bool) -> str:
        """Whether the key may do what it has to, and no more; returns the account's id. Raises ConfigurationError."""
        found = await self._rest.ask("get_api_key_information")
        granted: Mapping[str, Sequence[str]] = found.get("permissions") or {}
        if found.get("readOnly"):
            raise ConfigurationError(
                "this Bybit key may only read: give it the permission to trade, or trade on paper with BybitStream's "
                "data"
            )
        for product in self.products:
            group, name = _PERMISSIONS[product]
            if name not in granted.get(group, ()):
                raise ConfigurationError(f"this Bybit key may not trade {product}: give it {group}/{name}")
        if "Withdraw" in granted.get("Wallet", ()) and not allow_withdrawal:
            raise ConfigurationError(
                "this Bybit key may withdraw, which trading does not need: take that permission from it, or say "
                "allow_withdrawal=True"
            )
        if "*" in (found.get("ips") or ["*"]):
            log.warning("this Bybit key works from every address: give it a list of yours")
        return str(found.get("userID", ""))

    async def check_modes(self) -> None:
        """A unified account with one position for each contract. Raises ConfigurationError."""
        info = await self._rest.ask("get_account_info")
        if info.get("unifiedMarginStatus") not in _UNIFIED:
            raise ConfigurationError(
                "this Bybit account is no unified one: upgrade it at Bybit, which is for good"
            )
        for instrument in self._contracts():
            rows = (await self._rest.ask("get_positions", category=LINEAR, symbol=instrument.native)).get(
                "list"
            )
            if any(row.get("positionIdx") for row in rows or ()):
                raise ConfigurationError(
                    f"{instrument.symbol} is in hedge mode at Bybit, with a long and a short position side by side: "
                    f"close both and switch it to one-way mode"
                )

    def _contracts(self) -> list[Instrument]:
        found = (self._listing.find(symbol) for symbol in self._symbols)
        return [one for one in found if one is not None and not one.spot]

    async def protect(self, seconds: int) -> None:
        """Have Bybit cancel all orders when the connection is lost for so long. Raises ConfigurationError."""
        names = {SPOT: "SPOT", LINEAR: "DERIVATIVES"}
        for product in self.products:
            await self._rest.ask("set_dcp", product=names[product], timeWindow=seconds)
        rows = (await self._rest.ask("query_dcp_info")).get("dcpInfos") or ()
        on = {row.get("product") for row in rows if row.get("dcpStatus") == "ON"}
        missing = [names[product] for product in self.products if names[product] not in on]
        if missing:
            raise ConfigurationError(
                f"Bybit has not turned on disconnection protection of {', '.join(missing)} for this account: ask its "
                f"support for it, or leave disconnect_cancel out"
            )

    # --- what can be traded -------------------------------------------------------------------------------------

    async def instruments(self) -> list[Instrument]:
        """All of its products, with the account's fees where they can be had. Raises as `Rest.ask` does."""
        found = await listed(self._rest, self.products)
        fees: dict[tuple[str, str], tuple[str, str]] = {}
        for product in self.products:
            try:
                rows = (await self._rest.ask("get_fee_rates", category=product)).get("list") or ()
            except VenueError as error:
                log.warning("the fees of %s could not be had, the usual ones stand: %s", product, error)
                continue
            fees |= {(product, row["symbol"]): (row["makerFeeRate"], row["takerFeeRate"]) for row in rows}
        return [
            instruments.with_fees(one, *fees[key])
            if (key := (instruments.product_of(one.symbol), one.native)) in fees
            else one
            for one in found
        ]

    # --- how it stands ------------------------------------------------------------------------------------------

    async def snapshot(self) -> Snapshot:
        """All of it; what could not be had is None. Raises ConnectivityError where nothing could."""
        parts = (self._open_orders(), self._positions(), self._balances(), self._margin_mode())
        orders, held, balances, margin = await asyncio.gather(*parts, return_exceptions=True)
        failed = [part for part in (orders, held, balances, margin) if isinstance(part, BaseException)]
        for error in failed:
            if not isinstance(error, VenueError | ConnectivityError):
                raise error
            log.warning("a part of the account could not be had: %s", error)
        if len(failed) == len(parts):
            raise failed[0]
        there = held if isinstance(held, _Held) else None
        modes = None
        if there is not None and isinstance(margin, str):
            modes = {**there.modes, "margin_mode": margin}
        return Snapshot(
            orders=orders if isinstance(orders, tuple) else None,
            positions=there.quantities if there is not None else None,
            balances=balances if isinstance(balances, dict) else None,
            entry_prices=there.entries if there is not None else {},
            modes=modes,
        )

    async def _open_orders(self) -> tuple[OrderReport, ...]:
        found = []
        for where in self._everywhere():
            rows = await self._rest.pages("get_open_orders", **where, openOnly=0, limit=_ORDERS_PAGE)
            found += [self._report(row, where["category"]) for row in rows]
        return tuple(found)

    def _everywhere(self) -> list[dict[str, Any]]:
        """What together asks for all that there is of an account's products."""
        found: list[dict[str, Any]] = [{"category": SPOT}] if SPOT in self.products else []
        if LINEAR in self.products:
            found += [{"category": LINEAR, "settleCoin": coin} for coin in commands.settles(self._listing)]
        return found

    async def _positions(self) -> _Held:
        """Of all contracts, and the settings of those that are traded."""
        quantities: dict[str, Decimal] = {}
        entries: dict[str, Decimal] = {}
        modes: dict[str, str] = {}
        if LINEAR not in self.products:
            return _Held(quantities, entries, modes)
        asked: list[dict[str, Any]] = [{"settleCoin": coin} for coin in commands.settles(self._listing)]
        rows: dict[tuple[str, int], dict[str, Any]] = {}
        for where in asked + [{"symbol": one.native} for one in self._contracts()]:
            for row in await self._rest.pages(
                "get_positions", category=LINEAR, **where, limit=_POSITIONS_PAGE
            ):
                rows[row["symbol"], row["positionIdx"]] = row
        modes["position_mode"] = "hedge" if any(index for _, index in rows) else "net"
        for row in rows.values():
            self._hold(row, quantities, entries, modes)
        return _Held(quantities, entries, modes)

    def _hold(
        self,
        row: Mapping[str, Any],
        quantities: dict[str, Decimal],
        entries: dict[str, Decimal],
        modes: dict[str, str],
    ) -> None:
        name = self._listing.id(LINEAR, row["symbol"])
        try:
            if row.get("leverage"):
                modes[f"leverage {name}"] = commands.plain(Decimal(row["leverage"]))
            size = Decimal(row["size"] or "0")
            if not size:
                return
            quantities[name] = quantities.get(name, ZERO) + (size if row["side"] == "Buy" else -size)
            if row.get("avgPrice"):
                entries[name] = Decimal(row["avgPrice"])
        except (KeyError, TypeError, InvalidOperation) as error:
            raise Unreadable(f"Bybit's list of positions cannot be read: {error!r}") from error

    async def _balances(self) -> dict[str, Decimal]:
        found = await self._rest.ask("get_wallet_balance", accountType="UNIFIED")
        try:
            [wallet] = found["list"]
            return {row["coin"]: Decimal(row["walletBalance"] or "0") for row in wallet["coin"]}
        except (KeyError, TypeError, ValueError, InvalidOperation) as error:
            raise Unreadable(f"Bybit's wallet cannot be read: {error!r}") from error

    async def _margin_mode(self) -> str:
        mode = str((await self._rest.ask("get_account_info")).get("marginMode"))
        return _MARGINS.get(mode, mode)

    # --- orders -------------------------------------------------------------------------------------------------

    async def lookup(self, names: Sequence[str]) -> dict[str, OrderReport | None]:
        """Orders by our ids; absent are those that could not be asked for."""
        answers = await asyncio.gather(*(self._order(name) for name in names), return_exceptions=True)
        found: dict[str, OrderReport | None] = {}
        for name, answer in zip(names, answers, strict=True):
            if isinstance(answer, VenueError | ConnectivityError):
                log.warning("order %s could not be looked up: %s", name, answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found[name] = answer
        return found

    async def _order(self, name: str) -> OrderReport | None:
        """Open, then lately closed, then of the past: an order that ends meanwhile is seen in one of them."""
        for where in self._places_of(name):
            for method, more in (
                ("get_open_orders", {**where, "openOnly": 0}),
                ("get_open_orders", {**where, "openOnly": 1}),
                ("get_order_history", where),
            ):
                rows = (await self._rest.ask(method, **more, orderLinkId=name)).get("list")
                if not isinstance(rows, list):
                    raise Unreadable(f"Bybit's answer to {method} has no list")
                for row in rows:
                    if row.get("orderLinkId") == name:
                        return self._report(row, where["category"])
        return None

    def _places_of(self, name: str) -> list[dict[str, Any]]:
        """Where to look for an order: at its own symbol if that is known, else everywhere."""
        instrument = self._listing.find(self._known.instruments.get(name, ""))
        if instrument is None:
            return self._everywhere()
        return [{"category": instruments.product_of(instrument.symbol), "symbol": instrument.native}]

    def _report(self, row: Mapping[str, Any], product: str) -> OrderReport:
        return report_of(row, product, self._listing, self._known)

    async def cancel_all(self, name: str, before_ns: int) -> None:
        """Every order of an instrument, or of all. Raises the first error, after all were asked."""
        errors: list[Exception] = []
        for where in commands.cancel_all(self._listing, name, self.products):
            try:
                await self._rest.ask("cancel_all_orders", before_ns=before_ns, **where)
            except (VenueError, ConnectivityError) as error:
                errors.append(error)
        if errors:
            raise errors[0]

    # --- executions ---------------------------------------------------------------------------------------------

    async def fills(self, since_ns: int) -> list[FillReport]:
        """Executions since then, oldest first. Raises as `Rest.ask` does."""
        found = [
            self._reports.fill(row, product)
            for product in self.products
            for row in await self._executions(product, since_ns)
            if row.exec_type != FUNDING
        ]
        return sorted(found, key=lambda fill: fill.event_ns)

    async def fundings(self, since_ns: int) -> list[ExecutionRow]:
        """What was paid since then, oldest first. Raises as `Rest.ask` does."""
        if LINEAR not in self.products:
            return []
        return await self._executions(LINEAR, since_ns, execType=FUNDING)

    async def _executions(self, product: str, since_ns: int, **more: str) -> list[ExecutionRow]:
        """A list reaches over seven days at most, so a longer time is asked for in parts."""
        now = self._rest.clock.now() + _SECOND_NS
        begin = max(since_ns, now - _KEPT_NS)
        found: list[ExecutionRow] = []
        while begin < now:
            end = min(begin + _WEEK_NS, now)
            rows = await self._rest.pages(
                "get_executions", category=product, startTime=begin // 1_000_000, endTime=end // 1_000_000,
                limit=_FILLS_PAGE, **more,
            )  # fmt: skip
            try:
                found += reversed(msgspec.convert(rows, list[ExecutionRow]))
            except msgspec.ValidationError as error:
                raise Unreadable(f"Bybit's list of executions cannot be read: {error}") from error
            begin = end
        return list({row.exec_id: row for row in found}.values())


async def listed(rest: Rest, products: Sequence[str]) -> list[Instrument]:
    """What can be traded of these products. Raises as `Rest.ask` does, and VenueError."""
    found: list[Instrument] = []
    for product in products:
        words = {"limit": _LIST_PAGE} if product == LINEAR else {}
        found += instruments.read(
            product, await rest.pages("get_instruments_info", category=product, **words)
        )
    return found


def _nowhere(report: object) -> None:
    """What is listed is returned, and not reported."""
