"""What is listed: contracts as IB describes them, each with the instrument behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import attrs

from fairlead import ConfigurationError, Contract, Instrument
from fairlead_venue.fronts import Settings

VENUE = "ib"
_ZERO = Decimal(0)
_CENT = Decimal("0.01")
_RULES = {_CENT: 26, Decimal("0.00005"): 239, Decimal("0.005"): 240, Decimal("0.25"): 67}
"""Numbers of market rules by their step; a step that is not here gets one of its own."""

_ORDER_TYPES = "ACTIVETIM,DAY,GTC,GTD,IOC,LMT,MKT,STP,STPLMT,TRAIL,WHATIF"
_EXCHANGES = {"NASDAQ": "NASDAQ", "NYSE": "NYSE", "ARCA": "ARCA", "BATS": "BATS", "AMEX": "AMEX"}


@attrs.frozen
class Listed:
    """A contract: its id, what is traded by it, and all that contractDetails says of it."""

    con_id: int
    instrument: Instrument
    about: Mapping[str, Any]

    def fits(self, asked: Mapping[str, str]) -> bool:
        """Whether a client's description, which may leave out much, is of this contract."""
        if asked["conId"] not in ("", "0"):
            return asked["conId"] == str(self.con_id)
        if asked["exchange"] not in ("", *self.about["validExchanges"].split(",")):
            return False
        return all(
            asked[name] in ("", self.about[name])
            or (name == "lastTradeDate" and self.about[name].startswith(asked[name]))
            for name in (
                "symbol", "secType", "currency", "localSymbol", "tradingClass", "primaryExchange", "lastTradeDate"
            )
        )  # fmt: skip

    @property
    def rule(self) -> int:
        """The number of its market rule."""
        return int(self.about["marketRuleIds"].split(",")[0])


class Catalogue:
    """All contracts, and the market rules of their prices."""

    def __init__(self) -> None:
        self.contracts: dict[str, Listed] = {}
        self.rules: dict[int, Decimal] = {}

    def add(self, instrument: Instrument) -> Instrument:
        """List one; returns it under the name that it has here. Raises ConfigurationError."""
        number = _con_id(instrument.symbol)
        rule = _RULES.get(instrument.tick, 1000 + len(self.rules))
        self.rules[rule] = instrument.tick
        about = _about(instrument, number, rule)
        mine = attrs.evolve(instrument, venue=VENUE, native=about["localSymbol"])
        self.contracts[mine.id] = Listed(number, mine, about)
        return mine

    def find(self, asked: Mapping[str, str]) -> list[Listed]:
        """The contracts that a description fits."""
        return [listed for listed in self.contracts.values() if listed.fits(asked)]


def instruments(settings: Settings) -> Iterable[Instrument]:
    """What the settings list: stocks `AAPL.NASDAQ`, currencies `EUR/USD`, futures `ES/USD:USD-261218`."""
    if settings.instruments:
        return settings.instruments
    return [_instrument(symbol, tick) for symbol, tick in settings.pairs.items()]


def _instrument(symbol: str, tick: Decimal) -> Instrument:
    if "." in symbol and "/" not in symbol:
        code = symbol.partition(".")[0]
        return Instrument(
            symbol=symbol, venue=VENUE, base=code, quote="USD", settle="USD", tick=tick, lot=Decimal(1),
            min_quantity=Decimal(1), maker_fee=Decimal("0.00005"), taker_fee=Decimal("0.00005"),
        )  # fmt: skip
    pair, _, rest = symbol.partition(":")
    base, _, quote = pair.partition("/")
    if rest:
        settle = rest.partition("-")[0]
        return Instrument(
            symbol=symbol, venue=VENUE, base=base, quote=quote, settle=settle, tick=tick, lot=Decimal(1),
            min_quantity=Decimal(1), contract=Contract.LINEAR, contract_size=Decimal(50),
            maker_fee=Decimal("0.00001"), taker_fee=Decimal("0.00001"),
        )  # fmt: skip
    return Instrument(
        symbol=symbol, venue=VENUE, base=base, quote=quote, settle=quote, tick=tick, lot=Decimal(1),
        min_quantity=Decimal(1), maker_fee=Decimal("0.00002"), taker_fee=Decimal("0.00002"),
    )  # fmt: skip


