"""A venue to each test, and a client of bare HTTP that signs as Binance wants it."""

import asyncio
import collections
import contextlib
import gc
import hashlib
import hmac
import http.client
import json
import queue
import warnings
from collections.abc import Callable, Coroutine, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from fairlead_venue import Venue


class Raw:
    """Signed requests without an SDK; `call` returns status, body and headers."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.host = venue.addresses["rest"].removeprefix("http://")

    def call(
        self, method: str, path: str, *, sign: bool = True, key: str = "", **words: Any
    ) -> tuple[int, Any, Any]:
        words = {name: value for name, value in words.items() if value is not None}
        if sign:
            words.setdefault("timestamp", self.venue.ask("clock") // 1_000_000)
        query = urlencode(words)
        if sign and "signature" not in words:
            secret = self.venue.secret.encode()
            query += "&signature=" + hmac.new(secret, query.encode(), hashlib.sha256).hexdigest()
        link = http.client.HTTPConnection(self.host, timeout=5)
        try:
            link.request(method, f"{path}?{query}", headers={"X-MBX-APIKEY": key or self.venue.key})
            reply = link.getresponse()
            body = reply.read()
            return reply.status, json.loads(body) if body.startswith((b"{", b"[")) else body, reply.headers
        finally:
            link.close()

    def spot(self, **words: Any) -> tuple[int, Any, Any]:
        """A spot order: a limit buy far from the market unless said otherwise."""
        usual = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.01"}
        return self.call("POST", "/api/v3/order", **_limited(usual | words))

    def futures(self, **words: Any) -> tuple[int, Any, Any]:
        """A futures order, as above."""
        usual = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.01"}
        return self.call("POST", "/fapi/v1/order", **_limited(usual | words))

    def algo(self, **words: Any) -> tuple[int, Any, Any]:
        """A conditional futures order: a stop below the market unless said otherwise."""
        usual = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET",
                 "quantity": "0.01", "triggerPrice": "40000"}  # fmt: skip
        return self.call("POST", "/fapi/v1/algoOrder", **(usual | words))


def _limited(words: dict[str, Any]) -> dict[str, Any]:
    if words["type"] == "LIMIT":
        words = {"price": "49000", "timeInForce": "GTC"} | words
    return words


@pytest.fixture
def venue() -> Iterator[Venue]:
    """Binance with 100,000 USDT and one BTC, and a market at 50,000."""
    with Venue("binance", cash=["100_000 USDT", "1 BTC"]) as running:
        running.quote("BTC/USDT", 49_999.0, 50_001.0)
        yield running


@pytest.fixture
def raw_of() -> type[Raw]:
    """What makes a client of any venue."""
    return Raw


@pytest.fixture
def raw(venue: Venue) -> Raw:
    """A client of that venue."""
    return Raw(venue)


@pytest.fixture
def sdk(venue: Venue) -> Iterator[Any]:
    """python-binance as it is, its addresses set to the venue: `create()` makes a client, `manager(client)` sockets."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        binance = pytest.importorskip(
            "binance", reason="python-binance is not installed: it is for tests only"
        )
        from binance.base_client import BaseClient
        from binance.ws.reconnecting_websocket import ReconnectingWebsocket
    addresses = venue.addresses
    settings = {
        (BaseClient, "API_URL"): addresses["spot_rest"],
        (BaseClient, "MARGIN_API_URL"): addresses["sapi_rest"],
        (BaseClient, "FUTURES_URL"): addresses["futures_rest"],
        (BaseClient, "WS_API_URL"): addresses["spot_ws_api"],
        (BaseClient, "WS_FUTURES_URL"): addresses["futures_ws_api"],
        (binance.BinanceSocketManager, "STREAM_URL"): addresses["ws"] + "/",
        (binance.BinanceSocketManager, "FSTREAM_URL"): addresses["futures_stream"] + "/",
        # Its own pause before it looks whether it shall end: ten seconds would be waited out in every test.
        (ReconnectingWebsocket, "TIMEOUT"): 0.3,
    }
    before = {(owner, name): getattr(owner, name) for owner, name in settings}
    for (owner, name), value in settings.items():
        setattr(owner, name, value)
    yield Sdk(binance, venue)
    for (owner, name), value in before.items():
        setattr(owner, name, value)


