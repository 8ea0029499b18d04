"""What can be traded, and the exact arithmetic of its prices and quantities."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, InvalidOperation
from functools import cached_property

import attrs

from fairlead._models.orders import Side
from fairlead._models.words import Word
from fairlead.errors import ConfigurationError
from fairlead.units import Number, decimal

_ZERO = Decimal(0)


class Contract(Word):
    """How a position of the instrument earns money."""

    SPOT = "spot"
    LINEAR = "linear"
    INVERSE = "inverse"


_NO_FEE = Decimal("0.05")
"""A ratio from which on a fee is a slip of the pen: percent or basis points taken for a ratio."""

_DIGITS = 27
"""A quantity has at most 10 to this power of lots: beyond it a Decimal of 28 digits is exact no more."""

_SPOT, _INVERSE, _BUY = Contract.SPOT, Contract.INVERSE, Side.BUY


@attrs.frozen(kw_only=True)
class Instrument:
    """One tradable thing at one venue.

    Prices are multiples of `tick`, quantities of `lot` (both `Decimal`, in quote and base units). Fees and
    margins are ratios of notional. `settle` is the currency that profit and fees are booked in. `native` is
    the venue's own name for it. `valid_from_ns` is when these rules began to hold (rules change).
    """

    symbol: str
    venue: str
    base: str
    quote: str
    settle: str
    tick: Decimal
    lot: Decimal
    native: str = ""
    contract: Contract = Contract.SPOT
    contract_size: Decimal = Decimal(1)
    min_quantity: Decimal = _ZERO
    max_quantity: Decimal | None = None
    min_notional: Decimal = _ZERO
    maker_fee: Decimal = _ZERO
    taker_fee: Decimal = _ZERO
    initial_margin: Decimal = Decimal("0.1")
    maintenance_margin: Decimal = Decimal("0.005")
    valid_from_ns: int = 0

    # What is worked out once is kept under private names: msgspec writes every public attribute down.

    def __attrs_post_init__(self) -> None:
        for name in ("tick", "lot", "contract_size"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"{self.id}: {name} is {getattr(self, name)}, and must be above 0")

    @property
    def id(self) -> str:
        """The long form, `SYMBOL@venue`, as files and facts hold it."""
        return self._id

    @cached_property
    def _id(self) -> str:
        return f"{self.symbol}@{self.venue}"

    @property
    def spot(self) -> bool:
        """Whether holding it means holding the base currency."""
        return self.contract is _SPOT

    @property
    def inverse(self) -> bool:
        """Whether it is settled in its base, so that value goes with one over the price."""
        return self.contract is _INVERSE

    @property
    def size(self) -> float:
        """`contract_size` as a float."""
        return self._size

    @cached_property
    def _size(self) -> float:
        return float(self.contract_size)

    def price(self, value: Number) -> Decimal:
        """The nearest price on the tick grid."""
        return _snap(decimal(value, "price"), self.tick, ROUND_HALF_EVEN)

    def price_for(self, side: Side, value: Number) -> Decimal:
        """A limit price on the tick grid, never worse for its owner: a buy is rounded down, a sell up."""
        return _snap(decimal(value, "price"), self.tick, ROUND_FLOOR if side is _BUY else ROUND_CEILING)

    def quantity(self, value: Number) -> Decimal:
        """The quantity on the lot grid, rounded towards zero so that it never risks more. Raises ConfigurationError."""
        exact = decimal(value, "quantity")
        try:
            if not exact % self.lot:
                return exact
            return _snap(exact, self.lot, ROUND_FLOOR if exact >= 0 else ROUND_CEILING)
        except InvalidOperation:
            most = self.max_quantity or self.lot.scaleb(_DIGITS)
            raise ConfigurationError(
                f"quantity {exact.normalize():.6g} of {self.id} is too large to be exact: write at most {most:g}"
            ) from None

    def notional(self, quantity: Decimal, price: Decimal) -> Decimal:
        """The value of a quantity at a price, in `settle` for derivatives and `quote` for spot."""
        if self.contract is _INVERSE:
            return quantity * self.contract_size / price
        return quantity * self.contract_size * price

    def average(self, held: Decimal, entry: Decimal, more: Decimal, price: Decimal) -> Decimal:
        """The entry price of two quantities together: harmonic where profit is, arithmetic elsewhere."""
        if not held:
            return price
        if self.contract is _INVERSE:
            return (held + more) / (held / entry + more / price)
        return (held * entry + more * price) / (held + more)

    def profit(self, quantity: Decimal, entry: Decimal, exit_price: Decimal) -> Decimal:
        """What a signed quantity earns from `entry` to `exit_price`, in the settlement currency."""
        if self.contract is _INVERSE:
            return quantity * self.contract_size * (1 / entry - 1 / exit_price)
        return quantity * self.contract_size * (exit_price - entry)


def _snap(value: Decimal, grid: Decimal, rounding: str) -> Decimal:
    return (value / grid).to_integral_value(rounding) * grid


def symbol_parts(symbol: str) -> tuple[str, str, str, Contract]:
    """Base, quote, settle and contract kind of `BASE/QUOTE[:SETTLE[-…]]` or a listed `CODE.EXCHANGE`.

    Raises ConfigurationError for a symbol in neither form.
    """
    pair, _, rest = symbol.partition(":")
    base, slash, quote = pair.partition("/")
    if slash and base and quote:
        settle = rest.split("-")[0] if rest else quote
        kind = Contract.SPOT if not rest else Contract.INVERSE if settle == base else Contract.LINEAR
        return base, quote, settle, kind
    code, dot, exchange = symbol.partition(".")
    if dot and code and exchange and not rest:
        return code, "USD", "USD", Contract.SPOT
    raise ConfigurationError(
        f"{symbol!r} is not a symbol: write BASE/QUOTE, BASE/QUOTE:SETTLE or CODE.EXCHANGE"
    )


def named(symbol: str, catalogue: Mapping[str, Instrument]) -> Instrument:
    """The instrument of a long or short name. Raises ConfigurationError for none, or more than one."""
    matches = [i for i in catalogue.values() if symbol in (i.id, i.symbol, i.native)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = ", ".join(i.id for i in matches)
        raise ConfigurationError(f"{symbol!r} could be {names}: write the long form")
    known = ", ".join(list(catalogue)[:8]) or "none"
    raise ConfigurationError(
        f"nobody trades {symbol!r} here (known: {known}): check the symbol or add a stream"
    )


def default_instrument(symbol: str, venue: str, *, tick: Number, fee: Number = "0.0005") -> Instrument:
    """The instrument assumed for a bare data file: lot 1e-6, no minimum, one fee for maker and taker.

    `fee` is a ratio below 5 %, a rebate where it is negative. Raises ConfigurationError.
    """
    base, quote, settle, kind = symbol_parts(symbol)
    rate = decimal(fee, "fee")
    if abs(rate) >= _NO_FEE:
        raise ConfigurationError(
            f"fee {fee} is {rate * 100:f} % of what is traded, and a fee is a ratio below 5 %: "
            f"write 0.0005 for 0.05 %"
        )
    return Instrument(
        symbol=symbol,
        venue=venue,
        base=base,
        quote=quote,
        settle=settle,
        native=symbol,
        contract=kind,
        tick=decimal(tick, "tick"),
        lot=Decimal("0.000001"),
        maker_fee=rate,
        taker_fee=rate,
    )
