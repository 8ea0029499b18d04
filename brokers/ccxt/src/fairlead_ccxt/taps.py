"""Taps on ccxt's streams: each frame is seen as it comes, not only what the last `watch_…` happened to wake
for.

ccxt keeps what its frames say in caches that are bounded, and wakes whoever waits for the next frame: who is
slow loses the ones between. Our caches tell of each entry as it is put in. What ends a connection, or breaks
it, is told once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

log = logging.getLogger("fairlead.ccxt")

Seen = Callable[[Any], None]
_LIMIT = 1000


def cache(kind: str, seen: Seen) -> Any:
    """A cache of ccxt's, by the name of its class, that tells of each entry."""
    from ccxt.async_support.base.ws import cache as caches

    base: Any = getattr(caches, kind)

    class Tapped(base):  # type: ignore[misc]
        def append(self, item: Any) -> None:
            super().append(item)
            seen(item)

    return Tapped(_LIMIT)


class Table(dict[str, Any]):
    """A table by symbol that tells of each entry whom `seen` names for its symbol."""

    def __init__(self, seen: dict[str, Seen]) -> None:
        super().__init__()
        self.seen = seen

    def __setitem__(self, symbol: str, entry: Any) -> None:
        super().__setitem__(symbol, entry)
        tell = self.seen.get(symbol)
        if tell is not None:
            tell(entry)


class Lines:
    """The connections that an exchange of ccxt opens: `lost` is called once, with the reason, when one has
    ended.

    `frame` sees each message before ccxt does. What ccxt, or whoever taps it, cannot read ends the
    connection: ccxt would only stop to listen, and say nothing. `notes` counts messages that brought no entry
    to a tap, `entries` the entries.
    """

    def __init__(self, exchange: Any, lost: Callable[[str], None], frame: Seen | None = None) -> None:
        self._exchange = exchange
        self._lost: Callable[[str], None] | None = lost
        self._frame = frame
        self._there: dict[str, Any] = {
            name: getattr(exchange, name) for name in ("client", "handle_message", "on_close", "on_error")
        }
        self.frames = self.notes = self.entries = 0
        exchange.client, exchange.handle_message = self._client, self._message
        exchange.on_close, exchange.on_error = self._closed, self._failed

    def waits_for(self, word: str) -> bool:
        """Whether somebody waits at an open connection for what begins so."""
        return any(
            client.isConnected and any(str(key).startswith(word) for key in client.futures)
            for client in (self._exchange.clients or {}).values()
        )

    def end(self, reason: str) -> None:
        """Tell that a connection is lost, once."""
        lost, self._lost = self._lost, None
        if lost is not None:
            lost(reason)

    def leave(self) -> None:
        """Tell nothing any more."""
        self._lost = None

    def _client(self, url: str) -> Any:
        client = self._there["client"](url)
        if "handle_message" not in vars(client):
            handle = client.handle_message

            def guarded(message: Any) -> None:
                try:
                    handle(message)
                except Exception as error:  # ccxt's reader of this exchange can fail in any way
                    log.warning("a frame of %s could not be read: %r", self._exchange.id, error)
                    self.end(f"a frame could not be read: {error}")

            client.handle_message = guarded
        return client

    def _message(self, client: Any, message: Any) -> None:
        if self._lost is None:
            return
        self.frames += 1
        entries = self.entries
        if self._frame is not None:
            self._frame(message)
        self._there["handle_message"](client, message)
        if self.entries == entries:
            self.notes += 1

    def _closed(self, client: Any, code: Any) -> None:
        self._there["on_close"](client, code)
        self.end(f"the connection was closed: {code}")

    def _failed(self, client: Any, error: Any) -> None:
        self._there["on_error"](client, error)
        self.end(f"the connection failed: {type(error).__name__}")
