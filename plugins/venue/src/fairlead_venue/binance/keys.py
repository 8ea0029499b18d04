"""Listen keys of futures, and the private streams that they open.

https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams/Start-User-Data-Stream
"""

from __future__ import annotations

from typing import Any

from fairlead_venue.binance import rules
from fairlead_venue.binance.endpoints import KEY, Asked, Endpoint
from fairlead_venue.binance.rules import Refused
from fairlead_venue.channel import Channel
from fairlead_venue.clock import VenueClock

_VALID_NS = 3_600_000_000_000


class ListenKeys:
    """The account's one listen key, and who listens by it; it ends an hour after it was asked for or kept alive."""

    def __init__(self, clock: VenueClock) -> None:
        self._clock = clock
        self._key = ""
        self._until = 0
        self._count = 0
        self._channels: list[Channel] = []

    def endpoints(self) -> list[Endpoint]:
        """What it answers, over HTTP and WebSocket."""
        path = "/fapi/v1/listenKey"
        return [
            Endpoint("POST", path, "session", self._start, 1, KEY, "userDataStream.start"),
            Endpoint("PUT", path, "session", self._keep, 1, KEY, "userDataStream.ping"),
            Endpoint("DELETE", path, "session", self._stop, 1, KEY, "userDataStream.stop"),
        ]

    def knows(self, name: str) -> bool:
        """Whether this is the key, and valid."""
        return bool(self._key) and name == self._key and self._clock.now() < self._until

    def join(self, channel: Channel, key: str) -> None:
        """Send the account's events to a stream."""
        channel.state["listenKey"] = key
        channel.topics["user"] = None
        self._channels.append(channel)

    def left(self, channel: Channel) -> None:
        """A stream is gone."""
        if channel in self._channels:
            self._channels.remove(channel)

    def publish(self, event: dict[str, Any], labels: list[str]) -> None:
        """Send an event to everybody who listens by a valid key."""
        for channel in list(self._channels):
            if not self.knows(channel.state["listenKey"]):
                self.expire(channel)
                continue
            combined = channel.state.get("combined")
            wrapped = {"stream": channel.state["listenKey"], "data": event} if combined else event
            channel.event(wrapped, [*labels, "stream:user"])

    def expire(self, channel: Channel) -> None:
        """Tell a stream that its key has ended; it gets nothing more."""
        key = channel.state.get("listenKey", self._key)
        if key == self._key:
            self._key = ""
        now = self._clock.now() // 1_000_000
        channel.event({"e": "listenKeyExpired", "E": now, "listenKey": key}, ["listenKeyExpired"])
        self.left(channel)

    def _start(self, asked: Asked) -> dict[str, str]:
        """A valid key is given again, and lives on."""
        if not self.knows(self._key):
            self._count += 1
            self._key = f"venue{self._count:04d}".ljust(64, "k")
        self._until = self._clock.now() + _VALID_NS
        return {"listenKey": self._key}

    def _keep(self, asked: Asked) -> dict[str, str]:
        if not self.knows(self._key):
            raise Refused(rules.LISTEN_KEY)
        self._until = self._clock.now() + _VALID_NS
        return {"listenKey": self._key}

    def _stop(self, asked: Asked) -> dict[str, str]:
        if not self.knows(self._key):
            raise Refused(rules.LISTEN_KEY)
        for channel in list(self._channels):
            self.expire(channel)
        self._key = ""
        return {}
