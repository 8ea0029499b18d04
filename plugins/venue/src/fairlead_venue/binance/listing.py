"""What is listed: symbols, their filters, and what exchangeInfo says of them."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from typing import Any

import attrs

from fairlead import ConfigurationError, Contract, Instrument
from fairlead_venue.binance import rules
from fairlead_venue.binance.rules import Refused
from fairlead_venue.fronts import Settings

VENUE = "binance"
_SMALL = {"BTC": Decimal("0.00001"), "ETH": Decimal("0.0001")}
_LARGE = Decimal(9_000)
_TYPES = [
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
]
_STP = ["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"]


@attrs.frozen
class Filters:
    """The filters of a symbol beyond the instrument's own tick, lot and minimums.

    https://developers.binance.com/docs/binance-spot-api-docs/filters
    """

    price_up: Decimal = Decimal(5)
    price_down: Decimal = Decimal("0.2")
    max_orders: int = 200
    max_algo_orders: int = 5


def instruments(settings: Settings) -> list[Instrument]:
    """The spot and USD-M instruments of the settings' pairs, or the settings' own."""
    if settings.instruments:
        return [
            attrs.evolve(instrument, venue=VENUE, native=native(instrument))
            for instrument in settings.instruments
        ]
    found = []
    for pair, tick in settings.pairs.items():
        base, slash, quote = pair.partition("/")
        if not slash or ":" in quote:
            raise ConfigurationError(
                f"pair {pair!r}: Binance lists BASE/QUOTE, such as BTC/USDT, and its swap with it"
            )
        lot = _SMALL.get(base, Decimal("0.01"))
        spot = Instrument(
            symbol=pair, venue=VENUE, base=base, quote=quote, settle=quote, native=f"{base}{quote}", tick=tick,
            lot=lot, min_quantity=lot, max_quantity=_LARGE, min_notional=Decimal(5), maker_fee=Decimal("0.001"),
            taker_fee=Decimal("0.001"),
        )  # fmt: skip
        found.append(spot)
        step = Decimal("0.001") if base in _SMALL else Decimal("0.1")
        found.append(
            attrs.evolve(
                spot, symbol=f"{pair}:{quote}", contract=Contract.LINEAR, lot=step, min_quantity=step,
                max_quantity=Decimal(1_000), min_notional=Decimal(100 if base == "BTC" else 20),
                maker_fee=Decimal("0.0002"), taker_fee=Decimal("0.0005"), initial_margin=Decimal("0.05"),
                maintenance_margin=Decimal("0.004"),
            )
        )  # fmt: skip
    return found


def native(instrument: Instrument) -> str:
    """Binance's name of an instrument."""
    return f"{instrument.base}{instrument.quote}"


class Symbols:
    """The symbols of one product."""

    def __init__(self, filters: Filters) -> None:
        self.filters = filters
        self._ids: dict[str, str] = {}

    def add(self, instrument: Instrument) -> None:
        """List one."""
        self._ids[instrument.native] = instrument.id

    def id(self, symbol: str) -> str:
        """The long form of a symbol. Raises Refused."""
        if symbol not in self._ids:
            raise Refused(rules.SYMBOL)
        return self._ids[symbol]

    def all(self) -> list[str]:
        """Every symbol."""
        return list(self._ids)


def places(grid: Decimal) -> int:
    """How many decimals a grid has."""
    exponent = grid.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def text(value: Decimal | float, decimals: int = 8) -> str:
    """A number as Binance spot writes it: with all its decimals."""
    return f"{value:.{decimals}f}"


def plain(value: Decimal | float) -> str:
    """A number as futures write it: no more decimals than it has."""
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    shown = f"{exact:f}"
    return shown.rstrip("0").rstrip(".") or "0" if "." in shown else shown


