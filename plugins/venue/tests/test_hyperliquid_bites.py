"""What bites users of hyperliquid-python-sdk, reproduced: each named trap under the fault that springs it."""

import queue

import pytest
import requests


@pytest.mark.parametrize(
    ("variant", "statuses"),
    [("cancel_first", ["canceled", "open"]), ("open_first", ["open", "canceled"])],
)
def test_a_modification_is_a_cancel_and_a_new_order(hyper_of, variant, statuses):
    """The same cloid, a new number, and the two told of in either order."""
    hyper = hyper_of(variants={"modify": variant})
    heard = hyper.streams("orderUpdates")
    old = hyper.order(id=7)["resting"]["oid"]
    gtc = {"limit": {"tif": "Gtc"}}
    reply = hyper.exchange.modify_order(old, "BTC", True, 0.02, 48_000, gtc, cloid=hyper.cloid(7))
    new = hyper.status(reply)["resting"]["oid"]
    assert new != old
    told = heard.statuses(3)[1:]
    assert [status for _, status in told] == statuses
    assert dict(told) == {old: "canceled", new: "open"}
    assert hyper.info.query_order_by_cloid(hyper.account, hyper.cloid(7))["order"]["order"]["oid"] == new


@pytest.mark.parametrize(("variant", "left"), [("keeps", 1), ("cancels", 0)])
def test_a_refused_modification_may_cost_the_order(hyper_of, variant, left):
    """The old order stays, or goes although the new one is refused."""
    hyper = hyper_of(variants={"modify_refused": variant})
    old = hyper.order(id=7)["resting"]["oid"]
    reply = hyper.exchange.modify_order(old, "BTC", True, 0.02, 48_000.5, {"limit": {"tif": "Gtc"}})
    assert "error" in hyper.status(reply)
    assert len(hyper.info.open_orders(hyper.account)) == left


def test_partial_fills_are_no_order_updates(hyper):
    """`orderUpdates` is silent about them: only `userFills` tells."""
    heard = hyper.streams("orderUpdates", "userFills")
    heard.next("userFills")
    oid = hyper.order()["resting"]["oid"]
    hyper.venue.quote("BTC/USDC", 48_990.0, 48_991.0, ask_size=0.004)
    [fill] = heard.next("userFills")["fills"]
    assert (fill["oid"], fill["sz"]) == (oid, "0.004")
    hyper.exchange.cancel("BTC", oid)
    assert heard.statuses(2) == [(oid, "open"), (oid, "canceled")]


@pytest.mark.parametrize(("variants", "has"), [({}, False), ({"fills": "cloid"}, True)])
def test_a_fill_may_not_say_whose_it_is(hyper_of, variants, has):
    """The documents have no cloid in it."""
    hyper = hyper_of(variants=variants)
    hyper.order(id=3, tif="Ioc", limit_px=50_100)
    assert ("cloid" in hyper.info.user_fills(hyper.account)[0]) is has


def test_a_closed_stream_stays_closed(hyper):
    """No exception, ws_ready stays True, fills stop, and a later subscribe raises."""
    heard = hyper.streams("userFills")
    heard.next("userFills")
    hyper.venue.strike("close")
    heard.info.ws_manager.join(5)
    assert heard.info.ws_manager.ws_ready is True
    hyper.order(tif="Ioc", limit_px=50_100)
    with pytest.raises(queue.Empty):
        heard.frames["userFills"].get(timeout=0.3)
    with pytest.raises(Exception, match="closed"):
        heard.info.subscribe({"type": "bbo", "coin": "BTC"}, print)


def test_a_silent_connection_is_closed_after_a_minute(hyper):
    """Whoever was sent nothing for so long is let go; a ping in time prevents it."""
    heard = hyper.streams("userFills")
    heard.next("userFills")
    hyper.venue.advance("50s")
    heard.info.ws_manager.ws.send('{"method": "ping"}')
    hyper.venue.advance("20s")
    assert len(hyper.venue.streams("/ws")) == 1
    hyper.venue.advance("61s")
    heard.info.ws_manager.join(5)
    assert not heard.info.ws_manager.is_alive()


def test_its_threads_keep_the_process_alive(hyper):
    """Neither of a WebSocket's two threads is a daemon."""
    manager = hyper.streams("allMids").info.ws_manager
    assert (manager.daemon, manager.ping_sender.daemon) == (False, False)


