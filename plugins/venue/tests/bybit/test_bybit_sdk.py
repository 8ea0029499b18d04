"""pybit, unmodified, trades at the venue: both products, every kind of order, and what the sockets tell of them."""

import json
from decimal import Decimal

import pytest


def told(link, topic):
    """The rows of the next frame of a topic."""
    while True:
        frame = link.hear()
        if frame.get("topic") == topic:
            return frame["data"]


def test_it_loads_rules_and_market_data(sdk, venue):
    """Instruments, book, tickers, candles and prints of both products are as pybit reads them."""
    venue.trade("BTC/USDT", 50_000.0, 0.5, aggressor="sell")
    http = sdk.http
    for product, lot in (("spot", "basePrecision"), ("linear", "qtyStep")):
        rows = http.get_instruments_info(category=product)["result"]["list"]
        assert [row["symbol"] for row in rows] == ["BTCUSDT", "ETHUSDT"]
        assert Decimal(rows[0]["lotSizeFilter"][lot]) > 0
        book = http.get_orderbook(category=product, symbol="BTCUSDT")["result"]
        assert (book["b"][0][0], book["a"][0][0]) == ("49999", "50001")
        [ticker] = http.get_tickers(category=product, symbol="BTCUSDT")["result"]["list"]
        assert (ticker["lastPrice"], ticker["bid1Price"]) == ("50000", "49999")
        [candle] = http.get_kline(category=product, symbol="BTCUSDT", interval="1")["result"]["list"]
        assert (candle[1], candle[5]) == ("50000", "0.5")
        [done] = http.get_public_trade_history(category=product, symbol="BTCUSDT")["result"]["list"]
        assert (done["price"], done["side"]) == ("50000", "Sell")
    assert int(http.get_server_time()["result"]["timeNano"]) > 0
    assert http.get_api_key_information()["result"]["readOnly"] == 0
    assert http.get_account_info()["result"]["unifiedMarginStatus"] == 5


def test_a_market_order_fills_in_both_products(sdk):
    """The answer has ids alone; the order, its execution, the position and the wallet say the rest."""
    for product in ("spot", "linear"):
        words = {"marketUnit": "baseCoin"} if product == "spot" else {}
        answer = sdk.create(product, orderType="Market", orderLinkId=f"{product}-1", **words)
        assert set(answer) == {"orderId", "orderLinkId"}
        assert sdk.status(f"{product}-1", product) == "Filled"
        [done] = sdk.http.get_executions(category=product)["result"]["list"]
        assert (done["execPrice"], done["execQty"], done["orderLinkId"]) == ("50001", "0.01", f"{product}-1")
        assert done["feeCurrency"] == ("BTC" if product == "spot" else "USDT")
    [position] = sdk.http.get_positions(category="linear", settleCoin="USDT")["result"]["list"]
    assert (position["side"], position["size"], position["positionIdx"]) == ("Buy", "0.01", 0)
    [wallet] = sdk.http.get_wallet_balance(accountType="UNIFIED")["result"]["list"]
    coins = {row["coin"]: Decimal(row["walletBalance"]) for row in wallet["coin"]}
    assert coins["BTC"] == Decimal("1.00999")


def test_an_order_is_amended_and_keeps_its_id(sdk):
    """Price and total quantity change in place; amending to the same is refused."""
    number = sdk.create(orderLinkId="a")["orderId"]
    answer = sdk.http.amend_order(
        category="linear", symbol="BTCUSDT", orderLinkId="a", qty="0.02", price="49100"
    )
    assert answer["result"]["orderId"] == number
    [row] = sdk.http.get_open_orders(category="linear", symbol="BTCUSDT")["result"]["list"]
    assert (row["orderId"], row["qty"], row["price"]) == (number, "0.02", "49100")
    with pytest.raises(Exception, match="not modified"):
        sdk.http.amend_order(category="linear", symbol="BTCUSDT", orderLinkId="a", qty="0.02", price="49100")


