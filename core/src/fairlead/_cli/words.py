"""Figures as people read them, and figures as programs compare them."""

from __future__ import annotations

from decimal import Decimal

from fairlead._models.market import utc

Figure = Decimal | float


def money(value: Figure | None, currency: str = "") -> str:
    """An amount with thousands and two decimals; more for small amounts, a dash for an unknown one."""
    if value is None:
        return "unknown"
    places = 2 if not value or abs(float(value)) >= 1 else 6
    text = f"{value:,.{places}f}"
    if not text.strip("-0.,"):
        text = text.lstrip("-")
    return f"{text} {currency}".rstrip()


_TWO_PLACES = frozenset({"EUR", "GBP", "CHF", "AUD", "CAD", "DAI", "BUSD", "TUSD"})


def settled(value: Decimal, currency: str, *, signed: bool = False) -> str:
    """An amount as its currency is counted: to the cent where it is money, to the eighth place where it is a coin."""
    places = 2 if currency.startswith("USD") or currency in _TWO_PLACES else 0 if currency == "JPY" else 8
    text = f"{value:,.{places}f}"
    if not text.strip("-0.,"):
        return text.lstrip("-")
    return f"+{text}" if signed and value > 0 else text


def gain(value: Figure | None, currency: str = "") -> str:
    """An amount with its sign."""
    if value is None:
        return "unknown"
    text = money(value, currency)
    return text if text.startswith("-") or not text.strip("0., " + currency) else f"+{text}"


def ratio(value: float | None) -> str:
    """A ratio in percent."""
    return "unknown" if value is None else f"{value * 100:.2f} %"


def plain(value: Decimal | float) -> str:
    """A quantity or a price without trailing zeros."""
    text = f"{value:,f}" if isinstance(value, Decimal) else f"{value:,.8f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def moment(ns: int) -> str:
    """A time in UTC, to the second."""
    return f"{utc(ns):%Y-%m-%d %H:%M:%S}" if ns else "-"


def clock(ns: int) -> str:
    """The time of day in UTC."""
    return f"{utc(ns):%H:%M:%S}" if ns else "-"


def count(number: int, noun: str) -> str:
    """`1 trade`, `2 trades`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
