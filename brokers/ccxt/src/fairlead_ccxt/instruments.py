"""What ccxt lists as markets, made instruments, exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from fairlead import ConfigurationError, Contract, Instrument, VenueError

ZERO = Decimal(0)
_TICK_SIZE, _DECIMAL_PLACES = 4, 2


class Listing:
    """Instruments by their long form and by ccxt's symbol."""

    def __init__(self, venue: str) -> None:
        self._venue = venue
        self._by_symbol: dict[str, Instrument] = {}

    def learn(self, instruments: Iterable[Instrument]) -> None:
        """Know these."""
        for instrument in instruments:
            self._by_symbol[instrument.symbol] = instrument

    def id(self, symbol: str) -> str:
        """Our long form; also of what is not listed, so that it is seen and not lost."""
        return f"{symbol}@{self._venue}"

    def find(self, name: str) -> Instrument | None:
        """An instrument by its long form or symbol."""
        symbol, _, venue = name.partition("@")
        return self._by_symbol.get(symbol) if venue in ("", self._venue) else None


def instruments(exchange: Any, symbols: Sequence[str], venue: str) -> list[Instrument]:
    """Those of the symbols, in their order. Raises ConfigurationError for one that is not listed, VenueError."""
    found = []
    for name in symbols:
        symbol = name.partition("@")[0]
        market = exchange.markets.get(symbol)
        if market is None or market.get("active") is False:
            base = symbol.partition("/")[0]
            near = [known for known, row in exchange.markets.items() if row.get("base") == base][:8]
            raise ConfigurationError(
                f"{exchange.id} does not trade {symbol!r} here (it has {', '.join(near) or 'nothing like it'}): "
                f"check the symbol"
            )
        try:
            found.append(_instrument(market, exchange.precisionMode, venue))
        except (KeyError, TypeError, ValueError, InvalidOperation) as error:
            raise VenueError(f"{exchange.id}'s market {symbol} cannot be read: {error!r}") from error
    return found


def _instrument(market: Mapping[str, Any], mode: int, venue: str) -> Instrument:
    spot = market["type"] == "spot"
    limits, precision = market["limits"], market["precision"]
    contract = Contract.SPOT if spot else Contract.INVERSE if market["inverse"] else Contract.LINEAR
    lot = _grid(precision["amount"], mode, market["symbol"])
    return Instrument(
        symbol=market["symbol"],
        venue=venue,
        base=market["base"],
        quote=market["quote"],
        settle=market["quote"] if spot else market["settle"],
        native=market["id"],
        contract=contract,
        contract_size=Decimal(1) if spot else _trimmed(market.get("contractSize") or 1),
        tick=_grid(precision["price"], mode, market["symbol"]),
        lot=lot,
        min_quantity=_trimmed(limits["amount"]["min"] or 0),
        max_quantity=_most(limits["amount"]["max"]),
        min_notional=_trimmed(limits["cost"]["min"] or 0),
        maker_fee=_trimmed(market.get("maker") or 0),
        taker_fee=_trimmed(market.get("taker") or 0),
    )


def _grid(value: Any, mode: int, symbol: str) -> Decimal:
    if value is None:
        raise ValueError(f"{symbol} has no precision")
    if mode == _TICK_SIZE:
        return _trimmed(value)
    if mode == _DECIMAL_PLACES:
        return Decimal(1).scaleb(-int(value))
    raise ValueError(f"{symbol} counts significant digits, which no fixed grid can say")


def _most(value: Any) -> Decimal | None:
    found = _trimmed(value or 0)
    return found or None


def _trimmed(value: Any) -> Decimal:
    """Without the zeros at its end: 0.01000000 is 0.01, and 10.00 is 10."""
    number = Decimal(str(value))
    if not number:
        return ZERO
    return Decimal(f"{number.normalize():f}")