def test_orders_are_canceled_one_by_one_and_all_at_once(sdk):
    """What was canceled stands so in the history, and is found by its link id."""
    for name in ("a", "b", "c"):
        sdk.create(orderLinkId=name)
    sdk.http.cancel_order(category="linear", symbol="BTCUSDT", orderLinkId="a")
    rest = sdk.http.cancel_all_orders(category="linear", settleCoin="USDT")["result"]["list"]
    assert [row["orderLinkId"] for row in rest] == ["b", "c"]
    rows = sdk.http.get_order_history(category="linear", orderLinkId="a")["result"]["list"]
    assert [row["orderStatus"] for row in rows] == ["Cancelled"]


@pytest.mark.parametrize("product", ["spot", "linear"])
def test_a_conditional_order_waits_at_the_venue(sdk, venue, product):
    """Untriggered until the price is there, and filled then; one that is withdrawn before is Deactivated."""
    more = (
        {"orderFilter": "StopOrder", "marketUnit": "baseCoin"}
        if product == "spot"
        else {"triggerDirection": 1}
    )
    for name in ("stop", "gone"):
        sdk.create(product, orderType="Market", triggerPrice="51000", orderLinkId=name, **more)
    assert sdk.status("stop", product) == "Untriggered"
    venue.wait("order", 2, what="answers")
    more = {"orderFilter": "StopOrder"} if product == "spot" else {}
    sdk.http.cancel_order(category=product, symbol="BTCUSDT", orderLinkId="gone", **more)
    assert sdk.status("gone", product) == "Deactivated"
    venue.quote("BTC/USDT", 51_000.0, 51_002.0)
    venue.trade("BTC/USDT", 51_001.0)
    assert sdk.status("stop", product) == "Filled"


def test_ioc_fok_and_post_only_end_as_documented(sdk):
    """What cannot be done at once is Cancelled with its reason; a post-only order that would take, too."""
    sdk.create(timeInForce="IOC", orderLinkId="ioc")
    sdk.create(timeInForce="FOK", orderLinkId="fok")
    sdk.create(timeInForce="PostOnly", price="50001", orderLinkId="post")
    found = {
        row["orderLinkId"]: row for row in sdk.http.get_order_history(category="linear")["result"]["list"]
    }
    assert {row["orderStatus"] for row in found.values()} == {"Cancelled"}
    assert found["ioc"]["rejectReason"] == found["fok"]["rejectReason"] == "EC_NoImmediateQtyToFill"
    assert found["post"]["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"


def test_the_private_socket_tells_of_orders_and_executions(sdk, venue, bare):
    """After auth and subscription: order, execution, position and wallet of a fill."""
    link = bare("/v5/private")
    assert link.auth()["success"] is True
    link.say(op="subscribe", req_id="x", args=["order", "execution", "position", "wallet"])
    assert link.hear() == {
        "success": True,
        "ret_msg": "",
        "conn_id": "conn-1",
        "op": "subscribe",
        "req_id": "x",
    }
    sdk.create(orderType="Market", orderLinkId="m")
    assert [row["orderStatus"] for row in told(link, "order")] == ["New", "Filled"]
    assert [row["execQty"] for row in told(link, "execution")] == ["0.01"]
    assert [row["size"] for row in told(link, "position")] == ["0.01"]
    assert {row["coin"] for row in told(link, "wallet")[0]["coin"]} >= {"USDT"}


def test_several_executions_come_in_one_frame(sdk, venue, bare):
    """An order that takes three levels of the book has three executions in a single message."""
    venue.book("BTC/USDT", [(49_999.0, 5.0)], [(50_001.0, 1.0), (50_002.0, 1.0), (50_003.0, 5.0)])
    link = bare("/v5/private")
    link.auth()
    link.say(op="subscribe", args=["execution"])
    sdk.create(orderType="Market", qty="2.5", side="Buy")
    assert [row["execPrice"] for row in told(link, "execution")] == ["50001", "50002", "50003"]


def test_funding_is_an_execution(sdk, venue, bare):
    """It has the type Funding, and its fee is what was paid."""
    link = bare("/v5/private")
    link.auth()
    link.say(op="subscribe", args=["execution.linear"])
    sdk.create(orderType="Market")
    told(link, "execution.linear")
    venue.funding("BTC/USDT:USDT@bybit", 0.001)
    [row] = told(link, "execution.linear")
    assert (row["execType"], Decimal(row["execFee"]) > 0, row["orderId"]) == ("Funding", True, "")
    found = sdk.http.get_executions(category="linear", execType="Funding")["result"]["list"]
    assert [one["execId"] for one in found] == [row["execId"]]


def test_the_trade_socket_takes_orders(venue, bare):
    """create, amend and cancel over /v5/trade, answered by request id with the limits in the header."""
    link = bare("/v5/trade")
    assert link.order(category="linear")["retCode"] == 20001
    assert link.auth()["retCode"] == 0
    words = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "w"}
    made = link.order(**words, side="Buy", orderType="Limit", qty="0.01", price="49000")
    assert (made["reqId"], made["retCode"], made["data"]["orderLinkId"]) == ("r1", 0, "w")
    assert made["header"]["X-Bapi-Limit"] == "10"
    assert link.order("order.amend", **words, price="49001")["retCode"] == 0
    assert link.order("order.cancel", **words)["retCode"] == 0
    assert link.order("order.cancel", **words)["retCode"] == 110001
    assert link.order("order.nonsense")["retCode"] == 10404
    link.say(op="ping")
    assert link.hear()["op"] == "pong"


