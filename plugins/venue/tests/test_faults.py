"""The faults of the framework, each seen from outside by a client without an SDK."""

import asyncio
import json
import threading
from decimal import Decimal

import aiohttp
import pytest

from fairlead import ConfigurationError
from fairlead_venue import Fault, FaultKind, FaultPlan, Venue, VenueRefused
from fairlead_venue.faults import Faults

ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
LIMIT = ORDER | {"type": "LIMIT", "timeInForce": "GTC", "price": "49000"}


class Listener:
    """The futures account's stream, and a market stream beside it, as raw frames with what ended them."""

    def __init__(self, venue, raw, path="/private/ws"):
        self.venue = venue
        self.key = raw.call("POST", "/fapi/v1/listenKey", sign=False)[1]["listenKey"]
        self.url = f"{venue.addresses['ws']}{path}?listenKey={self.key}"

    async def __aenter__(self):
        self.session = aiohttp.ClientSession()
        self.socket = await self.session.ws_connect(self.url, autoping=False)
        return self

    async def __aexit__(self, *_):
        await self.session.close()

    async def frames(self, count, within=3):
        return [
            json.loads((await asyncio.wait_for(self.socket.receive(), within)).data) for _ in range(count)
        ]

    async def names(self, count):
        return [name(frame) for frame in await self.frames(count)]

    async def end(self):
        message = await asyncio.wait_for(self.socket.receive(), 3)
        return message.type, self.socket.close_code

    async def nothing(self, seconds=0.15):
        try:
            await asyncio.wait_for(self.socket.receive(), seconds)
        except TimeoutError:
            return True
        return False


def name(frame):
    order = frame.get("o")
    return f"{frame['e']} {order['x']}" if frame["e"] == "ORDER_TRADE_UPDATE" else frame["e"]


FILL = ["ORDER_TRADE_UPDATE NEW", "TRADE_LITE", "ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE TRADE"]


def told(venue, raw, count, *faults, order=None):
    """The names of so many events after an order under these faults."""

    async def story():
        async with Listener(venue, raw) as stream:
            for words in faults:
                venue.fault(**words)
            await asyncio.to_thread(raw.futures, **(order or ORDER))
            return await stream.names(count)

    return asyncio.run(story())


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"kind": "duplicate", "on": "ORDER_TRADE_UPDATE.TRADE"}, [*FILL, FILL[3]]),
        ({"kind": "lose", "on": "ACCOUNT_UPDATE"}, [FILL[0], FILL[1], FILL[3]]),
        ({"kind": "reorder", "on": "ACCOUNT_UPDATE"}, [FILL[0], FILL[1], FILL[3], FILL[2]]),
        ({"kind": "delay", "on": "TRADE_LITE", "lasts": "50ms"}, [FILL[0], FILL[2], FILL[3], FILL[1]]),
        ({"kind": "duplicate", "on": "event:*", "times": 0}, [name for name in FILL for _ in range(2)]),
        ({"kind": "coalesce", "on": "order"}, FILL),
        ({"kind": "answer_first", "on": "order"}, FILL),
    ],
    ids=["duplicate", "lose", "reorder", "delay", "duplicate-all", "coalesce", "answer-first"],
)  # fmt: skip
def test_events_are_repeated_lost_and_out_of_order(venue, raw, fault, expected):
    """Each fault changes what arrives and nothing else: the books have one fill."""
    assert told(venue, raw, len(expected), fault) == expected
    assert len(venue.executions("futures")) == 1


