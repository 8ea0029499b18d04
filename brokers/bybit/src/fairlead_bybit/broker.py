"""`BybitBroker`: a unified account, spot and linear contracts, as fairlead trades it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs

from fairlead import ConfigurationError, ConnectivityError, Instrument, VenueError, duration
from fairlead.ports import (
    DUPLICATE_ID,
    UNKNOWN_ORDER,
    ArmDeadMan,
    Cancel,
    CancelAll,
    CancelRejected,
    Clock,
    Command,
    DeadManSet,
    FillReport,
    NotSent,
    OrderReport,
    OutcomeUnknown,
    Rejected,
    Replace,
    ReplaceRejected,
    Report,
    Snapshot,
    StreamDown,
    StreamUp,
    Submit,
)
from fairlead_bybit import codes, commands, frames
from fairlead_bybit.account import Account
from fairlead_bybit.codes import Refusal, Verdict
from fairlead_bybit.commands import Request, Unsendable
from fairlead_bybit.credentials import Credentials, Given
from fairlead_bybit.instruments import LINEAR, Listing
from fairlead_bybit.known import Known
from fairlead_bybit.link import Link
from fairlead_bybit.places import places
from fairlead_bybit.profile import LINEAR_RATE, LONGEST_NS, SECOND, SPOT_RATE, bybit_profile
from fairlead_bybit.reports import Reports
from fairlead_bybit.rest import NeverSent, Rest, elapsed

log = logging.getLogger("fairlead.bybit")

_AHEAD_NS = duration("800ms")
"""A clock that is further ahead is refused by Bybit, or soon will be: https://bybit-exchange.github.io/docs/v5/guide"""

_BEHIND_NS = duration("1s")
_TOPICS = ("order", "execution")
_DCP = {"spot": "dcp.spot", LINEAR: "dcp.future"}

Order = Submit | Cancel | Replace


