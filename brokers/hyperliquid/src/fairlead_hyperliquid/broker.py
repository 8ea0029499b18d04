"""`HyperliquidBroker`: one account, perpetuals or spot, as fairlead trades it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec

from fairlead import ConfigurationError, ConnectivityError, Instrument, OrderType, Side, duration, percent
from fairlead.ports import (
    DUPLICATE_ID,
    UNKNOWN_ORDER,
    ArmDeadMan,
    Cancel,
    CancelAll,
    Canceled,
    CancelRejected,
    Clock,
    Command,
    DeadManSet,
    Expired,
    FillReport,
    NotSent,
    OrderReport,
    OutcomeUnknown,
    Replace,
    ReplaceRejected,
    Report,
    Snapshot,
    StreamDown,
    StreamUp,
    Submit,
)
from fairlead_hyperliquid import codes, commands
from fairlead_hyperliquid.account import Account
from fairlead_hyperliquid.commands import Unsendable, id_of
from fairlead_hyperliquid.credentials import Credentials, Given
from fairlead_hyperliquid.events import Events
from fairlead_hyperliquid.frames import Update
from fairlead_hyperliquid.instruments import MONEY, Listing
from fairlead_hyperliquid.known import Known
from fairlead_hyperliquid.link import Answer, Socket
from fairlead_hyperliquid.places import PERPS, places
from fairlead_hyperliquid.profile import SECOND, profile
from fairlead_hyperliquid.rest import Rest
from fairlead_hyperliquid.signing import Signer

log = logging.getLogger("fairlead.hyperliquid")

_LATE_NS = SECOND
"""How long what an answer announced may take on the stream, before it is asked for."""

_LONGEST_NS = 60 * SECOND
_FAR_NS = SECOND
_SOON_MS = 7 * 86_400_000


class HyperliquidBroker:
    """Trades `symbols` on one Hyperliquid account.

        HyperliquidBroker("BTC/USDC:USDC", account="0x...", key="secret:HYPERLIQUID_AGENT_KEY")

    `account` is the address that holds the money, `key` the private key of an agent wallet of it, as a reference or a
    `Secret`; each process needs an agent of its own. `product` is perps or spot, `environment` testnet or live.
    `slippage` bounds market orders, which are IOC limits that far from the best price. `valid` is how long Hyperliquid
    may take to accept an order. `leverage` and `margin_mode` ("cross" or "isolated") are what the account is to have:
    a difference is found by reconciliation, and nothing is set. The account's own key, which may withdraw, is refused
    unless `allow_withdrawal`. `url` puts all addresses somewhere else. Raises ConfigurationError.
    """

    def __init__(
        self,
        *symbols: str,
        account: str = "",
        key: Given = None,
        product: str = PERPS,
        environment: str = "testnet",
        name: str = "hyperliquid",
        slippage: str | float | Decimal = "1%",
        valid: str | int = "5s",
        leverage: int | None = None,
        margin_mode: str = "",
        allow_withdrawal: bool = False,
        url: str = "",
    ) -> None:
        self._places = places(product, environment, url)
        self._credentials = Credentials.of(account, key)
        self._perps = product == PERPS
        self._slippage = percent(slippage)
        validity = duration(valid)
        modes = {"leverage": str(leverage)} if leverage is not None else {}
        modes |= {"margin_mode": margin_mode} if margin_mode else {}
        _refuse_words(symbols, self._slippage, validity, modes, margin_mode, perps=self._perps)
        self.name = name
        self.profile = profile(environment, MONEY, validity, modes, perps=self._perps)
        self._symbols = symbols
        self._product = product
        self._environment = environment
        self._allow_withdrawal = allow_withdrawal
        self._known = Known()
        self._listing = Listing()
        self._events: Events | None = None
        self._rest: Rest | None = None
        self._account: Account | None = None
        self._signer: Signer | None = None
        self._socket: Socket | None = None
        self._emit: Callable[[Report], None] = _nowhere
        self._clock: Clock | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._epoch = 0

    @property
    def fingerprint(self) -> str:
        """The account's address, and the product."""
        return f"{self._product}.{self._credentials.account}"

    def endpoints(self) -> tuple[str, ...]:
        """The addresses that it connects to."""
        return self._places.all()

    # --- the connection -----------------------------------------------------------------------------------------

    async def instruments(self) -> Sequence[Instrument]:
        """The symbols, with Hyperliquid's rules. Raises ConfigurationError, ConnectivityError or VenueError."""
        if self._account is not None:
            await self._account.list(fees=True)
            return self._listing.chosen(self._symbols, self._environment)
        rest, account = await self._ask_there(_elapsed)  # there is no clock yet
        try:
            await account.list(fees=True)
            return self._listing.chosen(self._symbols, self._environment)
        finally:
            await rest.close()

    async def _ask_there(self, now: Callable[[], int]) -> tuple[Rest, Account]:
        rest = Rest(self._places, now)
        await rest.open()
        address = self._credentials.account
        return rest, Account(rest, address, self._product, self._listing, self._known)

    async def connect(self, emit: Callable[[Report], None], clock: Clock) -> None:
        """Check the wallet and hear of the account. Raises ConfigurationError, ConnectivityError or VenueError."""
        await self.close()
        self._emit, self._clock = emit, clock
        self._rest, self._account = rest, account = await self._ask_there(clock.now)
        try:
            await self._open(rest, account, clock)
        except BaseException:  # nothing half open is left, whatever stopped it
            await self.close()
            raise
        self._epoch += 1
        if self._epoch > 1:
            emit(StreamUp(epoch=self._epoch))

    async def _open(self, rest: Rest, account: Account, clock: Clock) -> None:
        self._signer = await rest.run(lambda: self._make_signer(rest))
        await rest.measure()
        if abs(rest.clock.offset_ns) > _FAR_NS:
            off = -rest.clock.offset_ns / 1e9
            log.warning("this machine's clock is %.1f s off Hyperliquid's, which is made up for: set it", off)
        await self._check(account, self._signer.address)
        if not len(self._listing):
            await account.list(fees=True)
        chosen = self._listing.chosen(self._symbols, self._environment)
        events = self._make_events()
        socket = self._socket = Socket(events.take, self._lost)
        await socket.open(self._places.ws, clock)
        user = self._credentials.account
        kinds = ["orderUpdates", "userFills", "userNonFundingLedgerUpdates"]
        kinds += ["userFundings"] if self._perps else []
        await socket.subscribe(
            [{"type": kind, "user": user} for kind in kinds]
            + [{"type": "bbo", "coin": instrument.native} for instrument in chosen]
        )

    def _make_signer(self, rest: Rest) -> Signer:
        """In a thread: the first signature takes its time, and is thrown away."""
        signer = Signer(self._credentials.wallet(), rest.clock.now, mainnet=self._places.mainnet)
        signer.signed({"type": "noop"}, None)
        return signer

    def _make_events(self) -> Events:
        """They outlive a connection: what was paid by when, and whose a number is."""
        if self._events is None:
            address = self._credentials.account
            self._events = Events(self._listing, self._known, address, self._tell, perps=self._perps)
            self._events.whose = lambda number: self._spawn(self._whose(number))
            self._events.verify = lambda update: self._spawn(self._verify(update))
            self._events.missing = self._expect_fills
        return self._events

    def _tell(self, report: Report) -> None:
        """To whoever listens now; what has no time of Hyperliquid's happened now."""
        if self._clock is not None and getattr(report, "event_ns", None) == 0:
            report = msgspec.structs.replace(report, event_ns=self._clock.now())
        self._emit(report)

    async def _check(self, account: Account, signer: str) -> None:
        """Whether the account is there, and its key acts for it and cannot withdraw."""
        address = self._credentials.account
        role = (await account.role(address)).get("role")
        if role != "user":
            raise ConfigurationError(
                f"Hyperliquid's {self._environment} knows {address} as {role!r} and not as an account that trades: "
                f"deposit there first, or check account= and environment="
            )
        if signer == address:
            if not self._allow_withdrawal:
                raise ConfigurationError(
                    "the key is the account's own, which may withdraw: approve an agent wallet (API wallet) and give "
                    "its key, or say allow_withdrawal=True"
                )
            return
        found = await account.role(signer)
        if found.get("role") != "agent" or str(found.get("data", {}).get("user")).lower() != address:
            raise ConfigurationError(
                f"the key's wallet {signer} is no agent of {address} on Hyperliquid's {self._environment}: approve it "
                f"there (testnet and live have their own), or check account= and key="
            )
        for agent in await account.agents():
            left = int(agent.get("validUntil", 0)) - self._venue_ms()
            if str(agent.get("address")).lower() == signer and left < _SOON_MS:
                log.warning("the agent wallet ends in %.1f days: approve a new one", left / 86_400_000)

    def _lost(self, reason: str) -> None:
        self._socket = None
        self._emit(StreamDown(reason=reason))

    async def close(self) -> None:
        """Leave; orders go on working there."""
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.leave()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        rest, self._rest, self._account = self._rest, None, None
        if rest is not None:
            await rest.close()

    # --- orders -------------------------------------------------------------------------------------------------

    def send(self, command: Command) -> None:
        """Write a command once, or answer that it was not sent."""
        clock, rest = self._clock, self._rest
        if clock is None:
            raise ConfigurationError(f"broker {self.name!r} is not connected")
        if rest is None or self._socket is None:
            self._unsent(command, "there is no connection to Hyperliquid")
            return
        if isinstance(command, CancelAll):
            self._spawn(self._cancel_all(command))
            return
        try:
            action = self._action(command)
        except (Unsendable, ConfigurationError) as why:
            self._unsent(command, str(why))
            return
        self._write(command, action)

    def _action(self, command: Submit | Cancel | Replace | ArmDeadMan) -> dict[str, Any]:
        match command:
            case Submit(intent=intent):
                market = intent.type is OrderType.MARKET
                return commands.submit(
                    self._listing, command, self._bound(intent.instrument, intent.side) if market else None
                )
            case Cancel():
                return commands.cancel(self._listing, command)
            case ArmDeadMan(timeout_ns=timeout):
                return commands.arm(self._venue_ms() + timeout // 1_000_000 if timeout else 0)
            case _:
                raise Unsendable("Hyperliquid changes no order in one step")

    def _bound(self, instrument: str, side: Side) -> Decimal | None:
        """The worst price of a market order."""
        assert self._events is not None
        bid, ask = self._events.touch.get(self._listing.rule(instrument).native, (None, None))
        best = ask if side is Side.BUY else bid
        if best is None:
            return None
        return Decimal(repr(best)) * (1 + self._slippage if side is Side.BUY else 1 - self._slippage)

    def _venue_ms(self) -> int:
        assert self._rest is not None
        return self._rest.clock.now() // 1_000_000

    def _write(self, command: Command, action: dict[str, Any]) -> None:
        """Sign it and write it; Hyperliquid takes nothing that reaches it after its deadline."""
        clock, rest, signer, socket = self._clock, self._rest, self._signer, self._socket
        assert clock is not None
        if rest is None or signer is None or socket is None:
            self._unsent(command, "there is no connection to Hyperliquid")
            return
        expires = (command.deadline_ns + rest.clock.offset_ns) // 1_000_000
        payload = msgspec.json.encode(signer.signed(action, expires))
        if clock.now() > command.deadline_ns:
            self._unsent(command, "its deadline had passed")
            return
        if isinstance(command, Cancel):
            self._known.line(command.client_order_id).canceling = True
        if isinstance(command, Submit):
            # Hyperliquid itself would put a second order to work under the same cloid.
            line = self._known.line(command.client_order_id)
            if line.sent or line.numbers:
                self._refuse(command, DUPLICATE_ID, "an order with this id was sent before")
                return
            line.sent = True
        try:
            socket.post(
                payload,
                partial(self._answered, command),
                partial(self._unknown, command),
            )
        except ConnectivityError as error:
            self._unsent(command, str(error))

    async def _cancel_all(self, command: CancelAll) -> None:
        """Hyperliquid has no such command: what is open is asked for, and canceled by one action."""
        account = self._asked()
        rule = self._listing.rule(command.instrument) if command.instrument else None
        numbers = await account.open_numbers(rule)
        for _, number in numbers:
            if (name := self._known.name(number)) is not None:
                self._known.line(name).canceling = True
        if numbers:
            self._write(command, commands.cancel_all(numbers))

    # --- answers ------------------------------------------------------------------------------------------------

    def _answered(self, command: Command, answer: Answer) -> None:
        """What an action was answered: carried out, refused as a whole, or nobody knows."""
        try:
            if answer.type == "error":
                self._failed(command, str(answer.payload))
                return
            body = msgspec.convert(answer.payload, _Body)
            if body.status != "ok":
                self._refused(command, str(body.response))
                return
            self._carried_out(command, msgspec.convert(body.response, _Response).data.statuses)
        except msgspec.ValidationError as error:
            self._unknown(command, f"the answer cannot be read: {error}")

    def _failed(self, command: Command, text: str) -> None:
        """HTTP's errors, at their beginning the status."""
        status = text[:3]
        if status == "429":
            if self._rest is not None:
                self._rest.pause()
            self._refuse(command, codes.LIMITED, text)
        elif status == "422":
            self._refuse(command, "unreadable", text)
        else:
            self._unknown(command, text)

    def _refused(self, command: Command, text: str) -> None:
        code = codes.code_of(text)
        if code == "wallet":
            log.error("Hyperliquid does not know the wallet that signed: %s", text)
        self._refuse(command, code, text)

    def _refuse(self, command: Command, code: str, text: str) -> None:
        match command:
            case Submit(client_order_id=name):
                assert self._events is not None
                self._events.refused(name, code, text)
            case Cancel(client_order_id=name):
                self._known.line(name).canceling = False
                code = UNKNOWN_ORDER if code == codes.NEVER_PLACED else code
                self._tell(CancelRejected(client_order_id=name, code=code, reason=text))
            case ArmDeadMan():
                self._tell(DeadManSet(reason=text))
            case _:
                log.error("not all orders could be canceled at once: %s", text)

    def _carried_out(self, command: Command, statuses: Sequence[Any]) -> None:
        match command:
            case Submit():
                self._placed(command, statuses[0] if statuses else None)
            case Cancel():
                if statuses and isinstance(statuses[0], dict):
                    self._refused(command, str(statuses[0].get("error")))
                else:
                    self._later(lambda: self._end(command.client_order_id))
            case ArmDeadMan(timeout_ns=timeout):
                assert self._clock is not None
                assert self._events is not None
                self._events.fired = False
                self._tell(DeadManSet(until_ns=self._clock.now() + timeout if timeout else 0))

    def _placed(self, command: Submit, status: Any) -> None:
        if isinstance(status, dict) and "error" in status:
            self._refused(command, str(status["error"]))
            return
        found = msgspec.convert(status, _Placed)
        done = found.resting or found.filled
        if done is None:
            self._unknown(command, f"the answer {status!r} is not known")
            return
        name = command.client_order_id
        assert self._events is not None
        self._events.accepted(name, done.oid)
        self._events.learned(done.oid, name)
        if found.filled is not None and done.total_sz < command.quantity:
            # Whatever does not rest has ended with what it got.
            self._tell(
                Expired(
                    client_order_id=name, reason="nothing more to trade with", filled_quantity=done.total_sz,
                    broker_order_id=str(done.oid),
                )
            )  # fmt: skip

    def _end(self, name: str) -> None:
        """An order was canceled, and the stream did not say so in time."""
        line = self._known.line(name)
        if not line.ended:
            line.ended = True
            self._tell(Canceled(client_order_id=name, reason="canceled on request"))

    def _unknown(self, command: Command, reason: str) -> None:
        match command:
            case Submit(client_order_id=name) | Cancel(client_order_id=name):
                self._tell(OutcomeUnknown(client_order_id=name, reason=reason))
            case ArmDeadMan():
                self._tell(DeadManSet(reason=reason))
            case _:
                log.error("whether all orders were canceled is not known: %s", reason)

    def _unsent(self, command: Command, reason: str) -> None:
        match command:
            case Submit(client_order_id=name):
                self._tell(NotSent(client_order_id=name, reason=reason))
            case Cancel(client_order_id=name):
                self._tell(CancelRejected(client_order_id=name, code="not_sent", reason=reason))
            case Replace(client_order_id=name, attempt=attempt):
                self._tell(
                    ReplaceRejected(client_order_id=name, attempt=attempt, code="not_sent", reason=reason)
                )
            case ArmDeadMan():
                self._tell(DeadManSet(reason=reason))
            case CancelAll():
                log.error("not all orders could be canceled at once: %s", reason)

    # --- what the streams leave open ----------------------------------------------------------------------------

    async def _whose(self, number: int) -> None:
        assert self._events is not None
        self._events.learned(number, await self._asked().name(number))

    async def _verify(self, update: Update) -> None:
        """An order ended that nobody here canceled: whether it was modified, and lives under a new number."""
        events = self._events
        assert events is not None
        if update.order.cloid is not None:
            found = await self._asked().status(update.order.cloid)
            newest = found.order
            if newest is not None and newest.order.oid > update.order.oid:
                events.update(newest)
                return
        line = self._known.line(id_of(update.order.cloid, update.order.oid))
        if line.numbers[-1] == update.order.oid:
            events.canceled(update)

    def _expect_fills(self, update: Update) -> None:
        """An order has filled: its executions are asked for if they are not told soon."""
        order = update.order
        wanted = order.orig_sz - order.sz
        if self._known.filled(order.oid) < wanted:
            self._later(lambda: self._look_for(order.oid, wanted, order.timestamp))

    def _look_for(self, number: int, wanted: Decimal, since_ms: int) -> None:
        if self._known.filled(number) < wanted:
            self._spawn(self._fetch_fills(since_ms))

    async def _fetch_fills(self, since_ms: int) -> None:
        for report in await self._asked().fills(since_ms * 1_000_000):
            self._tell(report)

    def _later(self, callback: Callable[[], None]) -> None:
        """In a while, unless the connection is another one then: whoever connects asks for everything."""
        socket = self._socket

        def due() -> None:
            if self._socket is socket is not None:
                callback()

        assert self._clock is not None
        self._clock.call_at(self._clock.now() + _LATE_NS, due)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        """What could not be found out is found out by whoever connects again, and asks for everything."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and self._socket is not None:
            self._socket.lose(f"what the account's stream left open could not be asked for: {error}")

    # --- questions ----------------------------------------------------------------------------------------------

    def _asked(self) -> Account:
        if self._account is None or self._socket is None:
            raise ConnectivityError("there is no connection to Hyperliquid")
        return self._account

    async def snapshot(self) -> Snapshot:
        """The account there. Raises ConnectivityError or VenueError."""
        account = self._asked()
        if self._rest is not None:
            await self._rest.measure()
        return await account.snapshot()

    async def lookup(self, client_order_ids: Sequence[str]) -> Mapping[str, OrderReport | None]:
        """What Hyperliquid knows of these orders."""
        return await self._asked().lookup(client_order_ids)

    async def fills(self, since_ns: int) -> Sequence[FillReport]:
        """Executions since then, oldest first. Raises ConnectivityError or VenueError."""
        return await self._asked().fills(since_ns)


class _Body(msgspec.Struct):
    status: str
    response: Any = None


class _Data(msgspec.Struct):
    statuses: list[Any] = []


class _Response(msgspec.Struct):
    type: str
    data: _Data = msgspec.field(default_factory=_Data)


class _Order(msgspec.Struct, rename="camel"):
    oid: int
    total_sz: Decimal = Decimal(0)


class _Placed(msgspec.Struct):
    resting: _Order | None = None
    filled: _Order | None = None


def _refuse_words(
    symbols: Sequence[str], slippage: Decimal, validity_ns: int, modes: Mapping[str, str], margin_mode: str, *,
    perps: bool,
) -> None:  # fmt: skip
    if not symbols:
        raise ConfigurationError(
            "HyperliquidBroker trades nothing: name what it is to trade, HyperliquidBroker('BTC/USDC:USDC', ...)"
        )
    for symbol in symbols:
        if not isinstance(symbol, str) or "/" not in symbol or (":" in symbol) is not perps:
            what = "perpetuals are written BTC/USDC:USDC" if perps else "spot is written HYPE/USDC"
            raise ConfigurationError(f"{symbol!r} is no symbol of this product: {what}; see product=")
    if not 0 < slippage <= Decimal("0.1"):
        raise ConfigurationError(f"slippage={slippage} bounds nothing: write more than 0 and at most '10%'")
    if not SECOND // 10 <= validity_ns <= _LONGEST_NS:
        raise ConfigurationError(f"valid={validity_ns} ns is too short or too long: write 100ms to 60s")
    if modes and not perps:
        raise ConfigurationError("leverage and margin_mode are of perpetuals: leave them out")
    if margin_mode not in ("", "cross", "isolated"):
        raise ConfigurationError(f"margin_mode={margin_mode!r} is none: write 'cross' or 'isolated'")


def _elapsed() -> int:
    return int(asyncio.get_running_loop().time() * 1e9)


def _nowhere(report: Report) -> None:
    """Where reports go before anybody listens."""
