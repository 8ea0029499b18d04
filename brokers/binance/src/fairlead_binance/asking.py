"""What both products ask alike: orders by name, trades page by page, and whose trades they are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from fairlead import ConnectivityError, Liquidity, VenueError
from fairlead.ports import FillReport, OrderReport
from fairlead_binance.codes import UNKNOWN_ORDER, Refusal
from fairlead_binance.instruments import ZERO, Listing, trimmed
from fairlead_binance.known import Known
from fairlead_binance.rest import Rest
from fairlead_binance.spot_events import SIDES

log = logging.getLogger("fairlead.binance")

PAGE = 1000
_AT_ONCE = 8
OPEN = frozenset({"NEW", "PARTIALLY_FILLED", "PENDING_NEW", "PENDING_CANCEL"})


class Paths(NamedTuple):
    """Where a product answers, and what that weighs."""

    order: str
    order_weight: int
    all_orders: str
    all_orders_weight: int
    trades: str
    trades_weight: int


class Asking:
    """Asks about one account's orders and trades in `natives`, the symbols that it trades, by Binance's names."""

    def __init__(
        self, rest: Rest, listing: Listing, known: Known, natives: Sequence[str], paths: Paths
    ) -> None:
        self.rest = rest
        self.listing = listing
        self.known = known
        self.natives = natives
        self._paths = paths

    def symbols_of(self, name: str) -> Sequence[str]:
        """Where to look for an order: at its own symbol if that is known, else at each that is traded."""
        instrument = self.known.instrument(name)
        found = None if instrument is None else self.listing.find(instrument)
        return self.natives if found is None else [found.native]

    async def order(self, native: str, **which: str) -> Mapping[str, Any] | None:
        """One order of a symbol; None where Binance says that there is none. Raises Refusal or ConnectivityError."""
        found: Mapping[str, Any] | None = await none_of(
            self.rest.ask(
                "get", self._paths.order, {"symbol": native, **which}, weight=self._paths.order_weight
            )
        )
        return found

    def report(self, row: Mapping[str, Any], name: str = "") -> OrderReport:
        """An order as Binance shows it."""
        native, number = row["symbol"], str(row["orderId"])
        named = name or self.known.ours(native, number, row["clientOrderId"])
        side, instrument = SIDES[row["side"]], self.listing.id(native)
        self.known.order(named, instrument, side)
        self.known.number(native, number, named)
        filled, worth = Decimal(row["executedQty"]), self._worth(row)
        return OrderReport(
            client_order_id=named,
            broker_order_id=number,
            instrument=instrument,
            open=row["status"] in OPEN,
            quantity=trimmed(Decimal(row["origQty"])),
            filled_quantity=trimmed(filled),
            status=row["status"],
            average_price=worth / filled if filled and worth > 0 else None,
            side=side,
            limit_price=Decimal(row["price"]) or None,
            stop_price=Decimal(row.get("stopPrice") or "0") or None,
        )

    @staticmethod
    def _worth(row: Mapping[str, Any]) -> Decimal:
        """What has filled was worth; below 0 for orders so old that Binance does not know."""
        return Decimal(row.get("cummulativeQuoteQty") or row.get("cumQuote") or "0")

    # --- trades -------------------------------------------------------------------------------------------------

    async def trades(self, native: str, since_ms: int) -> list[Mapping[str, Any]]:
        """Our trades of a symbol since then, oldest first, all pages of them."""
        found: list[Mapping[str, Any]] = []
        page = await self.first_page(native, since_ms)
        while page:
            found += page
            if len(page) < PAGE:
                break
            page = await self.page(native, fromId=page[-1]["id"] + 1)
        return found

    async def first_page(self, native: str, since_ms: int) -> list[Mapping[str, Any]]:
        """The first trades since then."""
        return await self.page(native, startTime=since_ms)

    async def page(self, native: str, **words: int) -> list[Mapping[str, Any]]:
        """One page of our trades."""
        paths = self._paths
        found: list[Mapping[str, Any]] = await self.rest.ask(
            "get", paths.trades, {"symbol": native, "limit": PAGE, **words}, weight=paths.trades_weight
        )
        return found

    async def fills(self, since_ns: int) -> list[FillReport]:
        """Our executions since then in every symbol that is traded, oldest first."""
        pages = await asyncio.gather(*(self.trades(native, since_ns // 1_000_000) for native in self.natives))
        found: list[FillReport] = []
        for native, rows in zip(self.natives, pages, strict=True):
            await self._name(native, {str(row["orderId"]) for row in rows})
            found += [self._fill(native, row) for row in rows]
        return sorted(found, key=lambda fill: fill.event_ns)

    async def _name(self, native: str, numbers: Iterable[str]) -> None:
        """Find out what we call the orders with these numbers: a list of trades does not say."""
        strange = sorted(int(number) for number in numbers if self.known.named(native, number) is None)
        if not strange:
            return
        paths, first = self._paths, strange[0]
        while first <= strange[-1]:
            rows = await self.rest.ask(
                "get",
                paths.all_orders,
                {"symbol": native, "orderId": first, "limit": PAGE},
                weight=paths.all_orders_weight,
            )
            for row in rows:
                await self.learn(native, row)
            if not rows:
                break
            first = max(int(row["orderId"]) for row in rows) + 1

    async def learn(self, native: str, row: Mapping[str, Any]) -> None:
        """Remember one order."""
        self.report(row)

    def _fill(self, native: str, row: Mapping[str, Any]) -> FillReport:
        number = str(row["orderId"])
        buys = row["isBuyer"] if "isBuyer" in row else row["buyer"]
        makes = row["isMaker"] if "isMaker" in row else row["maker"]
        name = self.known.named(native, number)
        if name is None:
            log.warning("Binance lists a trade of its order %s, and no such order", number)
        return FillReport(
            client_order_id=name or f"{native}-{number}",
            event_ns=int(row["time"]) * 1_000_000,
            fill_id=f"{native}:{row['id']}",
            instrument=self.listing.id(native),
            side=SIDES["BUY" if buys else "SELL"],
            quantity=trimmed(Decimal(row["qty"])),
            price=trimmed(Decimal(row["price"])),
            fee=trimmed(Decimal(row["commission"])),
            fee_currency=row["commissionAsset"],
            liquidity=Liquidity.MAKER if makes else Liquidity.TAKER,
        )


async def none_of(asked: Awaitable[Any]) -> Any:
    """The answer, or None where it says that there is no such order."""
    try:
        return await asked
    except Refusal as refusal:
        if refusal.number in UNKNOWN_ORDER and refusal.status < 500:
            return None
        raise


async def each(
    names: Sequence[str], one: Callable[[str], Awaitable[OrderReport | None]]
) -> dict[str, OrderReport | None]:
    """The answer for each name, some at a time; a name is absent where there was none."""
    turns, found = asyncio.Semaphore(_AT_ONCE), dict[str, OrderReport | None]()

    async def run(name: str) -> None:
        async with turns:
            try:
                found[name] = await one(name)
            except (ConnectivityError, VenueError) as error:
                log.warning("what became of %s could not be asked: %s", name, error)

    await asyncio.gather(*(run(name) for name in names))
    return found


def decimal_of(row: Mapping[str, Any], *names: str) -> Decimal:
    """The sum of some fields."""
    return sum((Decimal(row[name]) for name in names), ZERO)
