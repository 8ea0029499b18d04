"""Binance's rules: for each a request that it lets through and one that it refuses, with the exact code."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from fairlead_venue import Venue
from fairlead_venue.binance import rules

V3, F = "/api/v3", "/fapi/v1"
Answer = tuple[int, Any, Any]
Ask = Callable[[Any], Answer]


class Case(NamedTuple):
    """A rule by its name, a request that it lets through, and one that it refuses."""

    rule: str
    good: Ask
    bad: Ask


def opened(raw: Any) -> Any:
    """An open spot order."""
    return raw.spot()[1]


def held(raw: Any, **words: Any) -> Any:
    """An open futures order."""
    return raw.futures(**words)[1]


def account(**words: Any) -> Ask:
    return lambda raw: raw.call("GET", f"{V3}/account", **words)


def spot(**words: Any) -> Ask:
    return lambda raw: raw.spot(**words)


def futures(**words: Any) -> Ask:
    return lambda raw: raw.futures(**words)


def algo(**words: Any) -> Ask:
    return lambda raw: raw.algo(**words)


def ask(method: str, path: str, **words: Any) -> Ask:
    return lambda raw: raw.call(method, path, **words)


def after(first: Ask, then: Ask) -> Ask:
    def run(raw: Any) -> Answer:
        assert first(raw)[0] == 200
        return then(raw)

    return run


def at(raw: Any, by_ms: int) -> int:
    return raw.venue.ask("clock") // 1_000_000 + by_ms


def many(count: int, ask_one: Callable[[Any, int], Answer]) -> Ask:
    def run(raw: Any) -> Answer:
        answer: Answer = (0, None, None)
        for number in range(count):
            answer = ask_one(raw, number)
        return answer

    return run


def amended(quantity: str) -> Ask:
    return lambda raw: raw.call(
        "PUT",
        f"{V3}/order/amend/keepPriority",
        symbol="BTCUSDT",
        orderId=opened(raw)["orderId"],
        newQty=quantity,
    )


def replaced(**words: Any) -> Ask:
    def run(raw: Any) -> Answer:
        usual = {
            "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01",
            "price": "48000", "cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrderId": opened(raw)["orderId"],
        }  # fmt: skip
        return raw.call("POST", f"{V3}/order/cancelReplace", **(usual | words))

    return run


def archived(days: int) -> Ask:
    def run(raw: Any) -> Answer:
        number = opened(raw)["orderId"]
        raw.call("DELETE", f"{V3}/order", symbol="BTCUSDT", orderId=number)
        raw.venue.advance(f"{days}d")
        return raw.call("GET", f"{V3}/order", symbol="BTCUSDT", orderId=number)

    return run


def oco(above: str, below: str) -> Ask:
    return ask(
        "POST", f"{V3}/orderList/oco", symbol="BTCUSDT", side="SELL", quantity="0.01", aboveType="LIMIT_MAKER",
        abovePrice=above, belowType="STOP_LOSS", belowStopPrice=below,
    )  # fmt: skip


def modified(price: str) -> Ask:
    return lambda raw: raw.call(
        "PUT", f"{F}/order", symbol="BTCUSDT", side="BUY", quantity="0.01", price=price,
        orderId=held(raw)["orderId"],
    )  # fmt: skip


def cancel_restricted(only: str) -> Ask:
    return lambda raw: raw.call(
        "DELETE", f"{V3}/order", symbol="BTCUSDT", orderId=opened(raw)["orderId"], cancelRestrictions=only
    )


BUY_STOP = {"type": "STOP_LOSS", "side": "BUY", "stopPrice": "51000"}
BUY = futures(type="MARKET")
DUAL = ask("POST", f"{F}/positionSide/dual", dualSidePosition="true")
ONE_WAY = ask("POST", f"{F}/positionSide/dual", dualSidePosition="false")
ISOLATED = ask("POST", f"{F}/marginType", symbol="BTCUSDT", marginType="ISOLATED")
CROSSED = ask("POST", f"{F}/marginType", symbol="BTCUSDT", marginType="CROSSED")
TRAILING = {"type": "TRAILING_STOP_MARKET", "triggerPrice": None}

CASES = [
    Case("UNKNOWN_PATH", ask("GET", f"{V3}/ping", sign=False), ask("GET", f"{V3}/pong", sign=False)),
    Case("TIMESTAMP_EARLY", lambda raw: raw.call("GET", f"{V3}/account", timestamp=at(raw, 900)),
         lambda raw: raw.call("GET", f"{V3}/account", timestamp=at(raw, 1200))),
    Case("TIMESTAMP_LATE", lambda raw: raw.call("GET", f"{V3}/account", timestamp=at(raw, -4500)),
         lambda raw: raw.call("GET", f"{V3}/account", timestamp=at(raw, -5001))),
    Case("RECV_WINDOW", account(recvWindow=60_000), account(recvWindow=60_001)),
    Case("SIGNATURE", account(), account(signature="0" * 64)),
    Case("KEY", account(), account(key="somebody-else")),
    Case("KEY_FORMAT", account(), account(key="two words")),
    Case("ILLEGAL", spot(newClientOrderId="a-Z_9"), spot(newClientOrderId="a b")),
    Case("MISSING", spot(), spot(quantity="")),
    Case("NOT_REQUIRED", spot(type="MARKET"), spot(type="MARKET", price="1")),
    Case("PRECISION", spot(quantity="0.01000000"), spot(quantity="0.010000001")),
    Case("TIME_IN_FORCE", spot(timeInForce="IOC"), spot(timeInForce="GTX")),
    Case("ORDER_TYPE", spot(type="MARKET"), spot(type="TRAILING")),
    Case("SIDE", spot(side="SELL", price="51000"), spot(side="HOLD")),
    Case("INTERVAL", ask("GET", f"{V3}/klines", sign=False, symbol="BTCUSDT", interval="1m"),
         ask("GET", f"{V3}/klines", sign=False, symbol="BTCUSDT", interval="7m")),
    Case("SYMBOL", spot(), spot(symbol="NOSUCH")),
    Case("COMBINATION", spot(type="MARKET"), spot(type="MARKET", quoteOrderQty="100")),
    Case("FILTER", spot(), spot(price="49000.001")),
    Case("FILTER", spot(), spot(quantity="0.000011")),
    Case("FILTER", spot(quantity="0.00011"), spot(quantity="0.0001", price="49000")),
    Case("FILTER", spot(side="SELL", price="249000"), spot(side="SELL", price="251000")),
    Case("FILTER", spot(**BUY_STOP | {"trailingDelta": 10}), spot(**BUY_STOP | {"trailingDelta": 9})),
    Case("FILTER", many(5, lambda raw, _: raw.spot(**BUY_STOP)), many(6, lambda raw, _: raw.spot(**BUY_STOP))),
    Case("QUANTITY", spot(), spot(quantity="0")),
    Case("FUNDS", spot(quantity="2", price="49000"), spot(quantity="2.1", price="49000")),
    Case("DUPLICATE", after(spot(newClientOrderId="a", type="MARKET"), spot(newClientOrderId="a")),
         after(spot(newClientOrderId="a"), spot(newClientOrderId="a"))),
    Case("WOULD_TAKE", spot(type="LIMIT_MAKER", price="50000"), spot(type="LIMIT_MAKER", price="50001")),
    Case("WOULD_TRIGGER", spot(**BUY_STOP), spot(**BUY_STOP | {"stopPrice": "49000"})),
    Case("LIST_PRICES", oco("52000", "48000"), oco("52000", "51000")),
    Case("NO_LIST", lambda raw: raw.call(
        "GET", f"{V3}/orderList", orderListId=oco("52000", "48000")(raw)[1]["orderListId"]),
         ask("GET", f"{V3}/orderList", orderListId=7)),
    Case("CANCEL_UNKNOWN", cancel_restricted("ONLY_NEW"), ask("DELETE", f"{V3}/order", symbol="BTCUSDT", orderId=1)),
    Case("CANCEL_RESTRICTION", cancel_restricted("ONLY_NEW"), cancel_restricted("ONLY_PARTIALLY_FILLED")),
    Case("NO_ORDER", lambda raw: raw.call("GET", f"{V3}/order", symbol="BTCUSDT", orderId=opened(raw)["orderId"]),
         ask("GET", f"{V3}/order", symbol="BTCUSDT", origClientOrderId="never")),
    Case("ARCHIVED", archived(89), archived(91)),
    Case("CANCEL_REPLACE_PARTIAL", replaced(), replaced(quantity="9")),
    Case("CANCEL_REPLACE_FAILED", replaced(), replaced(cancelOrderId=1)),
    Case("AMEND_UP", amended("0.005"), amended("0.02")),
    Case("F_PRECISION", futures(), futures(quantity="0.0101")),
    Case("F_MARGIN", futures(quantity="2"), futures(quantity="50")),
    Case("F_WOULD_TRIGGER", algo(), algo(triggerPrice="51000")),
    Case("F_REDUCE_ONLY", after(BUY, futures(type="MARKET", side="SELL", reduceOnly="true")),
         futures(type="MARKET", side="SELL", reduceOnly="true")),
    Case("F_PRICE_SIGN", futures(), futures(price="0")),
    Case("F_QUANTITY_SIGN", futures(), futures(quantity="0")),
    Case("F_QUANTITY_MAX", futures(), futures(quantity="1001")),
    Case("F_CLIENT_ID", futures(newClientOrderId="a.b:/c"), futures(newClientOrderId="a b")),
    Case("F_PRICE_HIGH", futures(price="74999"), futures(price="75001")),
    Case("F_PRICE_LOW", futures(side="SELL", price="25001"), futures(side="SELL", price="24999")),
    Case("F_LEVERAGE", ask("POST", f"{F}/leverage", symbol="BTCUSDT", leverage=125),
         ask("POST", f"{F}/leverage", symbol="BTCUSDT", leverage=126)),
    Case("F_SAME_MARGIN", ISOLATED, CROSSED),
    Case("F_MARGIN_ORDERS", ISOLATED, after(futures(), ISOLATED)),
    Case("F_MARGIN_POSITION", ISOLATED, after(BUY, ISOLATED)),
    Case("F_SAME_SIDE", DUAL, ONE_WAY),
    Case("F_SIDE_ORDERS", DUAL, after(futures(), DUAL)),
    Case("F_SIDE_POSITION", DUAL, after(BUY, DUAL)),
    Case("F_POSITION_SIDE", after(DUAL, futures(positionSide="LONG")), futures(positionSide="LONG")),
    Case("F_DUPLICATE", after(futures(newClientOrderId="a", type="MARKET"), futures(newClientOrderId="a")),
         after(futures(newClientOrderId="a"), futures(newClientOrderId="a"))),
    Case("F_ALGO", algo(), futures(type="STOP_MARKET", stopPrice="40000")),
    Case("F_CLOSE", algo(closePosition="true", quantity=None),
         algo(closePosition="true", quantity=None, type="STOP", price="40000")),
    Case("F_CLOSE_QUANTITY", algo(closePosition="true", quantity=None), algo(closePosition="true")),
    Case("F_NOTIONAL", futures(quantity="0.003"), futures(quantity="0.002")),
    Case("F_POST_ONLY", futures(timeInForce="GTX"), futures(timeInForce="GTX", price="50001")),
    Case("F_SAME_ORDER", modified("48000"), modified("49000")),
    Case("F_CALLBACK", algo(**TRAILING, callbackRate="0.1"), algo(**TRAILING, callbackRate="0.05")),
    Case("F_ACTIVATION", algo(**TRAILING, callbackRate="1", activatePrice="51000"),
         algo(**TRAILING, callbackRate="1", activatePrice="49000")),
    Case("LISTEN_KEY", after(ask("POST", f"{F}/listenKey", sign=False), ask("PUT", f"{F}/listenKey", sign=False)),
         ask("PUT", f"{F}/listenKey", sign=False)),
]  # fmt: skip

ELSEWHERE = {
    "UNKNOWN_OUTCOME": "faults", "OVERLOADED": "faults", "MAINTENANCE": "faults", "BANNED": "faults and limits",
    "TOO_MANY_REQUESTS": "limits", "TOO_MANY_ORDERS": "limits", "NO_MARKET": "an empty market",
    "F_PERCENT_PRICE": "an empty market", "F_FOK": "a variant", "F_TICK": "a coarse tick", "F_STEP": "a coarse lot",
    "F_QUANTITY_MIN": "a coarse lot", "F_STOP_ORDERS": "two hundred orders", "F_MAX_ORDERS": "two hundred orders",
}  # fmt: skip
"""Rules whose cases need another venue than the table's; each has a test below or in another file."""