class BybitBroker:
    """Trades `symbols` on one unified account: `BTC/USDT` is spot, `BTC/USDT:USDT` a linear contract.

        BybitBroker("BTC/USDT:USDT", key="secret:BYBIT_KEY", secret="secret:BYBIT_SECRET")

    `environment` is testnet, demo or live; keys are references or `Secret`s. `currency` is what the account is measured
    in. `orders` is how orders go out: "websocket" or "rest" (demo accounts take REST alone). `valid` is how long Bybit
    may take to accept an order. `orders_per_second` is what Bybit grants the account, where that is more than
    everybody has. `leverage` and `margin_mode` ("cross", "isolated" or "portfolio") are what the account is to have: a
    difference is found by reconciliation, and nothing is set. `disconnect_cancel` has Bybit cancel all orders when the
    connection is lost for so long (3s to 300s), for accounts that have its disconnection protection. `account_id` is
    Bybit's id of the account (UID): with it one account is one, whatever key it is used with, and another one is
    refused. A key that may withdraw is refused unless `allow_withdrawal`. `url` puts all addresses somewhere else.
    Raises ConfigurationError.
    """

    def __init__(
        self,
        *symbols: str,
        key: Given = None,
        secret: Given = None,
        environment: str = "testnet",
        currency: str = "USDT",
        name: str = "bybit",
        orders: str = "websocket",
        valid: str | int = "5s",
        orders_per_second: int = 0,
        leverage: int | None = None,
        margin_mode: str = "",
        disconnect_cancel: str | int | None = None,
        account_id: str = "",
        allow_withdrawal: bool = False,
        url: str = "",
    ) -> None:
        self._places = places(environment, url)
        self._credentials = Credentials.of(key, secret)
        validity = duration(valid)
        protect = duration(disconnect_cancel) if disconnect_cancel is not None else 0
        _refuse_words(
            symbols, orders, validity, margin_mode, protect if disconnect_cancel is not None else None
        )
        contracts = [symbol for symbol in symbols if ":" in symbol]
        modes = {"leverage": str(leverage)} if leverage is not None else {}
        modes |= {"margin_mode": margin_mode} if margin_mode else {}
        if modes and not contracts:
            raise ConfigurationError(
                "leverage and margin_mode are of contracts: leave them out for spot alone"
            )
        rate = orders_per_second or (LINEAR_RATE if contracts else SPOT_RATE)
        self.name = name
        self.profile = bybit_profile(
            environment, currency, validity, modes, linear=bool(contracts), rate=rate
        )
        self._symbols = symbols
        self._environment = environment
        self._by_rest = orders == "rest" or not self._places.trade
        self._protect_s = protect // SECOND
        self._leverage = leverage
        self._account_id = account_id
        self._allow_withdrawal = allow_withdrawal
        self._known = Known()
        self._listing = Listing()
        self._rest: Rest | None = None
        self._account: Account | None = None
        self._link: Link | None = None
        self._emit: Callable[[Report], None] = _nowhere
        self._clock: Clock | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._epoch = 0
        self._funded_ns = 0

    @property
    def fingerprint(self) -> str:
        """The account: a digest of Bybit's id for it where that was given, else of the key."""
        text = self._account_id or self._credentials.key.reveal()
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def endpoints(self) -> tuple[str, ...]:
        """The addresses that it connects to."""
        return self._places.all()

    # --- the connection -----------------------------------------------------------------------------------------

    async def instruments(self) -> Sequence[Instrument]:
        """The symbols, with Bybit's rules. Raises ConfigurationError, ConnectivityError or VenueError."""
        if self._account is not None:
            return await self._list(self._account)
        rest, account = self._open_rest(elapsed())  # there is no clock yet
        try:
            return await self._list(account)
        finally:
            await rest.close()

    async def _list(self, account: Account) -> list[Instrument]:
        try:
            found = await account.instruments()
        except Refusal as refusal:
            raise self._explained(refusal) from None
        if self._leverage is not None:
            found = [one if one.spot else _leveraged(one, self._leverage) for one in found]
        self._listing.learn(found)
        return self._listing.chosen(self._symbols, self._environment)

    def _open_rest(self, now: Callable[[], int]) -> tuple[Rest, Account]:
        rest = Rest(self._places, now, self._credentials, seconds=2 * self.profile.answer_ns / 1e9)
        return rest, Account(rest, self._listing, self._known, self._symbols)

    async def connect(self, emit: Callable[[Report], None], clock: Clock) -> None:
        """Check the key and the account, and hear of it. Raises ConfigurationError, ConnectivityError, VenueError."""
        await self.close()
        self._emit, self._clock = emit, clock
        self._rest, self._account = rest, account = self._open_rest(clock.now)
        try:
            await self._measure(rest)
            await self._check(account)
            if not len(self._listing):
                await self._list(account)
            await account.check_modes()
            if self._protect_s:
                await account.protect(self._protect_s)
            await self._open_link(rest, account, clock)
            await self._catch_up(account)
        except Refusal as refusal:
            await self.close()
            raise self._explained(refusal) from None
        except BaseException:  # nothing half open is left, whatever stopped it
            await self.close()
            raise
        self._epoch += 1
        if self._epoch > 1:
            emit(StreamUp(epoch=self._epoch))

    async def _measure(self, rest: Rest) -> None:
        await rest.measure()
        off = rest.clock.offset_ns
        if off < -_AHEAD_NS - rest.clock.error_ns:
            raise ConfigurationError(
                f"this machine's clock is {-off / 1e9:.1f} s ahead of Bybit's, which refuses what is from the future: "
                f"set it, and keep it right with NTP"
            )
        if off > _BEHIND_NS:
            log.warning(
                "this machine's clock is %.1f s behind Bybit's, which is made up for: set it", off / 1e9
            )

    async def _check(self, account: Account) -> None:
        theirs = await account.check_key(allow_withdrawal=self._allow_withdrawal)
        if self._account_id and theirs != self._account_id:
            raise ConfigurationError(
                f"this key is of Bybit's account {theirs or 'without an id'}, not of account_id="
                f"{self._account_id!r}: check which key it is"
            )

    async def _open_link(self, rest: Rest, account: Account, clock: Clock) -> None:
        reports = Reports(self._listing, self._known, self._emit)
        link = Link(
            rest.clock,
            lambda frame: _tell(reports, frame),
            self._lost,
            trades=not self._by_rest,
            answer_ns=self.profile.answer_ns,
        )
        self._link = link
        topics: list[Sequence[str]] = [_TOPICS]
        if self._protect_s:
            topics.append([_DCP[product] for product in account.products])
        try:
            await link.open(self._places.private, self._places.trade, clock, self._credentials, topics)
        except BaseException:  # nothing half open is left, whatever stopped it
            link.close()
            raise
        if self._link is not link:
            raise ConnectivityError("the connection to Bybit was lost as soon as it was there")

    def _explained(self, refusal: Refusal) -> Exception:
        if refusal.number not in codes.WRONG_KEY:
            return refusal
        return ConfigurationError(
            f"Bybit's {self._environment} does not take this key ({refusal.number} {refusal.text}): keys of testnet, "
            f"demo and live differ; check environment=, the key's permissions and its list of addresses"
        )

    def _lost(self, reason: str) -> None:
        self._link = None
        self._emit(StreamDown(reason=reason))

    async def close(self) -> None:
        """Leave; orders go on working there."""
        link, self._link = self._link, None
        if link is not None:
            link.close()
        for task in list(self._tasks):
            if task is not asyncio.current_task():
                task.cancel()
        rest, self._rest, self._account = self._rest, None, None
        if rest is not None:
            await rest.close()
        if link is not None:
            await link.wait_closed()

    # --- orders -------------------------------------------------------------------------------------------------

    def send(self, command: Command) -> None:
        """Write a command once, or answer that it was not sent."""
        clock, link, rest = self._clock, self._link, self._rest
        if clock is None:
            raise ConfigurationError(f"broker {self.name!r} is not connected")
        if link is None or rest is None:
            self._unsent(command, "there is no connection to Bybit")
        elif isinstance(command, CancelAll):
            self._spawn(self._cancel_all(command))
        elif isinstance(command, ArmDeadMan):
            self._unsent(command, "Bybit has no such switch: disconnect_cancel= is what it has")
        else:
            self._order(command, clock, link, rest)

    def _order(self, command: Order, clock: Clock, link: Link, rest: Rest) -> None:
        try:
            request = self._request(command)
        except Unsendable as why:
            self._unsent(command, str(why))
            return
        if isinstance(command, Submit):
            instrument, waits = command.intent.instrument, commands.waits(command)
            self._known.order(command.client_order_id, instrument, waits=waits)
        elif isinstance(command, Replace):
            self._known.asks(command)
        if link.trade is None:
            self._spawn(self._post(command, request))
            return
        now = clock.now()
        if rest.shut_ns > now:
            self._unsent(command, "Bybit takes nothing now: it asked for a pause")
            return
        left = command.deadline_ns - now
        if left < 0:
            self._unsent(command, "its deadline had passed")
            return
        # Bybit takes nothing that reaches it after its window: it ends with the deadline.
        window_ms = min(left, LONGEST_NS) // 1_000_000
        try:
            link.trade.order(
                request.op, request.params, window_ms, lambda refusal: self._answered(command, refusal),
                lambda reason: self._unknown(command, reason),
            )  # fmt: skip
        except ConnectivityError as error:
            self._unsent(command, str(error))

    def _request(self, command: Order) -> Request:
        if isinstance(command, Submit):
            return commands.submit(self._listing, command)
        if isinstance(command, Cancel):
            waiting = command.client_order_id in self._known.waiting
            return commands.cancel(self._listing, command, waiting=waiting)
        return commands.replace(self._listing, command)

    async def _post(self, command: Order, request: Request) -> None:
        """The same over HTTP."""
        assert self._rest is not None
        try:
            await self._rest.ask(request.method, before_ns=command.deadline_ns, **request.params)
        except NeverSent as error:
            self._unsent(command, str(error))
        except Refusal as refusal:
            self._answered(command, refusal)
        except (ConnectivityError, VenueError) as error:
            self._unknown(command, str(error))
        except asyncio.CancelledError:
            self._unknown(command, "the connection was closed")
            raise

    async def _cancel_all(self, command: CancelAll) -> None:
        """What it cancels is told of order by order."""
        assert self._account is not None
        try:
            await self._account.cancel_all(command.instrument, command.deadline_ns)
        except (ConnectivityError, VenueError, Unsendable) as error:
            log.error("not all orders could be canceled at once: %s", error)

    # --- answers ------------------------------------------------------------------------------------------------

    def _answered(self, command: Order, refusal: Refusal | None) -> None:
        """An answer without a refusal accepts nothing: the order stream tells what became of it."""
        if refusal is None:
            return
        if self._rest is not None:
            self._rest.limited(refusal)
        if refusal.verdict is Verdict.UNKNOWN:
            self._unknown(command, str(refusal))
            return
        name, code, text = command.client_order_id, str(refusal.number), refusal.text
        match command:
            case Submit():
                code = DUPLICATE_ID if refusal.verdict is Verdict.DUPLICATE else code
                self._emit(Rejected(client_order_id=name, code=code, reason=text))
            case Cancel():
                code = UNKNOWN_ORDER if refusal.number in codes.UNKNOWN_ORDER else code
                self._emit(CancelRejected(client_order_id=name, code=code, reason=text))
            case Replace(attempt=attempt):
                self._known.ends(command)
                self._emit(ReplaceRejected(client_order_id=name, attempt=attempt, code=code, reason=text))

    def _unknown(self, command: Order, reason: str) -> None:
        self._emit(OutcomeUnknown(client_order_id=command.client_order_id, reason=reason))

    def _unsent(self, command: Command, reason: str) -> None:
        match command:
            case Submit(client_order_id=name):
                self._emit(NotSent(client_order_id=name, reason=reason))
            case Cancel(client_order_id=name):
                self._emit(CancelRejected(client_order_id=name, code="not_sent", reason=reason))
            case Replace(client_order_id=name, attempt=attempt):
                self._known.ends(command)
                self._emit(
                    ReplaceRejected(client_order_id=name, attempt=attempt, code="not_sent", reason=reason)
                )
            case ArmDeadMan():
                self._emit(DeadManSet(reason=reason))
            case CancelAll():
                log.error("not all orders could be canceled at once: %s", reason)

    # --- questions ----------------------------------------------------------------------------------------------

    def _asked(self) -> Account:
        if self._account is None or self._link is None:
            raise ConnectivityError("there is no connection to Bybit")
        return self._account

    async def snapshot(self) -> Snapshot:
        """The account there. Raises ConnectivityError or VenueError."""
        account = self._asked()
        if self._rest is not None:
            await self._rest.measure()
        return await account.snapshot()

    async def lookup(self, client_order_ids: Sequence[str]) -> Mapping[str, OrderReport | None]:
        """What Bybit knows of these orders, open, lately closed or of the past."""
        return await self._asked().lookup(client_order_ids)

    async def fills(self, since_ns: int) -> Sequence[FillReport]:
        """Executions since then, oldest first. Raises as `snapshot` does."""
        return await self._asked().fills(since_ns)

    async def _catch_up(self, account: Account) -> None:
        """What was paid before the first connection is in the balances; what was paid while it was broken is told."""
        assert self._clock is not None
        now = self._clock.now()
        if self._funded_ns:
            reports = Reports(self._listing, self._known, self._emit)
            for row in await account.fundings(self._funded_ns):
                reports.funding(row)
        self._funded_ns = now

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _tell(reports: Reports, frame: frames.Frame) -> None:
    reports.take(frame.topic, frame.data)


