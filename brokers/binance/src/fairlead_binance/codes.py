"""What Binance's codes mean: refused for certain, there already, of unknown outcome, not now.

https://developers.binance.com/docs/binance-spot-api-docs/errors and
https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code
"""

from __future__ import annotations

import enum

from fairlead import VenueError

OVERLOADED, CLOCK, TOO_MANY_ORDERS = -1008, -1021, -1015
UNKNOWN_ORDER = frozenset({-2011, -2013, -2026})
"""There is no such order, or none that is open."""

WRONG_KEY = frozenset({-2008, -2014, -2015, -1022})
"""The key, its permissions or its signature."""

_DOUBTFUL = frozenset({-1000, -1001, -1006, -1007})
"""Asked for, and nobody knows with what result."""

DEFINITIVE = frozenset(
    {
        # The request was not carried out: overload, limits, clock, key.
        -1002, -1003, -1004, -1008, -1010, -1011, -1013, -1014, -1015, -1016, -1020, -1021, -1022, -1025, -1034,
        # Its parameters.
        *range(-1199, -1099),
        # The matching engine, the account or the key said no. -2021 and -2022 are of futures here.
        -2007, -2008, -2010, -2011, -2013, -2014, -2015, -2016, -2018, -2019, -2020, -2021, -2022, -2023, -2024, -2025,
        -2027, -2028, -2035, -2036, -2038, -2039,
        # Filters and settings of futures.
        *range(-4999, -3999), *range(-5099, -4999),
    }
)  # fmt: skip
"""Codes of a refusal that prove that an order is not there."""


class Verdict(enum.Enum):
    """What an error says of the request that it answers."""

    REFUSED = "refused"
    DUPLICATE = "duplicate"
    UNKNOWN = "unknown"


class Refusal(VenueError):
    """Binance said no; `status` is that of HTTP, `number` its own code, 0 where the answer had none."""

    def __init__(self, status: int, number: int, text: str, retry_ms: int = 0) -> None:
        super().__init__(f"Binance refused it: {number} {text} (status {status})", code=str(number))
        self.status = status
        self.number = number
        self.text = text
        self.retry_ms = retry_ms

    @property
    def verdict(self) -> Verdict:
        """A duplicate is known by its code or, on spot, by its text alone."""
        if self.number == -4116 or (self.number == -2010 and "uplicate" in self.text):
            return Verdict.DUPLICATE
        if self.number in _DOUBTFUL or (self.status >= 500 and self.number != OVERLOADED) or not self.number:
            return Verdict.UNKNOWN
        return Verdict.REFUSED

    @property
    def limited(self) -> bool:
        """Whether it asked for too much, or is banned; too many orders shut no door to cancels."""
        return self.number == -1003 or (self.status in (418, 429) and self.number != TOO_MANY_ORDERS)
