"""What Binance refuses, with its code and text, and the page that says so."""

from __future__ import annotations

import attrs

SPOT = "https://developers.binance.com/docs/binance-spot-api-docs"
FUTURES = "https://developers.binance.com/docs/derivatives/usds-margined-futures"
_SPOT_ERRORS = f"{SPOT}/errors"
_FILTERS = f"{SPOT}/filters"
_SIGNED = f"{SPOT}/rest-api/request-security"
_LIMITS = f"{SPOT}/rest-api/limits"
_FUTURES_ERRORS = f"{FUTURES}/error-code"


@attrs.frozen
class Rule:
    """One reason to refuse; `text` may have places for what it is about. `source` is the page that documents it."""

    code: int
    text: str
    source: str
    status: int = 400


class Refused(Exception):
    """A request that Binance refuses, by which rule; `data` goes into the error's body where it has some."""

    def __init__(self, rule: Rule, *about: object, data: object = None, status: int = 0) -> None:
        self.rule = rule
        self.message = rule.text.format(*about)
        self.status = status or rule.status
        self.data = data
        super().__init__(f"{rule.code}: {self.message}")


# Any product.
UNKNOWN_PATH = Rule(-1000, "No such endpoint.", _SPOT_ERRORS, 404)
TOO_MANY_REQUESTS = Rule(
    -1003, "Too much request weight used; current limit is {0} request weight per 1 MINUTE.", _LIMITS, 429
)
BANNED = Rule(-1003, "Way too much request weight used; IP banned until {0}.", _LIMITS, 418)
UNKNOWN_OUTCOME = Rule(
    -1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
    _SPOT_ERRORS, 408,
)  # fmt: skip
OVERLOADED = Rule(-1008, "Server is currently overloaded with other requests.", _SPOT_ERRORS, 503)
TOO_MANY_ORDERS = Rule(-1015, "Too many new orders; current limit is {0} orders per {1}.", _LIMITS, 429)
MAINTENANCE = Rule(
    -1001, "Internal error; unable to process your request. Please try again.", _SPOT_ERRORS, 503
)
TIMESTAMP_EARLY = Rule(
    -1021, "Timestamp for this request was 1000ms ahead of the server's time.", _SIGNED
)  # fmt: skip
TIMESTAMP_LATE = Rule(-1021, "Timestamp for this request is outside of the recvWindow.", _SIGNED)
SIGNATURE = Rule(-1022, "Signature for this request is not valid.", _SIGNED)
ILLEGAL = Rule(-1100, "Illegal characters found in parameter '{0}'; legal range is '{1}'.", _SPOT_ERRORS)
MISSING = Rule(-1102, "Mandatory parameter '{0}' was not sent, was empty/null, or malformed.", _SPOT_ERRORS)
NOT_REQUIRED = Rule(-1106, "Parameter '{0}' sent when not required.", _SPOT_ERRORS)
PRECISION = Rule(-1111, "Parameter '{0}' has too much precision.", _SPOT_ERRORS)
TIME_IN_FORCE = Rule(-1115, "Invalid timeInForce.", _SPOT_ERRORS)
ORDER_TYPE = Rule(-1116, "Invalid orderType.", _SPOT_ERRORS)
SIDE = Rule(-1117, "Invalid side.", _SPOT_ERRORS)
INTERVAL = Rule(-1120, "Invalid interval.", _SPOT_ERRORS)
SYMBOL = Rule(-1121, "Invalid symbol.", _SPOT_ERRORS)
LISTEN_KEY = Rule(-1125, "This listenKey does not exist.", _SPOT_ERRORS)
RECV_WINDOW = Rule(-1131, "recvWindow must be less than 60000.", _SIGNED)
COMBINATION = Rule(-1128, "Combination of optional parameters invalid.", _SPOT_ERRORS)
KEY_FORMAT = Rule(-2014, "API-key format invalid.", _SPOT_ERRORS, 401)
KEY = Rule(-2015, "Invalid API-key, IP, or permissions for action.", _SPOT_ERRORS, 401)

# Spot.
FILTER = Rule(-1013, "Filter failure: {0}", _FILTERS)
QUANTITY = Rule(-1013, "Invalid quantity.", _SPOT_ERRORS)
FUNDS = Rule(-2010, "Account has insufficient balance for requested action.", _SPOT_ERRORS)
DUPLICATE = Rule(-2010, "Duplicate order sent.", _SPOT_ERRORS)
WOULD_TAKE = Rule(-2010, "Order would immediately match and take.", _SPOT_ERRORS)
WOULD_TRIGGER = Rule(-2010, "Stop price would trigger immediately.", _SPOT_ERRORS)
NO_MARKET = Rule(-2010, "Market is closed.", _SPOT_ERRORS)
LIST_PRICES = Rule(-2010, "The relationship of the prices for the orders is not correct.", _SPOT_ERRORS)
NO_LIST = Rule(-2018, "Order list does not exist.", _SPOT_ERRORS)
CANCEL_UNKNOWN = Rule(-2011, "Unknown order sent.", _SPOT_ERRORS)
NO_ORDER = Rule(-2013, "Order does not exist.", _SPOT_ERRORS)
CANCEL_REPLACE_PARTIAL = Rule(-2021, "Order cancel-replace partially failed.", _SPOT_ERRORS, 409)
CANCEL_REPLACE_FAILED = Rule(-2022, "Order cancel-replace failed.", _SPOT_ERRORS)
ARCHIVED = Rule(
    -2026, "Order was canceled or expired with no executed qty over 90 days ago and has been archived.",
    _SPOT_ERRORS,
)  # fmt: skip
AMEND_UP = Rule(
    -2038, "Order amend (quantity increase) is not supported.", f"{SPOT}/faqs/order_amend_keep_priority"
)
CANCEL_RESTRICTION = Rule(-2011, "Order was not canceled due to cancel restrictions.", f"{SPOT}/errors")

