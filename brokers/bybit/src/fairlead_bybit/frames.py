"""Frames of the sockets, decoded straight from their bytes. Of each only what is used is read; the rest may change."""

from __future__ import annotations

from decimal import Decimal

import msgspec


class Frame(msgspec.Struct, rename="camel"):
    """Any frame of the private or a public socket; `ret_msg`, `req_id` and `op` are of answers."""

    topic: str = ""
    op: str = ""
    type: str = ""
    success: bool | None = None
    ret_msg: str = msgspec.field(name="ret_msg", default="")
    req_id: str = msgspec.field(name="req_id", default="")
    ts: int = 0
    cts: int = 0
    data: msgspec.Raw = msgspec.Raw()


class OrderRow(msgspec.Struct, rename="camel"):
    """A row of the topic `order`: https://bybit-exchange.github.io/docs/v5/websocket/private/order"""

    category: str
    symbol: str
    order_id: str
    order_status: str
    side: str
    qty: Decimal
    order_link_id: str = ""
    price: str = ""
    trigger_price: str = ""
    cum_exec_qty: str = ""
    reject_reason: str = ""
    cancel_type: str = ""
    time_in_force: str = ""
    order_type: str = ""
    updated_time: str = "0"


class ExecutionRow(msgspec.Struct, rename="camel"):
    """A row of the topic `execution`, and of the list of executions.

    https://bybit-exchange.github.io/docs/v5/websocket/private/execution
    """

    symbol: str
    order_id: str
    exec_id: str
    exec_type: str
    side: str
    exec_price: str
    exec_qty: Decimal
    exec_fee: str
    exec_time: str
    category: str = ""
    order_link_id: str = ""
    fee_rate: str = ""
    fee_currency: str = ""
    is_maker: bool = False


class Limits(msgspec.Struct):
    """What an answer on the trade socket tells of limits."""

    reset: str = msgspec.field(name="X-Bapi-Limit-Reset-Timestamp", default="0")


class Answer(msgspec.Struct, rename="camel"):
    """An answer on the trade socket: https://bybit-exchange.github.io/docs/v5/websocket/trade/guideline"""

    op: str = ""
    req_id: str = ""
    ret_code: int = -1
    ret_msg: str = ""
    header: Limits | None = None


frame = msgspec.json.Decoder(Frame)
orders = msgspec.json.Decoder(list[OrderRow])
executions = msgspec.json.Decoder(list[ExecutionRow])
answer = msgspec.json.Decoder(Answer)
