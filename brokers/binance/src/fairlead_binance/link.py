"""The connections of one account: the WebSocket API, and for futures the stream of the account besides.

https://developers.binance.com/docs/binance-spot-api-docs/websocket-api/user-data-stream-requests and
https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from fairlead import ConnectivityError, VenueError, duration
from fairlead.net import WebSocket, connect_websocket
from fairlead.ports import Clock
from fairlead_binance.api import Api
from fairlead_binance.places import Places
from fairlead_binance.rest import Rest
from fairlead_binance.signing import Signer
from fairlead_binance.spot_events import Ended, SpotEvents
from fairlead_binance.usdm_events import UsdmEvents

KEEP_NS = duration("30m")
"""How often a listen key is kept alive: it ends an hour after that was done last."""


class Link:
    """A connected account; `down` is called once with the reason when any part of it broke, never after `close`."""

    def __init__(self, rest: Rest, signer: Signer, places: Places, down: Callable[[str], None]) -> None:
        self.api = Api(rest, signer, self._event, self._lost)
        self._rest = rest
        self._places = places
        self._down: Callable[[str], None] | None = down

    async def open(self, clock: Clock) -> None:
        """Connect and hear of the account. Raises ConnectivityError or VenueError."""
        raise NotImplementedError

    def close(self) -> None:
        """Leave; harmless to repeat."""
        self._down = None
        self.api.close()

    def _event(self, raw: msgspec.Raw) -> None:
        raise NotImplementedError

    def _take(self, take: Callable[[Any], None], frame: Any) -> None:
        """Have one event understood; whatever is not ends the connection, so that what it told is asked for."""
        try:
            take(frame)
        except Ended as end:
            self._lost(str(end))
        except msgspec.DecodeError as error:
            self._lost(f"Binance told of the account what cannot be read ({error})")

    def _lost(self, reason: str) -> None:
        down, self._down = self._down, None
        if down is not None:
            self.close()
            down(reason)


class SpotLink(Link):
    """Spot: events of the account come on the WebSocket API."""

    def __init__(
        self,
        rest: Rest,
        signer: Signer,
        places: Places,
        down: Callable[[str], None],
        events: SpotEvents,
    ) -> None:
        super().__init__(rest, signer, places, down)
        self._events = events

    async def open(self, clock: Clock) -> None:
        """Connect and subscribe to the account. Raises ConnectivityError or VenueError."""
        await self.api.open(self._places.ws_api)
        method = "userDataStream.subscribe" + ("" if self._rest.logs_on else ".signature")
        await self.api.ask(method, {}, signed=not self._rest.logs_on)

    def _event(self, raw: msgspec.Raw) -> None:
        self._take(self._events.take, raw)


class UsdmLink(Link):
    """Futures: events of the account come on a stream of their own, which a listen key opens."""

    def __init__(
        self,
        rest: Rest,
        signer: Signer,
        places: Places,
        down: Callable[[str], None],
        events: UsdmEvents,
    ) -> None:
        super().__init__(rest, signer, places, down)
        self._key = signer.key
        self._events = events
        self._stream: WebSocket | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._timer: Any = None

    async def open(self, clock: Clock) -> None:
        """Connect both. Raises ConnectivityError or VenueError."""
        await self.api.open(self._places.ws_api)
        started = await self._session("userDataStream.start")
        url = f"{self._places.private}?listenKey={started['listenKey']}"
        try:
            self._stream = await connect_websocket(url, self._heard, self._lost)
        except ConnectivityError:  # its text has the listen key
            where = self._places.private
            raise ConnectivityError(f"{where}: the account's stream could not be opened") from None
        self._keep_later(clock)

    async def _session(self, method: str) -> Any:
        return await self.api.ask(method, {"apiKey": self._key}, signed=False)

    def _heard(self, payload: bytes) -> None:
        self._take(self._events.take, payload)

    def _event(self, raw: msgspec.Raw) -> None:
        """The API itself only says that it is about to end."""
        self._lost("Binance is about to close the connection")

    def _keep_later(self, clock: Clock) -> None:
        def keep() -> None:
            self._keeping = asyncio.ensure_future(self._keep(clock))

        self._timer = clock.call_at(clock.now() + KEEP_NS, keep)

    async def _keep(self, clock: Clock) -> None:
        try:
            await self._session("userDataStream.ping")
        except (ConnectivityError, VenueError) as error:
            self._lost(f"the listen key could not be kept alive: {error}")
        else:
            if self._stream is not None:
                self._keep_later(clock)

    def close(self) -> None:
        """Leave; harmless to repeat."""
        super().close()
        stream, self._stream = self._stream, None
        if self._timer is not None:
            self._timer.cancel()
        if self._keeping is not None and self._keeping is not _current_task():
            self._keeping.cancel()
        if stream is not None:
            stream.close()


def _current_task() -> Any:
    with suppress(RuntimeError):
        return asyncio.current_task()
    return None
