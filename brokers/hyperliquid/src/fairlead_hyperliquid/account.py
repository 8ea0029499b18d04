"""What Hyperliquid answers about an account: its state, its orders, its executions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from fairlead import FairleadError, Instrument, VenueError
from fairlead.ports import FillReport, OrderReport, Snapshot
from fairlead_hyperliquid.commands import Unsendable, cloid_of, id_of
from fairlead_hyperliquid.frames import Basic, Fill, Status
from fairlead_hyperliquid.instruments import MONEY, ZERO, Listing, listed
from fairlead_hyperliquid.known import Known
from fairlead_hyperliquid.places import SPOT
from fairlead_hyperliquid.reports import MS, fill_id, fill_report, order_report
from fairlead_hyperliquid.rest import Rest

_PAGE = 2000


class _Leverage(msgspec.Struct):
    type: str
    value: int


class _Position(msgspec.Struct, rename="camel"):
    coin: str
    szi: Decimal
    entry_px: Decimal | None
    unrealized_pnl: Decimal
    leverage: _Leverage


class _Held(msgspec.Struct):
    position: _Position


class _Margin(msgspec.Struct, rename="camel"):
    account_value: Decimal


class _State(msgspec.Struct, rename="camel"):
    asset_positions: list[_Held]
    margin_summary: _Margin


class _Balance(msgspec.Struct):
    coin: str
    total: Decimal


class _Balances(msgspec.Struct):
    balances: list[_Balance]


class Account:
    """Questions about one account and product; everything raises ConnectivityError or VenueError."""

    def __init__(self, rest: Rest, address: str, product: str, listing: Listing, known: Known) -> None:
        self._rest = rest
        self._address = address
        self._spot = product == SPOT
        self._product = product
        self._listing = listing
        self._known = known

    async def list(self, *, fees: bool) -> None:
        """Learn what is listed; with the account's own fees where it has them."""
        kind = "spotMetaAndAssetCtxs" if self._spot else "metaAndAssetCtxs"
        rates = await self._fees() if fees else None
        self._listing.learn(listed(self._product, await self._rest.ask(kind), rates))

    async def _fees(self) -> tuple[Decimal, Decimal]:
        row = await self._rest.ask("userFees", user=self._address)
        names = ("userSpotAddRate", "userSpotCrossRate") if self._spot else ("userAddRate", "userCrossRate")
        try:
            return Decimal(row[names[0]]), Decimal(row[names[1]])
        except (KeyError, TypeError, ArithmeticError) as error:
            raise VenueError(f"Hyperliquid's fees cannot be read: {error!r}") from None

    async def role(self, address: str) -> Mapping[str, Any]:
        """What an address is there."""
        found: Mapping[str, Any] = await self._rest.ask("userRole", user=address)
        return found

    async def agents(self) -> Sequence[Mapping[str, Any]]:
        """The agent wallets that have a name."""
        found: Sequence[Mapping[str, Any]] = await self._rest.ask("extraAgents", user=self._address)
        return found

    # --- the whole ----------------------------------------------------------------------------------------------

    async def snapshot(self) -> Snapshot:
        """The account as a whole: open orders, positions, money."""
        kind = "spotClearinghouseState" if self._spot else "clearinghouseState"
        state, rows = await asyncio.gather(
            self._rest.ask(kind, user=self._address), self._rest.ask("frontendOpenOrders", user=self._address)
        )
        orders = tuple(self._open(_convert(rows, list[Basic])))
        if self._spot:
            found = _convert(state, _Balances).balances
            return Snapshot(
                orders=orders, positions={}, balances={row.coin: row.total for row in found}, modes={}
            )
        return self._perps(orders, _convert(state, _State))

    def _perps(self, orders: tuple[OrderReport, ...], state: _State) -> Snapshot:
        positions: dict[str, Decimal] = {}
        entries: dict[str, Decimal] = {}
        modes = {"position_mode": "net"}
        for held in (row.position for row in state.asset_positions):
            rule = self._listing.of_coin(held.coin)
            if rule is None or not held.szi:
                continue
            positions[rule.id] = held.szi
            modes |= {
                f"leverage {rule.id}": str(held.leverage.value),
                f"margin_mode {rule.id}": held.leverage.type,
            }
            if held.entry_px is not None:
                entries[rule.id] = held.entry_px
        profit = sum((row.position.unrealized_pnl for row in state.asset_positions), ZERO)
        cash = state.margin_summary.account_value - profit
        return Snapshot(
            orders=orders, positions=positions, balances={MONEY: cash}, entry_prices=entries, modes=modes
        )

    def _open(self, rows: Sequence[Basic]) -> Sequence[OrderReport]:
        found = []
        for row in rows:
            report = self._report(row, "open")
            if report is not None:
                found.append(report)
        return found

    def _report(self, row: Basic, status: str) -> OrderReport | None:
        name = id_of(row.cloid, row.oid)
        self._known.number(row.oid, name)
        before, told = self._known.before(name, row.oid), self._known.filled(row.oid)
        return order_report(self._listing, row, status, before, told)

    async def open_numbers(self, instrument: Instrument | None) -> Sequence[tuple[int, int]]:
        """Open orders of the account, or of one instrument: the number of their asset and their own."""
        rows = _convert(await self._rest.ask("openOrders", user=self._address), list[Basic])
        found = []
        for row in rows:
            rule = self._listing.of_coin(row.coin)
            if rule is not None and instrument in (None, rule):
                found.append((self._listing.number(rule.id), row.oid))
        return found

    # --- orders -------------------------------------------------------------------------------------------------

    async def lookup(self, names: Sequence[str]) -> Mapping[str, OrderReport | None]:
        """What is known of these orders; those that could not be asked for are left out."""
        answers = await asyncio.gather(*(self._look_up(name) for name in names), return_exceptions=True)
        found: dict[str, OrderReport | None] = {}
        for name, answer in zip(names, answers, strict=True):
            if not isinstance(answer, BaseException):
                found[name] = answer
            elif not isinstance(answer, FairleadError):
                raise answer
        return found

    async def _look_up(self, name: str) -> OrderReport | None:
        try:
            wanted: str | int = int(name[3:]) if name.startswith("hl-") else cloid_of(name)
        except (ValueError, Unsendable):
            return None
        status = await self.status(wanted)
        if status.order is None:
            return None
        return self._report(status.order.order, status.order.status)

    async def status(self, wanted: str | int) -> Status:
        """An order by its cloid, the newest that has it, or by its number."""
        found: Status = _convert(await self._rest.ask("orderStatus", user=self._address, oid=wanted), Status)
        return found

    async def name(self, number: int) -> str:
        """Whose a number is: by memory, or asked for."""
        known = self._known.name(number)
        if known is not None:
            return known
        found = await self.status(number)
        name = id_of(found.order.order.cloid if found.order is not None else None, number)
        self._known.number(number, name)
        return name

    # --- executions ---------------------------------------------------------------------------------------------

    async def fills(self, since_ns: int) -> Sequence[FillReport]:
        """Executions since then, oldest first."""
        since, rows, seen = since_ns // MS, list[Fill](), set[str]()
        while True:
            page = _convert(
                await self._rest.ask("userFillsByTime", user=self._address, startTime=since), list[Fill]
            )
            new = [row for row in page if fill_id(row) not in seen]
            seen |= {fill_id(row) for row in new}
            rows += new
            if len(page) < _PAGE or not new:
                break
            since = max(row.time for row in page)
        found = [await self.report(row) for row in sorted(rows, key=lambda row: (row.time, row.tid))]
        return [report for report in found if report is not None and report.event_ns >= since_ns // MS * MS]

    async def report(self, fill: Fill) -> FillReport | None:
        """An execution, with our id; it is asked for where neither the execution nor the memory has it."""
        if self._listing.of_coin(fill.coin) is None:
            return None
        if fill.cloid is not None:
            self._known.number(fill.oid, id_of(fill.cloid, fill.oid))
        name = await self.name(fill.oid)
        self._known.fill(fill_id(fill), fill.oid, fill.sz)
        return fill_report(self._listing, fill, name, self._address)


def _convert(answer: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(answer, kind, strict=False)
    except msgspec.ValidationError as error:
        raise VenueError(f"Hyperliquid's answer cannot be read: {error}") from None
