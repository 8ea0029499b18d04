"""Hyperliquid's lists of what is traded, as instruments.

https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/tick-and-lot-size: a price has five significant
figures and at most 6 (spot: 8) less szDecimals decimals; whole numbers always pass. So the grid of prices
depends on the price: an instrument's tick is that of its present mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import msgspec

from fairlead import ConfigurationError, Contract, Instrument, Side, VenueError
from fairlead_hyperliquid.places import SPOT

ZERO = Decimal(0)
VENUE = "hyperliquid"
MONEY = "USDC"
_FIRST_SPOT = 10_000
_PLACES = {True: 6, False: 8}
_FIGURES = 5
_FEES = {True: ("0.00015", "0.00045"), False: ("0.0004", "0.0007")}


class _Perp(msgspec.Struct, rename="camel"):
    name: str
    sz_decimals: int
    max_leverage: int = 1
    is_delisted: bool = False


class _Perps(msgspec.Struct):
    universe: list[_Perp]


class _Token(msgspec.Struct, rename="camel"):
    name: str
    index: int
    sz_decimals: int


class _Pair(msgspec.Struct):
    name: str
    tokens: tuple[int, int]
    index: int


class _Pairs(msgspec.Struct):
    universe: list[_Pair]
    tokens: list[_Token]


class _Context(msgspec.Struct, rename="camel"):
    mark_px: Decimal = ZERO
    coin: str = ""


def listed(
    product: str, answer: Any, fees: tuple[Decimal, Decimal] | None = None
) -> list[tuple[Instrument, int]]:
    """Instruments with their numbers, from `metaAndAssetCtxs` or its spot form. Raises VenueError.

    `fees` are maker's and taker's; those of the lowest tier where they are not known.
    """
    try:
        meta, contexts = answer
        marks = msgspec.convert(contexts, list[_Context], strict=False)
        rates = fees or tuple(Decimal(text) for text in _FEES[product != SPOT])
        if product == SPOT:
            by_coin = {mark.coin: mark.mark_px for mark in marks}
            return list(_spot(msgspec.convert(meta, _Pairs), by_coin, rates))
        return list(_perps(msgspec.convert(meta, _Perps), marks, rates))
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        raise VenueError(f"Hyperliquid's list of instruments cannot be read: {error}") from None


def _perps(
    meta: _Perps, marks: Sequence[_Context], fees: Sequence[Decimal]
) -> Iterator[tuple[Instrument, int]]:
    for number, (row, mark) in enumerate(zip(meta.universe, marks, strict=True)):
        if row.is_delisted:
            continue
        margin = 1 / Decimal(max(1, row.max_leverage))
        yield Instrument(
            symbol=f"{row.name}/{MONEY}:{MONEY}", venue=VENUE, base=row.name, quote=MONEY, settle=MONEY,
            native=row.name, contract=Contract.LINEAR, initial_margin=margin, maintenance_margin=margin / 2,
            **_grid(row.sz_decimals, mark.mark_px, fees, perps=True),
        ), number  # fmt: skip


def _spot(
    meta: _Pairs, marks: dict[str, Decimal], fees: Sequence[Decimal]
) -> Iterator[tuple[Instrument, int]]:
    tokens = {token.index: token for token in meta.tokens}
    for row in meta.universe:
        base, quote = tokens[row.tokens[0]], tokens[row.tokens[1]]
        yield Instrument(
            symbol=f"{base.name}/{quote.name}", venue=VENUE, base=base.name, quote=quote.name, settle=quote.name,
            native=row.name, **_grid(base.sz_decimals, marks.get(row.name, ZERO), fees, perps=False),
        ), _FIRST_SPOT + row.index  # fmt: skip


def _grid(decimals: int, mark: Decimal, fees: Sequence[Decimal], *, perps: bool) -> dict[str, Any]:
    lot = Decimal(1).scaleb(-decimals)
    return {
        "lot": lot, "min_quantity": lot, "min_notional": Decimal(10), "tick": tick_of(mark, decimals, perps=perps),
        "maker_fee": fees[0], "taker_fee": fees[1],
    }  # fmt: skip


def tick_of(price: Decimal, decimals: int, *, perps: bool) -> Decimal:
    """The distance between two prices that are taken, about here."""
    finest = decimals - _PLACES[perps]
    exponent = max(finest, price.adjusted() - _FIGURES + 1) if price else finest
    return Decimal(1).scaleb(min(0, exponent))


def fits(price: Decimal, rule: Instrument) -> bool:
    """Whether Hyperliquid takes a price."""
    if price == price.to_integral_value():
        return True
    return not price % tick_of(price, _decimals(rule.lot), perps=not rule.spot)


def within(price: Decimal, rule: Instrument, side: Side) -> Decimal:
    """The nearest price that is taken and no worse for its owner."""
    grid = tick_of(price, _decimals(rule.lot), perps=not rule.spot)
    rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
    return (price / grid).to_integral_value(rounding) * grid


def _decimals(lot: Decimal) -> int:
    return -lot.normalize().adjusted()


class Listing:
    """What is listed, by our names and theirs."""

    def __init__(self) -> None:
        self._by_id: dict[str, Instrument] = {}
        self._by_coin: dict[str, Instrument] = {}
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._by_id.values())

    def learn(self, rows: Iterable[tuple[Instrument, int]]) -> None:
        """Take a list; of pairs with one name the first is the one."""
        for instrument, number in rows:
            if self._numbers.get(instrument.id, number) == number:
                self._by_id[instrument.id] = self._by_coin[instrument.native] = instrument
                self._numbers[instrument.id] = number

    def of_coin(self, coin: str) -> Instrument | None:
        """What they call so."""
        return self._by_coin.get(coin)

    def find(self, name: str) -> Instrument | None:
        """A symbol or a long form."""
        return self._by_id.get(name) or self._by_id.get(f"{name}@{VENUE}")

    def rule(self, name: str) -> Instrument:
        """An instrument by its long form. Raises ConfigurationError."""
        found = self._by_id.get(name)
        if found is None:
            raise ConfigurationError(f"Hyperliquid does not list {name}: check the symbol")
        return found

    def number(self, name: str) -> int:
        """Its number on the wire. Raises ConfigurationError."""
        return self._numbers[self.rule(name).id]

    def chosen(self, symbols: Sequence[str], environment: str) -> list[Instrument]:
        """Those of the symbols, or all. Raises ConfigurationError for one that is not listed."""
        found = []
        for symbol in symbols:
            instrument = self.find(symbol)
            if instrument is None:
                some = ", ".join(instrument.symbol for instrument in list(self)[:6]) or "nothing"
                raise ConfigurationError(
                    f"Hyperliquid's {environment} does not list {symbol}: there are {some}, ...; check the symbol"
                )
            found.append(instrument)
        return found or list(self)