@pytest.mark.parametrize("case", CASES, ids=[f"{number}-{case.rule}" for number, case in enumerate(CASES)])
def test_a_rule_lets_through_and_refuses(case, raw_of):
    """The same rule, one request each: 200, and the code and status that the vendor documents."""
    rule = getattr(rules, case.rule)
    assert rule.source.startswith("https://developers.binance.com/")
    for ask_it, refused in ((case.good, False), (case.bad, True)):
        with Venue("binance", cash=["100_000 USDT", "1 BTC"]) as venue:
            venue.quote("BTC/USDT", 49_999.0, 50_001.0)
            status, body, _ = ask_it(raw_of(venue))
        if refused:
            assert (status, body["code"]) == (rule.status, rule.code), body
            assert body["msg"].startswith(rule.text.partition("{")[0])
        else:
            assert status == 200, body


def test_every_rule_has_a_case():
    """A rule that nothing tests is a guess."""
    all_of_them = {name for name, found in vars(rules).items() if isinstance(found, rules.Rule)}
    assert all_of_them == {case.rule for case in CASES} | set(ELSEWHERE)


def test_an_empty_market_takes_no_market_order(raw_of):
    """Nothing to trade with is a refusal, not a wait."""
    with Venue("binance", cash=["100_000 USDT"]) as venue:
        raw = raw_of(venue)
        assert raw.spot(type="MARKET", quoteOrderQty="100", quantity=None)[1]["code"] == rules.NO_MARKET.code
        assert raw.futures(type="MARKET")[1]["code"] == rules.F_PERCENT_PRICE.code


