"""What Bybit refuses, with its retCode and text: https://bybit-exchange.github.io/docs/v5/error"""

from __future__ import annotations

import attrs

DOCS = "https://bybit-exchange.github.io/docs/v5"
_ERRORS = f"{DOCS}/error"
_LIMITS = f"{DOCS}/rate-limit"
_GUIDE = f"{DOCS}/guide"


@attrs.frozen
class Rule:
    """One reason to refuse; `text` may have places for what it is about. `source` is the page that documents it."""

    code: int
    text: str
    source: str = _ERRORS
    status: int = 200


class Refused(Exception):
    """A request that Bybit refuses, by which rule."""

    def __init__(self, rule: Rule, *about: object) -> None:
        self.rule = rule
        self.message = rule.text.format(*about)
        super().__init__(f"{rule.code}: {self.message}")


# Any request.
PARAMETER = Rule(10001, "params error: {0}")
WINDOW = Rule(
    10002,
    "invalid request, please check your server timestamp or recv_window param. "
    "req_timestamp[{0}],server_timestamp[{1}],recv_window[{2}]",
    _GUIDE,
)
KEY = Rule(10003, "API key is invalid.")
SIGNATURE = Rule(10004, "error sign! origin_string[{0}]")
PERMISSION = Rule(10005, "Permission denied, please check your API key permissions.")
TOO_MANY = Rule(10006, "Too many visits. Exceeded the API Rate Limit.", _LIMITS)
TIMEOUT = Rule(10000, "Server Timeout")
SERVER = Rule(10016, "Server error.")
NO_ROUTE = Rule(10017, "Route not found.", status=404)
OVERLOADED = Rule(10429, "System level frequency protection. Please try again later")
IP_LIMIT = Rule(403, "access too frequent", _LIMITS, 403)
MAINTENANCE = Rule(10016, "Service is being maintained, please try again later.", status=503)
FREQUENT_SOCKET = Rule(10429, "Too many connections.", f"{DOCS}/ws/connect", 403)
UNKNOWN_OP = Rule(10404, "op type is not found")
NOT_AUTHED = Rule(20001, "Repeat auth or not authorised", f"{DOCS}/websocket/trade/guideline")

# Derivatives.
NO_ORDER = Rule(110001, "Order does not exist")
PRICE_RANGE = Rule(110003, "Order price exceeds the allowable range.")
WALLET = Rule(110004, "Wallet balance is insufficient")
AVAILABLE = Rule(110007, "ab not enough for new order")
DONE = Rule(110008, "The order has been completed or cancelled.")
CANCELED = Rule(110010, "The order has been cancelled")
LEVERAGE_RISK = Rule(110013, "Cannot set leverage due to risk limit level")
REDUCE_ONLY = Rule(110017, "current position is zero, cannot fix reduce-only order qty")
TOO_MANY_ORDERS = Rule(110020, "You can't have more than 500 active orders")
SAME_POSITION_MODE = Rule(110025, "Position mode is not modified")
SAME_LEVERAGE = Rule(110043, "leverage not modified")
SAME_MARGIN = Rule(110026, "Cross/isolated margin mode is not modified")
DUPLICATE = Rule(110072, "OrderLinkedID is duplicate")
BUSY = Rule(110079, "The order is processing and can not be operated, please try again later")
EXPECT_RISING = Rule(110092, "expect Rising, but trigger_price[{0}] <= current[{1}]")
EXPECT_FALLING = Rule(110093, "expect Falling, but trigger_price[{0}] >= current[{1}]")
NOTIONAL = Rule(110094, "Order does not meet minimum order value {0}")
POSITION_INDEX = Rule(10001, "position idx not match position mode")
MODE_IN_USE = Rule(110024, "You have an existing position, so the position mode cannot be switched")
MODE_ORDERS = Rule(110028, "You have existing open orders, so the position mode cannot be switched")
NOT_MODIFIED = Rule(34040, "not modified")
NO_POSITION = Rule(10001, "can not set tp/sl/ts for zero position")

# Spot.
S_SYMBOL = Rule(170121, "Invalid symbol.")
S_VALUE_MOST = Rule(170124, "Order amount too large.")
S_PARAMETER = Rule(170130, "Data sent for paramter '{0}' is not valid.")
S_BALANCE = Rule(170131, "Insufficient balance.")
S_PRICE_MOST = Rule(170132, "Order price too high.")
S_PRICE_LEAST = Rule(170133, "Order price lower than the minimum.")
S_PRICE_PLACES = Rule(170134, "Order price has too many decimals.")
S_QUANTITY_MOST = Rule(170135, "Order quantity too large.")
S_QUANTITY_LEAST = Rule(170136, "Order quantity lower than the minimum.")
S_QUANTITY_PLACES = Rule(170137, "Order quantity has too many decimals.")
S_FILLED = Rule(170139, "Order has been filled.")
S_VALUE_LEAST = Rule(170140, "Order value exceeded lower limit.")
S_DUPLICATE = Rule(170141, "Duplicate clientOrderId")
S_CANCELED = Rule(170142, "Order has been canceled")
S_NO_BOOK = Rule(170143, "Cannot be found on order book")
S_NO_ORDER = Rule(170213, "Order does not exist.")
