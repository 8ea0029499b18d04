"""The USD-M account, asked over HTTP.

https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from fairlead import ConfigurationError, Instrument, duration
from fairlead.ports import AccountChanged, FillReport, OrderReport, Snapshot
from fairlead_binance.asking import Asking, Paths, each, none_of
from fairlead_binance.commands import ALGO
from fairlead_binance.instruments import ZERO, Listing, natives, usdm_instruments
from fairlead_binance.known import Known
from fairlead_binance.rest import Rest
from fairlead_binance.spot_events import SIDES

_PATHS = Paths("v1/order", 1, "v1/allOrders", 5, "v1/userTrades", 5)
PERMISSION = "enableFutures"
_WEEK_MS = 7 * 86_400_000
_KEPT_MS = 180 * 86_400_000
"""How far back trades are listed."""

_ALGO_OPEN = frozenset({"NEW"})
_STOPS = frozenset({"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"})
_OVERLAP_NS = duration("1m")


class UsdmAccount:
    """Answers about one USD-M account that trades `symbols`."""

    def __init__(self, rest: Rest, listing: Listing, known: Known, symbols: Sequence[str]) -> None:
        self._rest = rest
        self._listing = listing
        self._known = known
        self._asking = _UsdmAsking(rest, listing, known, natives(symbols), _PATHS)

    async def instruments(self) -> list[Instrument]:
        """What the symbols are, with the account's leverage. Raises as `Rest.ask` does."""
        info, settings, brackets = await asyncio.gather(
            self._rest.ask("get", "v1/exchangeInfo", signed=False),
            self._rest.ask("get", "v1/symbolConfig", weight=5),
            self._rest.ask("get", "v1/leverageBracket"),
        )
        leverage = {row["symbol"]: int(row["leverage"]) for row in settings}
        keep = {row["symbol"]: Decimal(str(row["brackets"][0]["maintMarginRatio"])) for row in brackets}
        return usdm_instruments(info, leverage, keep)

    async def check(self) -> str:
        """Refuse hedge mode and an account that cannot trade; gives Binance's id of it. Raises ConfigurationError."""
        config = await self._rest.ask("get", "v1/accountConfig", weight=5)
        if not config["canTrade"]:
            raise ConfigurationError(
                "this Binance account may not trade futures: ask Binance why, or use another"
            )
        if config["dualSidePosition"]:
            raise ConfigurationError(
                "this Binance account is in hedge mode, and an engine needs one position in each instrument: close its "
                "positions, and choose one-way mode in Binance's preferences for futures"
            )
        if config["multiAssetsMargin"]:
            raise ConfigurationError(
                "this Binance account is in multi-assets mode, in which other coins are margin too and equity cannot "
                "be told: choose single-asset mode in Binance's preferences for futures"
            )
        balances = await self._rest.ask("get", "v3/balance", weight=5)
        return str(balances[0].get("accountAlias", "")) if balances else ""

    async def snapshot(self) -> Snapshot:
        """Wallet balances, positions, open orders, conditional ones too, and settings of what is traded."""
        balances, risks, orders, algos, config, settings = await asyncio.gather(
            self._rest.ask("get", "v3/balance", weight=5),
            self._rest.ask("get", "v3/positionRisk", weight=5),
            self._rest.ask("get", "v1/openOrders", weight=40),
            self._rest.ask("get", "v1/openAlgoOrders", weight=40),
            self._rest.ask("get", "v1/accountConfig", weight=5),
            self._rest.ask("get", "v1/symbolConfig", weight=5),
        )
        positions: dict[str, Decimal] = {}
        entries: dict[str, Decimal] = {}
        for row in risks:
            name, quantity = self._listing.id(row["symbol"]), Decimal(row["positionAmt"])
            if quantity:
                positions[name] = positions.get(name, ZERO) + quantity
                entries[name] = Decimal(row["entryPrice"])
        return Snapshot(
            orders=(
                *(self._asking.report(row) for row in orders),
                *(self._waiting(row) for row in algos if row["algoStatus"] in _ALGO_OPEN),
            ),
            positions=positions,
            balances={row["asset"]: Decimal(row["balance"]) for row in balances},
            entry_prices=entries,
            modes=self._modes(config, settings),
        )

    def _modes(self, config: Mapping[str, Any], settings: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        modes = {"position_mode": "hedged" if config["dualSidePosition"] else "net"}
        for row in settings:
            if row["symbol"] in self._asking.natives:
                name = self._listing.id(row["symbol"])
                modes[f"leverage {name}"] = str(row["leverage"])
                modes[f"margin_mode {name}"] = "cross" if row["marginType"] == "CROSSED" else "isolated"
        return modes

    def _waiting(self, row: Mapping[str, Any], actual: OrderReport | None = None) -> OrderReport:
        """A conditional order; `actual` is what it became when it was triggered."""
        name, instrument = row["clientAlgoId"], self._listing.id(row["symbol"])
        side, status = SIDES[row["side"]], row["algoStatus"]
        waits = status in _ALGO_OPEN
        self._known.order(name, instrument, side, waits=waits)
        if actual is not None:
            return actual
        return OrderReport(
            client_order_id=name,
            broker_order_id=f"{ALGO}{row['algoId']}",
            instrument=instrument,
            # One that is just being triggered is open; its number comes with the next look.
            open=waits or status in ("TRIGGERING", "TRIGGERED"),
            quantity=Decimal(row["quantity"]),
            filled_quantity=ZERO,
            status=status,
            side=side,
            limit_price=Decimal(row["price"]) or None,
            stop_price=Decimal(row["triggerPrice"]) or None,
        )

    async def lookup(self, names: Sequence[str]) -> Mapping[str, OrderReport | None]:
        """What Binance knows of these orders, conditional or not."""
        return await each(names, self._look_up)

    async def _look_up(self, name: str) -> OrderReport | None:
        first, then = self._look_up_order, self._look_up_algo
        if name in self._known.waits:
            first, then = then, first
        return await first(name) or await then(name)

    async def _look_up_order(self, name: str) -> OrderReport | None:
        for native in self._asking.symbols_of(name):
            row = await self._asking.order(native, origClientOrderId=name)
            if row is not None:
                return self._asking.report(row, name)
        return None

    async def _look_up_algo(self, name: str) -> OrderReport | None:
        row = await none_of(self._rest.ask("get", "v1/algoOrder", {"clientAlgoId": name}))
        if row is None:
            return None
        number = str(row.get("actualOrderId") or "")
        if not number.isdecimal() or number == "0":
            return self._waiting(row)
        self._known.number(row["symbol"], number, name)
        actual = await self._asking.order(row["symbol"], orderId=number)
        return self._waiting(row, None if actual is None else self._asking.report(actual, name))

    async def fills(self, since_ns: int) -> Sequence[FillReport]:
        """Our executions since then."""
        return await self._asking.fills(since_ns)

    async def cancel_all(self, native: str, before_ns: int) -> None:
        """Cancel what is open in one symbol, or in all of them, conditional orders too."""
        for listed, cancels in (("openOrders", "allOpenOrders"), ("openAlgoOrders", "algoOpenOrders")):
            rows = [] if native else await self._rest.ask("get", f"v1/{listed}", weight=40)
            for symbol in {native} if native else {row["symbol"] for row in rows}:
                await self._rest.ask("delete", f"v1/{cancels}", {"symbol": symbol}, before_ns=before_ns)

    async def arm(self, timeout_ns: int, symbols: Sequence[str], before_ns: int) -> None:
        """Set the dead-man switch of each symbol, or call it off with 0."""
        for symbol in symbols:
            words: dict[str, str | int] = {"symbol": symbol, "countdownTime": timeout_ns // 1_000_000}
            await self._rest.ask("post", "v1/countdownCancelAll", words, weight=10, before_ns=before_ns)

    async def incomes(self, since_ns: int, tell: Callable[[AccountChanged], None]) -> int:
        """Tell of funding since then that was not told yet, of which instrument; gives how far that is known."""
        since, until = (since_ns - _OVERLAP_NS) // 1_000_000, since_ns
        while True:
            rows = await self._rest.ask(
                "get",
                "v1/income",
                {"incomeType": "FUNDING_FEE", "startTime": max(since, 0), "limit": 1000},
                weight=30,
            )
            for row in rows:
                at = int(row["time"])
                key = str(row["tranId"]), row["symbol"]
                if self._known.pays(*key):
                    tell(self._funding(row))
                until = max(until, at * 1_000_000)
            if len(rows) < 1000:
                return until
            since = int(rows[-1]["time"])

    def _funding(self, row: Mapping[str, Any]) -> AccountChanged:
        return AccountChanged(
            cause="funding",
            currency=row["asset"],
            amount=Decimal(row["income"]),
            instrument=self._listing.id(row["symbol"]) if row["symbol"] else "",
            event_ns=int(row["time"]) * 1_000_000,
        )


class _UsdmAsking(Asking):
    """Trades of futures come by the week, and those of triggered orders by another name."""

    async def first_page(self, native: str, since_ms: int) -> list[Mapping[str, Any]]:
        """The first trades since then, week by week: no window may be longer."""
        now = self.rest.clock.now() // 1_000_000
        since_ms = max(since_ms, now - _KEPT_MS)
        while True:
            words = {"startTime": since_ms, "endTime": since_ms + _WEEK_MS - 1}
            found = await self.page(native, **words)
            since_ms += _WEEK_MS
            if found or since_ms > now:
                # A page that is full goes on by numbers; one that is not may be followed by other weeks.
                break
        if found and len(found) < 1000 and since_ms <= now:
            found += await self.page(native, fromId=found[-1]["id"] + 1)
        return found

    async def learn(self, native: str, row: Mapping[str, Any]) -> None:
        """Remember one order; one that was triggered goes by the name of its conditional order."""
        number = str(row["orderId"])
        if row.get("origType") in _STOPS and self.known.named(native, number) is None:
            algos = await self.rest.ask(
                "get", "v1/allAlgoOrders", {"symbol": native, "limit": 1000}, weight=5
            )
            for algo in algos:
                self.known.number(native, str(algo.get("actualOrderId") or ""), algo["clientAlgoId"])
        self.report(row)
