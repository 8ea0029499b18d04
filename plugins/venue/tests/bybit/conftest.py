"""A Bybit venue to each test, pybit as it is, and sockets by hand."""

import contextlib
import hashlib
import hmac
import json
import queue
import socket

import pytest

from fairlead_venue import Venue

LIMIT = {"orderType": "Limit", "qty": "0.01", "price": "49000", "side": "Buy", "symbol": "BTCUSDT"}
MARKET = {"orderType": "Market", "qty": "0.01", "side": "Buy", "symbol": "BTCUSDT"}


class Sdk:
    """pybit against a venue: `http` is its client of REST, `private()` and `trade()` its sockets."""

    def __init__(self, venue, **words):
        unified = pytest.importorskip(
            "pybit.unified_trading", reason="pybit is not installed: it is for tests only"
        )
        self.venue = venue
        self.unified = unified
        self.open = []
        self.http = self.make(**words)

    def make(self, **words):
        from pybit.unified_trading import HTTP

        words = {"api_key": self.venue.key, "api_secret": self.venue.secret, "timeout": 2} | words
        http = HTTP(**words)
        http.endpoint = self.venue.addresses["rest"]
        self.open.append(http.client.close)
        return http

    def create(self, category="linear", **words):
        """A limit buy far from the market unless said otherwise."""
        base = MARKET if words.get("orderType") == "Market" else LIMIT
        return self.http.place_order(category=category, **(base | words))["result"]

    def status(self, link, category="linear"):
        """How an order stands, open or closed."""
        for closed in (0, 1):
            found = self.http.get_open_orders(
                category=category, symbol="BTCUSDT", orderLinkId=link, openOnly=closed
            )
            for row in found["result"]["list"]:
                return row["orderStatus"]
        return None

    @contextlib.contextmanager
    def sockets(self):
        """pybit's addresses set to the venue: `self.unified.WebSocket(...)` connects there."""
        from pybit import _websocket_trading

        before = self.unified.PRIVATE_WSS, self.unified.PUBLIC_WSS, _websocket_trading.TRADE_WSS
        ws = self.venue.addresses["ws"]
        self.unified.PRIVATE_WSS = f"{ws}/v5/private"
        self.unified.PUBLIC_WSS = ws + "/v5/public/{CHANNEL_TYPE}"
        _websocket_trading.TRADE_WSS = f"{ws}/v5/trade"
        try:
            yield self
        finally:
            self.unified.PRIVATE_WSS, self.unified.PUBLIC_WSS, _websocket_trading.TRADE_WSS = before

    def private(self, **words):
        """A private socket whose frames, all of them, go into the queue that is returned with it."""
        said = queue.Queue()
        words = {"callback_function": said.put, "private_auth_expire": 10} | words
        made = self.unified.WebSocket(
            "private", testnet=False, api_key=self.venue.key, api_secret=self.venue.secret, **words
        )
        self.open.append(made.exit)
        return made, said

    def close(self):
        for end in reversed(self.open):
            end()


class Bare:
    """A WebSocket by hand, of frames under 64 KiB; `say` answers nothing, `hear` waits for the next frame."""

    def __init__(self, venue, path):
        host, _, port = venue.addresses["ws"].removeprefix("ws://").partition(":")
        self.venue = venue
        self.link = socket.create_connection((host, int(port)), timeout=5)
        self.link.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self.data = b""
        while b"\r\n\r\n" not in self.data:
            self.data += self.link.recv(4096)
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        self.status = int(head.split()[1])

    def say(self, **words):
        body = json.dumps(words).encode()
        head = b"\x81" + (bytes([0x80 | len(body)]) if len(body) < 126 else b"\xfe" + len(body).to_bytes(2))
        self.link.sendall(head + b"\0\0\0\0" + body)

    def _take(self, count):
        while len(self.data) < count:
            more = self.link.recv(65536)
            if not more:
                raise ConnectionError("cut")
            self.data += more
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def hear(self):
        """The next frame. Raises ConnectionError where it was closed."""
        kind, size = self._take(2)
        if size == 126:
            size = int.from_bytes(self._take(2))
        elif size == 127:
            size = int.from_bytes(self._take(8))
        body = self._take(size)
        if kind & 0xF == 8:
            raise ConnectionError("closed")
        return json.loads(body) if kind & 0xF == 1 else self.hear()

    def auth(self, *, ahead_ms=10_000, secret=None):
        """Authenticate, and return what was answered."""
        expires = self.venue.ask("clock") // 1_000_000 + ahead_ms
        key = (secret or self.venue.secret).encode()
        signature = hmac.new(key, f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()
        self.say(op="auth", args=[self.venue.key, expires, signature])
        return self.hear()

    def order(self, op="order.create", *, req="r1", age_ms=0, **words):
        """An operation of the trade socket; returns its answer."""
        now = self.venue.ask("clock") // 1_000_000 - age_ms
        self.say(
            reqId=req,
            header={"X-BAPI-TIMESTAMP": str(now), "X-BAPI-RECV-WINDOW": "5000"},
            op=op,
            args=[words],
        )
        return self.hear()

    def close(self):
        self.link.close()


@pytest.fixture
def venue():
    """Bybit with 100,000 USDT and one BTC, and a market at 50,000."""
    with Venue("bybit", cash=["100_000 USDT", "1 BTC"]) as running:
        running.quote("BTC/USDT", 49_999.0, 50_001.0)
        yield running


@pytest.fixture
def sdk_of():
    """What makes pybit clients of any venue."""
    made = []

    def make(venue, **words):
        made.append(Sdk(venue, **words))
        return made[-1]

    yield make
    for sdk in made:
        sdk.close()


@pytest.fixture
def sdk(venue, sdk_of):
    """A client of that venue."""
    return sdk_of(venue)


@pytest.fixture
def bare_of():
    """What makes bare sockets to a path of any venue."""
    opened = []

    def make(venue, path):
        opened.append(Bare(venue, path))
        return opened[-1]

    yield make
    for link in opened:
        link.close()


@pytest.fixture
def bare(venue, bare_of):
    """What makes bare sockets to a path of that venue."""
    return lambda path: bare_of(venue, path)
