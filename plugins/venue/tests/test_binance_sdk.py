"""python-binance, unmodified, trades at the venue: every kind of order, and what its streams tell of them."""

from decimal import Decimal

import pytest

GTC = {"timeInForce": "GTC"}
SPOT = {"symbol": "BTCUSDT", "quantity": "0.01"}
LIMIT = {**SPOT, "type": "LIMIT", "timeInForce": "GTC"}


def kinds(events):
    """Events by their names, with what was executed of orders."""
    return [
        f"{event['e']} {event['x']} {event['X']}" if event["e"] == "executionReport" else event["e"]
        for event in events
    ]


def test_it_loads_rules_and_market_data(sdk, venue):
    """Exchange information, depth, trades, candles and tickers of both products are as the SDK reads them."""
    venue.trade("BTC/USDT", 50_000.0, 0.5, aggressor="sell")

    async def story(client):
        symbols = (await client.get_exchange_info())["symbols"]
        assert [found["symbol"] for found in symbols] == ["BTCUSDT", "ETHUSDT"]
        book = await client.get_order_book(symbol="BTCUSDT")
        assert (book["bids"][0][0], book["asks"][0][0]) == ("49999.00000000", "50001.00000000")
        [trade] = await client.get_recent_trades(symbol="BTCUSDT")
        assert (trade["price"], trade["isBuyerMaker"]) == ("50000.00000000", True)
        [candle] = await client.get_klines(symbol="BTCUSDT", interval="1m")
        assert (candle[1], candle[5]) == ("50000.00000000", "0.50000000")
        assert (await client.get_symbol_ticker(symbol="BTCUSDT"))["price"] == "50000.00000000"
        assert (await client.get_account_api_permissions())["enableSpotAndMarginTrading"] is True
        mark = await client.futures_mark_price(symbol="BTCUSDT")
        assert mark["markPrice"] == "50000.00000000"
        assert len((await client.futures_exchange_info())["symbols"]) == 2

    sdk.run(story)


def test_a_market_order_tells_its_story_in_order(sdk, venue):
    """NEW, then TRADE, then the balances; the fee of a buy is in what was bought."""

    async def story(client):
        async with sdk.manager(client).user_socket() as stream:
            reply = await client.create_order(**SPOT, side="BUY", type="MARKET")
            told = await sdk.events(stream, 3)
            assert kinds(told) == [
                "executionReport NEW NEW", "executionReport TRADE FILLED", "outboundAccountPosition",
            ]  # fmt: skip
            assert told[1]["t"] == reply["fills"][0]["tradeId"]
            assert (told[1]["n"], told[1]["N"]) == ("0.00001000", "BTC")
            assert {row["a"]: row["f"] for row in told[2]["B"]}["BTC"] == "1.00999000"

    sdk.run(story)


def test_a_limit_order_fills_in_parts_and_its_rest_is_canceled(sdk, venue):
    """Partial fills accumulate; the cancel has an id of its own and names the order's."""

    async def story(client):
        async with sdk.manager(client).user_socket() as stream:
            await client.create_order(**LIMIT, side="BUY", price="49990", newClientOrderId="mine")
            venue.quote("BTC/USDT", 49_980.0, 49_989.0, ask_size=0.004)
            await client.cancel_order(symbol="BTCUSDT", origClientOrderId="mine")
            told = [event for event in await sdk.events(stream, 6) if event["e"] == "executionReport"]
            assert [(event["x"], event["X"], event["z"]) for event in told] == [
                ("NEW", "NEW", "0.00000000"), ("TRADE", "PARTIALLY_FILLED", "0.00400000"),
                ("CANCELED", "CANCELED", "0.00400000"),
            ]  # fmt: skip
            assert (told[1]["L"], told[1]["m"]) == ("49990.00000000", True)
            assert told[2]["C"] == "mine" != told[2]["c"]
            order = await client.get_order(symbol="BTCUSDT", origClientOrderId="mine")
            assert (order["status"], order["executedQty"]) == ("CANCELED", "0.00400000")
            [trade] = await client.get_my_trades(symbol="BTCUSDT")
            assert trade["orderId"] == order["orderId"]

    sdk.run(story)


