"""The rules of the Bybit front: keys, clocks, ids, grids, limits, idle sockets and disconnection protection."""

import re

import pytest

from fairlead_venue import Venue


def code_of(call):
    """The retCode that a call of pybit is refused with, 0 where it is not."""
    try:
        call()
    except Exception as error:  # pybit has no common class for what is refused
        found = re.search(r"ErrCode: (\d+)", str(error))
        return int(found[1]) if found else -1
    return 0


@pytest.fixture
def once(venue, sdk_of):
    """pybit with its retries off."""
    return sdk_of(venue, max_retries=1, retry_codes={-1})


def test_who_asks_is_checked(sdk_of, venue):
    """A wrong key, a wrong signature, and none at all, each with its code."""
    off = {"max_retries": 1, "retry_codes": {-1}}
    assert code_of(sdk_of(venue, api_key="other", **off).http.get_account_info) == 10003
    assert code_of(sdk_of(venue, api_secret="other", **off).http.get_account_info) == 10004
    assert all("venue-secret" not in str(seen) for seen in venue.requests())


@pytest.mark.parametrize(("skew", "code"), [(4_500, 0), (5_500, 10002), (-500, 0), (-1_500, 10002)])
def test_the_clock_rule(once, venue, skew, code):
    """server - recv_window <= timestamp < server + 1 s: slow by less than the window, fast by less than a second."""
    venue.skew(skew * 1_000_000)
    assert code_of(once.http.get_account_info) == code


@pytest.mark.parametrize(
    ("words", "linear", "spot"),
    [
        ({"price": "49000.001"}, 10001, 170134),
        ({"qty": "0.0000001"}, 10001, 170137),
        ({"price": "55000"}, 110003, 170132),
        ({"side": "Sell", "price": "45000"}, 110003, 170133),
        ({"qty": "1001"}, 10001, 170135),
        ({"qty": "900"}, 110007, 170131),
        ({"symbol": "NOPE"}, 10001, 170121),
        ({"orderLinkId": "not!valid"}, 10001, 10001),
        ({"orderLinkId": "x" * 37}, 10001, 10001),
        ({"side": "buy"}, 10001, 10001),
    ],
)
def test_an_order_is_refused_with_the_code_of_its_product(once, words, linear, spot):
    """The same fault has one code in derivatives and another in spot."""
    assert code_of(lambda: once.create("linear", **words)) == linear
    assert code_of(lambda: once.create("spot", **words)) == spot


def test_what_is_worth_too_little_is_refused(once):
    """Each product has a least value of an order; reduce-only ones need none, but something to reduce."""
    assert code_of(lambda: once.create("spot", qty="0.00005")) == 170140
    assert code_of(lambda: once.create(reduceOnly=True)) == 110017


def test_a_link_id_is_used_once_for_ever(once):
    """It is taken after its order has ended, in its product; the other product has ids of its own."""
    once.create(orderLinkId="id")
    once.http.cancel_order(category="linear", symbol="BTCUSDT", orderLinkId="id")
    assert code_of(lambda: once.create(orderLinkId="id")) == 110072
    assert code_of(lambda: once.create("spot", orderLinkId="id")) == 0
    assert code_of(lambda: once.create("spot", orderLinkId="id")) == 170141


def test_what_has_ended_cannot_be_changed(once):
    """Each product has codes for what is filled, canceled or was never there."""
    spot = ("spot", 170213, 170139, {"marketUnit": "baseCoin"})
    for product, gone, filled, words in (("linear", 110001, 110008, {}), spot):
        once.create(product, orderType="Market", orderLinkId="f", **words)
        for name, code in (("none", gone), ("f", filled)):
            ask = {"category": product, "symbol": "BTCUSDT", "orderLinkId": name}
            assert code_of(lambda ask=ask: once.http.cancel_order(**ask)) == code
            assert code_of(lambda ask=ask: once.http.amend_order(**ask, qty="1")) == code


def test_the_direction_of_a_trigger_must_fit(once):
    """Rising to a price below, and falling to one above, is refused."""
    assert code_of(lambda: once.create(triggerPrice="49000", triggerDirection=1)) == 110092
    assert code_of(lambda: once.create(triggerPrice="51000", triggerDirection=2)) == 110093
    assert code_of(lambda: once.create(triggerPrice="51000")) == 10001


