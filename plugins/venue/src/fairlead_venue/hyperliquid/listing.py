"""What is listed, and by which names and numbers.

Perpetuals are numbered as they stand in `meta`, spot pairs from 10,000 on as in `spotMeta`:
https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/asset-ids. Prices have five significant figures and
6 (spot: 8) less szDecimals decimals, whole numbers always pass:
https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/tick-and-lot-size
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs

from fairlead import ConfigurationError, Contract, Instrument
from fairlead_venue.fronts import Settings

VENUE = "hyperliquid"
QUOTE = "USDC"
SPOT = 10_000
LEVERAGE = 20
_KNOWN = {"BTC": 5, "ETH": 4, "SOL": 2}
_PERP, _SPOT_PLACES, _FIGURES = 6, 8, 5
_LARGE = Decimal(1_000_000_000)


def instruments(settings: Settings) -> list[Instrument]:
    """A perpetual and a spot pair for each pair of the settings, or the settings' own. Raises ConfigurationError."""
    if settings.instruments:
        return [attrs.evolve(instrument, venue=VENUE) for instrument in settings.instruments]
    found = []
    for pair, tick in settings.pairs.items():
        base, _, quote = pair.partition("/")
        if quote != QUOTE:
            raise ConfigurationError(f"{pair}: Hyperliquid trades in {QUOTE}, so list {base}/{QUOTE} instead")
        decimals = _KNOWN.get(base, max(0, _PERP - places(tick)))
        lot = Decimal(1).scaleb(-decimals)
        perp = Instrument(
            symbol=f"{pair}:{QUOTE}", venue=VENUE, base=base, quote=quote, settle=QUOTE, native=base,
            contract=Contract.LINEAR, tick=Decimal(1).scaleb(decimals - _PERP), lot=lot, min_quantity=lot,
            max_quantity=_LARGE, maker_fee=Decimal("0.00015"), taker_fee=Decimal("0.00045"),
            initial_margin=Decimal(1) / LEVERAGE, maintenance_margin=Decimal("0.0125"),
        )  # fmt: skip
        found.append(perp)
        found.append(
            attrs.evolve(
                perp, symbol=pair, contract=Contract.SPOT, native="",
                tick=Decimal(1).scaleb(decimals - _SPOT_PLACES), maker_fee=Decimal("0.0004"),
                taker_fee=Decimal("0.0007"),
            )
        )  # fmt: skip
    return found


class Assets:
    """Coins by their numbers and names, and what `meta` and `spotMeta` say of them."""

    def __init__(self, listed: list[Instrument]) -> None:
        self.listed: list[Instrument] = []
        self._by_number: dict[int, str] = {}
        self._by_coin: dict[str, str] = {}
        self._numbers: dict[str, int] = {}
        self._coins: dict[str, str] = {}
        perps = [instrument for instrument in listed if not instrument.spot]
        spots = [instrument for instrument in listed if instrument.spot]
        for number, instrument in enumerate(perps):
            self._add(instrument, number, instrument.native or instrument.base)
        for index, instrument in enumerate(spots):
            # Only the oldest pair goes by its own name.
            self._add(instrument, SPOT + index, "PURR/USDC" if instrument.base == "PURR" else f"@{index}")

    def _add(self, instrument: Instrument, number: int, coin: str) -> None:
        self.listed.append(attrs.evolve(instrument, native=coin))
        self._by_number[number] = self._by_coin[coin] = instrument.id
        self._numbers[instrument.id], self._coins[instrument.id] = number, coin

    def at(self, number: object) -> str | None:
        """The long form of an asset's number."""
        return self._by_number.get(number) if isinstance(number, int) else None

    def named(self, coin: object) -> str | None:
        """The long form of a coin."""
        return self._by_coin.get(coin) if isinstance(coin, str) else None

    def number(self, instrument: str) -> int:
        """An instrument's number."""
        return self._numbers[instrument]

    def coin(self, instrument: str) -> str:
        """An instrument's coin."""
        return self._coins[instrument]

    def perps(self) -> list[Instrument]:
        """In the order of their numbers."""
        return [instrument for instrument in self.listed if not instrument.spot]

    def spots(self) -> list[Instrument]:
        """In the order of their numbers."""
        return [instrument for instrument in self.listed if instrument.spot]

    def meta(self) -> dict[str, Any]:
        """Perpetuals."""
        return {
            "universe": [
                {"name": self.coin(rule.id), "szDecimals": places(rule.lot), "maxLeverage": 40, "marginTableId": 40}
                for rule in self.perps()
            ],
            "marginTables": [], "collateralToken": 0,
        }  # fmt: skip

    def spot_meta(self) -> dict[str, Any]:
        """Spot pairs and the tokens that they are made of."""
        tokens = [_token(QUOTE, 0, 8)]
        universe = []
        for index, rule in enumerate(self.spots()):
            tokens.append(_token(rule.base, index + 1, places(rule.lot)))
            universe.append(
                {
                    "name": self.coin(rule.id),
                    "tokens": [index + 1, 0],
                    "index": index,
                    "isCanonical": not index,
                }
            )
        return {"universe": universe, "tokens": tokens}


def _token(name: str, index: int, decimals: int) -> dict[str, Any]:
    return {
        "name": name, "szDecimals": decimals, "weiDecimals": 8, "index": index, "tokenId": f"0x{index:032x}",
        "isCanonical": not index, "evmContract": None, "fullName": None,
    }  # fmt: skip


def places(grid: Decimal) -> int:
    """How many decimals a grid has."""
    exponent = grid.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def wire(value: Decimal | float) -> str:
    """A number as Hyperliquid writes it: no zeros at its end, no exponent."""
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    return f"{exact.normalize():f}" if exact else "0"


def fits(price: Decimal, rule: Instrument) -> bool:
    """Whether a price has as few figures and decimals as is wanted of it."""
    if price == price.to_integral_value():
        return True
    figures = len(price.normalize().as_tuple().digits)
    most = (_SPOT_PLACES if rule.spot else _PERP) - places(rule.lot)
    return figures <= _FIGURES and places(price) <= most
