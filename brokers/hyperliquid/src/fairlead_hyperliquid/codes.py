"""What Hyperliquid's refusals mean. There are no numbers: a refusal is a sentence, known by a part of it.

https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/error-responses
"""

from __future__ import annotations

from fairlead import VenueError

UNCLASSIFIED = "unclassified"
"""A sentence that is not known here: whether the order is there has to be looked up."""

UNTAKEN = "ioc"
"""An order that had to trade at once found nothing to trade with."""

NEVER_PLACED = "never_placed"
LIMITED = "rate_limit"
NONCE = "nonce"

_PARTS = (
    ("divisible by tick size", "tick"),
    ("minimum value of", "min_notional"),
    ("insufficient margin", "insufficient_margin"),
    ("insufficient spot balance", "insufficient_funds"),
    ("would increase position", "reduce_only"),
    ("would have immediately matched", "post_only"),
    ("could not immediately match", UNTAKEN),
    ("no liquidity available", UNTAKEN),
    ("invalid tp/sl price", "trigger_price"),
    ("invalid size", "size"),
    ("invalid price", "price"),
    ("away from the reference price", "price_band"),
    ("never placed", NEVER_PLACED),
    ("already canceled", NEVER_PLACED),
    ("too many cumulative requests", "address_budget"),
    ("too many open orders", "open_orders"),
    ("open interest", "open_interest"),
    ("invalid nonce", NONCE),
    ("expired", "expired"),
    ("does not exist", "wallet"),
    ("must deposit", "no_deposit"),
    ("multi-sig required", "multi_sig"),
    ("overloaded", "overloaded"),
)

_BY_STATUS = {
    "tickRejected": "tick", "minTradeNtlRejected": "min_notional", "perpMarginRejected": "insufficient_margin",
    "reduceOnlyRejected": "reduce_only", "badAloPxRejected": "post_only", "iocCancelRejected": UNTAKEN,
    "badTriggerPxRejected": "trigger_price", "marketOrderNoLiquidityRejected": UNTAKEN,
    "insufficientSpotBalanceRejected": "insufficient_funds", "oracleRejected": "price_band",
    "perpMaxPositionRejected": "max_position", "positionIncreaseAtOpenInterestCapRejected": "open_interest",
    "positionFlipAtOpenInterestCapRejected": "open_interest", "rejected": "rejected",
    "tooAggressiveAtOpenInterestCapRejected": "open_interest", "openInterestIncreaseRejected": "open_interest",
}  # fmt: skip

DEFINITIVE = frozenset({*(code for _, code in _PARTS), *_BY_STATUS.values(), LIMITED, "unreadable"})
"""Codes of a refusal that prove that the order is not there."""

OPEN = frozenset({"open", "triggered"})


def code_of(text: str) -> str:
    """The code of a refusal."""
    low = text.lower()
    return next((code for part, code in _PARTS if part in low), UNCLASSIFIED)


def rejection(status: str) -> str | None:
    """The code of a status that says that an order was refused; None for any other, a new one included."""
    return _BY_STATUS.get(status)


def ended(status: str) -> bool | None:
    """Whether a status ends an order; None for one that is not known here."""
    if status in OPEN:
        return False
    if status in {"filled", "canceled", "scheduledCancel"} or status in _BY_STATUS:
        return True
    return True if status.endswith(("Canceled", "Rejected")) else None


class Refusal(VenueError):
    """Hyperliquid said no to a question; `status` is that of HTTP."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"Hyperliquid refused it: {text} (status {status})", code=str(status))
        self.status = status