def test_pybit_trades_over_the_socket(sdk, venue):
    """The SDK's own trade socket, unmodified."""
    answers = []
    with sdk.sockets():
        trading = sdk.unified.WebSocketTrading(testnet=False, api_key=venue.key, api_secret=venue.secret)
        sdk.open.append(trading.exit)
        trading.place_order(
            answers.append, category="linear", symbol="BTCUSDT", side="Buy", orderType="Market", qty="0.01"
        )
        venue.wait("order.create", what="answers")
    assert len(venue.executions("unified")) == 1


def test_books_are_sent_whole_and_then_in_steps(venue, bare):
    """A snapshot at subscription, then deltas whose numbers go up by one; size 0 is gone."""
    link = bare("/v5/public/linear")
    link.say(op="subscribe", req_id="1", args=["orderbook.50.BTCUSDT", "tickers.BTCUSDT"])
    assert link.hear()["success"] is True
    first = link.hear()
    assert (first["type"], first["data"]["b"], first["data"]["u"]) == ("snapshot", [["49999", "1000"]], 1)
    assert link.hear()["type"] == "snapshot"
    venue.quote("BTC/USDT", 49_998.0, 50_001.0)
    step = told(link, "orderbook.50.BTCUSDT")
    assert (step["b"], step["a"], step["u"]) == ([["49999", "0"], ["49998", "1000"]], [], 2)
    assert told(link, "tickers.BTCUSDT")["bid1Price"] == "49998"


def test_candles_and_trades_are_told(venue, bare):
    """A print is told with its aggressor; a candle says whether it is confirmed."""
    link = bare("/v5/public/spot")
    link.say(op="subscribe", args=["publicTrade.BTCUSDT", "kline.1.BTCUSDT"])
    link.hear()
    venue.trade("BTC/USDT", 50_000.0, 0.25, aggressor="sell")
    frames = {frame["topic"]: frame["data"] for frame in (link.hear(), link.hear())}
    [done], [candle] = frames["publicTrade.BTCUSDT"], frames["kline.1.BTCUSDT"]
    assert (done["p"], done["v"], done["S"]) == ("50000", "0.25", "Sell")
    assert (candle["close"], candle["confirm"]) == ("50000", False)
    venue.advance("1m")
    venue.trade("BTC/USDT", 50_010.0)
    rows = told(link, "kline.1.BTCUSDT")
    assert [(row["close"], row["confirm"]) for row in rows] == [("50000", True), ("50010", False)]


