"""What a script says to a running engine, as the text that commands are made of."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Required, TypedDict

from fairlead.errors import ConfigurationError
from fairlead.units import Money, Number


class OrderTerms(TypedDict, total=False):
    """What a person's order may say; `quantity` in base units or `value` in money, one of them.

    Without a `strategy` it is of nobody here (EXTERNAL); `account` may be left out where there is one, or where the
    strategy has its own. `trail` is a price distance or a percentage, `expires` a duration from now or an aware
    datetime.
    """

    instrument: Required[str]
    side: Required[str]
    quantity: Number
    value: str | Number | Money
    account: str
    strategy: str
    limit_price: Number
    stop_price: Number
    trail: str | Number
    time_in_force: str
    expires: str | datetime
    post_only: bool
    reduce_only: bool
    tag: str


def texts(**arguments: Any) -> dict[str, str]:
    """Arguments as text; what is None is left out. Raises ConfigurationError for what has no text."""
    return {name: _text(name, value) for name, value in arguments.items() if value is not None}


def _text(name: str, value: Any) -> str:
    match value:
        case bool():
            return "true" if value else ""
        case str():
            return str(value)
        case float():
            return repr(value)
        case int():
            return str(value)
        case Decimal():
            return f"{value:f}"
        case Money():
            return f"{value.amount:f} {value.currency}"
        case datetime():
            return value.isoformat()
        case _:
            raise ConfigurationError(f"{name}={value!r} cannot be said in a command: pass text or a number")
