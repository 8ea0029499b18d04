"""The spot account, asked over HTTP.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/account-endpoints
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from fairlead import ConfigurationError, Instrument
from fairlead.ports import FillReport, OrderReport, Snapshot
from fairlead_binance.asking import Asking, Paths, decimal_of, each
from fairlead_binance.instruments import Listing, natives, spot_instruments
from fairlead_binance.known import Known
from fairlead_binance.rest import Rest

_PATHS = Paths("v3/order", 4, "v3/allOrders", 20, "v3/myTrades", 20)
PERMISSION = "enableSpotAndMarginTrading"
"""What a key needs, in the words of /sapi/v1/account/apiRestrictions."""


class SpotAccount:
    """Answers about one spot account that trades `symbols`."""

    def __init__(self, rest: Rest, listing: Listing, known: Known, symbols: Sequence[str]) -> None:
        self._rest = rest
        self._listing = listing
        self._asking = Asking(rest, listing, known, natives(symbols), _PATHS)

    async def instruments(self) -> list[Instrument]:
        """What the symbols are. Raises as `Rest.ask` does."""
        info = await spot_info(self._rest, self._asking.natives)
        rates = (await self._account())["commissionRates"]
        return spot_instruments(info, (Decimal(rates["maker"]), Decimal(rates["taker"])))

    async def _account(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = await self._rest.ask(
            "get", "v3/account", {"omitZeroBalances": "true"}, weight=20
        )
        return found

    async def check(self) -> str:
        """Refuse an account that cannot trade; gives Binance's id of it. Raises ConfigurationError."""
        account = await self._account()
        if not account["canTrade"]:
            raise ConfigurationError(
                "this Binance account may not trade spot: ask Binance why, or use another"
            )
        return str(account.get("uid", ""))

    async def snapshot(self) -> Snapshot:
        """Balances with what is locked, and every open order of the account."""
        account, rows = await asyncio.gather(
            self._account(), self._rest.ask("get", "v3/openOrders", weight=80)
        )
        balances = {row["asset"]: decimal_of(row, "free", "locked") for row in account["balances"]}
        return Snapshot(
            orders=tuple(self._asking.report(row) for row in rows), positions={}, balances=balances, modes={}
        )

    async def lookup(self, names: Sequence[str]) -> Mapping[str, OrderReport | None]:
        """What Binance knows of these orders."""
        return await each(names, self._look_up)

    async def _look_up(self, name: str) -> OrderReport | None:
        for native in self._asking.symbols_of(name):
            row = await self._asking.order(native, origClientOrderId=name)
            if row is not None:
                return self._asking.report(row, name)
        return None

    async def fills(self, since_ns: int) -> Sequence[FillReport]:
        """Our executions since then."""
        return await self._asking.fills(since_ns)

    async def cancel_all(self, native: str, before_ns: int) -> None:
        """Cancel what is open in one symbol, or in all of them."""
        rows = [] if native else await self._rest.ask("get", "v3/openOrders", weight=80)
        for symbol in {native} if native else {row["symbol"] for row in rows}:
            await self._rest.ask("delete", "v3/openOrders", {"symbol": symbol}, before_ns=before_ns)

    async def arm(self, timeout_ns: int, symbols: Sequence[str], before_ns: int) -> None:
        """Spot has no dead-man switch."""
        raise ConfigurationError("Binance has no dead-man switch for spot")


async def spot_info(rest: Rest, wanted: Sequence[str]) -> Mapping[str, Any]:
    """exchangeInfo of some symbols, or of all."""
    # The SDK writes a query as it is given: JSON has to be percent-encoded before.
    some = msgspec.json.encode(list(wanted)).decode().translate({34: "%22", 91: "%5B", 93: "%5D"})
    words = {"symbols": some} if wanted else {}
    found: Mapping[str, Any] = await rest.ask("get", "v3/exchangeInfo", words, weight=20, signed=False)
    return found