def test_grids_of_an_instrument_are_its_own_rules(raw_of):
    """A tick, lot and minimum that are no powers of ten have codes beside that for too many decimals."""
    with Venue("binance", cash=["100_000 USDT"]) as venue:
        venue.quote("BTC/USDT", 49_999.0, 50_001.0)
        venue.change("BTC/USDT:USDT", tick="0.05", lot="0.005", min_quantity="0.01")
        raw = raw_of(venue)
        assert raw.futures(price="49000.05")[0] == 200
        assert raw.futures(price="49000.02")[1]["code"] == rules.F_TICK.code
        assert raw.futures(quantity="0.012")[1]["code"] == rules.F_STEP.code
        assert raw.futures(quantity="0.005")[1]["code"] == rules.F_QUANTITY_MIN.code


def test_request_weight_runs_out_then_bans(raw_of):
    """429 with Retry-After, 418 for whoever goes on, and a new minute starts from nothing."""
    with Venue("binance", variants={"weight": "40"}) as venue:
        raw = raw_of(venue)
        assert raw.call("GET", f"{V3}/account")[2]["X-MBX-USED-WEIGHT-1M"] == "20"
        assert raw.call("GET", f"{V3}/account")[0] == 200
        status, body, headers = raw.call("GET", f"{V3}/account")
        assert (status, body["code"]) == (429, -1003)
        assert 1 <= int(headers["Retry-After"]) <= 60
        statuses = [raw.call("GET", f"{V3}/ping", sign=False)[0] for _ in range(12)]
        assert statuses[-1] == 418
        venue.advance("3m")
        assert raw.call("GET", f"{V3}/ping", sign=False)[0] == 200


