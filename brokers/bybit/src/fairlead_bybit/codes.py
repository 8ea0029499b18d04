"""What Bybit's codes mean: refused for certain, there already, of unknown outcome, not now.

https://bybit-exchange.github.io/docs/v5/error
"""

from __future__ import annotations

import enum

from fairlead import VenueError

CLOCK, TOO_MANY, OVERLOADED, BANNED = 10002, 10006, 10429, 403
UNKNOWN_ORDER = frozenset({110001, 170213, 170143})
"""There is no such order, or none that is open."""

DUPLICATE = frozenset({110072, 170141})
WRONG_KEY = frozenset({10003, 10004, 10005, 10007, 10009, 10010, 33004})
"""The key, its permissions, its addresses or its signature."""

DOUBTFUL = frozenset({10000, 10016, 10019, 170001, 170007, 170032})
"""Asked for, and nobody knows with what result."""

POST_ONLY = "EC_PostOnlyWillTakeLiquidity"
NO_QUANTITY = "EC_NoImmediateQtyToFill"
REJECTIONS = frozenset(
    {
        POST_ONLY, NO_QUANTITY, "EC_NoEnoughQtyToFill", "EC_OrigClOrdIDDoesNotExist", "EC_TooLateToCancel",
        "EC_InvalidSymbolStatus", "EC_SecurityStatus", "EC_MarketQuoteNoSuppSell", "EC_CancelForNoFullFill",
        "EC_DisorderOrderID", "EC_InvalidBaseValue", "EC_LoadOrderCanMatch", "EC_SecurityStatusFail",
        "EC_ReachRiskPriceLimit", "EC_OrderNotExist", "EC_ReachMaxTradeNum", "EC_MarketOrderCanNotBeAmended",
        "EC_QtyCannotBeZero", "EC_BySelfMatch", "EC_InCallAuctionStatus", "EC_NoRoomForTheOrder", "EC_Others",
    }
)  # fmt: skip
"""Why the matching engine ends an order: https://bybit-exchange.github.io/docs/v5/enum#rejectreason"""

DEFINITIVE = frozenset(
    {
        # The request was not carried out: parameters, clock, key, limits, overload.
        *range(10001, 10016), 10017, 10018, 10024, 10027, 10028, 10029, OVERLOADED, 10404, 20001, 20003, 20006, 33004,
        # Derivatives, spot.
        *range(110001, 110200), *range(170001, 170900),
    }
    - DOUBTFUL
)  # fmt: skip
"""Codes of a refusal that prove that an order is not there."""


class Verdict(enum.Enum):
    """What a refusal says of the request that it answers."""

    REFUSED = "refused"
    DUPLICATE = "duplicate"
    UNKNOWN = "unknown"


class Refusal(VenueError):
    """Bybit said no. `number` is its retCode, 0 where the answer had none; `status` that of HTTP, 200 on a socket."""

    def __init__(self, number: int, text: str, status: int = 200, until_ms: int = 0) -> None:
        super().__init__(f"Bybit refused it: {number} {text} (status {status})", code=str(number))
        self.number = number
        self.text = text
        self.status = status
        self.until_ms = until_ms

    @property
    def verdict(self) -> Verdict:
        """What it proves; what is not known proves nothing."""
        if self.number in DUPLICATE:
            return Verdict.DUPLICATE
        if self.number in DOUBTFUL or (not self.number and self.status != BANNED):
            return Verdict.UNKNOWN
        return Verdict.REFUSED

    @property
    def limited(self) -> bool:
        """Whether it was too much, of the account or of the address."""
        return self.number in (TOO_MANY, OVERLOADED) or self.status == BANNED