def _con_id(symbol: str) -> int:
    """A number that is the same for a symbol in every venue: contract ids outlive a session."""
    number = 0
    for letter in symbol.encode():
        number = (number * 131 + letter) % 899_999_963
    return 100_000_000 + number


def _about(instrument: Instrument, number: int, rule: int) -> dict[str, Any]:
    """The fields of contractDetails. Raises ConfigurationError."""
    code, dot, exchange = instrument.symbol.partition(".")
    if dot and "/" not in instrument.symbol:
        kind: dict[str, Any] = _stock(code, exchange, rule)
    elif ":" in instrument.symbol:
        kind = _future(instrument, rule)
    elif "/" in instrument.symbol:
        kind = _forex(instrument, rule)
    else:
        raise ConfigurationError(
            f"{instrument.symbol!r} is no symbol here: write AAPL.NASDAQ, EUR/USD or ES/USD:USD-261218"
        )
    return {
        "conId": number, "currency": instrument.quote, "minTick": instrument.tick, "strike": "0", "right": "",
        "orderTypes": _ORDER_TYPES, "priceMagnifier": 1, "underConId": 0, "industry": "", "category": "",
        "subcategory": "", "timeZoneId": "UTC", "tradingHours": "", "liquidHours": "", "evRule": "",
        "evMultiplier": "", "aggGroup": 1, "underSymbol": "", "underSecType": "", "realExpirationDate": "",
        "stockType": "", "lastTradeDate": "", "contractMonth": "", "multiplier": "", "primaryExchange": "",
        "minSize": instrument.min_quantity or instrument.lot, "sizeIncrement": instrument.lot,
        "suggestedSizeIncrement": instrument.lot, **kind,
    }  # fmt: skip


def _stock(code: str, exchange: str, rule: int) -> dict[str, Any]:
    home = _EXCHANGES.get(exchange, exchange)
    return {
        "symbol": code, "secType": "STK", "exchange": "SMART", "primaryExchange": home, "localSymbol": code,
        "tradingClass": "NMS" if home == "NASDAQ" else code, "marketName": code, "longName": f"{code} INC",
        "validExchanges": f"SMART,{home}", "marketRuleIds": f"{rule},{rule}", "stockType": "COMMON",
    }  # fmt: skip


def _forex(instrument: Instrument, rule: int) -> dict[str, Any]:
    pair = f"{instrument.base}.{instrument.quote}"
    return {
        "symbol": instrument.base, "secType": "CASH", "exchange": "IDEALPRO", "localSymbol": pair,
        "tradingClass": pair, "marketName": pair, "longName": pair, "validExchanges": "IDEALPRO",
        "marketRuleIds": str(rule),
    }  # fmt: skip


def _future(instrument: Instrument, rule: int) -> dict[str, Any]:
    expiry = instrument.symbol.rpartition("-")[2]
    if len(expiry) != 6 or not expiry.isdigit():
        raise ConfigurationError(f"{instrument.symbol!r} has no day of expiry: write ES/USD:USD-261218")
    local = f"{instrument.base}{'FGHJKMNQUVXZ'[int(expiry[2:4]) - 1]}{expiry[1]}"
    return {
        "symbol": instrument.base, "secType": "FUT", "exchange": "CME", "localSymbol": local,
        "tradingClass": instrument.base, "marketName": instrument.base, "longName": f"{instrument.base} future",
        "validExchanges": "CME", "marketRuleIds": str(rule), "lastTradeDate": f"20{expiry}",
        "contractMonth": f"20{expiry[:4]}", "realExpirationDate": f"20{expiry}",
        "multiplier": str(instrument.contract_size),
    }  # fmt: skip


DEFAULTS = {
    "AAPL.NASDAQ": _CENT, "MSFT.NASDAQ": _CENT, "SPY.ARCA": _CENT, "EUR/USD": Decimal("0.00005"),
    "USD/JPY": Decimal("0.005"), "ES/USD:USD-261218": Decimal("0.25"),
}  # fmt: skip
"""What is listed where nothing is said."""
