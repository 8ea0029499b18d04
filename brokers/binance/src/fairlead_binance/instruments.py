"""What Binance lists as instruments, exactly: symbols, filters, fees and margins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from fairlead import ConfigurationError, Contract, Instrument, VenueError

VENUE = "binance"
_KINDS = {"PERPETUAL", "TRADIFI_PERPETUAL", "CURRENT_QUARTER", "NEXT_QUARTER"}
SPOT_FEES = Decimal("0.001"), Decimal("0.001")
USDM_FEES = Decimal("0.0002"), Decimal("0.0005")
"""Of an account without a discount, maker and taker: https://www.binance.com/en/fee/trading"""

ZERO = Decimal(0)


def natives(symbols: Sequence[str]) -> list[str]:
    """Binance's names of symbols such as BTC/USDT, BTC/USDT:USDT or BTC/USDT:USDT-260925, long forms too."""
    found = []
    for symbol in symbols:
        pair, _, rest = symbol.partition("@")[0].partition(":")
        _, _, expiry = rest.partition("-")
        found.append(pair.replace("/", "") + (f"_{expiry}" if expiry else ""))
    return found


class Listing:
    """The instruments of one product, by Binance's name and by ours."""

    def __init__(self) -> None:
        self._by_native: dict[str, Instrument] = {}
        self._by_id: dict[str, Instrument] = {}

    def learn(self, instruments: Iterable[Instrument]) -> None:
        """Know these, in the place of what was known of them."""
        for instrument in instruments:
            self._by_native[instrument.native] = instrument
            self._by_id[instrument.id] = instrument

    def __iter__(self) -> Any:
        return iter(self._by_native.values())

    def __len__(self) -> int:
        return len(self._by_native)

    def id(self, native: str) -> str:
        """Our long form; of what is not listed a name that nobody trades, so that it is seen and not lost."""
        found = self._by_native.get(native)
        return found.id if found is not None else f"{native}@{VENUE}"

    def native(self, name: str) -> str:
        """Binance's name of an instrument by its long form. Raises KeyError."""
        return self._by_id[name].native

    def find(self, name: str) -> Instrument | None:
        """An instrument by its long form, its symbol or Binance's name."""
        found = self._by_id.get(name) or self._by_native.get(name)
        return found or next((one for one in self._by_native.values() if one.symbol == name), None)

    def chosen(self, symbols: Sequence[str], environment: str) -> list[Instrument]:
        """Those of the symbols, in their order. Raises ConfigurationError for one that is not listed."""
        found = []
        for symbol in symbols:
            instrument = self.find(symbol)
            if instrument is None:
                near = [one.symbol for one in self._by_native.values() if one.base == symbol.split("/")[0]]
                known = ", ".join((near or [one.symbol for one in self._by_native.values()])[:8]) or "nothing"
                raise ConfigurationError(
                    f"Binance's {environment} does not trade {symbol!r} here (it has {known}): check symbol and product"
                )
            found.append(instrument)
        return found


def spot_instruments(info: Mapping[str, Any], fees: tuple[Decimal, Decimal] = SPOT_FEES) -> list[Instrument]:
    """Of /api/v3/exchangeInfo what can be traded now. Raises VenueError for what cannot be read."""
    return _read(info, lambda row: _spot(row, fees) if row["status"] == "TRADING" else None)


def usdm_instruments(
    info: Mapping[str, Any], leverage: Mapping[str, int], maintenance: Mapping[str, Decimal]
) -> list[Instrument]:
    """Of /fapi/v1/exchangeInfo what can be traded now, with an account's leverage and the lowest margin to keep.

    Raises VenueError for what cannot be read.
    """

    def one(row: Mapping[str, Any]) -> Instrument | None:
        if row["status"] != "TRADING" or row["contractType"] not in _KINDS:
            return None
        return _usdm(row, leverage.get(row["symbol"]), maintenance.get(row["symbol"]))

    return _read(info, one)


def _read(info: Mapping[str, Any], one: Any) -> list[Instrument]:
    found = []
    try:
        for row in info["symbols"]:
            made = one(row)
            if made is not None:
                found.append(made)
    except (KeyError, TypeError, InvalidOperation) as error:
        raise VenueError(f"Binance's exchangeInfo cannot be read: {error!r}") from error
    return found


def _filters(row: Mapping[str, Any]) -> dict[str, Mapping[str, str]]:
    return {found["filterType"]: found for found in row["filters"]}


def _spot(row: Mapping[str, Any], fees: tuple[Decimal, Decimal]) -> Instrument:
    filters = _filters(row)
    lot, price = filters["LOT_SIZE"], filters["PRICE_FILTER"]
    worth = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}
    base, quote = row["baseAsset"], row["quoteAsset"]
    return Instrument(
        symbol=f"{base}/{quote}", venue=VENUE, base=base, quote=quote, settle=quote, native=row["symbol"],
        tick=_trimmed(price["tickSize"]), lot=_trimmed(lot["stepSize"]), min_quantity=_trimmed(lot["minQty"]),
        max_quantity=_most(filters, "maxQty"), min_notional=_trimmed(worth.get("minNotional", "0")), maker_fee=fees[0],
        taker_fee=fees[1],
    )  # fmt: skip


def _usdm(row: Mapping[str, Any], leverage: int | None, maintenance: Decimal | None) -> Instrument:
    filters = _filters(row)
    lot, price = filters["LOT_SIZE"], filters["PRICE_FILTER"]
    base, quote, settle = row["baseAsset"], row["quoteAsset"], row["marginAsset"]
    _, _, expiry = row["symbol"].partition("_")
    initial = Decimal(1) / leverage if leverage else _trimmed(row["requiredMarginPercent"]) / 100
    keep = maintenance if maintenance is not None else _trimmed(row["maintMarginPercent"]) / 100
    return Instrument(
        symbol=f"{base}/{quote}:{settle}" + (f"-{expiry}" if expiry else ""), venue=VENUE, base=base, quote=quote,
        settle=settle, native=row["symbol"], contract=Contract.LINEAR, tick=_trimmed(price["tickSize"]),
        lot=_trimmed(lot["stepSize"]), min_quantity=_trimmed(lot["minQty"]), max_quantity=_most(filters, "maxQty"),
        min_notional=_trimmed(filters.get("MIN_NOTIONAL", {}).get("notional", "0")), maker_fee=USDM_FEES[0],
        taker_fee=USDM_FEES[1], initial_margin=initial, maintenance_margin=min(keep, initial),
    )  # fmt: skip


def _most(filters: Mapping[str, Mapping[str, str]], name: str) -> Decimal | None:
    """The lower of the largest quantities of limit and market orders; 0 is none."""
    kinds = [filters[kind][name] for kind in ("LOT_SIZE", "MARKET_LOT_SIZE") if kind in filters]
    sizes = [size for size in map(_trimmed, kinds) if size]
    return min(sizes) if sizes else None


def _trimmed(text: str) -> Decimal:
    return trimmed(Decimal(text))


def trimmed(exact: Decimal) -> Decimal:
    """Without the zeros at its end: 0.01000000 is 0.01, and 10.00 is 10."""
    value = exact.normalize()
    exponent = value.as_tuple().exponent
    return value.quantize(Decimal(1)) if isinstance(exponent, int) and exponent > 0 else value