def spot_symbol(instrument: Instrument, filters: Filters) -> dict[str, Any]:
    """A symbol of /api/v3/exchangeInfo."""
    most = instrument.max_quantity or _LARGE
    return {
        "symbol": instrument.native, "status": "TRADING", "baseAsset": instrument.base, "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote, "quotePrecision": 8, "quoteAssetPrecision": 8, "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8, "orderTypes": _TYPES, "icebergAllowed": True, "ocoAllowed": True,
        "otoAllowed": True, "opoAllowed": False, "quoteOrderQtyMarketAllowed": True, "allowTrailingStop": True,
        "cancelReplaceAllowed": True, "amendAllowed": True, "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True, "isMarginTradingAllowed": False, "permissions": [],
        "permissionSets": [["SPOT"]], "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": _STP,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": text(instrument.tick), "maxPrice": "1000000.00000000",
             "tickSize": text(instrument.tick)},
            {"filterType": "LOT_SIZE", "minQty": text(instrument.min_quantity), "maxQty": text(most),
             "stepSize": text(instrument.lot)},
            {"filterType": "MARKET_LOT_SIZE", "minQty": text(0), "maxQty": text(most), "stepSize": text(0)},
            {"filterType": "PERCENT_PRICE_BY_SIDE", "bidMultiplierUp": plain(filters.price_up),
             "bidMultiplierDown": plain(filters.price_down), "askMultiplierUp": plain(filters.price_up),
             "askMultiplierDown": plain(filters.price_down), "avgPriceMins": 5},
            {"filterType": "NOTIONAL", "minNotional": text(instrument.min_notional), "applyMinToMarket": True,
             "maxNotional": "9000000.00000000", "applyMaxToMarket": False, "avgPriceMins": 5},
            {"filterType": "TRAILING_DELTA", "minTrailingAboveDelta": 10, "maxTrailingAboveDelta": 2000,
             "minTrailingBelowDelta": 10, "maxTrailingBelowDelta": 2000},
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": filters.max_orders},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": filters.max_algo_orders},
        ],
    }  # fmt: skip


def futures_symbol(instrument: Instrument, filters: Filters) -> dict[str, Any]:
    """A symbol of /fapi/v1/exchangeInfo."""
    most = plain(instrument.max_quantity or _LARGE)
    return {
        "symbol": instrument.native, "pair": instrument.native, "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000, "onboardDate": 1569398400000, "status": "TRADING",
        "maintMarginPercent": plain(instrument.maintenance_margin * 100),
        "requiredMarginPercent": plain(instrument.initial_margin * 100), "baseAsset": instrument.base,
        "quoteAsset": instrument.quote, "marginAsset": instrument.settle,
        "pricePrecision": places(instrument.tick), "quantityPrecision": places(instrument.lot),
        "baseAssetPrecision": 8, "quotePrecision": 8, "underlyingType": "COIN", "underlyingSubType": ["PoW"],
        "triggerProtect": "0.0500", "liquidationFee": "0.012500", "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET",
                       "TRAILING_STOP_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": plain(instrument.tick), "maxPrice": "1000000",
             "tickSize": plain(instrument.tick)},
            {"filterType": "LOT_SIZE", "minQty": plain(instrument.min_quantity), "maxQty": most,
             "stepSize": plain(instrument.lot)},
            {"filterType": "MARKET_LOT_SIZE", "minQty": plain(instrument.min_quantity), "maxQty": most,
             "stepSize": plain(instrument.lot)},
            {"filterType": "MAX_NUM_ORDERS", "limit": filters.max_orders},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": filters.max_algo_orders},
            {"filterType": "MIN_NOTIONAL", "notional": plain(instrument.min_notional)},
            {"filterType": "PERCENT_PRICE", "multiplierUp": plain(filters.price_up),
             "multiplierDown": plain(filters.price_down), "multiplierDecimal": "4"},
        ],
    }  # fmt: skip


def floor(value: Decimal, grid: Decimal) -> Decimal:
    """Down to a grid."""
    return (value / grid).to_integral_value(ROUND_FLOOR) * grid
