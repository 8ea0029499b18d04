"""Hyperliquid's front: `/info`, `/exchange` and the WebSocket, with signatures and limits around them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from fairlead_venue.channel import Channel
from fairlead_venue.faults import Fault, FaultKind
from fairlead_venue.fronts import Server, Settings
from fairlead_venue.hyperliquid import rules
from fairlead_venue.hyperliquid.actions import LABELS, Actions
from fairlead_venue.hyperliquid.listing import QUOTE, Assets, instruments
from fairlead_venue.hyperliquid.queries import Queries, Weight, label
from fairlead_venue.hyperliquid.rules import Refused, Unreadable
from fairlead_venue.hyperliquid.security import Security
from fairlead_venue.hyperliquid.streams import Streams
from fairlead_venue.websocket import encode, spoiled
from fairlead_venue.wire import Call, Reply

_FAILURES = {
    FaultKind.RATE_LIMIT: (429, "null"),
    FaultKind.BAN: (429, "null"),
    FaultKind.UNKNOWN: (504, "upstream request timeout"),
    FaultKind.MAINTENANCE: (503, "Service Unavailable"),
}
"""How HTTP says what is no answer of the exchange: https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/error-responses"""


class HyperliquidFront:
    """`POST /info`, `POST /exchange` and `/ws`, for one account: perpetuals in one wallet, spot in another.

    `key` is the account's address (or what one is made of), `secret` the private key of its agent wallet. Variants:
    `source=mainnet`, `address_budget=N`, `weight=N`, `fills=cloid`, and those of `Actions`.
    """

    quote = QUOTE
    enums = frozenset({"status", "side", "dir", "type", "tif", "orderType"})
    ping_every = 0.0
    variants: ClassVar[Mapping[str, tuple[str, ...] | type]] = {
        "source": ("testnet", "mainnet"), "address_budget": int, "weight": int, "fills": ("plain", "cloid"),
        "modify": ("cancel_first", "open_first"), "modify_refused": ("keeps", "cancels"),
        "schedule_cancel": ("free", "volume"),
    }  # fmt: skip

    def __init__(self, settings: Settings, server: Server) -> None:
        self._server = server
        exchange = self._exchange = server.exchange
        dollars = {QUOTE: settings.cash.get(QUOTE, Decimal(0))}
        wallets = {
            False: exchange.open_account("perps", dollars, margined=True),
            True: exchange.open_account("spot", settings.cash),
        }
        assets = Assets(instruments(settings))
        for instrument in assets.listed:
            exchange.learn(instrument, ["spot" if instrument.spot else "perps"])
        chosen = settings.variants
        self._streams = Streams(exchange, wallets, assets, chosen)
        self.security = Security(settings, self._now_ms, lambda: self._streams.volume)
        self._queries = Queries(
            exchange, wallets, assets, self.security, chosen, lambda: self._streams.fundings
        )
        self._streams.queries, self._streams.user = self._queries, self.security.account
        self._actions = Actions(exchange, wallets, assets, chosen, lambda: self._streams.volume)
        self._actions.opened_first = self._streams.open_first
        self._weight = Weight(int(chosen.get("weight", 1200)), self._now_ms)

    def _now_ms(self) -> int:
        return self._exchange.clock.now() // 1_000_000

    def addresses(self, host: str, port: int) -> Mapping[str, str]:
        """`rest` is the SDK's `base_url`, from which it makes `ws`; `account` and `agent` are wallets."""
        return {
            "rest": f"http://{host}:{port}", "ws": f"ws://{host}:{port}/ws", "account": self.security.account,
            "agent": self.security.agent,
        }  # fmt: skip

    # --- requests -----------------------------------------------------------------------------------------------

    def read(self, call: Call) -> None:
        """Labels: the common word, then `exchange:ACTION` or `info:QUERY`."""
        if call.channel is None:
            try:
                call.params = msgspec.json.decode(call.body, type=dict[str, Any])
            except msgspec.MsgspecError:
                call.params = {}
        if call.path == "/exchange":
            action = call.params.get("action")
            kind = str(action.get("type")) if isinstance(action, dict) else "unknown"
            call.labels = [LABELS.get(kind, "session"), f"exchange:{kind}", "/exchange"]
        elif call.path == "/info":
            kind = str(call.params.get("type", "unknown"))
            call.labels = [label(kind), f"info:{kind}", "/info"]
        else:
            call.labels = ["unknown", call.path]

    def execute(self, call: Call) -> Reply:
        """Carry it out."""
        if call.path not in {"/info", "/exchange"} or call.method not in {"POST", "post"}:
            return Reply("Not Found", 404, content_type="text/plain")
        try:
            body = self._info(call) if call.path == "/info" else self._exchange_action(call)
        except Unreadable as error:
            return self._said(call, 422, str(error))
        except OverflowError:
            return self._said(call, 429, "null")
        return self._answer(call, body)

    def _info(self, call: Call) -> Any:
        found, weight = self._queries.run(call.params, call)
        self._use(weight)
        return found

    def _exchange_action(self, call: Call) -> dict[str, Any]:
        action = call.params.get("action")
        rows = action.get("orders") or action.get("cancels") or [] if isinstance(action, dict) else []
        self._use(1 + (len(rows) // 40 if isinstance(rows, list) else 0))
        try:
            return {
                "status": "ok",
                "response": self._actions.run(self.security.check(call.params), call),
            }
        except Refused as refused:
            return {"status": "err", "response": str(refused)}

    def _use(self, weight: int) -> None:
        if not self._weight.use(weight):
            raise OverflowError

    def _answer(self, call: Call, body: Any) -> Reply:
        if call.channel is None:
            return Reply(encode(body))
        if call.path == "/info":
            response = {"type": "info", "payload": {"type": call.params.get("type"), "data": body}}
        else:
            response = {"type": "action", "payload": body}
        return self._posted(call, response)

    def _said(self, call: Call, status: int, text: str) -> Reply:
        if call.channel is not None:
            return self._posted(call, {"type": "error", "payload": f"{status}: {text}"})
        kind = "application/json" if text == "null" else "text/plain"
        return Reply(text, status, content_type=kind)

    def _posted(self, call: Call, response: dict[str, Any]) -> Reply:
        number = msgspec.json.decode(call.headers["id"])
        if call.channel is not None:
            call.channel.state["sent_ns"] = self._exchange.clock.now()
        return Reply(encode({"channel": "post", "data": {"id": number, "response": response}}))

    def refused(self, call: Call, fault: Fault, until_ns: int) -> Reply:
        """A fault in Hyperliquid's words; `code` is the text of a refusal, with a `status` of 4xx as JSON."""
        if fault.kind is not FaultKind.REFUSE:
            status, text = _FAILURES[fault.kind]
            return self._said(call, status, text)
        if 400 <= fault.status < 500:
            return Reply(encode({"error": str(fault.code)}), fault.status)
        if call.path != "/exchange":
            return self._said(call, 422, rules.UNREADABLE)
        return self._answer(
            call, {"status": "err", "response": str(fault.code or rules.OVERLOADED.format(0))}
        )

    def spoil(self, body: str | bytes, kind: FaultKind) -> str:
        """An answer as garbage, or with an undocumented field or word."""
        return spoiled(body if isinstance(body, str) else body.decode(), kind, self.enums)

    # --- the WebSocket ------------------------------------------------------------------------------------------

    def connected(self, channel: Channel, query: str) -> Reply | None:
        """There is one place to connect to."""
        if channel.path != "/ws":
            return Reply("Not Found", 404, content_type="text/plain")
        self._streams.join(channel)
        return None

    def heard(self, channel: Channel, text: str) -> None:
        """A ping, a subscription, or a request that is posted."""
        try:
            frame = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.MsgspecError:
            frame = {}
        match frame.get("method"):
            case "ping":
                self._streams.answer(channel, {"channel": "pong"})
            case "subscribe" | "unsubscribe" as method:
                wanted = frame.get("subscription")
                if isinstance(wanted, dict) and "user" in wanted and "user" not in channel.labels:
                    channel.labels.append("user")
                self._streams.subscribe(channel, method, wanted)
                self._server.log.changed()
            case "post" if isinstance(frame.get("request"), dict):
                self._post(channel, frame)
            case _:
                said = f"Error parsing JSON into valid websocket request: {text[:100]}"
                self._streams.answer(channel, {"channel": "error", "data": said})

    def _post(self, channel: Channel, frame: dict[str, Any]) -> None:
        """https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/websocket/post-requests"""
        request = frame["request"]
        path = {"info": "/info", "action": "/exchange"}.get(str(request.get("type")), "unknown")
        payload = request.get("payload")
        params = payload if isinstance(payload, dict) else {}
        call = Call("post", path, params=params, channel=channel, headers={"id": encode(frame.get("id"))})
        self._server.serve(call)

    def left(self, channel: Channel) -> None:
        """Forget a stream."""
        self._streams.left(channel)

    def struck(self, channel: Channel, fault: Fault) -> None:
        """Nothing is announced here, and no authorisation ends: the stream is closed."""
        channel.close(1000, "Expired" if fault.kind is FaultKind.EXPIRE else "")
