"""What bites users of pybit, reproduced: each named trap under the fault that springs it."""

import gc
import linecache
import queue
import sys
import time

import pytest

# pybit raises in threads of its own, where nobody catches it, and leaves sockets behind.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(autouse=True)
def swept():
    """What pybit leaves behind is collected here, where that is no fault: not in the middle of another test."""
    yield
    gc.collect()


class SlowAfterSend:
    """While it is entered, a line of pybit's `subscribe` waits: the one that notes what was sent already."""

    def __init__(self, until):
        self._until = until

    def __enter__(self):
        sys.settrace(self._call)

    def __exit__(self, *_):
        sys.settrace(None)

    def _call(self, frame, event, _arg):
        mine = frame.f_code.co_name == "subscribe" and frame.f_code.co_filename.endswith(
            "_websocket_stream.py"
        )
        return self._line if mine else None

    def _line(self, frame, event, _arg):
        if event == "line" and "subscriptions[req_id] =" in linecache.getline(*_place(frame)):
            self._until(frame.f_locals["self"])
        return self._line


def _place(frame):
    return frame.f_code.co_filename, frame.f_lineno


def acked(venue, topic="order"):
    """Until the venue has taken a subscription."""
    venue.wait(topic, what="streams")


def test_an_answer_that_is_too_fast_kills_the_reader(sdk, venue):
    """pybit notes a subscription after it was sent: an ack that is quicker ends the thread, and nothing says so."""
    with sdk.sockets():
        made = sdk.unified.WebSocket("linear", testnet=False)
        with SlowAfterSend(lambda ws: ws.wst.join(2)):
            made.trade_stream("BTCUSDT", print)
        assert not made.is_connected()
        assert not made.wst.is_alive()


def test_frames_taken_raw_do_not_race(sdk, venue):
    """With a `callback_function` of one's own the same ack, as early, is a frame like any other."""
    with sdk.sockets():
        made, said = sdk.private(retries=0)
        assert said.get(timeout=5)["op"] == "auth"
        with SlowAfterSend(lambda ws: acked(venue)):
            made.order_stream(print)
        assert said.get(timeout=5)["success"] is True
        assert made.is_connected()


@pytest.mark.parametrize("what", ["callback", "auth", "topic"])
def test_the_reader_ends_and_nobody_is_told(sdk, venue, what):
    """An exception in a callback, a failed auth and a rejected topic: connected no more, nothing raised."""
    with sdk.sockets():
        if what == "auth":
            made = sdk.unified.WebSocket("private", testnet=False, api_key=venue.key, api_secret="wrong")
        else:
            made = sdk.unified.WebSocket("linear", testnet=False)
            made.trade_stream("NONSENSE" if what == "topic" else "BTCUSDT", lambda _: 1 / 0)
            venue.wait("publicTrade*" if what == "callback" else "/v5/public/linear", what="streams")
            if what == "callback":
                venue.trade("BTC/USDT", 50_000.0)
        made.wst.join(5)
        assert not made.is_connected()


def test_a_short_expiry_fails_on_a_slow_clock(sdk, venue):
    """Auth is valid for a second by default: a clock that is two seconds slow never gets in."""
    venue.skew(2_000_000_000)
    with sdk.sockets():
        made, said = sdk.private(private_auth_expire=1, restart_on_error=False)
        assert said.get(timeout=5)["success"] is False
        _, said = sdk.private(private_auth_expire=10)
        assert said.get(timeout=5)["success"] is True
        del made


def test_a_reconnect_is_silent_and_fills_are_missed(sdk, venue):
    """The socket comes back with its subscriptions; what happened meanwhile is told by nobody."""
    with sdk.sockets():
        made, said = sdk.private()
        made.execution_stream(print)
        acked(venue, topic="execution")
        venue.fault("lose", on="event:execution")
        sdk.create(orderType="Market")
        venue.disconnect()
        venue.wait("connect /v5/private", 2)
        acked(venue, topic="execution")
        sdk.create(orderType="Market", orderLinkId="second")
        frames = []
        while not frames or "topic" not in frames[-1]:
            frames.append(said.get(timeout=5))
        assert [frame.get("op") for frame in frames[:-1]] == ["auth", "subscribe", "auth", "subscribe"]
        assert [row["orderLinkId"] for row in frames[-1]["data"]] == ["second"]
        assert len(venue.executions("unified")) == 2


def test_a_reset_that_has_passed_breaks_the_retry(sdk, venue):
    """10006 with a reset time in the past: pybit sleeps a negative time."""
    venue.skew(-10_000_000_000)
    venue.fault("rate_limit", on="account", lasts="1s")
    with pytest.raises(ValueError, match="non-negative"):
        sdk.http.get_account_info()


