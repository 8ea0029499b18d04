"""What Binance's own frames and answers mean, beyond what ccxt makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from fairlead import ConfigurationError
from fairlead.ports import AccountChanged, Report

_CODES = [
    # Not carried out: overload, limits, clock, key.
    -1002, -1003, -1004, -1008, -1010, -1011, -1013, -1014, -1015, -1016, -1020, -1021, -1022, -1025, -1034,
    # Its parameters.
    *range(-1199, -1099),
    # The matching engine, the account or the key said no.
    -2007, -2008, -2010, -2014, -2015, -2016, -2018, -2019, -2020, -2021, -2022, -2023, -2024, -2025, -2027, -2028,
    -2035, -2036, -2038, -2039,
    # Filters and settings of futures.
    *range(-5099, -3999),
]  # fmt: skip
REFUSED = frozenset(str(code) for code in _CODES)
"""Codes that prove that an order is not there; -1000, -1001, -1006 and -1007 are not among them.

https://developers.binance.com/docs/binance-spot-api-docs/errors and
https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code
"""

_ENDS = frozenset({"eventStreamTerminated", "listenKeyExpired"})
_CAUSES = {
    "DEPOSIT": "deposit", "WITHDRAW": "withdrawal", "FUNDING_FEE": "funding", "MARGIN_TRANSFER": "transfer",
    "ASSET_TRANSFER": "transfer", "ADMIN_DEPOSIT": "deposit", "ADMIN_WITHDRAW": "withdrawal",
    "INSURANCE_CLEAR": "liquidation",
}  # fmt: skip
"""https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams/Event-Balance-and-Position-Update"""


def news(message: Any) -> tuple[str, tuple[Report, ...]]:
    """What a raw frame says of the account besides orders: why the stream ends (or ""), and money that moved.

    ccxt drops both. https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream
    """
    if not isinstance(message, Mapping):
        return "", ()
    event = message.get("event")
    frame = event if isinstance(event, Mapping) else message
    kind = frame.get("e")
    if kind in _ENDS:
        return f"Binance ended the stream: {kind}", ()
    if kind == "balanceUpdate":
        return "", (_moved("transfer", frame["a"], frame["d"], "", frame["T"]),)
    if kind == "ACCOUNT_UPDATE":
        return "", tuple(_futures(frame))
    return "", ()


def _futures(frame: Mapping[str, Any]) -> list[Report]:
    change = frame["a"]
    cause = _CAUSES.get(change["m"], "")
    if not cause:
        return []
    moved = [row for row in change["B"] if Decimal(row["bc"])]
    return [_moved(cause, row["a"], row["bc"], "", frame["T"]) for row in moved]


def _moved(cause: str, currency: str, amount: str, instrument: str, at_ms: int) -> AccountChanged:
    return AccountChanged(
        cause=cause,
        currency=currency,
        amount=Decimal(amount),
        instrument=instrument,
        event_ns=at_ms * 1_000_000,
    )


def wallet(info: Any) -> Mapping[str, str] | None:
    """What a futures wallet holds: ccxt's total has the open profit in it."""
    rows = info.get("assets") if isinstance(info, Mapping) else None
    return {row["asset"]: row["walletBalance"] for row in rows} if rows is not None else None


async def permissions(exchange: Any) -> tuple[bool, bool, bool]:
    """Whether the key may trade, may withdraw, and is bound to addresses. Raises ConfigurationError for garbage."""
    found = await exchange.sapiGetAccountApiRestrictions()
    kind = exchange.options.get("defaultType")
    try:
        trades = found["enableFutures" if kind == "swap" else "enableSpotAndMarginTrading"]
        return bool(trades), bool(found["enableWithdrawals"]), bool(found["ipRestrict"])
    except (KeyError, TypeError) as error:
        raise ConfigurationError(f"Binance's answer about the key's permissions lacks {error}") from None
