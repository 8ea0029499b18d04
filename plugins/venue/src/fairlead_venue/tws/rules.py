"""IB's message codes: https://interactivebrokers.github.io/tws-api/message_codes.html."""

from __future__ import annotations


class Refused(Exception):
    """A request is answered by an error; `args` are its code and its text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


DUPLICATE_ID = 103
FILLED = 104
MISMATCH = 105
PRICE_STEP = 110
NOT_CANCELLABLE = 161
NO_CONTRACT = 200
REJECTED = 201
CANCELLED = 202
UNREADABLE = 320
VALIDATION = 321
CLIENT_ID_IN_USE = 326
NO_MARKET_DATA = 354
ORDER_MESSAGE = 399
SIZE_ZERO = 434
NOT_CONNECTED = 504
LOST = 1100
RESTORED_DATA_LOST = 1101
RESTORED = 1102
CANCEL_UNKNOWN = 10147
CANCEL_DONE = 10148
NO_BARS = 162
NO_TICKS = 10089
TICK_LIMIT = 10190
PACING = 100
DEPTH_LIMIT = 309

TEXTS = {
    DUPLICATE_ID: "Duplicate order id",
    FILLED: "Can't modify a filled order.",
    MISMATCH: "Order being modified does not match original order.",
    PRICE_STEP: "The price does not conform to the minimum price variation for this contract.",
    NOT_CANCELLABLE: "Cancel attempted when order is not in a cancellable state.",
    NO_CONTRACT: "No security definition has been found for the request",
    REJECTED: "Order rejected - reason:",
    CANCELLED: "Order Canceled - reason:",
    CLIENT_ID_IN_USE: "Unable to connect as the client id is already in use. Retry with a unique client id.",
    NO_MARKET_DATA: "Requested market data is not subscribed.",
    ORDER_MESSAGE: "Order Message:\nWarning: Your order will not be placed at the exchange until 09:30:00 US/Eastern.",
    404: "Order held while securities are located.",
    SIZE_ZERO: "The order size cannot be zero.",
    LOST: "Connectivity between IBKR and Trader Workstation has been lost.",
    RESTORED_DATA_LOST: "Connectivity between IBKR and Trader Workstation has been restored - data lost.",
    RESTORED: "Connectivity between IBKR and Trader Workstation has been restored - data maintained.",
    1300: "TWS socket port has been reset and this connection is being dropped.",
    2103: "Market data farm connection is broken:usfarm",
    2104: "Market data farm connection is OK:usfarm",
    2105: "HMDS data farm connection is broken:ushmds",
    2106: "HMDS data farm connection is OK:ushmds",
    2107: "HMDS data farm connection is inactive but should be available upon demand:ushmds",
    2108: "Market data farm connection is inactive but should be available upon demand:usfarm",
    2110: "Connectivity between Trader Workstation and server is broken. It will be restored automatically.",
    2157: "Sec-def data farm connection is broken:secdefnj",
    2158: "Sec-def data farm connection is OK:secdefnj",
    PACING: "Max rate of messages per second has been exceeded",
    TICK_LIMIT: "Max number of tick-by-tick requests has been reached.",
    DEPTH_LIMIT: "Max number (3) of market depth requests has been reached.",
    10167: "Requested market data is not subscribed. Displaying delayed market data.",
    10349: "Order TIF was set to DAY based on order preset.",
    CANCEL_UNKNOWN: "OrderId {id} that needs to be cancelled is not found.",
    CANCEL_DONE: "OrderId {id} that needs to be cancelled can not be cancelled, state: {state}.",
}
"""What each says."""

FARMS = (2104, 2106, 2158)
"""What a client is told of when it has logged on."""

SINGLE = frozenset(
    {LOST, RESTORED_DATA_LOST, RESTORED, 1300, 2103, 2105, 2157, 2104, 2106, 2158, 2107, 2108, 2110}
)
"""Messages about the connection: they belong to no order."""


def text_of(code: int, **words: object) -> str:
    """The text of a code."""
    return TEXTS.get(code, f"Message {code}").format(**words)