def test_a_wrong_clock_ends_as_a_nameless_400(sdk_of, venue):
    """10002 is tried three times with a pause before each, and its code is hidden in the end."""
    sdk = sdk_of(venue, retry_delay=0)
    venue.skew(-5_000_000_000)
    with pytest.raises(Exception, match=r"(?i)retries exceeded") as refused:
        sdk.http.get_account_info()
    assert refused.value.status_code == 400
    assert len(venue.requests("account")) == 3


def test_retries_can_be_turned_off(sdk_of, venue):
    """One try and a code that nobody sends: the venue's own code comes through."""
    sdk = sdk_of(venue, max_retries=1, retry_codes={-1})
    venue.skew(-5_000_000_000)
    with pytest.raises(Exception, match="recv_window") as refused:
        sdk.http.get_account_info()
    assert refused.value.status_code == 10002
    assert len(venue.requests("account")) == 1


@pytest.mark.parametrize(("product", "code"), [("linear", 110072), ("spot", 170141)])
def test_a_forced_retry_sends_an_order_twice(sdk_of, venue, product, code):
    """After a timeout the order is posted again: refused as a duplicate, though the first one works."""
    sdk = sdk_of(venue, force_retry=True, retry_delay=0, timeout=0.3)
    venue.fault("lose_answer", on="order")
    with pytest.raises(Exception, match=f"ErrCode: {code}"):
        sdk.create(product, orderLinkId="once")
    assert [order["status"] for order in venue.orders("unified")] == ["new"]


def test_an_acknowledged_order_is_rejected_later(sdk, venue, bare):
    """retCode 0 has ids in it; the order stream says that it never was an order."""
    link = bare("/v5/private")
    link.auth()
    link.say(op="subscribe", args=["order"])
    link.hear()
    venue.fault("reject_later", on="order")
    assert sdk.create(orderLinkId="r")["orderId"]
    [row] = link.hear()["data"]
    assert (row["orderStatus"], row["rejectReason"]) == ("Rejected", "EC_Others")


def test_an_unknown_outcome_leaves_a_live_order(sdk, venue):
    """10016 is no refusal: the order is there, and its link id finds it."""
    venue.fault("unknown", on="order")
    with pytest.raises(Exception, match="ErrCode: 10016"):
        sdk.create(orderLinkId="mine")
    assert sdk.status("mine") == "New"


def test_a_page_from_the_gateway_has_no_code(sdk, venue):
    """HTML with 502 after the order was taken: pybit has the status to show, and the order works."""
    venue.fault("error", on="order", status=502)
    with pytest.raises(Exception, match=r"(?i)http status code") as refused:
        sdk.create()
    assert refused.value.status_code == 502
    assert len(venue.orders("unified")) == 1


def test_an_order_is_taken_and_never_answered(sdk_of, venue):
    """The caller sees a timeout, the venue an order."""
    sdk = sdk_of(venue, timeout=0.3)
    venue.fault("lose_answer", on="order")
    with pytest.raises(Exception, match="timed out"):
        sdk.create()
    assert len(venue.orders("unified")) == 1


def test_events_come_before_the_answer(sdk, venue, bare):
    """While the answer is on its way, the order stream has told of the fill."""
    link, trade = bare("/v5/private"), bare("/v5/trade")
    for one in (link, trade):
        one.auth()
    link.say(op="subscribe", args=["order"])
    link.hear()
    venue.fault("events_first", on="order", lasts="200ms")
    began = time.monotonic()
    answer = trade.order(category="linear", symbol="BTCUSDT", side="Buy", orderType="Market", qty="0.01")
    assert time.monotonic() - began >= 0.2
    assert link.hear()["data"][-1]["orderId"] == answer["data"]["orderId"]


def test_floats_leave_as_they_are_printed(sdk, venue):
    """0.00001 goes out as 1e-05, which the venue does not read."""
    with pytest.raises(Exception, match="qty invalid"):
        sdk.create("spot", qty=0.00001)
    [seen] = venue.requests("order")
    assert seen["params"]["qty"] == "1e-05"


def test_a_ban_of_the_address_has_no_code(sdk, venue):
    """403 and a text: pybit says that one may be in the USA."""
    venue.fault("ban", on="account", lasts="10s")
    with pytest.raises(Exception, match=r"(?i)ip rate limit") as refused:
        sdk.http.get_account_info()
    assert refused.value.status_code == 403


def test_a_queue_is_where_frames_belong(sdk, venue):
    """Topics come in any order: an execution before the order that it belongs to, under `reorder`."""
    with sdk.sockets():
        made, said = sdk.private()
        made.order_stream(print)
        made.execution_stream(print)
        acked(venue, topic="execution")
        venue.fault("reorder", on="event:order")
        sdk.create(orderType="Market")
        topics = []
        while len(topics) < 2:
            frame = said.get(timeout=5)
            topics += [frame["topic"]] if "topic" in frame else []
        assert topics == ["execution", "order"]
        with pytest.raises(queue.Empty):
            said.get_nowait()