class Sdk:
    """python-binance against a venue."""

    def __init__(self, binance: Any, venue: Venue) -> None:
        self.binance = binance
        self.venue = venue
        self.error = binance.exceptions.BinanceAPIException

    async def create(self, **words: Any) -> Any:
        return await self.binance.AsyncClient.create(self.venue.key, self.venue.secret, **words)

    def manager(self, client: Any) -> Any:
        return self.binance.BinanceSocketManager(client)

    @staticmethod
    async def events(stream: Any, count: int) -> list[Any]:
        """So many events of a stream."""
        return [await asyncio.wait_for(stream.recv(), 5) for _ in range(count)]

    def run(self, story: Callable[[Any], Coroutine[Any, Any, None]], **words: Any) -> None:
        """Run a story with a client, in a loop of its own."""

        async def whole() -> None:
            client = await self.create(**words)
            try:
                await asyncio.wait_for(story(client), 20)
            finally:
                await asyncio.wait_for(client.close_connection(), 5)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            asyncio.run(whole())


class Hyper:
    """The SDK of Hyperliquid, as it is, at a venue."""

    def __init__(self, venue: Venue) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            why = "hyperliquid-python-sdk is not installed: it is for tests only"
            self.sdk = pytest.importorskip("hyperliquid.exchange", reason=why)
            from eth_account import Account
            from hyperliquid.info import Info
            from hyperliquid.utils import error
            from hyperliquid.utils.types import Cloid
        self.venue = venue
        self.url = venue.addresses["rest"]
        self.account = venue.addresses["account"]
        self.wallet = Account.from_key(hashlib.sha256(venue.secret.encode()).hexdigest())
        self.error = error
        self.exchange = self.sdk.Exchange(self.wallet, self.url, account_address=self.account, timeout=5)
        self.info = self.exchange.info
        self._info = Info
        self._cloid = Cloid
        self._open: list[Any] = []

    def cloid(self, number: int) -> Any:
        return self._cloid.from_int(number)

    def order(self, **words: Any) -> Any:
        """A limit buy of 0.01 BTC far from the market unless said otherwise; returns its status."""
        tif = words.pop("tif", "Gtc")
        number = words.pop("id", None)
        usual = {"name": "BTC", "is_buy": True, "sz": 0.01, "limit_px": 49_000,
                 "order_type": {"limit": {"tif": tif}}, "cloid": number and self.cloid(number)}  # fmt: skip
        return self.status(self.exchange.order(**(usual | words)))

    @staticmethod
    def status(reply: Any) -> Any:
        """The one status of an answer."""
        assert reply["status"] == "ok", reply
        [status] = reply["response"]["data"]["statuses"]
        return status

    def streams(self, *kinds: str, **more: Any) -> "Heard":
        """The SDK's own WebSocket, subscribed to these."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            info = self._info(self.url, timeout=5)
        self._open.append(info)
        heard = Heard(info)
        for kind in kinds:
            words = {"type": kind, **more}
            if kind in {"orderUpdates", "userFills", "userEvents", "userFundings"}:
                words = {"type": kind, "user": self.account}
            info.subscribe(words, heard.put)
        self.venue.wait("/ws", len(self._open), what="streams")
        for kind in kinds:
            self.venue.wait(f"{kind}*", what="streams")
        return heard

    def close(self) -> None:
        self.venue.strike("drop")  # whoever closes from another thread may wait for ever for what it reads
        for info in self._open:
            info.ws_manager.join(5)
            info.disconnect_websocket()
            info.session.close()
        for client in (self.exchange, self.info):
            client.session.close()
        if self._open:
            self._open.clear()
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore", ResourceWarning
                )  # the SDK leaves the sockets of lost streams open
                gc.collect()


class Heard:
    """What came over the SDK's WebSocket."""

    def __init__(self, info: Any) -> None:
        self.info = info
        self.frames: dict[str, queue.Queue[Any]] = collections.defaultdict(queue.Queue)

    def put(self, frame: Any) -> None:
        self.frames[frame["channel"]].put(frame["data"])

    def next(self, channel: str) -> Any:
        """The data of the next frame of a channel."""
        return self.frames[channel].get(timeout=5)

    def statuses(self, count: int) -> list[tuple[int, str]]:
        """So many order updates: oid and status."""
        return [
            (row["order"]["oid"], row["status"]) for _ in range(count) for row in self.next("orderUpdates")
        ]


@pytest.fixture
def hyper_of() -> Iterator[Callable[..., Hyper]]:
    """What starts a Hyperliquid with a market at 50,000, and the SDK at it."""
    with contextlib.ExitStack() as stack:

        def start(**words: Any) -> Hyper:
            running = stack.enter_context(Venue("hyperliquid", **words))
            running.quote("BTC/USDC", 49_999.0, 50_001.0)
            found = Hyper(running)
            stack.callback(found.close)
            return found

        yield start


@pytest.fixture
def hyper(hyper_of: Callable[..., Hyper]) -> Hyper:
    """The SDK at Hyperliquid in a box."""
    return hyper_of()
