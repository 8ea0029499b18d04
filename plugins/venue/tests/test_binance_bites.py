"""What bites users of python-binance, reproduced: each named trap under the fault that springs it."""

import asyncio

import pytest

SPOT = {"symbol": "BTCUSDT", "quantity": "0.01"}
LIMIT = {**SPOT, "type": "LIMIT", "timeInForce": "GTC", "side": "BUY", "price": "49000"}
MARKET = {**SPOT, "type": "MARKET", "side": "BUY"}


async def silent(stream, seconds=0.4):
    """Whether a stream has nothing to say for a while."""
    try:
        await asyncio.wait_for(stream.recv(), seconds)
    except TimeoutError:
        return True
    return False


async def ended(socket):
    """Until a socket's read loop is over: it tells nobody."""
    while socket._handle_read_loop is not None:  # noqa: ASYNC110
        await asyncio.sleep(0)


@pytest.mark.full
def test_the_users_stream_dies_silently_after_24_hours(sdk, venue, raw):
    """The socket says that it was closed, connects again without its subscription, and fills are never heard of."""

    async def story(client):
        async with sdk.manager(client).user_socket() as stream:
            await client.create_order(**MARKET)
            await sdk.events(stream, 3)
            venue.advance("24h")
            told = await sdk.events(stream, 2)
            assert [event["type"] for event in told] == ["ConnectionClosedOK", "BinanceWebsocketClosed"]
            await asyncio.to_thread(venue.wait, "/ws-api/v3", what="streams")
            assert venue.streams("user") == []
            assert raw.spot(type="MARKET")[0] == 200
            assert await silent(stream)
            assert len(venue.executions("spot")) == 2
            client.ws_api.unregister_subscription_queue(stream._subscription_id)
            stream._subscription_id = None  # there is none to end any more

    sdk.run(story)


def test_a_late_error_reply_kills_the_websocket_api(sdk, venue):
    """The answer to a request that was given up ends the read loop; later orders are executed and called timed out."""

    async def story(client):
        await client.ws_create_order(**LIMIT)
        venue.fault("delay_answer", on="order.cancel", lasts="700ms")
        with pytest.raises(Exception, match="timed out"):
            await client.ws_cancel_order(symbol="BTCUSDT", orderId=1)
        venue.wait("order.cancel", what="answers")
        await ended(client.ws_api)
        with pytest.raises(Exception, match="timed out"):
            await client.ws_create_order(**MARKET)
        assert len(venue.executions("spot")) == 1

    sdk.run(story)


def test_an_overflowing_queue_takes_its_messages_with_it(sdk, venue):
    """A burst of more than a hundred: the loop ends, and what was queued is never handed over."""

    async def story(client):
        venue.trade("BTC/USDT", 50_000.0)
        async with sdk.manager(client).trade_socket("BTCUSDT") as stream:
            venue.strike("burst", count=150)
            await ended(stream)
            assert stream._queue.qsize() >= 100
            with pytest.raises(Exception, match="Read loop has been closed"):
                await stream.recv()

    sdk.run(story)


def test_the_callers_window_is_overridden(sdk, venue):
    """A recvWindow of two seconds goes out as ten."""

    async def story(client):
        await client.get_account(recvWindow=2000)
        [seen] = venue.requests("GET /api/v3/account")
        assert seen["params"]["recvWindow"] == "10000"

    sdk.run(story)


def test_a_jump_of_the_clock_is_never_made_up_for(sdk, venue):
    """The offset is measured once: after a jump every signed request is refused with -1021."""

    async def story(client):
        venue.skew(-3_000_000_000)
        for _ in range(3):
            with pytest.raises(sdk.error) as refused:
                await client.get_account()
            assert refused.value.code == -1021
        venue.skew(0)
        await client.get_account()

    sdk.run(story)


def test_an_unknown_outcome_leaves_a_live_order(sdk, venue):
    """-1007 is no refusal: the order is there, and its client id finds it."""

    async def story(client):
        venue.fault("unknown", on="order")
        with pytest.raises(sdk.error) as refused:
            await client.create_order(**LIMIT, newClientOrderId="mine")
        assert refused.value.code == -1007
        order = await client.get_order(symbol="BTCUSDT", origClientOrderId="mine")
        assert order["status"] == "NEW"

    sdk.run(story)


def test_a_page_from_the_gateway_has_no_code(sdk, venue):
    """HTML with 502 after the order was taken: the SDK has no code to show, and the order works."""

    async def story(client):
        venue.fault("error", on="order", status=502)
        with pytest.raises(sdk.error) as refused:
            await client.create_order(**LIMIT)
        assert (refused.value.code, refused.value.status_code) == (0, 502)
        assert [order["status"] for order in venue.orders("spot")] == ["new"]

    sdk.run(story)


def test_an_order_is_taken_and_never_answered(sdk, venue):
    """The caller sees a timeout, the venue a fill."""

    async def story(client):
        venue.fault("lose_answer", on="order")
        with pytest.raises(TimeoutError):
            await client.create_order(**MARKET)
        assert len(venue.executions("spot")) == 1

    sdk.run(story, requests_params={"timeout": 0.3})


def test_an_order_is_lost_on_its_way(sdk, venue):
    """The same symptom, and nothing at the venue."""

    async def story(client):
        venue.fault("lose", on="order")
        with pytest.raises(TimeoutError):
            await client.create_order(**MARKET)
        assert venue.orders("spot") == []

    sdk.run(story, requests_params={"timeout": 0.3})


def test_the_event_comes_before_the_reply(sdk, venue):
    """While the reply is on its way, the account's stream has told of the fill."""

    async def story(client):
        async with sdk.manager(client).user_socket() as stream:
            venue.fault("events_first", on="order", lasts="200ms")
            reply = asyncio.ensure_future(client.create_order(**MARKET))
            told = await sdk.events(stream, 2)
            assert told[1]["X"] == "FILLED"
            assert not reply.done()
            assert (await reply)["orderId"] == told[1]["i"]

    sdk.run(story)


def test_a_limit_is_followed_by_a_ban(sdk, venue):
    """429 with Retry-After; who goes on is banned with 418."""

    async def story(client):
        venue.fault("rate_limit", on="account", lasts="30s")
        seen = []
        for _ in range(4):
            with pytest.raises(sdk.error) as refused:
                await client.get_account()
            seen.append(
                (refused.value.status_code, refused.value.code, refused.value.response.headers["Retry-After"])
            )
        assert [status for status, _, _ in seen] == [429, 429, 429, 418]
        assert {code for _, code, _ in seen} == {-1003}
        assert all(0 < int(wait) <= 30 for _, _, wait in seen)
        venue.clear()
        await client.get_account()

    sdk.run(story)