# USD-M futures.
F_PRECISION = Rule(-1111, "Precision is over the maximum defined for this asset.", _FUTURES_ERRORS)
F_MARGIN = Rule(-2019, "Margin is insufficient.", _FUTURES_ERRORS)
F_WOULD_TRIGGER = Rule(-2021, "Order would immediately trigger.", _FUTURES_ERRORS)
F_REDUCE_ONLY = Rule(-2022, "ReduceOnly Order is rejected.", _FUTURES_ERRORS)
F_PRICE_SIGN = Rule(-4001, "Price less than 0.", _FUTURES_ERRORS)
F_QUANTITY_SIGN = Rule(-4003, "Quantity less than or equal to zero.", _FUTURES_ERRORS)
F_QUANTITY_MIN = Rule(-4004, "Quantity less than min quantity.", _FUTURES_ERRORS)
F_QUANTITY_MAX = Rule(-4005, "Quantity greater than max quantity.", _FUTURES_ERRORS)
F_TICK = Rule(-4014, "Price not increased by tick size.", _FUTURES_ERRORS)
F_CLIENT_ID = Rule(-4015, "Client order id is not valid.", _FUTURES_ERRORS)
F_PRICE_HIGH = Rule(-4016, "Price is higher than mark price multiplier cap.", _FUTURES_ERRORS)
F_STEP = Rule(-4023, "Quantity not increased by step size.", _FUTURES_ERRORS)
F_PRICE_LOW = Rule(-4024, "Price is lower than mark price multiplier floor.", _FUTURES_ERRORS)
F_LEVERAGE = Rule(-4028, "Leverage {0} is not valid.", _FUTURES_ERRORS)
F_STOP_ORDERS = Rule(-4045, "Reach max stop order limit.", _FUTURES_ERRORS)
F_SAME_MARGIN = Rule(-4046, "No need to change margin type.", _FUTURES_ERRORS)
F_MARGIN_ORDERS = Rule(-4047, "Margin type cannot be changed if there exists open orders.", _FUTURES_ERRORS)
F_MARGIN_POSITION = Rule(-4048, "Margin type cannot be changed if there exists position.", _FUTURES_ERRORS)
F_SAME_SIDE = Rule(-4059, "No need to change position side.", _FUTURES_ERRORS)
F_POSITION_SIDE = Rule(-4061, "Order's position side does not match user's setting.", _FUTURES_ERRORS)
F_SIDE_ORDERS = Rule(-4067, "Position side cannot be changed if there exists open orders.", _FUTURES_ERRORS)
F_SIDE_POSITION = Rule(-4068, "Position side cannot be changed if there exists position.", _FUTURES_ERRORS)
F_DUPLICATE = Rule(-4116, "ClientOrderId is duplicated.", _FUTURES_ERRORS)
F_ALGO = Rule(
    -4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
    _FUTURES_ERRORS,
)  # fmt: skip
F_PERCENT_PRICE = Rule(
    -4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit.", _FUTURES_ERRORS
)
F_CLOSE = Rule(-4136, "Target strategy invalid for orderType {0}, closePosition {1}.", _FUTURES_ERRORS)
F_NOTIONAL = Rule(
    -4164, "Order's notional must be no smaller than {0} (unless you choose reduce only).", _FUTURES_ERRORS
)
F_FOK = Rule(
    -5021,
    "Due to the order could not be filled immediately, the FOK order has been rejected.",
    _FUTURES_ERRORS,
)
F_POST_ONLY = Rule(
    -5022, "Due to the order could not be executed as maker, the Post Only order will be rejected.",
    _FUTURES_ERRORS,
)  # fmt: skip
F_SAME_ORDER = Rule(-5027, "No need to modify the order.", _FUTURES_ERRORS)
F_MAX_ORDERS = Rule(-1025, "Reach the max number of open orders.", _FUTURES_ERRORS)
F_CALLBACK = Rule(-2007, "Invalid callBack rate.", _FUTURES_ERRORS)
F_ACTIVATION = Rule(-4135, "Invalid activation price.", _FUTURES_ERRORS)
F_CLOSE_QUANTITY = Rule(-4137, "Quantity must be zero with closePosition equals true.", _FUTURES_ERRORS)