def test_a_refused_subscription_is_dropped_unseen(hyper, capsys):
    """The venue says error, and nobody hears of it."""
    heard = hyper.streams("userFills")
    heard.next("userFills")
    heard.info.subscribe({"type": "userFills", "user": hyper.account}, heard.put)
    with pytest.raises(queue.Empty):
        heard.frames["error"].get(timeout=0.3)
    assert capsys.readouterr().out == ""


def test_a_stalled_request_blocks_for_ever(hyper):
    """There is no timeout by default; with one it raises, and the order works all the same."""
    usual = hyper.sdk.Exchange(hyper.wallet, hyper.url)
    usual.info.session.close()
    assert usual.timeout is None
    hyper.venue.fault("lose_answer", on="order")
    hyper.exchange.timeout = 0.3
    with pytest.raises(requests.exceptions.ReadTimeout):
        hyper.order(id=9)
    assert hyper.info.query_order_by_cloid(hyper.account, hyper.cloid(9))["order"]["status"] == "open"


def test_a_market_order_is_a_limit_five_percent_away(hyper):
    """`market_open` sends 52500 for a book at 50000."""
    hyper.exchange.market_open("BTC", True, 0.01)
    [row] = hyper.venue.orders("perps")
    assert (row["limit_price"], row["average_price"]) == ("52500", "50001.0")


def test_a_float_may_not_be_sent(hyper):
    """What arithmetic leaves behind raises before anything is sent."""
    with pytest.raises(ValueError, match="float_to_wire"):
        hyper.order(limit_px=3 * 33_333.3)
    assert hyper.venue.requests("order") == []


def test_an_id_may_be_used_twice(hyper):
    """Nobody documents that a cloid is unique: both orders work."""
    hyper.order(id=5)
    hyper.order(id=5)
    assert len(hyper.info.open_orders(hyper.account)) == 2


def test_the_history_repeats_an_order(hyper):
    """With each state that it was in."""
    oid = hyper.order()["resting"]["oid"]
    hyper.exchange.cancel("BTC", oid)
    rows = hyper.info.historical_orders(hyper.account)
    assert [(row["order"]["oid"], row["status"]) for row in rows] == [(oid, "canceled"), (oid, "open")]


def test_another_address_signs_for_the_test_net(hyper_of):
    """Only the main net's own URL signs for it: a proxy in front of it has every order refused."""
    hyper = hyper_of(variants={"source": "mainnet"})
    reply = hyper.exchange.order("BTC", True, 0.01, 49_000, {"limit": {"tif": "Gtc"}})
    assert "User or API Wallet" in reply["response"]


def test_errors_have_five_shapes(hyper):
    """429 null, 422 text, JSON without a code, 5xx, and bytes that are no JSON."""
    venue, ask = hyper.venue, lambda: hyper.info.open_orders(hyper.account)
    venue.fault("rate_limit", on="account", lasts="1ms")
    with pytest.raises(hyper.error.ClientError) as limited:
        ask()
    assert (limited.value.status_code, limited.value.error_message) == (429, "null")
    venue.advance("1s")
    venue.fault("refuse", on="account")
    with pytest.raises(hyper.error.ClientError) as refused:
        ask()
    assert (refused.value.status_code, refused.value.error_code) == (422, None)
    venue.fault("refuse", on="account", code="no", status=400)
    with pytest.raises(KeyError):
        ask()
    venue.fault("error", on="account", status=502)
    with pytest.raises(hyper.error.ServerError):
        ask()
    venue.fault("garbage", on="account")
    assert "Could not parse JSON" in ask()["error"]


def test_an_order_that_was_acknowledged_may_be_rejected(hyper):
    """Resting says the answer, rejected the stream."""
    heard = hyper.streams("orderUpdates")
    hyper.venue.fault("reject_later", on="order")
    oid = hyper.order()["resting"]["oid"]
    assert heard.statuses(2) == [(oid, "open"), (oid, "perpMarginRejected")]


def test_starting_asks_for_everything(hyper):
    """Each client asks for `spotMeta` and `meta` before it does anything."""
    asked = [seen["params"]["type"] for seen in hyper.venue.requests("/info")]
    assert asked == ["spotMeta", "meta"]