def _leveraged(instrument: Instrument, leverage: int) -> Instrument:
    initial = 1 / Decimal(leverage)
    return attrs.evolve(
        instrument, initial_margin=initial, maintenance_margin=min(instrument.maintenance_margin, initial)
    )


def _refuse_words(
    symbols: Sequence[str], orders: str, validity_ns: int, margin_mode: str, protect_ns: int | None
) -> None:
    if not symbols:
        raise ConfigurationError(
            "BybitBroker trades nothing: name what it is to trade, BybitBroker('BTC/USDT:USDT', ...)"
        )
    for symbol in symbols:
        if not isinstance(symbol, str) or "/" not in symbol:
            raise ConfigurationError(
                f"{symbol!r} is no symbol: write BTC/USDT for spot, BTC/USDT:USDT for a contract"
            )
        base, _, settle = symbol.partition("@")[0].partition(":")
        if settle and settle.split("-")[0] == base.partition("/")[0]:
            raise ConfigurationError(
                f"{symbol!r} is an inverse contract, which is not traded here: take a linear one"
            )
    if orders not in ("websocket", "rest"):
        raise ConfigurationError(f"orders={orders!r} is no way that they go: write 'websocket' or 'rest'")
    if not SECOND // 10 <= validity_ns <= LONGEST_NS:
        raise ConfigurationError(f"valid={validity_ns} ns is none that Bybit takes: write 100ms to 60s")
    if margin_mode not in ("", "cross", "isolated", "portfolio"):
        raise ConfigurationError(
            f"margin_mode={margin_mode!r} is none: write 'cross', 'isolated' or 'portfolio'"
        )
    if protect_ns is not None and not 3 * SECOND <= protect_ns <= 300 * SECOND:
        raise ConfigurationError(
            f"disconnect_cancel={protect_ns} ns is none that Bybit takes: write 3s to 300s"
        )


def _nowhere(report: Report) -> None:
    """Where reports go before anybody listens."""
