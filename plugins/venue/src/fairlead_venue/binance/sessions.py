"""The WebSocket APIs: requests and their frames, logons, and the spot account's stream, which lives on them.

https://developers.binance.com/docs/binance-spot-api-docs/websocket-api
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from fairlead_venue.binance import rules
from fairlead_venue.binance.endpoints import KEY, NONE, SIGNED
from fairlead_venue.binance.limits import Limits
from fairlead_venue.binance.params import Params
from fairlead_venue.binance.rules import Refused, Rule
from fairlead_venue.binance.security import Security
from fairlead_venue.channel import Channel
from fairlead_venue.websocket import encode
from fairlead_venue.wire import Call, Reply

_UNKNOWN_METHOD = Rule(
    -1000, "Unknown method '{0}'.", "https://developers.binance.com/docs/binance-spot-api-docs/websocket-api/request-format"
)  # fmt: skip
_NO_SUBSCRIPTION = Rule(
    -2038, "The subscriptionId does not exist.",
    "https://developers.binance.com/docs/binance-spot-api-docs/websocket-api/user-data-stream-requests",
)  # fmt: skip
_TWICE = Rule(
    -2035, "User Data Stream subscription already active.",
    "https://developers.binance.com/docs/binance-spot-api-docs/websocket-api/user-data-stream-requests",
)  # fmt: skip


class Sessions:
    """Everybody who is connected to a WebSocket API."""

    def __init__(self, security: Security, now_ms: Callable[[], int]) -> None:
        self._security = security
        self._now_ms = now_ms
        self._channels: list[Channel] = []
        self._runs: dict[str, tuple[str, Callable[[Call], Any]]] = {
            "session.logon": ("session", self._logon),
            "session.status": ("session", self._status),
            "session.logout": ("session", self._logout),
            "session.subscriptions": ("session", self._subscriptions),
            "userDataStream.subscribe": ("subscribe", self._subscribe),
            "userDataStream.subscribe.signature": ("subscribe", self._subscribe_signed),
            "userDataStream.unsubscribe": ("subscribe", self._unsubscribe),
        }

    def open(self, channel: Channel) -> None:
        """A new connection."""
        channel.state |= {"subscriptions": [], "count": 0, "key": "", "since": None}
        self._channels.append(channel)

    def left(self, channel: Channel) -> None:
        """A connection is gone, and its subscriptions with it."""
        if channel in self._channels:
            self._channels.remove(channel)

    def label(self, method: str) -> str:
        """The common word for a method that no product has."""
        return self._runs.get(method, ("unknown", None))[0]

    # --- frames -------------------------------------------------------------------------------------------------

    def parse(self, channel: Channel, text: str) -> Call | None:
        """A request; one that cannot be read is answered at once."""
        try:
            frame = msgspec.json.decode(text, type=dict[str, Any])
            method, params = frame.get("method"), frame.get("params") or {}
            if not isinstance(method, str) or not isinstance(params, dict):
                raise msgspec.ValidationError("method and params")
        except msgspec.MsgspecError:
            channel.send({"id": None, "status": 400, "error": {"code": -1000, "msg": "Malformed request."}})
            return None
        # Some clients put the request's id among the params, where it is signed too.
        call = Call(method, channel.path, params=dict(params), channel=channel)
        call.headers = {"id": encode(frame.get("id"))}
        return call

    def answer(self, call: Call, limits: Limits, run: Callable[[], Any]) -> Reply:
        """The frame that answers a request."""
        try:
            return self._frame(call, 200, "result", run(), limits)
        except Refused as refused:
            return self.refusal(call, refused, limits)

    def refusal(self, call: Call, refused: Refused, limits: Limits) -> Reply:
        """The frame that refuses a request."""
        error: dict[str, Any] = {"code": refused.rule.code, "msg": refused.message}
        if refused.data is not None:
            error["data"] = refused.data
        if refused.status in {418, 429}:
            now = self._now_ms()
            error["data"] = {"serverTime": now, "retryAfter": now + limits.retry_after() * 1000}
        return self._frame(call, refused.status, "error", error, limits)

    def _frame(self, call: Call, status: int, name: str, body: Any, limits: Limits) -> Reply:
        number = msgspec.json.decode(call.headers["id"])
        frame = {"id": number, "status": status, name: body, "rateLimits": limits.listed(counts=True)}
        return Reply(encode(frame), status)

    # --- who asks -----------------------------------------------------------------------------------------------

    def allowed(self, call: Call, security: str) -> Params:
        """Check a request; one without a signature of its own is allowed where its session is logged on."""
        params = Params(call.params)
        assert call.channel is not None
        if security == SIGNED:
            if call.channel.state["key"] and "signature" not in params:
                self._security.clock(params)
            else:
                self._security.ws(params)
        elif security == KEY:
            self._security.key(params.text("apiKey", "") or call.channel.state["key"])
        elif security != NONE:
            raise AssertionError(security)
        return params

    def run(self, call: Call) -> Any:
        """Carry out what is about the session itself. Raises Refused."""
        if call.method not in self._runs:
            raise Refused(_UNKNOWN_METHOD, call.method)
        return self._runs[call.method][1](call)

    def _logon(self, call: Call) -> dict[str, Any]:
        assert call.channel is not None
        self._security.logon(Params(call.params))
        call.channel.state |= {"key": call.params["apiKey"], "since": self._now_ms()}
        return self._status(call)

    def _status(self, call: Call) -> dict[str, Any]:
        assert call.channel is not None
        state = call.channel.state
        return {
            "apiKey": state["key"] or None, "authorizedSince": state["since"], "connectedSince": self._now_ms(),
            "returnRateLimits": True, "serverTime": self._now_ms(),
            "userDataStream": bool(state["subscriptions"]),
        }  # fmt: skip

    def _logout(self, call: Call) -> dict[str, Any]:
        assert call.channel is not None
        call.channel.state |= {"key": "", "since": None}
        return self._status(call)

    # --- the account's stream -----------------------------------------------------------------------------------

    def _subscribe(self, call: Call) -> dict[str, Any]:
        assert call.channel is not None
        if not call.channel.state["key"]:
            raise Refused(rules.KEY)
        return self._begin(call.channel)

    def _subscribe_signed(self, call: Call) -> dict[str, Any]:
        assert call.channel is not None
        self._security.ws(Params(call.params))
        return self._begin(call.channel)

    def _begin(self, channel: Channel) -> dict[str, Any]:
        if channel.state["subscriptions"]:
            raise Refused(_TWICE)
        number = channel.state["count"]
        channel.state["count"] += 1
        channel.state["subscriptions"].append(number)
        channel.topics["user"] = None
        return {"subscriptionId": number}

    def _subscriptions(self, call: Call) -> list[dict[str, Any]]:
        assert call.channel is not None
        return [{"subscriptionId": number} for number in call.channel.state["subscriptions"]]

    def _unsubscribe(self, call: Call) -> dict[str, Any]:
        assert call.channel is not None
        params, open_ones = Params(call.params), call.channel.state["subscriptions"]
        if "subscriptionId" in params:
            number = params.integer("subscriptionId")
            if number not in open_ones:
                raise Refused(_NO_SUBSCRIPTION)
            open_ones.remove(number)
        else:
            open_ones.clear()
        if not open_ones:
            call.channel.topics.pop("user", None)
        return {}

    def publish(self, event: dict[str, Any], labels: list[str]) -> None:
        """Send an event of the spot account to everybody who subscribed."""
        for channel in list(self._channels):
            for number in list(channel.state["subscriptions"]):
                channel.event({"subscriptionId": number, "event": event}, [*labels, "stream:user"])

    def expire(self, channel: Channel) -> None:
        """End a connection's subscriptions, and say so."""
        for number in channel.state.get("subscriptions", []):
            channel.send(
                {"subscriptionId": number, "event": {"e": "eventStreamTerminated", "E": self._now_ms()}}
            )
        channel.state["subscriptions"] = []
