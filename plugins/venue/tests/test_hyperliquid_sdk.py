"""hyperliquid-python-sdk, unmodified, trades at the venue."""

import pytest


def test_it_loads_what_is_listed_and_the_market(hyper):
    """Perpetuals and spot pairs by their numbers, mids, books and candles as the SDK reads them."""
    hyper.venue.trade("BTC/USDC", 50_000.0, 0.5, aggressor="sell")
    info = hyper.info
    assert info.coin_to_asset == {"BTC": 0, "ETH": 1, "@0": 10_000, "@1": 10_001}
    assert info.name_to_coin["BTC/USDC"] == "@0"
    assert info.asset_to_sz_decimals[0] == 5
    assert info.all_mids()["BTC"] == "50000"
    book = info.l2_snapshot("BTC")
    assert [side[0]["px"] for side in book["levels"]] == ["49999", "50001"]
    [candle] = info.candles_snapshot("BTC", "1m", 0, 1 << 50)
    assert (candle["c"], candle["v"], candle["n"]) == ("50000", "0.5", 1)
    assert info.meta_and_asset_ctxs()[1][0]["markPx"] == "50000"
    assert info.user_role(hyper.account) == {"role": "user"}
    assert info.user_role(hyper.wallet.address)["data"]["user"] == hyper.account


def test_an_order_rests_fills_and_is_found_by_its_cloid(hyper):
    """Open, filled, in the list of fills, in the position and in the query by cloid."""
    heard = hyper.streams("orderUpdates", "userFills")
    assert heard.next("userFills")["isSnapshot"] is True
    resting = hyper.order(id=7)["resting"]
    assert resting["cloid"] == str(hyper.cloid(7))
    hyper.venue.quote("BTC/USDC", 48_990.0, 48_991.0)
    assert heard.statuses(2) == [(resting["oid"], "open"), (resting["oid"], "filled")]
    [fill] = heard.next("userFills")["fills"]
    assert (fill["px"], fill["crossed"], fill["dir"], fill["startPosition"]) == (
        "49000",
        False,
        "Open Long",
        "0",
    )
    found = hyper.info.query_order_by_cloid(hyper.account, hyper.cloid(7))
    assert found["order"]["status"] == "filled"
    [row] = hyper.info.user_state(hyper.account)["assetPositions"]
    assert row["position"]["szi"] == "0.01"
    assert hyper.info.user_fills_by_time(hyper.account, 0)[0]["tid"] == fill["tid"]
    assert hyper.info.query_order_by_cloid(hyper.account, hyper.cloid(8)) == {"status": "unknownOid"}


def test_money_adds_up(hyper):
    """The account's value is its cash and open profit, its raw dollars what is left without the positions."""
    hyper.exchange.market_open("BTC", False, 0.1)
    hyper.venue.quote("BTC/USDC", 49_899.0, 49_901.0)
    margin = hyper.info.user_state(hyper.account)["marginSummary"]
    cash = float(hyper.venue.books()["perps"]["balances"]["USDC"])
    assert float(margin["accountValue"]) == pytest.approx(cash + 0.1 * (49_999 - 49_900))
    assert float(margin["totalRawUsd"]) == pytest.approx(float(margin["accountValue"]) + 0.1 * 49_900)


def test_spot_is_paid_from_its_own_wallet(hyper):
    """A spot buy takes USDC and its fee from the spot wallet and touches no perpetual."""
    assert hyper.order(name="BTC/USDC", limit_px=50_100, tif="Ioc")["filled"]["totalSz"] == "0.01"
    rows = {row["coin"]: row["total"] for row in hyper.info.spot_user_state(hyper.account)["balances"]}
    assert rows == {"USDC": "99499.639993", "BTC": "0.01"}
    assert hyper.info.user_state(hyper.account)["assetPositions"] == []


