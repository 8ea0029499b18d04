"""What is listed: the symbols of spot and linear, and what instruments-info says of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs

from fairlead import Contract, Instrument
from fairlead_venue.bybit import rules
from fairlead_venue.bybit.rules import Refused
from fairlead_venue.fronts import Settings

VENUE = "bybit"
PRODUCTS = ("spot", "linear")
_SMALL = {"BTC": Decimal("0.000001"), "ETH": Decimal("0.00001")}


def instruments(settings: Settings) -> list[Instrument]:
    """The spot and linear instruments of the settings' pairs, or the settings' own."""
    if settings.instruments:
        return [
            attrs.evolve(found, venue=VENUE, native=f"{found.base}{found.quote}")
            for found in settings.instruments
        ]
    listed = []
    for pair, tick in settings.pairs.items():
        base, _, quote = pair.partition("/")
        lot = _SMALL.get(base, Decimal("0.01"))
        spot = Instrument(
            symbol=pair, venue=VENUE, base=base, quote=quote, settle=quote, native=f"{base}{quote}", tick=tick,
            lot=lot, min_quantity=lot, max_quantity=Decimal(1_000), min_notional=Decimal(5),
            maker_fee=Decimal("0.001"), taker_fee=Decimal("0.001"),
        )  # fmt: skip
        step = Decimal("0.001") if base in _SMALL else Decimal("0.1")
        linear = attrs.evolve(
            spot, symbol=f"{pair}:{quote}", contract=Contract.LINEAR, lot=step, min_quantity=step,
            maker_fee=Decimal("0.0002"), taker_fee=Decimal("0.00055"), initial_margin=Decimal("0.1"),
            maintenance_margin=Decimal("0.005"),
        )  # fmt: skip
        listed += [spot, linear]
    return listed


def product_of(instrument: Instrument) -> str:
    """Its category."""
    return "spot" if instrument.spot else "linear"


class Symbols:
    """The symbols by product."""

    def __init__(self) -> None:
        self._ids: dict[str, dict[str, str]] = {product: {} for product in PRODUCTS}

    def add(self, instrument: Instrument) -> None:
        """List one."""
        self._ids[product_of(instrument)][instrument.native] = instrument.id

    def id(self, product: str, symbol: str) -> str:
        """The long form of a symbol. Raises Refused."""
        found = self._ids[product].get(symbol)
        if found is None:
            raise (
                Refused(rules.S_SYMBOL)
                if product == "spot"
                else Refused(rules.PARAMETER, "symbol invalid " + symbol)
            )
        return found

    def all(self, product: str) -> list[str]:
        """Every symbol of a product."""
        return list(self._ids[product])


def plain(value: Decimal | float) -> str:
    """A number with no more decimals than it has."""
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    shown = f"{exact:f}"
    return shown.rstrip("0").rstrip(".") or "0" if "." in shown else shown


def info(found: Instrument, leverage: Decimal) -> dict[str, Any]:
    """A row of https://bybit-exchange.github.io/docs/v5/market/instrument"""
    row: dict[str, Any] = {
        "symbol": found.native, "baseCoin": found.base, "quoteCoin": found.quote, "status": "Trading",
        "symbolType": "",
    }  # fmt: skip
    if found.spot:
        return row | {
            "innovation": "0", "marginTrading": "utaOnly", "stTag": "0",
            "lotSizeFilter": {
                "basePrecision": plain(found.lot), "quotePrecision": "0.00000001",
                "minOrderQty": plain(found.min_quantity), "maxOrderQty": plain(found.max_quantity or 1_000_000),
                "minOrderAmt": plain(found.min_notional), "maxOrderAmt": "4000000",
                "maxLimitOrderQty": plain(found.max_quantity or 1_000_000),
                "maxMarketOrderQty": plain(found.max_quantity or 1_000_000),
            },
            "priceFilter": {"tickSize": plain(found.tick)},
            "riskParameters": {"priceLimitRatioX": "0.05", "priceLimitRatioY": "0.05"},
        }  # fmt: skip
    most = plain(found.max_quantity or 1_000_000)
    return row | {
        "contractType": "LinearPerpetual", "launchTime": "1585526400000", "deliveryTime": "0",
        "deliveryFeeRate": "", "priceScale": "2", "settleCoin": found.settle, "unifiedMarginTrade": True,
        "fundingInterval": 480, "copyTrading": "both", "upperFundingRate": "0.00375", "lowerFundingRate": "-0.00375",
        "isPreListing": False, "preListingInfo": None,
        "leverageFilter": {"minLeverage": "1", "maxLeverage": plain(leverage), "leverageStep": "0.01"},
        "priceFilter": {"minPrice": plain(found.tick), "maxPrice": "1999999.8", "tickSize": plain(found.tick)},
        "lotSizeFilter": {
            "maxOrderQty": most, "minOrderQty": plain(found.min_quantity), "qtyStep": plain(found.lot),
            "postOnlyMaxOrderQty": most, "maxMktOrderQty": most, "minNotionalValue": plain(found.min_notional),
        },
        "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
    }  # fmt: skip
