"""What a script says to a running engine, as the text that commands are made of."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from fairlead.errors import ConfigurationError
from fairlead.units import Money


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