def test_held_events_leave_in_one_segment(venue, raw):
    """A client that reads the socket once gets all frames of the order together."""

    async def story():
        reader, writer = await asyncio.open_connection(
            *venue.addresses["ws"].removeprefix("ws://").split(":")
        )
        key = raw.call("POST", "/fapi/v1/listenKey", sign=False)[1]["listenKey"]
        writer.write(
            f"GET /private/ws?listenKey={key} HTTP/1.1\r\nHost: venue\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        venue.fault("coalesce", on="order")
        await asyncio.to_thread(raw.futures, **ORDER)
        once = await asyncio.wait_for(reader.read(65536), 3)
        writer.close()
        assert [once.count(event.split()[0].encode() + b'"') for event in FILL] == [2, 1, 1, 2]

    asyncio.run(story())


def test_the_reply_comes_before_the_events(venue, raw):
    """With answer_first nothing is on the stream until the reply was written."""

    async def story():
        async with Listener(venue, raw) as stream:
            venue.fault("answer_first", on="order")
            venue.fault("delay_answer", on="order", lasts="300ms")
            placing = asyncio.ensure_future(asyncio.to_thread(raw.futures, **ORDER))
            assert await stream.nothing()
            assert (await placing)[0] == 200
            assert await stream.names(4) == FILL

    asyncio.run(story())


def test_an_order_is_rejected_after_its_acknowledgement(venue, raw):
    """The reply says NEW; the stream says REJECTED, and the books never had it."""

    async def story():
        async with Listener(venue, raw) as stream:
            venue.fault("reject_later", on="order")
            _, reply, _ = await asyncio.to_thread(raw.futures, **ORDER)
            assert reply["status"] == "NEW"
            assert await stream.names(2) == ["ORDER_TRADE_UPDATE NEW", "ORDER_TRADE_UPDATE REJECTED"]

    asyncio.run(story())
    assert [order["status"] for order in venue.orders("futures")] == ["rejected"]


@pytest.mark.parametrize(("kind", "code"), [("drop", 1006), ("close", 1000), ("shutdown", 1000)])
def test_streams_end_in_the_middle_of_an_order(venue, raw, kind, code):
    """The order is taken, its events are missed; a shutdown says so first."""

    async def story():
        async with Listener(venue, raw) as stream:
            venue.fault(kind, on="order")
            assert (await asyncio.to_thread(raw.futures, **ORDER))[0] == 200
            if kind == "shutdown":
                assert await stream.names(1) == ["serverShutdown"]
                while (message := await stream.socket.receive()).type is aiohttp.WSMsgType.TEXT:
                    pass
                assert message.type is aiohttp.WSMsgType.CLOSE or stream.socket.close_code == code
            else:
                _, ended = await stream.end()
                assert ended == code

    asyncio.run(story())
    assert len(venue.executions("futures")) == 1


def test_a_stream_is_alive_and_says_nothing(venue, raw):
    """Stalled, it answers pings and has no events; half open, it answers nothing at all; afterwards both go on."""

    async def story():
        async with Listener(venue, raw) as stream:
            venue.strike("stall", lasts="60s")
            await asyncio.to_thread(raw.futures, **ORDER)
            await stream.socket.ping(b"there?")
            message = await asyncio.wait_for(stream.socket.receive(), 3)
            assert (message.type, bytes(message.data)) == (aiohttp.WSMsgType.PONG, b"there?")
            venue.advance("60s")
            venue.strike("half_open", lasts="60s")
            await asyncio.to_thread(raw.futures, **ORDER)
            await stream.socket.ping(b"there?")
            assert await stream.nothing()
            venue.advance("60s")
            await asyncio.to_thread(raw.futures, **ORDER)
            assert await stream.names(4) == FILL

    asyncio.run(story())


def test_a_listen_key_ends(venue, raw):
    """By a fault or after an hour: the stream says so once, and then nothing."""

    async def story():
        async with Listener(venue, raw) as stream:
            venue.strike("expire")
            await asyncio.to_thread(raw.futures, **ORDER)
            assert await stream.names(1) == ["listenKeyExpired"]
            assert await stream.nothing()
        async with Listener(venue, raw) as stream:
            venue.advance("61m")
            await asyncio.to_thread(raw.futures, **ORDER)
            assert await stream.names(1) == ["listenKeyExpired"]
            assert await stream.nothing()

    asyncio.run(story())


def test_words_and_fields_are_new(venue, raw):
    """Unknown fields come along, unknown words stand where documented ones do, and bytes may be no JSON."""
    venue.fault("unknown_field", on="order")
    assert raw.futures(**LIMIT)[1]["zz_new_field"] == {"since": 2031}
    venue.fault("unknown_enum", on="query")
    number = venue.orders("futures")[0]["number"]
    assert raw.call("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=number)[1]["status"] == "BRAND_NEW"
    venue.fault("garbage", on="query", at=1)
    with pytest.raises(json.JSONDecodeError):
        raw.call("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=number)


def test_a_query_knows_no_order_that_is_there(venue, raw):
    """An order just placed is not found the first times."""
    number = raw.spot()[1]["orderId"]
    venue.fault("forget", on="query", times=2)
    codes = [
        raw.call("GET", "/api/v3/order", symbol="BTCUSDT", orderId=number)[1].get("code") for _ in range(3)
    ]
    assert codes == [-2013, -2013, None]


def test_a_request_arrives_late(venue, raw):
    """It is on its way while the venue says that it knows no such order, and then it is carried out."""
    venue.fault("delay", on="order", lasts="1h")
    late = threading.Thread(
        target=raw.futures, kwargs={**ORDER, "newClientOrderId": "late", "recvWindow": 60_000}
    )
    late.start()
    venue.wait("order")
    query = {"symbol": "BTCUSDT", "origClientOrderId": "late"}
    assert raw.call("GET", "/fapi/v1/order", **query)[1]["code"] == -2013
    venue.advance("1h")
    late.join(5)
    assert raw.call("GET", "/fapi/v1/order", **query)[1]["code"] == -2013, "its window was over by then"
    assert venue.requests("order")[0]["outcome"] == "400"


def test_the_venue_is_closed_for_maintenance(venue, raw):
    """Every request is refused until it is over; the clock goes on."""
    venue.strike("maintenance", lasts="10m")
    assert raw.spot()[0] == 503
    venue.advance("10m")
    assert raw.spot()[0] == 200


def test_an_execution_is_taken_back_and_corrected(venue, raw):
    """A bust gives money and position back; a correction has another number and price; the ledger adds up."""
    raw.spot(**ORDER)
    raw.futures(**ORDER)
    venue.strike("bust")
    assert Decimal(venue.books()["futures"]["balances"]["USDT"]) == 100_000
    assert venue.books()["futures"]["positions"] == {}
    assert raw.call("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")[1] == []
    raw.futures(**ORDER)
    venue.strike("correct", ticks=3)
    [trade] = raw.call("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")[1]
    assert trade["price"] == "50001.03"


def test_the_clock_is_wrong_or_jumps(venue, raw):
    """Skewed, it refuses what an honest clock sends; a jump runs what became due."""
    before = venue.ask("clock")
    assert venue.skew(2_000_000_000) - before >= 2_000_000_000
    assert (
        raw.call("GET", "/api/v3/account", timestamp=before // 1_000_000, recvWindow=1000)[1]["code"] == -1021
    )
    venue.skew(0)
    raw.call("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=5000)
    raw.futures(**LIMIT)
    venue.strike("jump", by="6s")
    assert [order["status"] for order in venue.orders("futures")] == ["canceled"]


# --- the plan ---------------------------------------------------------------------------------------------------


def test_a_plan_is_read_from_toml():
    """Durations, chances and counts as people write them."""
    plan = FaultPlan.parse(
        'seed = 7\n[[fault]]\nkind = "lose"\non = "order"\nat = 3\nlasts = "2s"\nchance = "5%"\n'
    )
    [fault] = plan.faults
    assert (plan.seed, fault.kind, fault.at, fault.lasts_ns, fault.chance) == (
        7,
        FaultKind.LOSE,
        3,
        2_000_000_000,
        0.05,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[fault]]\nkind = 'explode'", "explode"),
        ("[[fault]]\nwhen = 3", "'when'"),
        ("[[fault]]\nkind = 'lose'\nlasts = 'soon'", "soon"),
        ("sed = 3", "'sed'"),
        ("[[fault", "TOML"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(text, said):
    """One sentence with the culprit and what to write."""
    with pytest.raises(ConfigurationError, match=said):
        FaultPlan.parse(text)


def test_a_fault_strikes_where_and_as_often_as_it_says():
    """The third order, and the two after it; by chance the same ones under the same seed."""
    faults = Faults(FaultPlan(faults=(Fault(kind="lose", on="order", at=3, times=2),)))
    assert [bool(faults.strike([label])) for label in ("order", "cancel", "order", "order", "order", "order")] == [
        False, False, False, True, True, False,
    ]  # fmt: skip
    chances = [Faults(FaultPlan(faults=(Fault(kind="lose", chance="30%"),), seed=seed)) for seed in (1, 1, 2)]
    struck = [[bool(faults.strike(["order"])) for _ in range(50)] for faults in chances]
    assert struck[0] == struck[1] != struck[2]
    assert 5 < sum(struck[0]) < 25


def test_a_fault_of_requests_cannot_strike_now(venue):
    """What needs a request says so."""
    with pytest.raises(VenueRefused, match="strikes at a request"):
        venue.strike("lose_answer")


def test_the_same_storm_hits_the_same_orders(raw_of):
    """A plan by chance under a seed is the same in each run."""
    plan = FaultPlan(faults=(Fault(kind="refuse", on="order", times=0, chance=0.4),), seed=5)
    runs = []
    for _ in range(2):
        with Venue("binance", faults=plan) as venue:
            venue.quote("BTC/USDT", 49_999.0, 50_001.0)
            runs.append([raw_of(venue).spot()[0] for _ in range(12)])
    assert runs[0] == runs[1]
    assert {200, 503} == set(runs[0])


def test_a_lost_answer_cuts_a_websocket_too(venue):
    """After `lasts` the connection of a request that was carried out and never answered is gone."""

    async def story():
        url = venue.addresses["spot_ws_api"]
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as link:
            await asyncio.to_thread(venue.fault, "lose_answer", on="market", lasts="10ms")
            await link.send_json({"id": 1, "method": "time"})
            said = await asyncio.wait_for(link.receive(), 5)
            assert said.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.ERROR}

    asyncio.run(story())