def test_orders_are_counted_in_ten_seconds(raw_of):
    """The count stands in a header, and beyond it an order is refused until the window is over."""
    with Venue("binance", cash=["100_000 USDT"], variants={"orders_10s": "2"}) as venue:
        venue.quote("BTC/USDT", 49_999.0, 50_001.0)
        raw = raw_of(venue)
        while venue.ask("clock") % 10_000_000_000 > 8_000_000_000:
            venue.advance("500ms")  # so that the window does not end in the middle
        assert [raw.spot()[2]["X-MBX-ORDER-COUNT-10S"] for _ in range(2)] == ["1", "2"]
        assert raw.spot()[1]["code"] == rules.TOO_MANY_ORDERS.code
        venue.advance("10s")
        assert raw.spot()[0] == 200


@pytest.mark.parametrize(("variant", "code"), [({}, None), ({"futures_fok": "refuse"}, rules.F_FOK.code)])
def test_an_unfilled_fok_order_expires_or_is_refused(variant, code, raw_of):
    """Two documents differ: the order page lets it expire, the error page refuses it."""
    with Venue("binance", cash=["100_000 USDT"], variants=variant) as venue:
        venue.quote("BTC/USDT", 49_999.0, 50_001.0, ask_size=0.001)
        _, body, _ = raw_of(venue).futures(price="50001", timeInForce="FOK", newOrderRespType="RESULT")
        assert body.get("code") == code
        assert code or body["status"] == "EXPIRED"


def test_a_crossing_post_only_futures_order_may_expire_instead(raw_of):
    """The variant futures_gtx=expire gives it a number and ends it."""
    with Venue("binance", cash=["100_000 USDT"], variants={"futures_gtx": "expire"}) as venue:
        venue.quote("BTC/USDT", 49_999.0, 50_001.0)
        _, body, _ = raw_of(venue).futures(price="50001", timeInForce="GTX", newOrderRespType="RESULT")
        assert body["status"] == "EXPIRED"


def test_open_orders_have_a_most(raw_of):
    """Two hundred conditional orders, and one less of the others than the filter says."""
    with Venue("binance", cash=["10_000_000 USDT"]) as venue:
        venue.quote("BTC/USDT", 49_999.0, 50_001.0)
        raw = raw_of(venue)
        batch = [{"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01",
                  "price": "49000"}] * 5  # fmt: skip
        for _ in range(40):
            raw.venue.advance("1s")
            assert all(
                "orderId" in row
                for row in raw.call("POST", f"{F}/batchOrders", batchOrders=json.dumps(batch))[1]
            )
        assert raw.futures()[1]["code"] == rules.F_MAX_ORDERS.code
        venue.advance("1m")
        for number in range(200):
            assert raw.algo(clientAlgoId=f"a{number}")[0] == 200
        assert raw.algo()[1]["code"] == rules.F_STOP_ORDERS.code