def test_lists_have_pages(sdk, venue):
    """Executions come newest first with a cursor until there are no more."""
    for number in range(5):
        sdk.create(orderType="Market", orderLinkId=f"p{number}")
    seen, cursor = [], ""
    while True:
        found = sdk.http.get_executions(category="linear", limit=2, cursor=cursor or None)["result"]
        seen += [row["orderLinkId"] for row in found["list"]]
        cursor = found["nextPageCursor"]
        if not cursor:
            break
    assert seen == ["p4", "p3", "p2", "p1", "p0"]


def test_a_batch_answers_for_each_order(sdk):
    """One good, one bad: both are answered, each with its code."""
    rows = [
        {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": qty, "price": "49000"}
        for qty in ("0.01", "0.0001")
    ]
    answer = sdk.http.place_batch_order(category="linear", request=rows)
    assert [bool(row["orderId"]) for row in answer["result"]["list"]] == [True, False]
    assert [row["code"] for row in answer["retExtInfo"]["list"]] == [0, 10001]


def test_a_trading_stop_closes_the_position(sdk, venue):
    """Take-profit and stop-loss are orders of the position; one is replaced when it is set again."""
    sdk.create(orderType="Market")
    sdk.http.set_trading_stop(
        category="linear", symbol="BTCUSDT", takeProfit="51000", stopLoss="49000", positionIdx=0
    )
    sdk.http.set_trading_stop(category="linear", symbol="BTCUSDT", stopLoss="49500", positionIdx=0)
    rows = sdk.http.get_open_orders(category="linear", symbol="BTCUSDT")["result"]["list"]
    assert {(row["stopOrderType"], row["triggerPrice"]) for row in rows} == {
        ("TakeProfit", "51000"),
        ("StopLoss", "49500"),
    }
    venue.quote("BTC/USDT", 49_400.0, 49_402.0)
    venue.trade("BTC/USDT", 49_401.0)
    assert sdk.http.get_positions(category="linear", settleCoin="USDT")["result"]["list"] == []


def test_settings_of_the_account_can_be_changed(sdk):
    """Leverage, margin mode and position mode; changing to what it is has a code of its own."""
    http = sdk.http
    http.set_leverage(category="linear", symbol="BTCUSDT", buyLeverage="5", sellLeverage="5")
    for again, code in (
        (
            lambda: http.set_leverage(category="linear", symbol="BTCUSDT", buyLeverage="5", sellLeverage="5"),
            110043,
        ),
        (lambda: http.switch_position_mode(category="linear", coin="USDT", mode=0), 110025),
        (lambda: sdk.create(positionIdx=1), 10001),
    ):
        with pytest.raises(Exception, match=f"ErrCode: {code}"):
            again()
    http.set_margin_mode(setMarginMode="ISOLATED_MARGIN")
    assert http.get_account_info()["result"]["marginMode"] == "ISOLATED_MARGIN"
    http.switch_position_mode(category="linear", coin="USDT", mode=3)
    rows = http.get_positions(category="linear", symbol="BTCUSDT")["result"]["list"]
    assert [row["positionIdx"] for row in rows] == [1, 2]


def test_hostile_frames_are_answered(bare):
    """What is no JSON, or no operation, is refused and the connection goes on."""
    link = bare("/v5/public/spot")
    link.say(op="dance")
    assert link.hear()["success"] is False
    link.say(op="subscribe", args=["orderbook.7.BTCUSDT"])
    assert "handler not found" in json.dumps(link.hear())
    assert bare("/v5/public/option").status == 404
