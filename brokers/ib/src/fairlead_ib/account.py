"""The account as IB sees it: orders open and done, positions, cash."""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import Any

from fairlead import ConnectivityError, Side, VenueError
from fairlead.ports import OrderReport, Snapshot
from fairlead_ib.gateway import Gateway
from fairlead_ib.instruments import Listing, exact

log = logging.getLogger("fairlead.ib")

_CLOSED = frozenset({"Filled", "Cancelled", "ApiCancelled"})
_FAR = 1e300


class Account:
    """Questions about one account."""

    def __init__(self, gateway: Gateway, listing: Listing, number: str) -> None:
        self._gateway = gateway
        self._listing = listing
        self._number = number

    async def executions(self) -> list[Any]:
        """Today's executions, as contract and execution. Raises ConnectivityError or VenueError."""
        chosen = self._gateway.sdk.ExecutionFilter(acctCode=self._number)
        return await self._gateway.ask(lambda number: self._gateway.client.reqExecutions(number, chosen))

    async def bind(self) -> None:
        """Hear again of the orders that this client has there. Raises ConnectivityError."""
        await self._gateway.ask_once("orders", self._gateway.client.reqOpenOrders)

    async def open_orders(self) -> list[OrderReport]:
        """All open orders, by whomever. Raises ConnectivityError."""
        told = await self._gateway.ask_once("orders", self._gateway.client.reqAllOpenOrders)
        status = {perm_id: row for kind, perm_id, row in told if kind == "status"}
        shown = {perm_id: row for kind, perm_id, row in told if kind == "order"}
        return [
            found
            for perm_id, (contract, order, state) in shown.items()
            if (found := self._report(contract, order, *status.get(perm_id, (state.status, 0.0, 0.0))))
            is not None
        ]

    async def completed(self) -> list[OrderReport]:
        """The orders that ended today. Raises ConnectivityError."""
        client = self._gateway.client
        told = await self._gateway.ask_once("completed", lambda: client.reqCompletedOrders(False))
        return [
            found
            for contract, order, state in told
            if (found := self._report(contract, order, state.status, order.filledQuantity, 0.0)) is not None
        ]

    def _report(
        self, contract: Any, order: Any, status: str, filled: float, average: float
    ) -> OrderReport | None:
        known = self._listing.numbered(contract)
        if known is None or order.account not in ("", self._number):
            return None
        limited, stopped = order.orderType in ("LMT", "STP LMT"), order.orderType in ("STP", "STP LMT")
        return OrderReport(
            client_order_id=order.orderRef, broker_order_id=str(order.permId), instrument=known.instrument.id,
            open=status not in _CLOSED, quantity=exact(order.totalQuantity),
            filled_quantity=exact(filled) if filled < _FAR else Decimal(0), status=status,
            average_price=exact(average) if average else None,
            side=Side.BUY if order.action == "BUY" else Side.SELL,
            limit_price=exact(order.lmtPrice) if limited else None,
            stop_price=exact(order.auxPrice) if stopped else None,
        )  # fmt: skip

    async def snapshot(self) -> Snapshot:
        """All of it; a part that was not answered is None."""
        orders = await _part(self.open_orders())
        held = await _part(self._held())
        cash = await _part(self._cash())
        positions = {name: quantity for name, (quantity, _, _) in held.items()} if held is not None else None
        entries = {name: price for name, (_, price, _) in (held or {}).items()}
        if held is None or cash is None:
            balances = None
        else:
            # A share that is held is a balance of its own name, as everything spot is.
            shares = {code: quantity for quantity, _, code in held.values() if code}
            balances = {**cash, **shares}
        return Snapshot(
            orders=None if orders is None else tuple(orders), positions=positions, balances=balances,
            entry_prices=entries,
        )  # fmt: skip

    async def _held(self) -> dict[str, tuple[Decimal, Decimal, str]]:
        rows = await self._gateway.ask_once("positions", self._gateway.client.reqPositions)
        self._gateway.client.cancelPositions()
        found = {}
        for account, contract, quantity, cost in rows:
            known = self._listing.numbered(contract)
            if known is not None and account == self._number and quantity:
                price = exact(cost) / known.instrument.contract_size
                code = known.instrument.base if known.stock else ""
                found[known.instrument.id] = (exact(quantity), price, code)
        return found

    async def _cash(self) -> dict[str, Decimal]:
        client = self._gateway.client
        rows = await self._gateway.ask(
            lambda number: client.reqAccountUpdatesMulti(number, self._number, "", False)
        )
        found = {}
        for account, _, key, value, currency in rows:
            if account == self._number and key == "CashBalance" and currency != "BASE":
                found[currency] = Decimal(value)
        return found


async def _part(question: Any) -> Any:
    try:
        return await question
    except (ConnectivityError, VenueError) as error:
        log.warning("a part of the account could not be had: %s", error)
        return None
