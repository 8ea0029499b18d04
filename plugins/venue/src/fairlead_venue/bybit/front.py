"""Bybit's front: paths, socket operations and streams, with security and limits around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from fairlead_venue.bybit import rules
from fairlead_venue.bybit.dcp import Protection
from fairlead_venue.bybit.endpoints import Asked, Endpoint
from fairlead_venue.bybit.limits import Limits
from fairlead_venue.bybit.listing import PRODUCTS, Symbols, instruments
from fairlead_venue.bybit.market import MarketData
from fairlead_venue.bybit.orders import OrderReader
from fairlead_venue.bybit.params import Params, of_call
from fairlead_venue.bybit.private import PrivateTopics
from fairlead_venue.bybit.public import PublicTopics
from fairlead_venue.bybit.rules import Refused, Rule
from fairlead_venue.bybit.security import Security
from fairlead_venue.bybit.sockets import Sockets
from fairlead_venue.bybit.trading import Trading
from fairlead_venue.bybit.wallet import MARGIN_MODES, Wallet
from fairlead_venue.channel import Channel
from fairlead_venue.faults import Fault, FaultKind
from fairlead_venue.fronts import Server, Settings
from fairlead_venue.triggers import Triggers
from fairlead_venue.websocket import encode, spoiled
from fairlead_venue.wire import Call, Reply

_FAULTS: dict[FaultKind, Rule] = {
    FaultKind.REFUSE: rules.OVERLOADED,
    FaultKind.UNKNOWN: rules.SERVER,
    FaultKind.RATE_LIMIT: rules.TOO_MANY,
    FaultKind.BAN: rules.IP_LIMIT,
    FaultKind.MAINTENANCE: rules.MAINTENANCE,
}
_PER_PRODUCT = frozenset({"order", "amend", "cancel"})
_CONNECTS, _CONNECT_WINDOW = 500, 300_000


class BybitFront:
    """The unified account (`unified`): REST below `/v5`, sockets at `/v5/public/PRODUCT`, `/v5/private`, `/v5/trade`.

    Variants: `position_mode=hedge`, `margin_mode=ISOLATED_MARGIN` are the account's settings; `key=read` or `withdraw`
    what its key may do, `ips=any` that it is bound to no address; `dcp=on` that disconnection protection was granted;
    `fee_currency=absent` leaves it out of executions, as older documents do; `limit_scale` multiplies the limits.
    """

    enums = frozenset(
        {"orderStatus", "orderType", "side", "timeInForce", "stopOrderType", "execType", "cancelType", "S", "status"}
    )  # fmt: skip
    ping_every = 0.0
    variants: ClassVar[Mapping[str, tuple[str, ...] | type]] = {
        "position_mode": ("one_way", "hedge"), "margin_mode": MARGIN_MODES, "key": ("trade", "read", "withdraw"),
        "ips": ("bound", "any"), "dcp": ("off", "on"), "fee_currency": ("told", "absent"), "limit_scale": int,
    }  # fmt: skip

    def __init__(self, settings: Settings, server: Server) -> None:
        self._server = server
        exchange = self._exchange = server.exchange
        chosen = settings.variants
        self.security = Security(settings, self._now_ms)
        scale = int(chosen.get("limit_scale", 1))
        self.limits = Limits(self._now_ms, scale)
        self._most_connects = _CONNECTS * scale
        account = exchange.open_account("unified", settings.cash, fees_in_base=True)
        symbols = Symbols()
        for instrument in instruments(settings):
            exchange.learn(instrument, ["unified"])
            symbols.add(instrument)
        market = MarketData(exchange, symbols)
        trading = Trading(
            exchange, account, OrderReader(exchange, account, symbols), Triggers(exchange),
            told_currency=chosen.get("fee_currency") != "absent",
        )  # fmt: skip
        wallet = Wallet(exchange, account, symbols, trading, chosen)
        private = PrivateTopics(exchange, account, trading, wallet)
        protection = Protection(exchange, trading, private, enabled=chosen.get("dcp") == "on")
        self._public = {name: PublicTopics(exchange, symbols, market, name) for name in PRODUCTS}
        self._sockets = Sockets(
            exchange.clock, self.security, self._public, private, protection, server.serve
        )
        endpoints = [
            *market.endpoints(),
            *trading.endpoints(),
            *wallet.endpoints(),
            *protection.endpoints(),
        ]
        self._paths = {(found.method, found.path): found for found in endpoints}
        self._operations = {found.op: found for found in endpoints if found.op}
        self._connects: list[int] = []

    def _now_ms(self) -> int:
        return self._exchange.clock.now() // 1_000_000

    def addresses(self, host: str, port: int) -> Mapping[str, str]:
        """The base for REST, and each socket."""
        http, ws = f"http://{host}:{port}", f"ws://{host}:{port}"
        return {
            "rest": http, "ws": ws, "private": f"{ws}/v5/private", "trade": f"{ws}/v5/trade",
            "public_spot": f"{ws}/v5/public/spot", "public_linear": f"{ws}/v5/public/linear",
        }  # fmt: skip

    # --- requests -----------------------------------------------------------------------------------------------

    def read(self, call: Call) -> None:
        """Labels: the common word, `METHOD /path` or the operation, and the product."""
        if call.channel is None:
            call.params = of_call(call.query, call.body)
            found, own = self._paths.get((call.method, call.path)), f"{call.method} {call.path}"
        else:
            found, own = self._operations.get(call.method), call.method
        label = found.label if found is not None else "unknown"
        call.labels = [label, own, f"{call.params.get('category', '')}:{label}"]
        if call.channel is not None:
            call.labels.append(f"socket:{label}")

    def execute(self, call: Call) -> Reply:
        """Carry it out; refusals are answers with a retCode."""
        if call.channel is not None:
            return self._execute_op(call)
        headers: Mapping[str, str] = {}
        try:
            self.limits.address()
            found = self._paths.get((call.method, call.path))
            if found is None:
                raise Refused(rules.NO_ROUTE)
            if "_unreadable" in call.params:
                raise Refused(rules.PARAMETER, "the body is no JSON object")
            if found.group:
                self.security.rest(call)
                headers = self._count(found, call)
            body = found.run(Asked(Params(call.params), call))
            return self._reply(0, "OK", body, 200, headers)
        except Refused as refused:
            return self._refusal(refused, headers or self._told(call))

    def _count(self, found: Endpoint, call: Call) -> Mapping[str, str]:
        rows = call.params.get(found.rows) if found.rows else None
        count = len(rows) if isinstance(rows, list) and rows else 1
        return self.limits.use(self._group(found, call), count)

    def _group(self, found: Endpoint, call: Call) -> str:
        product = call.params.get("category")
        return (
            f"{found.group}:{product if product in PRODUCTS else 'linear'}"
            if found.group in _PER_PRODUCT
            else found.group
        )

    def _told(self, call: Call) -> Mapping[str, str]:
        found = self._paths.get((call.method, call.path))
        return self.limits.headers(self._group(found, call)) if found is not None and found.group else {}

    def _reply(self, code: int, message: str, result: Any, status: int, headers: Mapping[str, str]) -> Reply:
        more = {}
        if isinstance(result, dict) and "_ext" in result:
            more, result = result["_ext"], {key: value for key, value in result.items() if key != "_ext"}
        frame = {
            "retCode": code,
            "retMsg": message,
            "result": result,
            "retExtInfo": more,
            "time": self._now_ms(),
        }
        return Reply(encode(frame), status, {**headers, "Timenow": str(self._now_ms())})

    def _refusal(self, refused: Refused, headers: Mapping[str, str] = {}) -> Reply:
        if refused.rule.status == 403:
            return Reply("access too frequent", 403, {}, "text/plain")
        return self._reply(refused.rule.code, refused.message, {}, refused.rule.status, headers)

    # --- the trade socket ---------------------------------------------------------------------------------------

    def _execute_op(self, call: Call) -> Reply:
        try:
            found = self._operations.get(call.method)
            if found is None:
                raise Refused(rules.UNKNOWN_OP)
            assert call.channel is not None
            if not call.channel.state["authed"]:
                raise Refused(rules.NOT_AUTHED)
            self.security.clock(call.headers.get("X-BAPI-TIMESTAMP"), call.headers.get("X-BAPI-RECV-WINDOW"))
            self._count(found, call)
            return self._answer(call, 0, "OK", found.run(Asked(Params(call.params), call)))
        except Refused as refused:
            return self._answer(call, refused.rule.code, refused.message, {})

    def _answer(self, call: Call, code: int, message: str, data: Any) -> Reply:
        assert call.channel is not None
        more = {}
        if isinstance(data, dict) and "_ext" in data:
            more, data = data["_ext"], {key: value for key, value in data.items() if key != "_ext"}
        found = self._operations.get(call.method)
        limits = dict(self.limits.headers(self._group(found, call))) if found is not None else {}
        frame = {
            "reqId": call.headers.get("reqId", ""), "retCode": code, "retMsg": message, "op": call.method,
            "data": data, "retExtInfo": more, "header": {**limits, "Traceid": "venue", "Timenow": str(self._now_ms())},
            "connId": f"conn-{call.channel.number}",
        }  # fmt: skip
        return Reply(encode(frame), 200)

    def refused(self, call: Call, fault: Fault, until_ns: int) -> Reply:
        """A fault in Bybit's words; `code` overrides the code of a refusal."""
        rule = _FAULTS[fault.kind]
        if fault.kind is FaultKind.REFUSE and fault.code:
            rule = Rule(int(fault.code), "Refused by the fault plan.")
        refused = Refused(rule)
        if call.channel is not None and call.path == "/v5/trade":
            return self._answer(call, rule.code, refused.message, {})
        headers = {}
        if fault.kind is FaultKind.RATE_LIMIT:
            headers = {
                "X-Bapi-Limit": "10", "X-Bapi-Limit-Status": "0",
                "X-Bapi-Limit-Reset-Timestamp": str(until_ns // 1_000_000),
            }  # fmt: skip
        return self._refusal(refused, headers)

    def spoil(self, body: str | bytes, kind: FaultKind) -> str | bytes:
        """An answer as garbage, or with an undocumented field or word."""
        return spoiled(body if isinstance(body, str) else body.decode(), kind, self.enums)

    # --- streams ------------------------------------------------------------------------------------------------

    def connected(self, channel: Channel, query: str) -> Reply | None:
        """Set a socket up by its path; more than 500 in five minutes are refused."""
        now = self._now_ms()
        self._connects = [at for at in self._connects if at > now - _CONNECT_WINDOW]
        self._connects.append(now)
        if len(self._connects) > self._most_connects:
            return self._refusal(Refused(rules.FREQUENT_SOCKET))
        try:
            known = self._sockets.open(channel, channel.path.removeprefix("/v5/"), query)
        except Refused as refused:
            return self._reply(refused.rule.code, refused.message, {}, 400, {})
        return None if known else Reply("not found", 404, content_type="text/plain")

    def heard(self, channel: Channel, text: str) -> None:
        """A frame came."""
        self._sockets.heard(channel, text)
        self._server.log.changed()

    def left(self, channel: Channel) -> None:
        """A socket is gone."""
        self._sockets.left(channel)

    def struck(self, channel: Channel, fault: Fault) -> None:
        """A restart sends all books anew; what authorises a private stream has no end of its own: it is cut."""
        if fault.kind is FaultKind.SHUTDOWN:
            for topics in self._public.values():
                topics.restart()
        else:
            channel.drop()