@pytest.mark.parametrize(
    ("words", "price"),
    [
        ({"type": "STOP_LOSS", "side": "SELL", "stopPrice": "49000"}, 48_990.0),
        ({"type": "STOP_LOSS_LIMIT", "side": "SELL", "stopPrice": "49000", **GTC, "price": "48000"}, 48_990.0),
        ({"type": "TAKE_PROFIT", "side": "SELL", "stopPrice": "51000"}, 51_010.0),
        ({"type": "TAKE_PROFIT_LIMIT", "side": "BUY", "stopPrice": "49000", **GTC, "price": "49500"}, 48_990.0),
        ({"type": "STOP_LOSS", "side": "SELL", "trailingDelta": 200}, 48_990.0),
        ({"type": "STOP_LOSS", "side": "BUY", "stopPrice": "50500"}, 50_600.0),
    ],
    ids=["stop", "stop-limit", "take-profit", "take-profit-limit", "trailing", "stop-buy"],
)  # fmt: skip
def test_a_conditional_spot_order_waits_for_its_price(sdk, venue, words, price):
    """It is open and not working until the last price reaches it, and then fills."""

    async def story(client):
        number = (await client.create_order(**SPOT, **words))["orderId"]
        waiting = await client.get_order(symbol="BTCUSDT", orderId=number)
        assert (waiting["status"], waiting["isWorking"]) == ("NEW", False)
        venue.quote("BTC/USDT", price - 1, price + 1)
        assert (await client.get_order(symbol="BTCUSDT", orderId=number))["status"] == "FILLED"

    sdk.run(story)


def test_one_leg_of_an_oco_ends_the_other(sdk, venue):
    """The stop goes off, the limit expires, and the list is done."""

    async def story(client):
        async with sdk.manager(client).user_socket() as stream:
            made = await client.create_oco_order(
                symbol="BTCUSDT", side="SELL", quantity="0.01", aboveType="LIMIT_MAKER", abovePrice="52000",
                belowType="STOP_LOSS", belowStopPrice="48000",
            )  # fmt: skip
            assert len(made["orders"]) == 2
            assert (await client.get_asset_balance("BTC"))["locked"] == "0.01000000"
            venue.quote("BTC/USDT", 47_990.0, 47_991.0)
            ended = []
            while not ended or ended[-1]["e"] != "listStatus" or ended[-1]["L"] != "ALL_DONE":
                ended += await sdk.events(stream, 1)
            orders = await client.get_all_orders(symbol="BTCUSDT")
            assert sorted(order["status"] for order in orders) == ["EXPIRED", "FILLED"]

    sdk.run(story)


def test_a_pending_order_of_a_list_waits_for_the_first(sdk, venue, raw):
    """OTOCO: both exits are PENDING_NEW until the entry has filled."""
    reply = raw.call(
        "POST", "/api/v3/orderList/otoco", symbol="BTCUSDT", workingType="LIMIT", workingSide="BUY",
        workingPrice="49000", workingQuantity="0.01", workingTimeInForce="GTC", pendingSide="SELL",
        pendingQuantity="0.009", pendingAboveType="LIMIT_MAKER", pendingAbovePrice="53000",
        pendingBelowType="STOP_LOSS", pendingBelowStopPrice="47000",
    )[1]  # fmt: skip
    assert [row["status"] for row in reply["orderReports"]] == ["NEW", "PENDING_NEW", "PENDING_NEW"]
    venue.quote("BTC/USDT", 48_000.0, 48_990.0)

    async def story(client):
        orders = await client.get_all_orders(symbol="BTCUSDT")
        assert [order["status"] for order in orders] == ["FILLED", "NEW", "NEW"]
        venue.quote("BTC/USDT", 53_100.0, 53_101.0)
        orders = await client.get_all_orders(symbol="BTCUSDT")
        assert [order["status"] for order in orders] == ["FILLED", "FILLED", "EXPIRED"]

    sdk.run(story)


