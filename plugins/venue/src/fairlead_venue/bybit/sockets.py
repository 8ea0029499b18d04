"""The frames that clients send: auth, ping, subscribe, and the operations of the trade socket.

https://bybit-exchange.github.io/docs/v5/ws/connect and https://bybit-exchange.github.io/docs/v5/websocket/trade/guideline
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from fairlead_venue.bybit import rules
from fairlead_venue.bybit.dcp import Protection
from fairlead_venue.bybit.private import DCP_TOPICS, TOPICS, PrivateTopics
from fairlead_venue.bybit.public import PublicTopics
from fairlead_venue.bybit.rules import Refused
from fairlead_venue.bybit.security import Security
from fairlead_venue.channel import Channel
from fairlead_venue.clock import Timer, VenueClock
from fairlead_venue.wire import Call

IDLE_NS = 600_000_000_000
_SPOT_ARGS = 10
_ACTIVE = re.compile(r"max_active_time=(\d+)([sm])")


class Sockets:
    """Everybody who is connected. Operations of the trade socket become calls, which `serve` carries out."""

    def __init__(
        self,
        clock: VenueClock,
        security: Security,
        public: dict[str, PublicTopics],
        private: PrivateTopics,
        protection: Protection,
        serve: Callable[[Call], None],
    ) -> None:
        self._clock = clock
        self._security = security
        self._public = public
        self._private = private
        self._protection = protection
        self._serve = serve
        self._idle: dict[Channel, Timer] = {}

    def open(self, channel: Channel, kind: str, query: str) -> bool:
        """A new connection, to `public/PRODUCT`, `private` or `trade`; says whether there is such a place.

        Raises Refused for a `max_active_time` out of its bounds.
        """
        found = _ACTIVE.fullmatch(query)
        window = IDLE_NS
        if found is not None and kind in ("private", "trade"):
            seconds = int(found[1]) * (60 if found[2] == "m" else 1)
            if not 30 <= seconds <= 600:
                raise Refused(rules.PARAMETER, "max_active_time")
            window = seconds * 1_000_000_000
        channel.state |= {"kind": kind, "authed": False, "window": window, "requests": set()}
        if kind.startswith("public/"):
            if kind.removeprefix("public/") not in self._public:
                return False
            self._public[kind.removeprefix("public/")].channels.append(channel)
            channel.labels.append("market")
        elif kind == "private":
            self._private.channels.append(channel)
            channel.labels.append("user")
        elif kind == "trade":
            channel.labels.append("api")
        else:
            return False
        self._alive(channel)
        return True

    def left(self, channel: Channel) -> None:
        """A connection is gone."""
        if timer := self._idle.pop(channel, None):
            timer.cancel()
        for channels in (self._private.channels, *(topics.channels for topics in self._public.values())):
            if channel in channels:
                channels.remove(channel)
        self._protection.left([topic for topic in channel.topics if topic in DCP_TOPICS])

    def _alive(self, channel: Channel) -> None:
        """Something came: it is cut when nothing does for its window."""
        if timer := self._idle.get(channel):
            timer.cancel()
        self._idle[channel] = self._clock.call_in(channel.state["window"], channel.drop)

    # --- frames -------------------------------------------------------------------------------------------------

    def heard(self, channel: Channel, text: str) -> None:
        """Answer a frame."""
        self._alive(channel)
        try:
            frame = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.MsgspecError:
            channel.send(self._said(channel, {}, False, "error:invalid json"))
            return
        args = frame.get("args")
        args = args if isinstance(args, list) else []
        match frame.get("op"):
            case "ping":
                channel.send(self._pong(channel, frame))
            case "auth" if channel.state["kind"] in ("private", "trade"):
                self._auth(channel, frame, args)
            case "subscribe" if channel.state["kind"] != "trade":
                self._subscribe(channel, frame, [str(arg) for arg in args])
            case "unsubscribe" if channel.state["kind"] != "trade":
                for arg in args:
                    channel.topics.pop(str(arg), None)
                channel.send(self._said(channel, frame, True, ""))
            case str() as op if channel.state["kind"] == "trade":
                self._operate(channel, op, frame, args)
            case _:
                channel.send(self._said(channel, frame, False, "error:unknown op"))

    def _said(self, channel: Channel, frame: dict[str, Any], success: bool, message: str) -> dict[str, Any]:
        answer = {
            "success": success, "ret_msg": message, "conn_id": f"conn-{channel.number}", "op": frame.get("op", ""),
        }  # fmt: skip
        return answer | ({"req_id": frame["req_id"]} if "req_id" in frame else {"req_id": ""})

    def _pong(self, channel: Channel, frame: dict[str, Any]) -> dict[str, Any]:
        now = str(self._clock.now() // 1_000_000)
        match channel.state["kind"]:
            case "private":
                return {
                    "req_id": frame.get("req_id", ""),
                    "op": "pong",
                    "args": [now],
                    "conn_id": f"conn-{channel.number}",
                }
            case "trade":
                return {
                    "retCode": 0,
                    "retMsg": "OK",
                    "op": "pong",
                    "data": [now],
                    "connId": f"conn-{channel.number}",
                }
            case _:
                return self._said(channel, frame, True, "pong")

    def _auth(self, channel: Channel, frame: dict[str, Any], args: list[Any]) -> None:
        """The private socket is closed after a failure: https://bybit-exchange.github.io/docs/v5/ws/connect"""
        trade = channel.state["kind"] == "trade"
        try:
            self._security.socket(args)
        except Refused as refused:
            if trade:
                channel.send(
                    {
                        "retCode": refused.rule.code, "retMsg": refused.message, "op": "auth",
                        "connId": f"conn-{channel.number}",
                    }
                )  # fmt: skip
            else:
                channel.send(self._said(channel, frame, False, refused.message))
            channel.close()
            return
        channel.state["authed"] = True
        if trade:
            channel.send({"retCode": 0, "retMsg": "OK", "op": "auth", "connId": f"conn-{channel.number}"})
        else:
            channel.send(self._said(channel, frame, True, ""))

    def _subscribe(self, channel: Channel, frame: dict[str, Any], topics: list[str]) -> None:
        """All of a request, or nothing of it."""
        private = channel.state["kind"] == "private"
        if private and not channel.state["authed"]:
            channel.send(self._said(channel, frame, False, "Request not authorized"))
            return
        public = None if private else self._public[channel.state["kind"].removeprefix("public/")]
        for topic in topics:
            if not (topic in TOPICS if public is None else public.knows(topic)):
                channel.send(self._said(channel, frame, False, f"error:handler not found,topic:{topic}"))
                return
            if topic in channel.topics:
                channel.send(self._said(channel, frame, False, f"error:already subscribed,topic:{topic}"))
                return
        if channel.state["kind"] == "public/spot" and len(topics) > _SPOT_ARGS:
            channel.send(self._said(channel, frame, False, "args size >10"))
            return
        channel.send(self._said(channel, frame, True, "subscribe" if public is not None else ""))
        for topic in topics:
            if public is not None:
                public.subscribe(channel, topic)
            else:
                channel.topics[topic] = None
                if topic in DCP_TOPICS:
                    self._protection.joined(topic)

    def _operate(self, channel: Channel, op: str, frame: dict[str, Any], args: list[Any]) -> None:
        request = args[0] if args and isinstance(args[0], dict) else {}
        header = frame.get("header")
        call = Call(op, channel.path, params=dict(request), channel=channel)
        call.headers = (
            {name: str(value) for name, value in header.items()} if isinstance(header, dict) else {}
        )
        call.headers = {**call.headers, "reqId": str(frame.get("reqId", ""))}
        self._serve(call)
