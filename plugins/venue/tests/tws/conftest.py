"""A TWS to each test, a client of bare frames, and ib_async as it is."""

import asyncio
import contextlib
import socket
import warnings
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from fairlead_venue import Venue


@pytest.fixture
def venue() -> Iterator[Venue]:
    """A TWS with a million dollars, Apple at 200 and the euro at 1.1."""
    with Venue("tws") as running:
        running.quote("AAPL.NASDAQ", 199.99, 200.01)
        running.quote("EUR/USD", 1.10000, 1.10005)
        yield running


class Raw:
    """Frames without an SDK: `say` writes one, `hear` reads the next, `until` all up to one with this number."""

    def __init__(self, venue: Venue, client: int = 1, *, version: str = "v157..178") -> None:
        host, _, port = venue.addresses["tws"].rpartition(":")
        self.link = socket.create_connection((host, int(port)), timeout=5)
        try:
            self.link.sendall(b"API\0")
            self._frame(version.encode())
            self.version, _ = self.hear()
            if client >= 0:
                self.say(71, 2, client, "")
                self.until(4, 2, -1, 2158)
        except BaseException:
            self.link.close()
            raise

    def _frame(self, payload: bytes) -> None:
        self.link.sendall(len(payload).to_bytes(4, "big") + payload)

    def say(self, *fields: object) -> None:
        self._frame("".join(f"{field}\0" for field in fields).encode())

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.link.recv(count - len(data))
            if not more:
                raise EOFError(data)
            data += more
        return data

    def hear(self) -> list[str]:
        length = int.from_bytes(self._exactly(4), "big")
        return self._exactly(length).decode().split("\0")[:-1]

    def until(self, *begin: object) -> list[list[str]]:
        """Messages up to the first that begins so."""
        wanted, found = [str(field) for field in begin], []
        while not found or found[-1][: len(wanted)] != wanted:
            found.append(self.hear())
        return found


@pytest.fixture
def raw(venue: Venue) -> Iterator[Callable[..., Raw]]:
    """Makes clients of that venue."""
    made: list[Raw] = []

    def make(*args: Any, **words: Any) -> Raw:
        made.append(Raw(venue, *args, **words))
        return made[-1]

    yield make
    for one in made:
        one.link.close()


class Sdk:
    """ib_async against a venue."""

    def __init__(self, module: Any, venue: Venue) -> None:
        self.module = module
        self.venue = venue
        self.stock = module.Stock("AAPL", "SMART", "USD")

    async def connect(self, ib: Any, client: int = 7, **words: Any) -> None:
        host, _, port = self.venue.addresses["tws"].rpartition(":")
        await ib.connectAsync(host, int(port), clientId=client, **({"timeout": 5} | words))

    def limit(self, side: str = "BUY", quantity: int = 10, price: float = 190.0, **words: Any) -> Any:
        return self.module.LimitOrder(side, quantity, price, orderRef="mine", **words)

    def market(self, side: str = "BUY", quantity: int = 10, **words: Any) -> Any:
        return self.module.MarketOrder(side, quantity, orderRef="mine", **words)

    @staticmethod
    async def until(condition: Callable[[], bool], event: Any) -> None:
        """Until it holds, asked after each of these events."""
        changed = asyncio.Event()
        event += lambda *_: changed.set()
        async with asyncio.timeout(5):
            while not condition():
                await changed.wait()
                changed.clear()

    def run(self, story: Callable[[Any], Coroutine[Any, Any, None]], **words: Any) -> None:
        """Run a story with a connected client, in a loop of its own."""

        async def whole() -> None:
            ib = self.module.IB()
            await self.connect(ib, **words)
            try:
                await asyncio.wait_for(story(ib), 20)
            finally:
                with contextlib.suppress(ConnectionError):
                    ib.disconnect()

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            asyncio.run(whole())


@pytest.fixture
def sdk(venue: Venue) -> Sdk:
    """ib_async, unmodified."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip("ib_async", reason="ib_async is not installed: it is for tests only")
    return Sdk(module, venue)
