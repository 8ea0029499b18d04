"""What Bybit lists as instruments, exactly: https://bybit-exchange.github.io/docs/v5/market/instrument"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import attrs

from fairlead import ConfigurationError, Contract, Instrument, VenueError

VENUE = "bybit"
SPOT, LINEAR = "spot", "linear"
ZERO = Decimal(0)
_FEES = {SPOT: (Decimal("0.001"), Decimal("0.001")), LINEAR: (Decimal("0.0002"), Decimal("0.00055"))}
"""Of an account without a discount, maker and taker: https://www.bybit.com/en/help-center/article/Trading-Fee-Structure"""


def product_of(symbol: str) -> str:
    """The category of a symbol such as BTC/USDT or BTC/USDT:USDT, long forms too."""
    return LINEAR if ":" in symbol else SPOT


class Listing:
    """The instruments of both products, by Bybit's names and by ours."""

    def __init__(self) -> None:
        self._by_native: dict[tuple[str, str], Instrument] = {}
        self._by_id: dict[str, Instrument] = {}

    def learn(self, instruments: Iterable[Instrument]) -> None:
        """Know these, in the place of what was known of them."""
        for instrument in instruments:
            self._by_native[product_of(instrument.symbol), instrument.native] = instrument
            self._by_id[instrument.id] = instrument

    def __iter__(self) -> Iterator[Instrument]:
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)

    def id(self, product: str, native: str) -> str:
        """Our long form; of what is not listed a name that nobody trades, so that it is seen and not lost."""
        found = self._by_native.get((product, native))
        return found.id if found is not None else f"{native}.{product}@{VENUE}"

    def get(self, name: str) -> Instrument:
        """An instrument by its long form. Raises KeyError."""
        return self._by_id[name]

    def find(self, name: str) -> Instrument | None:
        """An instrument by its long form or its symbol."""
        return self._by_id.get(name) or next(
            (one for one in self._by_id.values() if one.symbol == name), None
        )

    def chosen(self, symbols: Sequence[str], environment: str) -> list[Instrument]:
        """Those of the symbols, in their order. Raises ConfigurationError for one that is not listed."""
        found = []
        for symbol in symbols:
            instrument = self.find(symbol)
            if instrument is None:
                near = [one.symbol for one in self if one.base == symbol.split("/")[0]]
                known = ", ".join((near or [one.symbol for one in self])[:8]) or "nothing"
                raise ConfigurationError(
                    f"Bybit's {environment} does not trade {symbol!r} (it has {known}): check the symbol"
                )
            found.append(instrument)
        return found


def read(product: str, rows: Sequence[Mapping[str, Any]]) -> list[Instrument]:
    """Those that can be traded now. Raises VenueError for what cannot be read."""
    made = _spot if product == SPOT else _linear
    try:
        return [made(row) for row in rows if row["status"] == "Trading" and _is_ours(product, row)]
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        raise VenueError(f"Bybit's instruments-info cannot be read: {error!r}") from error


def with_fees(instrument: Instrument, maker: str, taker: str) -> Instrument:
    """The same with an account's own fees."""
    return attrs.evolve(instrument, maker_fee=_trimmed(maker), taker_fee=_trimmed(taker))


def _is_ours(product: str, row: Mapping[str, Any]) -> bool:
    return product == SPOT or row["contractType"] in ("LinearPerpetual", "LinearFutures")


def _spot(row: Mapping[str, Any]) -> Instrument:
    lot = row["lotSizeFilter"]
    base, quote = row["baseCoin"], row["quoteCoin"]
    sizes = [lot[name] for name in ("maxLimitOrderQty", "maxMarketOrderQty", "maxOrderQty") if lot.get(name)]
    maker, taker = _FEES[SPOT]
    return Instrument(
        symbol=f"{base}/{quote}", venue=VENUE, base=base, quote=quote, settle=quote, native=row["symbol"],
        tick=_trimmed(row["priceFilter"]["tickSize"]), lot=_trimmed(lot["basePrecision"]),
        min_quantity=_trimmed(lot.get("minOrderQty") or "0"), max_quantity=_least(sizes),
        min_notional=_trimmed(lot.get("minOrderAmt") or "0"), maker_fee=maker, taker_fee=taker,
    )  # fmt: skip


def _linear(row: Mapping[str, Any]) -> Instrument:
    lot = row["lotSizeFilter"]
    base, quote, settle = row["baseCoin"], row["quoteCoin"], row["settleCoin"]
    sizes = [lot[name] for name in ("maxOrderQty", "maxMktOrderQty") if lot.get(name)]
    maker, taker = _FEES[LINEAR]
    expiry = ""
    if row["contractType"] == "LinearFutures":
        expiry = datetime.fromtimestamp(int(row["deliveryTime"]) / 1000, UTC).strftime("-%y%m%d")
    return Instrument(
        symbol=f"{base}/{quote}:{settle}{expiry}", venue=VENUE, base=base, quote=quote, settle=settle,
        native=row["symbol"], contract=Contract.LINEAR, tick=_trimmed(row["priceFilter"]["tickSize"]),
        lot=_trimmed(lot["qtyStep"]), min_quantity=_trimmed(lot["minOrderQty"]), max_quantity=_least(sizes),
        min_notional=_trimmed(lot.get("minNotionalValue") or "0"), maker_fee=maker, taker_fee=taker,
    )  # fmt: skip


def _least(texts: Iterable[str]) -> Decimal | None:
    sizes = [size for size in map(_trimmed, texts) if size]
    return min(sizes) if sizes else None


def _trimmed(text: str) -> Decimal:
    """Without the zeros at its end: 0.01000000 is 0.01, and 10.00 is 10."""
    value = Decimal(text).normalize()
    exponent = value.as_tuple().exponent
    return value.quantize(Decimal(1)) if isinstance(exponent, int) and exponent > 0 else value
