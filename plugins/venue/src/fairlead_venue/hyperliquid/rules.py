"""What Hyperliquid refuses, in its own words, each with the document that says so.

https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/error-responses unless another is named.
"""

from __future__ import annotations

TICK = "Price must be divisible by tick size. asset={0}"
NOTIONAL = "Order must have minimum value of ${1}. asset={0}"
MARGIN = "Insufficient margin to place order. asset={0}"
SPOT_BALANCE = "Insufficient spot balance asset={0}"
REDUCE_ONLY = "Reduce only order would increase position. asset={0}"
POST_ONLY = "Post only order would have immediately matched, bbo was {1}@{2}. asset={0}"
IOC = "Order could not immediately match against any resting orders. asset={0}"
TRIGGER = "Invalid TP/SL price. asset={0}"
NO_LIQUIDITY = "No liquidity available for market order. asset={0}"
AGGRESSIVE = "Order price cannot be more than 80% away from the reference price. asset={0}"
SIZE = "Order has invalid size."
PRICE = "Order has invalid price."
NEVER_PLACED = "Order was never placed, already canceled, or filled. asset={0}"
NOT_MODIFIABLE = "Cannot modify canceled or filled order"
TOO_MANY_OPEN = "Too many open orders. asset={0}"
OVERLOADED = "Order was refused: the exchange is overloaded. asset={0}"

WALLET = "User or API Wallet {0} does not exist."
"""Whom the signature names is neither the account nor its agent: mostly it signs something else than was sent.

https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/signing
"""
NONCE_TWICE = "Invalid nonce: duplicate nonce {0}"
"""https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/nonces-and-api-wallets"""
NONCE_OLD = "Invalid nonce: {0} is below the lowest of the last 100, {1}"
NONCE_TIME = "Invalid nonce: {0} is not within (T - 2 days, T + 1 day) of {1}"
EXPIRED = "Action has expired: expiresAfter {0} is before {1}"
"""https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/exchange-endpoint"""
BUDGET = (
    "Too many cumulative requests sent ({0} > {1}) for cumulative volume traded ${2}. "
    "Place taker orders to free up 1 request per USDC traded."
)
"""https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/rate-limits-and-user-limits"""
SCHEDULE_SOON = "Scheduled cancel time too early, must be at least 5 seconds from now."
SCHEDULE_OFTEN = "Too many scheduled cancel triggers today: the most is 10."
SCHEDULE_VOLUME = (
    "Cannot set scheduled cancel time until enough volume traded. Required: $1000000. Traded: ${0}."
)
LEVERAGE = "Invalid leverage value"
NOT_HERE = "This action is not for trading and does nothing here: {0}"
UNREADABLE = "Failed to deserialize the JSON body into the target type"


class Refused(Exception):
    """A whole action is refused: HTTP 200 and `{"status": "err"}`."""

    def __init__(self, text: str, *about: object) -> None:
        super().__init__(text.format(*about))


class Unreadable(Exception):
    """A request that cannot be read at all: HTTP 422 and a line of text."""
