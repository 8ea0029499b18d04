"""Contracts as instruments: `AAPL.NASDAQ`, `EUR/USD`, `ES/USD:USD-261218`."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import attrs

from fairlead import ConfigurationError, Contract, Instrument
from fairlead_ib.profile import VENUE

_ONE = Decimal(1)
_KINDS = {"STK": "TRADES", "CASH": "MIDPOINT", "FUT": "TRADES"}


@attrs.frozen
class Known:
    """An instrument with the contract that IB has for it."""

    instrument: Instrument
    contract: Any
    shows: str
    """What its bars are made of: TRADES, or MIDPOINT where there are none."""

    @property
    def stock(self) -> bool:
        """Whether holding it is a position beside the cash."""
        return bool(self.contract.secType == "STK")


def wanted(sdk: Any, symbol: str) -> Any:
    """The description by which IB finds a symbol. Raises ConfigurationError."""
    code, dot, exchange = symbol.partition(".")
    pair, colon, rest = symbol.partition(":")
    base, slash, quote = pair.partition("/")
    if dot and code and exchange and not slash:
        return sdk.Contract(
            secType="STK", symbol=code, exchange="SMART", primaryExchange=exchange, currency="USD"
        )
    if slash and base and quote and not colon:
        return sdk.Contract(secType="CASH", symbol=base, exchange="IDEALPRO", currency=quote)
    day = rest.partition("-")[2]
    if slash and base and quote and len(day) == 6 and day.isdigit():
        return sdk.Contract(
            secType="FUT", symbol=base, currency=quote, lastTradeDateOrContractMonth=f"20{day}"
        )
    raise ConfigurationError(
        f"{symbol!r} is no symbol of Interactive Brokers: write AAPL.NASDAQ, EUR/USD or ES/USD:USD-261218"
    )


def known(symbol: str, details: Sequence[Any], steps: Sequence[float]) -> Known:
    """The one contract that was found for a symbol, `steps` the increments of its prices.

    Where prices move in several steps the widest holds everywhere. Raises ConfigurationError.
    """
    if len(details) != 1:
        found = ", ".join(f"{one.contract.localSymbol} ({one.contract.exchange})" for one in details[:5])
        raise ConfigurationError(
            f"{symbol!r} is {len(details)} contracts at Interactive Brokers"
            f"{f' ({found})' if found else ''}: check the symbol and its exchange"
        )
    about, contract = details[0], details[0].contract
    tick = max(exact(step) for step in steps or [about.minTick])
    lot = max(
        exact(about.sizeIncrement or 1), _ONE
    )  # whole shares and units: not every account may trade parts
    multiplier = Decimal(contract.multiplier or "1")
    kind = Contract.LINEAR if contract.secType == "FUT" else Contract.SPOT
    instrument = Instrument(
        symbol=symbol, venue=VENUE, base=contract.symbol, quote=contract.currency, settle=contract.currency,
        native=str(contract.conId), tick=tick, lot=lot, min_quantity=lot, contract=kind, contract_size=multiplier,
    )  # fmt: skip
    return Known(instrument, contract, _KINDS.get(contract.secType, "TRADES"))


class Listing:
    """The instruments that are traded, by their long form and by IB's number of the contract."""

    def __init__(self) -> None:
        self._by_id: dict[str, Known] = {}
        self._by_number: dict[int, Known] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def learn(self, found: Known) -> None:
        """Add one, or its new rules."""
        self._by_id[found.instrument.id] = found
        self._by_number[found.contract.conId] = found

    def all(self) -> list[Known]:
        """Every one."""
        return list(self._by_id.values())

    def of(self, name: str) -> Known:
        """By its long form. Raises ConfigurationError."""
        if name not in self._by_id:
            raise ConfigurationError(f"{name} is not traded here: name it where the broker is made")
        return self._by_id[name]

    def numbered(self, contract: Any) -> Known | None:
        """By a contract; None for one that is not traded here."""
        return self._by_number.get(contract.conId)


def exact(value: float | str) -> Decimal:
    """A number as it was written: the shortest that reads the same."""
    text = value if isinstance(value, str) else repr(float(value))
    found = Decimal(text)
    return (
        found.quantize(_ONE) if found == found.to_integral_value() and found < 10**15 else found.normalize()
    )


def text(value: Decimal | None) -> str:
    """A number as IB reads it, never with an exponent; nothing where there is none."""
    return "" if value is None else f"{value:f}"
