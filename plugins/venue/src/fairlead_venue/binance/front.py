"""Binance's front: paths, WebSocket methods and streams, with security and limits around them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

import attrs

from fairlead_venue.binance import rules
from fairlead_venue.binance.algo import Algo
from fairlead_venue.binance.endpoints import KEY, NONE, Asked, Endpoint
from fairlead_venue.binance.futures import Futures
from fairlead_venue.binance.futures_account import FuturesAccount
from fairlead_venue.binance.futures_user import FuturesEvents
from fairlead_venue.binance.keys import ListenKeys
from fairlead_venue.binance.limits import Limits
from fairlead_venue.binance.listing import Filters, Symbols, instruments
from fairlead_venue.binance.market import MarketData
from fairlead_venue.binance.params import Params, of_query
from fairlead_venue.binance.rules import Refused, Rule
from fairlead_venue.binance.security import Security
from fairlead_venue.binance.sessions import Sessions
from fairlead_venue.binance.spot import Spot
from fairlead_venue.binance.streams import Streams
from fairlead_venue.binance.user import SpotEvents
from fairlead_venue.channel import Channel
from fairlead_venue.faults import Fault, FaultKind
from fairlead_venue.fronts import Server, Settings
from fairlead_venue.triggers import Triggers
from fairlead_venue.websocket import encode, spoiled
from fairlead_venue.wire import Call, Reply

_DAY_NS = 86_400_000_000_000
_STABLE = ("USDT", "USDC", "BUSD", "FDUSD")
_EVENTS = (
    "executionReport", "outboundAccountPosition", "balanceUpdate", "listStatus", "ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE",
    "ALGO_UPDATE", "TRADE_LITE", "ACCOUNT_CONFIG_UPDATE", "listenKeyExpired", "event:list", "event:config",
    "executionReport.*", "ORDER_TRADE_UPDATE.*", "*@*", "/*", "connect /*",
)  # fmt: skip
_FAULTS: dict[FaultKind, Rule] = {
    FaultKind.REFUSE: rules.OVERLOADED,
    FaultKind.UNKNOWN: rules.UNKNOWN_OUTCOME,
    FaultKind.RATE_LIMIT: rules.TOO_MANY_REQUESTS,
    FaultKind.BAN: rules.BANNED,
    FaultKind.MAINTENANCE: rules.MAINTENANCE,
}


@attrs.frozen
class Product:
    """What answers for one product."""

    name: str
    limits: Limits
    endpoints: dict[tuple[str, str], Endpoint]
    methods: dict[str, Endpoint]
    streams: Streams


class BinanceFront:
    """Spot (`/api`, `/sapi`, `/ws`, `/stream`, `/ws-api/v3`) and USD-M futures (`/fapi`, `/fstream`, `/ws-fapi/v1`).

    Variants: `signing=either`; `futures_fok=refuse` (-5021 instead of an order that expires at once);
    `futures_gtx=expire` (an order that expires instead of -5022); `weight`, `futures_weight`, `orders_10s` change the
    limits.
    """

    enums = frozenset(
        {"status", "type", "side", "timeInForce", "o", "x", "X", "S", "f", "algoStatus", "orderType"}
    )
    ping_every = 20.0
    variants: ClassVar[Mapping[str, tuple[str, ...] | type]] = {
        "signing": ("either",), "futures_fok": ("refuse",), "futures_gtx": ("expire",),
        "weight": int, "futures_weight": int, "orders_10s": int,
    }  # fmt: skip

    def __init__(self, settings: Settings, server: Server) -> None:
        self._server = server
        exchange = self._exchange = server.exchange
        self.security = Security(settings, self._now_ms)
        spot_symbols, futures_symbols = (
            Symbols(Filters()),
            Symbols(Filters(price_up=Decimal("1.5"), price_down=Decimal("0.5"), max_algo_orders=200)),
        )
        spot = exchange.open_account("spot", settings.cash, fees_in_base=True)
        margin = {name: amount for name, amount in settings.cash.items() if name in _STABLE}
        futures = exchange.open_account("futures", margin or {"USDT": Decimal(0)}, margined=True)
        for instrument in instruments(settings):
            exchange.learn(instrument, ["spot" if instrument.spot else "futures"])
            (spot_symbols if instrument.spot else futures_symbols).add(instrument)
        triggers, chosen = Triggers(exchange), settings.variants
        counts = {"10S": (10_000, int(chosen.get("orders_10s", 100))), "1D": (86_400_000, 200_000)}
        limits = Limits(weight=int(chosen.get("weight", 6000)), orders=counts, now_ms=self._now_ms)
        counts = {"10S": (10_000, int(chosen.get("orders_10s", 300))), "1M": (60_000, 1200)}
        f_limits = Limits(weight=int(chosen.get("futures_weight", 2400)), orders=counts, now_ms=self._now_ms)
        self._spot = Spot(exchange, spot, spot_symbols, triggers, limits)
        self._futures = Futures(
            exchange, futures, futures_symbols, f_limits, fok_refused=chosen.get("futures_fok") == "refuse",
            post_only_expires=chosen.get("futures_gtx") == "expire",
        )  # fmt: skip
        money = FuturesAccount(self._futures, exchange, futures_symbols)
        algo = Algo(self._futures, exchange, futures_symbols, triggers)
        self._keys = ListenKeys(exchange.clock)
        self._sessions = Sessions(self.security, self._now_ms)
        events = SpotEvents(exchange, spot, self._sessions.publish)
        self._spot.lists.told = events.list_changed
        FuturesEvents(exchange, futures, self._futures, money, algo, self._keys.publish)
        self._products = {
            "spot": _product("spot", limits, self._spot.endpoints(), Streams(
                exchange, spot_symbols, MarketData(exchange, spot_symbols, futures=False), futures=False)),
            "futures": _product("futures", f_limits, [
                *self._futures.endpoints(), *money.endpoints(), *algo.endpoints(), *self._keys.endpoints()], Streams(
                exchange, futures_symbols, MarketData(exchange, futures_symbols, futures=True), futures=True)),
        }  # fmt: skip

    def _now_ms(self) -> int:
        return self._exchange.clock.now() // 1_000_000

    def addresses(self, host: str, port: int) -> Mapping[str, str]:
        """By the setting of an SDK: REST bases, WebSocket APIs and stream bases, without a slash at the end."""
        http, ws = f"http://{host}:{port}", f"ws://{host}:{port}"
        return {
            "rest": http, "ws": ws, "spot_rest": f"{http}/api", "sapi_rest": f"{http}/sapi",
            "futures_rest": f"{http}/fapi", "spot_stream": f"{ws}/stream", "spot_ws_api": f"{ws}/ws-api/v3",
            "futures_stream": f"{ws}/fstream", "futures_ws_api": f"{ws}/ws-fapi/v1",
        }  # fmt: skip

    @property
    def labels(self) -> frozenset[str]:
        """Every label that one of its requests, events or streams may have; a pattern where it is made of names."""
        found = {*_EVENTS}
        for product in self._products.values():
            for endpoint in product.endpoints.values():
                found |= {f"{endpoint.method} {endpoint.path}", f"{product.name}:{endpoint.label}"}
            found |= set(product.methods)
        return frozenset(found)

    # --- requests -----------------------------------------------------------------------------------------------

    def _product_of(self, path: str) -> Product:
        return self._products["futures" if path.startswith(("/fapi", "/ws-fapi")) else "spot"]

    def read(self, call: Call) -> None:
        """Labels: the common word, `METHOD /path` or the WebSocket method, and the product."""
        product = self._product_of(call.path)
        if call.channel is None:
            form = call.body.decode("utf-8", "replace") if b"=" in call.body else ""
            call.params = dict(of_query(call.query, form))
            found = product.endpoints.get((call.method, call.path))
            own = f"{call.method} {call.path}"
        else:
            found, own = product.methods.get(call.method), call.method
        label = found.label if found is not None else self._sessions.label(call.method)
        call.labels = [label, own, f"{product.name}:{label}"]

    def execute(self, call: Call) -> Reply:
        """Carry it out; refusals are answers with a code."""
        product = self._product_of(call.path)
        if call.channel is not None:
            return self._sessions.answer(call, product.limits, lambda: self._run_ws(product, call))
        endpoint = product.endpoints.get((call.method, call.path))
        counts = endpoint is not None and endpoint.counts
        try:
            if endpoint is None:
                raise Refused(rules.UNKNOWN_PATH)
            product.limits.use(endpoint.weight)
            params = Params(call.params)
            if endpoint.security == KEY:
                self.security.key(
                    {name.lower(): value for name, value in call.headers.items()}.get("x-mbx-apikey", "")
                )
            elif endpoint.security != NONE:
                self.security.rest(call, params)
            return Reply(
                encode(endpoint.run(Asked(params, call))), headers=product.limits.headers(orders=counts)
            )
        except Refused as refused:
            return self._refusal(refused, product.limits, counts=counts)

    def _run_ws(self, product: Product, call: Call) -> Any:
        endpoint = product.methods.get(call.method)
        if endpoint is None:
            return self._sessions.run(call)
        product.limits.use(endpoint.weight)
        return endpoint.run(Asked(self._sessions.allowed(call, endpoint.security), call))

    def _refusal(self, refused: Refused, limits: Limits, *, counts: bool = False) -> Reply:
        headers = limits.headers(orders=counts)
        if refused.status in {418, 429}:
            headers["Retry-After"] = str(limits.retry_after())
        return Reply(encode(_error(refused)), refused.status, headers)

    def refused(self, call: Call, fault: Fault, until_ns: int) -> Reply:
        """A fault in Binance's words; `code` overrides the code of a refusal."""
        rule = _FAULTS[fault.kind]
        if fault.kind is FaultKind.REFUSE and fault.code:
            rule = Rule(
                int(fault.code),
                "Refused by the fault plan.",
                "",
                fault.status if fault.status != 503 else 400,
            )
        about = until_ns // 1_000_000 if fault.kind is FaultKind.BAN else 0
        refused = Refused(rule, about)
        if call.channel is not None:
            return self._sessions.refusal(call, refused, self._product_of(call.path).limits)
        headers = {}
        if refused.status in {418, 429}:
            left = max(0, until_ns - self._exchange.clock.now())
            headers["Retry-After"] = str(max(1, -(-left // 1_000_000_000)))
        return Reply(encode(_error(refused)), refused.status, headers)

    def spoil(self, body: str | bytes, kind: FaultKind) -> str:
        """An answer as garbage, or with an undocumented field or word."""
        return spoiled(body if isinstance(body, str) else body.decode(), kind, self.enums)

    # --- streams ------------------------------------------------------------------------------------------------

    def connected(self, channel: Channel, query: str) -> Reply | None:
        """Set a stream up by its path; it is closed after 24 hours.

        Spot: `/ws`, `/ws/NAME/NAME`, `/stream?streams=NAME/NAME`, both also below `/stream`. Futures: the same below
        `/fstream`, `/public`, `/market` and `/private`.
        """
        path, words = channel.path, of_query(query)
        channel.state["day"] = self._exchange.clock.call_in(_DAY_NS, channel.close)
        if path.startswith(("/ws-api/", "/ws-fapi/")):
            channel.labels.append("api")
            self._sessions.open(channel)
            return None
        parts = [part for part in path.split("/") if part]
        futures = False
        while parts and parts[0] in {"fstream", "public", "market", "private"}:
            futures = True
            parts.pop(0)
        if not futures and parts[:2] in (["stream", "ws"], ["stream", "stream"]):
            parts.pop(0)
        if not parts or parts[0] not in {"ws", "stream"}:
            return Reply("not found", 404, content_type="text/plain")
        channel.state["combined"] = parts[0] == "stream"
        names = [name for name in words.get("streams", "").split("/") if name] + parts[1:]
        keys = [name for name in (words.get("listenKey", ""), *names) if name and self._keys.knows(name)]
        if futures and ("listenKey" in words or keys):
            if not keys:
                return Reply(encode({"code": -1125, "msg": rules.LISTEN_KEY.text}), 400)
            channel.labels.append("user")
            self._keys.join(channel, keys[0])
            names = [name for name in names if name not in keys]
        else:
            channel.labels.append("market")
        channel.state["product"] = "futures" if futures else "spot"
        self._products[channel.state["product"]].streams.subscribe(
            channel, [name for name in names if not name.isdecimal()]
        )
        return None

    def heard(self, channel: Channel, text: str) -> None:
        """A request of the WebSocket API, or a subscription."""
        if "product" in channel.state:
            channel.send(self._products[channel.state["product"]].streams.control(channel, text))
            self._server.log.changed()
            return
        call = self._sessions.parse(channel, text)
        if call is not None:
            self._server.serve(call)

    def left(self, channel: Channel) -> None:
        """Forget a stream."""
        channel.state["day"].cancel()
        self._sessions.left(channel)
        self._keys.left(channel)
        for product in self._products.values():
            if channel in product.streams.channels:
                product.streams.channels.remove(channel)

    def struck(self, channel: Channel, fault: Fault) -> None:
        """serverShutdown, or the end of what authorises a stream."""
        now = self._now_ms()
        if fault.kind is FaultKind.SHUTDOWN:
            event = {"e": "serverShutdown", "E": now}
            channel.send({"event": event} if "api" in channel.labels else event)
        elif "user" in channel.labels:
            self._keys.expire(channel)
        else:
            self._sessions.expire(channel)


def _product(name: str, limits: Limits, endpoints: list[Endpoint], streams: Streams) -> Product:
    paths = {(endpoint.method, endpoint.path): endpoint for endpoint in endpoints}
    methods = {endpoint.ws: endpoint for endpoint in endpoints if endpoint.ws}
    return Product(name, limits, paths, methods, streams)


def _error(refused: Refused) -> dict[str, Any]:
    body: dict[str, Any] = {"code": refused.rule.code, "msg": refused.message}
    return {**body, "data": refused.data} if refused.data is not None else body