def test_an_order_is_amended_and_replaced(sdk, venue):
    """Less of it keeps its number; cancelReplace makes a new one; USD-M changes price and quantity in place."""

    async def story(client):
        number = (await client.create_order(**LIMIT, side="BUY", price="49000"))["orderId"]
        amended = await client._request_api(
            "put",
            "order/amend/keepPriority",
            True,
            data={"symbol": "BTCUSDT", "orderId": number, "newQty": "0.005"},
        )
        assert (amended["amendedOrder"]["orderId"], amended["amendedOrder"]["qty"]) == (number, "0.00500000")
        replaced = await client.cancel_replace_order(
            **LIMIT, side="BUY", price="48000", cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=number
        )
        assert replaced["newOrderResponse"]["orderId"] != number
        order = await client.futures_create_order(**LIMIT, side="BUY", price="49000")
        changed = await client.futures_modify_order(
            symbol="BTCUSDT", orderId=order["orderId"], side="BUY", price="48500", quantity="0.02"
        )
        assert (changed["orderId"], changed["price"], changed["origQty"]) == (
            order["orderId"],
            "48500",
            "0.02",
        )

    sdk.run(story)


def test_orders_go_over_the_websocket_api(sdk, venue):
    """Placed, asked about and canceled on the same socket as the account's events, which come before the reply."""

    async def story(client):
        placed = await client.ws_create_order(**LIMIT, side="BUY", price="49000")
        found = await client.ws_get_order(symbol="BTCUSDT", orderId=placed["orderId"])
        assert found["status"] == "NEW"
        canceled = await client.ws_cancel_order(symbol="BTCUSDT", orderId=placed["orderId"])
        assert canceled["status"] == "CANCELED"
        with pytest.raises(sdk.error) as refused:
            await client.ws_cancel_order(symbol="BTCUSDT", orderId=placed["orderId"])
        assert refused.value.code == -2011

    sdk.run(story)


def test_a_futures_fill_tells_the_account_before_the_order(sdk, venue):
    """TRADE_LITE, ACCOUNT_UPDATE, ORDER_TRADE_UPDATE; position, income and trades agree with them."""

    async def story(client):
        async with sdk.manager(client).futures_user_socket() as stream:
            await client.futures_create_order(**SPOT, side="BUY", type="MARKET")
            told = await sdk.events(stream, 4)
            assert [event["e"] for event in told] == [
                "ORDER_TRADE_UPDATE", "TRADE_LITE", "ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE",
            ]  # fmt: skip
            assert told[2]["a"]["P"][0]["pa"] == told[3]["o"]["z"] == "0.01"
            venue.quote("BTC/USDT", 50_999.0, 51_001.0)
            [position] = await client.futures_position_information(symbol="BTCUSDT")
            assert Decimal(position["unRealizedProfit"]) == Decimal("9.99")
            await client.futures_create_order(**SPOT, side="SELL", type="MARKET", reduceOnly="true")
            income = await client.futures_income_history(incomeType="REALIZED_PNL")
            assert [row["income"] for row in income] == ["9.98"]
            trades = await client.futures_account_trades(symbol="BTCUSDT")
            assert [trade["realizedPnl"] for trade in trades] == ["0", "9.98"]

    sdk.run(story)


