"""What happens to orders at Binance beyond what an SDK's story shows: self-trades, batches, countdowns, money."""

import json
from decimal import Decimal

import pytest

SELL = {"side": "SELL", "price": "50000", "quantity": "0.02"}


@pytest.mark.parametrize(
    ("mode", "maker", "taker"),
    [
        ("NONE", "NEW", "FILLED"),
        ("EXPIRE_TAKER", "NEW", "EXPIRED_IN_MATCH"),
        ("EXPIRE_MAKER", "EXPIRED_IN_MATCH", "FILLED"),
        ("EXPIRE_BOTH", "EXPIRED_IN_MATCH", "EXPIRED_IN_MATCH"),
        ("DECREMENT", "NEW", "EXPIRED_IN_MATCH"),
    ],
)
def test_an_order_does_not_meet_another_of_the_account(raw, mode, maker, taker):
    """The taker's mode says which of the two ends, or by how much both shrink."""
    resting = raw.spot(**SELL)[1]["orderId"]
    taken = raw.spot(type="MARKET", selfTradePreventionMode=mode)[1]
    assert taken["status"] == taker
    found = raw.call("GET", "/api/v3/order", symbol="BTCUSDT", orderId=resting)[1]
    assert found["status"] == maker
    assert Decimal(found["origQty"]) == Decimal("0.01" if mode == "DECREMENT" else "0.02")


def test_a_batch_answers_each_of_its_orders(raw):
    """One is placed, one refused, and one batch cancels; six are too many."""
    one = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "49000",
           "quantity": "0.01"}  # fmt: skip
    placed, refused = raw.call(
        "POST", "/fapi/v1/batchOrders", batchOrders=json.dumps([one, one | {"price": "49000.001"}])
    )[1]
    assert (placed["status"], refused["code"]) == ("NEW", -1111)
    changed = one | {"orderId": placed["orderId"], "price": "48000"}
    [row] = raw.call("PUT", "/fapi/v1/batchOrders", batchOrders=json.dumps([changed]))[1]
    assert row["price"] == "48000"
    listed = json.dumps([placed["orderId"], 7])
    gone, unknown = raw.call("DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDT", orderIdList=listed)[1]
    assert (gone["status"], unknown["code"]) == ("CANCELED", -2011)
    assert raw.call("POST", "/fapi/v1/batchOrders", batchOrders=json.dumps([one] * 6))[0] == 400


def test_a_countdown_cancels_what_was_not_renewed(venue, raw):
    """Repeated in time it cancels nothing; conditional orders are outside of it."""
    raw.futures()
    raw.algo()
    for _ in range(3):
        raw.call("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=5000)
        venue.advance("4s")
    assert len(raw.call("GET", "/fapi/v1/openOrders")[1]) == 1
    venue.advance("2s")
    assert raw.call("GET", "/fapi/v1/openOrders")[1] == []
    assert len(raw.call("GET", "/fapi/v1/openAlgoOrders")[1]) == 1


def test_an_order_ends_at_its_date(venue, raw):
    """GTD: ten minutes ahead at least, and expired a moment after."""
    now = venue.ask("clock") // 1_000_000
    assert raw.futures(timeInForce="GTD", goodTillDate=now + 60_000)[1]["code"] == -1100
    number = raw.futures(timeInForce="GTD", goodTillDate=now + 700_000)[1]["orderId"]
    venue.advance("12m")
    found = raw.call("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=number)[1]
    assert found["status"] == "EXPIRED"


def test_funding_is_paid_and_noted(venue, raw):
    """Longs pay rate times notional at the mark, and the income history says so."""
    raw.futures(type="MARKET")
    venue.mark("BTC/USDT:USDT", 50_000.0)
    venue.funding("BTC/USDT:USDT", 0.001)
    [paid] = raw.call("GET", "/fapi/v1/income", incomeType="FUNDING_FEE")[1]
    assert (paid["symbol"], Decimal(paid["income"])) == ("BTCUSDT", Decimal("-0.5"))
    index = raw.call("GET", "/fapi/v1/premiumIndex", sign=False, symbol="BTCUSDT")[1]
    assert index["lastFundingRate"] == "0.00100000"


def test_leverage_is_the_margin_of_what_comes(venue, raw):
    """At 125 times the same order fits that does not at one."""
    raw.call("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=1)
    assert raw.futures(quantity="3")[1]["code"] == -2019
    raw.call("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=125)
    assert raw.futures(quantity="3")[0] == 200
    [row] = raw.call("GET", "/fapi/v1/symbolConfig", symbol="BTCUSDT")[1]
    assert row["leverage"] == 125


def test_a_position_is_liquidated_by_nobodys_order(venue, raw):
    """What the venue closes has a client id of the venue's own."""
    raw.call("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=125)
    assert raw.futures(type="MARKET", quantity="100")[0] == 200
    venue.quote("BTC/USDT:USDT", 48_000.0, 48_001.0)
    orders = raw.call("GET", "/fapi/v1/allOrders", symbol="BTCUSDT")[1]
    assert orders[-1]["clientOrderId"].startswith("autoclose-")
    assert raw.call("GET", "/fapi/v3/positionRisk")[1] == []


def test_streams_are_cut_by_hand(venue, raw):
    """`disconnect` leaves nobody connected; an instrument's changed rules hold from then on."""
    venue.disconnect()
    assert venue.streams() == []
    venue.change("BTC/USDT@binance", tick="0.5")
    assert raw.spot(price="49000.25")[1]["msg"] == "Filter failure: PRICE_FILTER"
    assert raw.spot(price="49000.5")[0] == 200
