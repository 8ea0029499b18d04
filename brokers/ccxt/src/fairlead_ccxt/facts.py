"""What we know of exchanges and ccxt does not say: a small table, and careful defaults for all others."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from fairlead import TimeInForce, duration
from fairlead.ports import RateLimit, Report
from fairlead_ccxt import binance
from fairlead_ccxt.names import HEX, PLAIN, SHORT, Names

SECOND = duration("1s")
SPOT, SWAP = "spot", "swap"


class Standing(enum.Enum):
    """How an order stands: open, over because it has filled, or ended without."""

    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"


@attrs.frozen(kw_only=True)
class Codes:
    """An exchange's own codes of errors: `key` is where its answers have them.

    `refused` are those that prove that an order is not there, `duplicate` that one of this id is, `absent`
    that there is no such order, `clock` that our time is wrong. After any other code the outcome is unknown.
    `duplicate_text` is found in the text where the code alone does not say.
    """

    key: str
    refused: frozenset[str]
    duplicate: frozenset[str] = frozenset()
    duplicate_text: str = ""
    absent: frozenset[str] = frozenset()
    clock: frozenset[str] = frozenset()


def _no_news(_: Any) -> tuple[str, tuple[Report, ...]]:
    return "", ()


@attrs.frozen(kw_only=True)
class Facts:
    """What is known of one exchange; the defaults are what is safe to believe of one that nothing is known
    of.

    - `venue` is its name in symbols such as `BTC/USDT@binance`.
    - `client_id` is its own parameter for our id in a new order, `find` in a look-up and `cancel` in a cancel
      ("" where it finds no order by it), `find_more` what a look-up needs besides, `names` the shape of ids.
    - `window` is its parameter, in ms, that bounds how late a request is taken, `validity_ns` the bound we
      ask for; None where there is none: then an order whose answer was lost ends by evidence or by a person.
    - `statuses` read `status_key` of a raw order; without them ccxt's own word is taken. `client_id_keys`,
      `filled_key` are where a raw order or trade has our id and what had filled with it.
    - `codes` judge its errors; without them only refusals of clear kinds count as refusals.
    - `acknowledges`: its answer to an order only says that it was read; the private stream says what became
      of it.
    - `wallet`: balances of derivatives are what the wallet holds, without open profit; they are left out
      elsewhere.
    - `asks_only`: requests whose address ends so change something, and leave for a command of ours only.
    - `trades_window_ns` is how far one question for fills of derivatives reaches, `trades_reach_ns` how far
      back all of them do.
    - `conditional`: parameters that list orders which its usual lists leave out.
    """

    venue: str = ""
    client_id: str = "clientOrderId"
    find: str = ""
    find_more: Mapping[str, Any] = attrs.Factory(dict)
    cancel: str = ""
    names: Names = PLAIN
    window: str = ""
    validity_ns: int | None = None
    query_lag_ns: int = 5 * SECOND
    time_in_force: frozenset[TimeInForce] = frozenset({TimeInForce.GTC})
    post_only: bool = False
    reduce_only: bool = False
    market_orders: bool = True
    venue_options: frozenset[str] = frozenset()
    rate_limits: Mapping[str, tuple[RateLimit, ...]] = attrs.Factory(dict)
    status_key: str = ""
    statuses: Mapping[str, Standing] = attrs.Factory(dict)
    client_id_keys: tuple[str, ...] = ()
    filled_key: str = ""
    codes: Codes | None = None
    acknowledges: bool = False
    wallet: Callable[[Any], Mapping[str, str] | None] | None = None
    news: Callable[[Any], tuple[str, tuple[Report, ...]]] = _no_news
    confirms: bool = False
    permissions: Callable[[Any], Any] | None = None
    trades_window_ns: int = 0
    trades_reach_ns: int = 0
    asks_only: str = ""
    conditional: Mapping[str, Mapping[str, Any]] = attrs.Factory(dict)
    testnet: Mapping[str, str] = attrs.Factory(dict)
    options: Mapping[str, Any] = attrs.Factory(dict)


_TIMES = frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK})
_MINUTE, _TEN = 60 * SECOND, 10 * SECOND

_BINANCE = Facts(
    venue="binance",
    client_id="newClientOrderId",
    find="origClientOrderId",
    cancel="origClientOrderId",
    # https://developers.binance.com/docs/binance-spot-api-docs/rest-api/request-security
    window="recvWindow",
    validity_ns=5 * SECOND,
    query_lag_ns=2 * SECOND,
    time_in_force=_TIMES,
    post_only=True,
    reduce_only=True,
    venue_options=frozenset({"selfTradePreventionMode"}),
    rate_limits={
        # https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits; cancels are not counted as orders.
        SPOT: (
            RateLimit("orders in 10 s", 100, _TEN, cancel=0, reserve=0),
            RateLimit("orders in 24 h", 200_000, 8640 * _TEN, cancel=0, reserve=0),
            RateLimit("weight in 1 min", 3000, _MINUTE, reserve=300),
        ),
        # https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info
        SWAP: (
            RateLimit("orders in 10 s", 300, _TEN, cancel=0, reserve=0),
            RateLimit("orders in 1 min", 1200, _MINUTE, cancel=0, reserve=0),
        ),
    },
    # https://developers.binance.com/docs/binance-spot-api-docs/enums
    status_key="X",
    statuses={
        "NEW": Standing.OPEN,
        "PENDING_NEW": Standing.OPEN,
        "PENDING_CANCEL": Standing.OPEN,
        "PARTIALLY_FILLED": Standing.OPEN,
        "FILLED": Standing.FILLED,
        "CANCELED": Standing.CANCELED,
        "REJECTED": Standing.REJECTED,
        "EXPIRED": Standing.EXPIRED,
        "EXPIRED_IN_MATCH": Standing.EXPIRED,
    },
    client_id_keys=("C", "c"),
    filled_key="z",
    codes=Codes(
        key="code",
        refused=binance.REFUSED,
        duplicate=frozenset({"-4116"}),
        duplicate_text="uplicate order",
        absent=frozenset({"-2011", "-2013", "-2026"}),
        clock=frozenset({"-1021"}),
    ),
    wallet=binance.wallet,
    news=binance.news,
    confirms=True,
    permissions=binance.permissions,
    # https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/Account-Trade-List
    trades_window_ns=7 * 86_400 * SECOND,
    trades_reach_ns=180 * 86_400 * SECOND,
    conditional={SWAP: {"trigger": True}},
    testnet={SWAP: "demo"},
    options={
        "warnOnFetchOpenOrdersWithoutSymbol": False,
        "fetchCurrencies": False,
        "adjustForTimeDifference": False,
    },
)

_TABLE: Mapping[str, Facts] = {
    "binance": _BINANCE,
    "binanceusdm": _BINANCE,
    "bybit": Facts(
        venue="bybit",
        client_id="orderLinkId",
        find="orderLinkId",
        find_more={"acknowledged": True},
        cancel="orderLinkId",
        # https://bybit-exchange.github.io/docs/v5/guide#parameters-for-authenticated-endpoints
        window="recvWindow",
        validity_ns=5 * SECOND,
        time_in_force=_TIMES,
        post_only=True,
        reduce_only=True,
        codes=Codes(
            key="retCode",
            # https://bybit-exchange.github.io/docs/v5/error; 10016 (server error) and 10000 (timeout) prove nothing.
            refused=frozenset(
                {
                    "10001", "10002", "10003", "10004", "10005", "10006", "10010", "10018", "10029", "110003", "110004",
                    "110006", "110007", "110012", "110017", "110044", "110045", "110094", "170121", "170124", "170130",
                    "170131", "170132", "170133", "170134", "170136", "170137", "170140", "170142", "170210",
                }
            ),
            duplicate=frozenset({"110072", "170141"}),
            absent=frozenset({"110001", "170213"}),
            clock=frozenset({"10002"}),
        ),
        acknowledges=True,
        options={"brokerId": None},
    ),
    "okx": Facts(
        venue="okx",
        client_id="clOrdId",
        find="clOrdId",
        cancel="clOrdId",
        time_in_force=_TIMES,
        post_only=True,
        reduce_only=True,
        options={"brokerId": None},
    ),
    "hyperliquid": Facts(
        venue="hyperliquid",
        find="clientOrderId",
        cancel="clientOrderId",
        names=HEX,
        # It has no market orders: ccxt makes one a limit order at a price that it wants to be told.
        market_orders=False,
        time_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC}),
        post_only=True,
        reduce_only=True,
        # https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/exchange-endpoint
        asks_only="/exchange",
        options={"builderFee": False},
    ),
    "gate": Facts(venue="gate", client_id="text", find="id", cancel="id", names=SHORT),
}  # fmt: skip


def facts_of(exchange: str) -> Facts:
    """What is known of an exchange, by ccxt's name of it."""
    return _TABLE.get(exchange) or Facts(venue=exchange)