def test_the_limits_of_an_account_are_told_and_hold(venue, once, sdk_of):
    """Ten creates a second in linear, twenty in spot; then 10006, and the time at which there will be more."""
    http = sdk_of(venue, max_retries=1, retry_codes={-1}, return_response_headers=True).http
    words = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "49000"}
    _, _, headers = http.place_order(category="linear", **words)
    assert (headers["X-Bapi-Limit"], headers["X-Bapi-Limit-Status"]) == ("10", "9")
    codes = [code_of(once.create) for _ in range(10)]
    assert codes == [0] * 9 + [10006]
    assert code_of(lambda: once.create("spot")) == 0
    venue.advance("1s")
    assert code_of(once.create) == 0


@pytest.mark.full
def test_too_much_of_an_address_is_banned(venue, once):
    """More than 600 requests in five seconds: 403 for ten minutes."""
    codes = {code_of(once.http.get_server_time) for _ in range(601)}
    assert codes == {0, 403}
    venue.advance("9m")
    assert code_of(once.http.get_server_time) == 403
    venue.advance("2m")
    assert code_of(once.http.get_server_time) == 0


@pytest.mark.parametrize(
    ("path", "after"), [("/v5/private", "10m"), ("/v5/private?max_active_time=1m", "60s")]
)
def test_an_idle_socket_is_cut(venue, bare, path, after):
    """After ten minutes without a frame, or after the time that was asked for; a ping keeps it."""
    link = bare(path)
    link.auth()
    venue.advance("59s")
    link.say(op="ping")
    assert link.hear()["op"] == "pong"
    venue.advance(after)
    with pytest.raises(ConnectionError):
        link.hear()


def test_an_expired_auth_is_refused_and_closed(bare):
    """The venue says why, and closes."""
    link = bare("/v5/private")
    assert link.auth(ahead_ms=-1)["success"] is False
    with pytest.raises(ConnectionError):
        link.hear()


def test_private_topics_need_auth(bare):
    """A subscription without it is refused."""
    link = bare("/v5/private")
    link.say(op="subscribe", args=["order"])
    assert link.hear()["ret_msg"] == "Request not authorized"


def test_the_trade_socket_has_the_same_clock_rule(bare):
    """An operation that is older than its window is refused."""
    link = bare("/v5/trade")
    link.auth()
    assert link.order(category="linear", age_ms=6_000)["retCode"] == 10002


def test_orders_go_when_the_connection_does(bare_of, sdk_of):
    """Disconnection protection: only where it was granted, and only of those products that were subscribed to."""
    with Venue("bybit", cash=["100_000 USDT", "1 BTC"], variants={"dcp": "on"}) as venue:
        venue.quote("BTC/USDT", 49_999.0, 50_001.0)
        sdk = sdk_of(venue, recv_window=60_000)
        sdk.http.set_dcp(product="DERIVATIVES", timeWindow=5)
        link = bare_of(venue, "/v5/private")
        link.auth()
        link.say(op="subscribe", args=["dcp.future"])
        link.hear()
        sdk.create(orderLinkId="d")
        sdk.create("spot", orderLinkId="s")
        venue.disconnect()
        while venue.streams("dcp.future"):
            pass
        venue.advance("4s")
        assert sdk.status("d") == "New"
        venue.advance("2s")
        assert (sdk.status("d"), sdk.status("s", "spot")) == ("Cancelled", "New")


def test_protection_that_was_not_granted_is_refused(once):
    """It is turned on by Bybit, not by a request."""
    assert code_of(lambda: once.http.set_dcp(product="SPOT", timeWindow=5)) == 10005


def test_the_books_are_consistent(venue, once):
    """What the account has is what it began with, its trades and its fees."""
    once.create(orderType="Market")
    once.create("spot", orderType="Market", marketUnit="baseCoin", qty="0.1")
    once.create("spot", orderType="Market", side="Sell", qty="0.05")
    books = venue.books()["unified"]
    assert len(books["executions"]) == 3
    assert set(books["balances"]) == {"USDT", "BTC"}
