"""The front: who is connected, what is asked, and who hears of what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Any, ClassVar

from fairlead import ConfigurationError
from fairlead_venue.account import OrderEvent
from fairlead_venue.channel import Channel
from fairlead_venue.exchange import Event, MarketMoved
from fairlead_venue.faults import Fault, FaultKind
from fairlead_venue.fronts import Server, Settings
from fairlead_venue.orders import VenueOrder
from fairlead_venue.tws import rules
from fairlead_venue.tws.catalogue import DEFAULTS, Catalogue, instruments
from fairlead_venue.tws.codec import Request, Unreadable
from fairlead_venue.tws.executions import Executions, Told, orders_of
from fairlead_venue.tws.market import Market
from fairlead_venue.tws.orders import Orders, one, refusal, whole
from fairlead_venue.tws.rules import Refused
from fairlead_venue.tws.session import NEWEST, OLDEST, Session, spoiled
from fairlead_venue.tws.wallet import Wallet
from fairlead_venue.wire import Call, Reply

_COMMON = {
    "placeOrder": "order", "cancelOrder": "cancel", "reqGlobalCancel": "cancel", "startApi": "session",
    "reqOpenOrders": "query", "reqAllOpenOrders": "query", "reqCompletedOrders": "query",
    "reqExecutions": "query", "reqPositions": "account", "reqAccountUpdates": "account",
    "reqAccountUpdatesMulti": "account", "reqAccountSummary": "account", "reqMktData": "subscribe",
    "reqTickByTickData": "subscribe", "reqMktDepth": "subscribe", "reqRealTimeBars": "subscribe",
    "reqHistoricalData": "market", "reqContractDetails": "market", "reqMarketRule": "market",
}  # fmt: skip
_CANCELS = {
    "cancelMktData": "ticks", "cancelTickByTickData": "tick", "cancelMktDepth": "depth",
    "cancelRealTimeBars": "live", "cancelHistoricalData": "history",
}  # fmt: skip
_PER_SECOND = 50
"""So many messages a second TWS takes; twice as many at once, since they may have been on their way together."""

_SECOND = 10**9


class TwsFront:
    """A TWS with one account.

    The variant `server_version` is the newest version that it speaks, 176 to 178; `account` its number, one that begins
    with D is a paper account; `read_only` that it takes no orders.
    """

    cash: Mapping[str, Decimal] = {"USD": Decimal(1_000_000)}
    pairs: Mapping[str, Decimal] = DEFAULTS
    variants: ClassVar[Mapping[str, tuple[str, ...] | type]] = {
        "server_version": int,
        "account": str,
        "read_only": ("no", "yes"),
    }

    def __init__(self, settings: Settings, server: Server) -> None:
        variants = settings.variants
        self._newest = int(variants.get("server_version", NEWEST))
        if not OLDEST <= self._newest <= NEWEST:
            raise ConfigurationError(
                f"server_version {self._newest} is not spoken here: write one of {OLDEST} to {NEWEST}"
            )
        self.number = variants.get("account", "DU1234567")
        self._read_only = variants.get("read_only", "no") == "yes"
        self._server = server
        exchange = server.exchange
        self._clock = exchange.clock
        self._account = exchange.open_account("tws", settings.cash, margined=True)
        self._catalogue = Catalogue()
        for instrument in instruments(settings):
            exchange.learn(self._catalogue.add(instrument), ["tws"])
        self._orders = Orders(self._account, self._catalogue, self.number)
        self._executions = Executions(self._account, self._catalogue, self.number)
        self._wallet = Wallet(self._account, self._catalogue, self.number, self._clock.now)
        self._market = Market(exchange, self._catalogue)
        self._sessions: list[Session] = []
        self._numbers = count(1)
        self._lost = False
        self._waiting: list[Callable[[], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._verbs: Mapping[str, Callable[[Session, Mapping[str, Any]], None]] = {
            **self._market.begin,
            **{name: partial(self._end_feed, kind) for name, kind in _CANCELS.items()},
            "startApi": self._start, "placeOrder": self._place, "cancelOrder": self._cancel,
            "reqGlobalCancel": self._cancel_all, "reqOpenOrders": self._open_orders,
            "reqAllOpenOrders": self._all_open_orders, "reqCompletedOrders": self._completed,
            "reqAutoOpenOrders": _nothing, "reqExecutions": self._execs, "reqIds": self._ids,
            "reqManagedAccts": self._accounts, "reqContractDetails": self._details,
            "reqMarketRule": self._rule, "reqCurrentTime": self._time, "reqMarketDataType": _nothing,
            "reqPositions": self._positions, "cancelPositions": self._no_positions,
            "reqAccountUpdates": self._updates, "reqAccountUpdatesMulti": self._multi,
            "cancelAccountUpdatesMulti": _nothing, "reqAccountSummary": self._summary,
            "cancelAccountSummary": _nothing, "cancelHeadTimeStamp": _nothing,
        }  # fmt: skip
        exchange.listen(self._heard)

    # --- sockets ------------------------------------------------------------------------------------------------

    async def open(self, host: str, port: int) -> Mapping[str, str]:
        """Listen; the address is `host:port`."""
        try:
            self._listener = await asyncio.start_server(self._connected, host, port)
        except OSError as error:
            raise ConfigurationError(
                f"{host}:{port} cannot be listened on ({error.strerror}): choose another port, or 0 for any"
            ) from error
        bound = self._listener.sockets[0].getsockname()
        return {"tws": f"{bound[0]}:{bound[1]}", "account": self.number}

    async def close(self) -> None:
        """Let go of everybody."""
        if self._listener is not None:
            self._listener.close()
        for session in list(self._sessions):
            session.drop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        session = Session(
            next(self._numbers), reader, writer, faults=self._server.faults, clock=self._clock,
            struck=self._server.strike,
        )  # fmt: skip
        try:
            if await session.greet(self._newest):
                self._server.join(session)
                self._sessions.append(session)
                session.welcome(self._shown("%Y%m%d %H:%M:%S UTC"))
                await self._read(session)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # it left, was cut, or this venue ends
        finally:
            self._tasks.discard(task)
            session.open = False
            if session in self._sessions:
                self._sessions.remove(session)
            self._server.leave(session)
            writer.close()

    async def _read(self, session: Session) -> None:
        left, since = 2.0 * _PER_SECOND, self._clock.now()
        while session.open:
            payload = await session.frame()
            if session.silent:
                continue
            now = self._clock.now()
            left = min(2.0 * _PER_SECOND, left + (now - since) / _SECOND * _PER_SECOND) - 1
            since = now
            if left < 0:
                session.tell("error", **_error(-1, rules.PACING))
                session.close()
                return
            self._server.serve(Call("TWS", "frame", body=payload.encode(), channel=session))

    # --- what the gate asks -------------------------------------------------------------------------------------

    def read(self, call: Call) -> None:
        """Labels and params of a request."""
        assert isinstance(call.channel, Session)
        try:
            request = call.channel.codec.decode(call.body.decode())
        except Unreadable as error:
            call.path, call.labels, call.params = "unreadable", ["unreadable"], {"why": str(error)}
            return
        call.path, call.params = request.name, dict(request.params)
        label = _COMMON.get(request.name, request.name)
        if request.name == "placeOrder" and self._known(call.channel, request) is not None:
            label = "amend"
        call.labels = [label, request.name]

    def _known(self, session: Session, request: Request) -> VenueOrder | None:
        number = request.params["orderId"]
        return self._orders.find(session.client_id, int(number)) if number.isdigit() else None

    def execute(self, call: Call) -> Reply:
        """Carry a request out; what is written meanwhile is its answer."""
        session = call.channel
        assert isinstance(session, Session)
        if self._lost and call.labels[0] in {"order", "amend", "cancel"}:
            self._waiting.append(lambda: self._carry_out(session, call))
            return Reply()
        return Reply(session.collect(lambda: self._carry_out(session, call)))

    def _carry_out(self, session: Session, call: Call) -> None:
        about = _about(call.params)
        if notice := call.struck(FaultKind.NOTICE):
            code = int(notice.code or rules.ORDER_MESSAGE)
            call.after.append(lambda: session.tell("error", **_error(about, code)))
        try:
            verb = self._verbs.get(call.path)
            if verb is None:
                raise Refused(
                    rules.UNREADABLE, f"Error reading request:-'{call.params.get('why', call.path)}'"
                )
            if call.path != "startApi" and session.client_id < 0:
                raise Refused(rules.NOT_CONNECTED, "Not connected")
            verb(session, call.params)
        except Refused as refused:
            session.tell("error", reqId=about, code=refused.code, message=refused.text, advanced="")

    def refused(self, call: Call, fault: Fault, until_ns: int) -> Reply:
        """An error of the request's id; an order that was new is told of as dead besides."""
        code = int(fault.code or (rules.PACING if fault.kind is FaultKind.RATE_LIMIT else rules.REJECTED))
        assert isinstance(call.channel, Session)
        error = call.channel.codec.encode("error", _error(_about(call.params), code))
        return Reply(error)

    def spoil(self, body: str | bytes, kind: FaultKind) -> str | bytes:
        """See `Session.spoil`."""
        return spoiled(body if isinstance(body, str) else body.decode(), kind)

    def struck(self, channel: Channel, fault: Fault) -> None:
        """A message about the connection; 1100 to 1102 are what they say."""
        assert isinstance(channel, Session)
        code = int(fault.code or (1300 if fault.kind is FaultKind.SHUTDOWN else rules.LOST))
        if code == rules.LOST:
            self._lost = True
        if code == rules.RESTORED_DATA_LOST:
            channel.topics.clear()
        channel.send(channel.codec.encode("error", _error(-1, code)))
        if code in (rules.RESTORED, rules.RESTORED_DATA_LOST):
            self._lost = False
            waiting, self._waiting = self._waiting, []
            for work in waiting:
                work()

    # --- the session --------------------------------------------------------------------------------------------

    def _start(self, session: Session, asked: Mapping[str, Any]) -> None:
        number = whole(asked["clientId"])
        if any(other.client_id == number for other in self._sessions if other is not session):
            session.tell("error", **_error(-1, rules.CLIENT_ID_IN_USE))
            self._clock.call_in(0, session.close)
            return
        session.client_id = number
        session.labels.append(f"client {number}")
        session.tell("managedAccounts", accounts=self.number)
        session.tell("nextValidId", orderId=self._orders.next_id(number))
        for code in rules.FARMS:
            session.tell("error", **_error(-1, code))

    def _shown(self, form: str) -> str:
        return datetime.fromtimestamp(self._clock.now() // _SECOND, UTC).strftime(form)

    def _time(self, session: Session, asked: Mapping[str, Any]) -> None:
        session.tell("currentTime", time=self._clock.now() // _SECOND)

    def _ids(self, session: Session, asked: Mapping[str, Any]) -> None:
        session.tell("nextValidId", orderId=self._orders.next_id(session.client_id))

    def _accounts(self, session: Session, asked: Mapping[str, Any]) -> None:
        session.tell("managedAccounts", accounts=self.number)

    # --- orders -------------------------------------------------------------------------------------------------

    def _place(self, session: Session, asked: Mapping[str, Any]) -> None:
        if self._read_only:
            raise Refused(
                rules.VALIDATION,
                "Error validating request:-'The API interface is currently in Read-Only mode.'",
            )
        self._orders.place(session, asked)

    def _cancel(self, session: Session, asked: Mapping[str, Any]) -> None:
        self._orders.cancel(session, whole(asked["orderId"]))

    def _cancel_all(self, session: Session, asked: Mapping[str, Any]) -> None:
        self._orders.cancel_all()

    def _open_orders(self, session: Session, asked: Mapping[str, Any]) -> None:
        # Client 0 is the one that sees what was placed by hand.
        self._tell_open(session, self._orders.open_orders(session.client_id))

    def _all_open_orders(self, session: Session, asked: Mapping[str, Any]) -> None:
        self._tell_open(session, self._orders.open_orders())

    def _tell_open(self, session: Session, orders: Any) -> None:
        for order in orders:
            self._orders.tell_open(session, order)
            self._orders.tell_status(session, order)
        session.tell("openOrderEnd")

    def _completed(self, session: Session, asked: Mapping[str, Any]) -> None:
        for order in orders_of(self._account, self._clock.now()):
            if asked["apiOnly"] != "1" or "client_id" in order.extra:
                self._orders.tell_completed(session, order)
        session.tell("completedOrdersEnd")

    def _execs(self, session: Session, asked: Mapping[str, Any]) -> None:
        request = whole(asked["reqId"])
        found = list(self._executions.chosen(asked, self._clock.now()))
        for told in found:
            self._executions.tell(session, told, request)
        session.tell("execDetailsEnd", reqId=request)
        for told in found:
            self._executions.tell_commission(session, told)

    # --- contracts ----------------------------------------------------------------------------------------------

    def _details(self, session: Session, asked: Mapping[str, Any]) -> None:
        request, found = whole(asked["reqId"]), self._catalogue.find(asked["contract"])
        if not found:
            one(found)
        for listed in found:
            session.tell("contractDetails", reqId=request, contract=listed.about)
        session.tell("contractDetailsEnd", reqId=request)

    def _rule(self, session: Session, asked: Mapping[str, Any]) -> None:
        number = whole(asked["marketRuleId"])
        if number not in self._catalogue.rules:
            raise Refused(rules.VALIDATION, f"Error validating request:-'no market rule {number}'")
        steps = [(0, self._catalogue.rules[number])]
        session.tell("marketRule", marketRuleId=number, increments=steps)

    # --- the account --------------------------------------------------------------------------------------------

    def _positions(self, session: Session, asked: Mapping[str, Any]) -> None:
        session.state["positions"] = True
        self._wallet.tell_positions(session)

    def _no_positions(self, session: Session, asked: Mapping[str, Any]) -> None:
        session.state.pop("positions", None)

    def _updates(self, session: Session, asked: Mapping[str, Any]) -> None:
        if asked["account"] not in ("", self.number):
            raise Refused(rules.VALIDATION, "Error validating request:-'invalid account code'")
        if asked["subscribe"] == "1":
            self._wallet.tell_updates(session)

    def _multi(self, session: Session, asked: Mapping[str, Any]) -> None:
        self._wallet.tell_multi(session, whole(asked["reqId"]))

    def _summary(self, session: Session, asked: Mapping[str, Any]) -> None:
        self._wallet.tell_summary(session, whole(asked["reqId"]), asked["tags"])

    def _end_feed(self, kind: str, session: Session, asked: Mapping[str, Any]) -> None:
        self._market.cancel(session, kind, whole(asked["reqId"]))

    # --- what happens -------------------------------------------------------------------------------------------

    def _heard(self, event: Event) -> None:
        if isinstance(event, MarketMoved):
            if not self._lost:
                for session in list(self._sessions):
                    self._market.heard(session, event)
        elif isinstance(event, OrderEvent):
            if self._lost and event.kind == "trade":
                told = self._executions.note(event.execution) if event.execution else None
                self._waiting.append(lambda: self._traded(event.order, told))
            else:
                self._happened(event)

    def _happened(self, event: OrderEvent) -> None:
        order = event.order
        match event.kind:
            case "new":
                self._each(order, self._announce)
            case "trade":
                assert event.execution is not None
                self._traded(order, self._executions.note(event.execution))
            case "busted":
                assert event.execution is not None
                self._executions.take_back(event.execution)
                # A correction follows at once, if it is one.
                self._clock.call_in(0, partial(self._busted, order))
            case "canceled" | "expired":
                self._each(order, self._ended)
            case "rejected":
                self._each(order, self._rejected)
            case "triggered" | "amended":
                self._each(order, self._restated)

    def _each(self, order: VenueOrder, tell: Callable[[Session, VenueOrder], None]) -> None:
        """Tell those who hear of an order: whoever placed it, and client 0 of what was placed by hand."""
        for session in list(self._sessions):
            if session.client_id == order.extra.get("client_id", 0):
                tell(session, order)

    def _announce(self, session: Session, order: VenueOrder) -> None:
        self._orders.tell_open(session, order, "PreSubmitted")
        self._orders.tell_status(session, order, "PreSubmitted")
        self._restated(session, order)

    def _restated(self, session: Session, order: VenueOrder) -> None:
        self._orders.tell_open(session, order)
        self._orders.tell_status(session, order)

    def _ended(self, session: Session, order: VenueOrder) -> None:
        self._orders.tell_status(session, order)
        text = rules.text_of(rules.CANCELLED) + ("" if order.status == "canceled" else order.reason)
        number = order.extra.get("order_id", 0)
        session.tell("error", reqId=number, code=rules.CANCELLED, message=text, advanced="")

    def _rejected(self, session: Session, order: VenueOrder) -> None:
        if order.announced:
            refused = refusal(order.code, order.reason)
            number = order.extra.get("order_id", 0)
            session.tell("error", reqId=number, code=refused.code, message=refused.text, advanced="")
        self._orders.tell_status(session, order)

    def _traded(self, order: VenueOrder, told: Told | None) -> None:
        if told is None:
            return

        def tell(session: Session, order: VenueOrder) -> None:
            self._executions.tell(session, told)
            self._restated(session, order)
            self._executions.tell_commission(session, told)

        self._each(order, tell)
        for session in self._sessions:
            if "positions" in session.state:
                self._wallet.tell_position(session, *self._wallet.position_of(order.wanted.instrument.id))

    def _busted(self, order: VenueOrder) -> None:
        told = self._executions.busted()
        if told is not None:
            self._traded(order, told)


def _nothing(session: Session, asked: Mapping[str, Any]) -> None:
    """Taken, and without effect here."""


def _about(params: Mapping[str, Any]) -> int:
    """The id that an error about a request bears."""
    text = params.get("orderId", params.get("reqId", "-1"))
    return int(text) if text.lstrip("-").isdigit() else -1


def _error(about: int, code: int) -> dict[str, Any]:
    text = rules.text_of(code, id=about, state="")
    return {"reqId": about, "code": code, "message": text, "advanced": ""}