@pytest.mark.parametrize(
    ("words", "price"),
    [
        ({"type": "STOP_MARKET", "triggerPrice": "49000", "closePosition": "true"}, 48_990.0),
        ({"type": "STOP", "triggerPrice": "49000", **GTC, "price": "48000", "quantity": "0.01"}, 48_990.0),
        ({"type": "TAKE_PROFIT_MARKET", "triggerPrice": "51000", "quantity": "0.01"}, 51_010.0),
        ({"type": "TRAILING_STOP_MARKET", "callbackRate": "2", "quantity": "0.01"}, 48_990.0),
    ],
    ids=["close", "stop-limit", "take-profit", "trailing"],
)  # fmt: skip
def test_a_conditional_futures_order_has_an_id_space_of_its_own(sdk, venue, words, price):
    """It is no order until it is triggered: the SDK's id for it is thrown away, and open orders don't show it."""

    async def story(client):
        await client.futures_create_order(**SPOT, side="BUY", type="MARKET")
        reply = await client.futures_create_order(
            symbol="BTCUSDT", side="SELL", newClientOrderId="mine", **words
        )
        assert "orderId" not in reply
        assert reply["clientAlgoId"] != "mine"
        assert await client.futures_get_open_orders(symbol="BTCUSDT") == []
        venue.quote("BTC/USDT", price - 1, price + 1)
        assert [
            row["positionAmt"] for row in await client.futures_position_information(symbol="BTCUSDT")
        ] == []
        assert len(await client.futures_get_all_orders(symbol="BTCUSDT")) == 2

    sdk.run(story)


def test_both_sides_of_a_hedged_account_are_held(sdk, venue):
    """Long and short stand beside each other, and nobody sells more of a side than there is."""

    async def story(client):
        await client.futures_change_position_mode(dualSidePosition="true")
        await client.futures_create_order(**SPOT, side="BUY", type="MARKET", positionSide="LONG")
        await client.futures_create_order(
            symbol="BTCUSDT", side="SELL", type="MARKET", quantity="0.004", positionSide="SHORT"
        )
        rows = await client.futures_position_information(symbol="BTCUSDT")
        assert [(row["positionSide"], row["positionAmt"]) for row in rows] == [
            ("LONG", "0.01"),
            ("SHORT", "-0.004"),
        ]
        with pytest.raises(sdk.error) as refused:
            await client.futures_create_order(
                symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.005", positionSide="SHORT"
            )
        assert refused.value.code == -2022

    sdk.run(story)


def test_market_streams_join_their_snapshot_without_a_gap(sdk, venue):
    """Depth numbers follow each other from the snapshot on; trades, tickers and candles tell the same market."""

    async def story(client):
        sockets = sdk.manager(client)
        async with sockets.depth_socket("BTCUSDT") as depth, sockets.futures_depth_socket("BTCUSDT") as deep:
            before = (await client.get_order_book(symbol="BTCUSDT"))["lastUpdateId"]
            venue.quote("BTC/USDT", 49_998.0, 50_001.0)
            venue.quote("BTC/USDT", 49_998.0, 50_002.0)
            first, second = await sdk.events(depth, 2)
            assert (first["U"], second["U"]) == (before + 1, first["u"] + 1)
            assert ["49999.00000000", "0.00000000"] in first["b"]
            one, two = [event.get("data", event) for event in await sdk.events(deep, 2)]
            assert two["pu"] == one["u"]
        async with (
            sockets.kline_socket("BTCUSDT", "1m") as candles,
            sockets.trade_socket("BTCUSDT") as trades,
        ):
            venue.trade("BTC/USDT", 50_010.0, 0.25)
            [trade], [candle] = await sdk.events(trades, 1), await sdk.events(candles, 1)
            assert (trade["p"], candle["k"]["c"], candle["k"]["x"]) == (
                "50010.00000000",
                "50010.00000000",
                False,
            )
            venue.advance("1m")
            venue.trade("BTC/USDT", 50_020.0, 0.25)
            shut, new = await sdk.events(candles, 2)
            assert (shut["k"]["x"], shut["k"]["t"], new["k"]["x"]) == (True, candle["k"]["t"], False)

    sdk.run(story)


def test_an_old_id_is_taken_again_once_its_order_is_done(sdk, venue):
    """Ids are unique among open orders only: no protection from sending twice after a quick fill."""

    async def story(client):
        for _ in range(2):
            await client.create_order(**SPOT, side="BUY", type="MARKET", newClientOrderId="same")
        assert len(await client.get_my_trades(symbol="BTCUSDT")) == 2

    sdk.run(story)
