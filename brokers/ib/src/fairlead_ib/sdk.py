"""Which SDK there is: ib_async, or ib_insync, which it continues; what is used of them both have alike.

Only their client, which writes and reads messages, and their plain classes of data are used. What they make of orders
on top, statuses derived from message codes and a start that goes on without answers, is left aside.
"""

from __future__ import annotations

import importlib
import warnings
from typing import Any

from fairlead import ConfigurationError

NAMES = ("ib_async", "ib_insync")


def load() -> Any:
    """The SDK's module. Call it in a running loop: on import it asks for one. Raises ConfigurationError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            import ib_async
        except ModuleNotFoundError as error:
            if error.name != NAMES[0]:
                raise
            return _older()
    return ib_async


def _older() -> Any:
    try:
        return importlib.import_module(NAMES[1])
    except ModuleNotFoundError as error:
        if error.name != NAMES[1]:
            raise
        raise ConfigurationError(
            f"no SDK of Interactive Brokers is installed: pip install {NAMES[0]}"
        ) from None