def test_cancels_tell_what_they_found(hyper):
    """By number and by cloid; what is not there is told of in its place."""
    first, _ = hyper.order()["resting"]["oid"], hyper.order(id=2)
    assert hyper.status(hyper.exchange.cancel("BTC", first)) == "success"
    assert hyper.status(hyper.exchange.cancel_by_cloid("BTC", hyper.cloid(2))) == "success"
    assert "never placed" in hyper.status(hyper.exchange.cancel("BTC", first))["error"]
    assert hyper.info.open_orders(hyper.account) == []


def test_a_trigger_order_waits_for_the_mark_price(hyper):
    """It is open and shown as a trigger, is triggered, and fills."""
    heard = hyper.streams("orderUpdates")
    words = {"trigger": {"triggerPx": 49_500, "isMarket": True, "tpsl": "sl"}}
    oid = hyper.order(is_buy=False, limit_px=47_000, order_type=words)["resting"]["oid"]
    [row] = hyper.info.frontend_open_orders(hyper.account)
    assert (row["isTrigger"], row["orderType"], row["triggerPx"]) == (True, "Stop Market", "49500")
    hyper.venue.quote("BTC/USDC", 49_400.0, 49_401.0)
    assert heard.statuses(3) == [(oid, "open"), (oid, "triggered"), (oid, "filled")]


def test_a_scheduled_cancel_takes_everything_back(hyper):
    """Not sooner than in five seconds; when its time comes every order is canceled by it."""
    soon = hyper.venue.ask("clock") // 1_000_000
    assert "at least 5 seconds" in hyper.exchange.schedule_cancel(soon + 1000)["response"]
    hyper.order(id=1)
    assert hyper.exchange.schedule_cancel(soon + 6000)["status"] == "ok"
    hyper.venue.advance("7s")
    found = hyper.info.query_order_by_cloid(hyper.account, hyper.cloid(1))
    assert found["order"]["status"] == "scheduledCancel"


def test_a_late_action_is_refused(hyper):
    """What comes after its expiresAfter is not carried out."""
    hyper.exchange.set_expires_after(hyper.venue.ask("clock") // 1_000_000 - 1)
    reply = hyper.exchange.order("BTC", True, 0.01, 49_000, {"limit": {"tif": "Gtc"}})
    assert (reply["status"], hyper.venue.orders("perps")) == ("err", [])
    hyper.exchange.set_expires_after(hyper.venue.ask("clock") // 1_000_000 + 5000)
    assert "resting" in hyper.order()


def test_market_streams_have_what_the_sdk_looks_for(hyper):
    """Quotes, books, prints, candles and mids."""
    heard = hyper.streams("bbo", "l2Book", "trades", coin="BTC")
    candles = hyper.streams("candle", coin="BTC", interval="1m")
    mids = hyper.streams("allMids")
    hyper.venue.quote("BTC/USDC", 50_009.0, 50_011.0)
    hyper.venue.trade("BTC/USDC", 50_010.0, 0.25, aggressor="buy")
    assert heard.next("bbo")["bbo"][0]["px"] == "49999"
    assert heard.next("bbo")["bbo"][0]["px"] == "50009"
    [trade] = heard.next("trades")
    assert (trade["side"], trade["px"], trade["sz"]) == ("B", "50010", "0.25")
    assert candles.next("candle")["c"] == "50010"
    assert mids.next("allMids")["mids"]["BTC"] == "50000"


def test_funding_is_told_to_its_stream(hyper):
    """A payment is an event of its own and in the history."""
    heard = hyper.streams("userFundings")
    heard.next("userFundings")
    hyper.exchange.market_open("BTC", True, 0.1)
    hyper.venue.mark("BTC/USDC", 50_000.0)
    hyper.venue.funding("BTC/USDC", 0.0001)
    [row] = heard.next("userFundings")["fundings"]
    assert (row["coin"], row["usdc"], row["szi"]) == ("BTC", "-0.5", "0.1")
    assert hyper.info.user_funding_history(hyper.account, 0)[0]["delta"]["usdc"] == "-0.5"
