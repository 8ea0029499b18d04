"""What an error proves.

The exchange's own code decides where we know its codes, and ccxt's class only where it is clear.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead_ccxt.facts import Facts
    from fairlead_ccxt.sdk import Call

LOCAL = "not_taken_by_ccxt"
"""The code of an order that never left, because ccxt itself would not write it."""

_KEYS = ("code", "retCode", "ret_code", "err_code", "errorCode", "error_code", "label", "error")
_TEXTS = ("msg", "retMsg", "message", "err_msg", "detail", "error", "response")
_LONGEST = 300
_REFUSED = frozenset(
    {
        "InsufficientFunds", "InvalidOrder", "BadSymbol", "AuthenticationError", "PermissionDenied", "AccountSuspended",
        "MarketClosed", "ArgumentsRequired",
    }
)  # fmt: skip
"""Classes of refusals by their names: none of them is raised where the outcome is unknown."""


class Verdict(enum.Enum):
    """What an error says of the command that it answers."""

    UNSENT = "unsent"
    REFUSED = "refused"
    DUPLICATE = "duplicate"
    ABSENT = "absent"
    UNKNOWN = "unknown"


def judge(facts: Facts, call: Call, error: Exception) -> Verdict:
    """What became of a command that failed so."""
    if not call.writes:
        return Verdict.UNSENT
    if not call.status:
        return Verdict.UNKNOWN
    if call.status in (418, 429):
        return Verdict.REFUSED
    code, text = reason_of(facts, call.body, error)
    codes = facts.codes
    if codes is None:
        return _by_class(call, error)
    if code in codes.duplicate or (codes.duplicate_text and codes.duplicate_text in text):
        return Verdict.DUPLICATE
    if code in codes.absent:
        return Verdict.ABSENT
    return Verdict.REFUSED if code in codes.refused else Verdict.UNKNOWN


def _by_class(call: Call, error: Exception) -> Verdict:
    names = [kind.__name__ for kind in type(error).__mro__]
    if call.status >= 500 or call.body is None:
        return Verdict.UNKNOWN
    if "DuplicateOrderId" in names:
        return Verdict.DUPLICATE
    if "OrderNotFound" in names:
        return Verdict.ABSENT
    return Verdict.REFUSED if _REFUSED.intersection(names) else Verdict.UNKNOWN


def reason_of(facts: Facts, body: Any, error: Exception) -> tuple[str, str]:
    """The code and the text of an answer; ccxt's own text only where nothing was asked, for it may show addresses."""
    if isinstance(body, Mapping):
        keys = (facts.codes.key,) if facts.codes is not None else _KEYS
        code = next((str(body[key]) for key in keys if isinstance(body.get(key), str | int)), "")
        text = next((body[key] for key in _TEXTS if isinstance(body.get(key), str) and body[key]), "")
        if code or text:
            return code, text[:_LONGEST]
    return "", type(error).__name__
