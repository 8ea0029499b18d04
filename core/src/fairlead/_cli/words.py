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


def number(text: str | None) -> float | None:
    """A figure of the JSON schema, to be rounded for people."""
    return None if text is None else float(text)


def figure(text: str | None) -> str:
    """A figure of the JSON schema with thousands, to the eighth place; a dash for an unknown one."""
    return "-" if text is None else plain(round(Decimal(text), 8))


def price(text: str | None) -> str:
    """A price of the JSON schema in eight digits, and two places at least; a dash for an unknown one."""
    if text is None:
        return "-"
    value = Decimal(text)
    return plain(round(value, max(2, min(12, 7 - value.adjusted()))))


def limit(text: str) -> str:
    """A limit as its breaker writes it, with thousands where it is an amount of money."""
    amount, space, currency = text.partition(" ")
    plain_amount = space and currency.isidentifier() and amount.replace(".", "", 1).isdigit()
    return f"{plain(Decimal(amount))} {currency}" if plain_amount else text


def share(text: str | None) -> str:
    """A ratio of the JSON schema in percent, a dash for an unknown one."""
    return "-" if text is None else f"{float(text) * 100:.1f} %"


def age(ns: int) -> str:
    """A duration in its two largest units: `2h 14m`, `3.1s`."""
    seconds = ns / 1e9
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes = int(seconds) // 60
    if minutes < 60:
        return f"{minutes}m {int(seconds) % 60}s"
    if minutes < 24 * 60:
        return f"{minutes // 60}h {minutes % 60}m"
    return f"{minutes // 1440}d {minutes // 60 % 24}h"
