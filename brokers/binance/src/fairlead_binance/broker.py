"""`BinanceBroker`: one account, spot or USD-M futures, as fairlead trades it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from fairlead import ConfigurationError, ConnectivityError, Instrument, VenueError, duration
from fairlead.ports import (
    DUPLICATE_ID,
    UNKNOWN_ORDER,
    Accepted,
    ArmDeadMan,
    Cancel,
    CancelAll,
    Canceled,
    CancelRejected,
    Clock,
    Command,
    DeadManFired,
    DeadManSet,
    FillReport,
    Handle,
    NotSent,
    OrderReport,
    OutcomeUnknown,
    Rejected,
    Replace,
    Replaced,
    ReplaceRejected,
    Report,
    Snapshot,
    StreamDown,
    StreamUp,
    Submit,
)
from fairlead_binance import codes, commands
from fairlead_binance.codes import Refusal, Verdict
from fairlead_binance.commands import ALGO, Request, Unsendable
from fairlead_binance.instruments import ZERO, Listing
from fairlead_binance.known import Known
from fairlead_binance.link import Link, SpotLink, UsdmLink
from fairlead_binance.places import SPOT, places
from fairlead_binance.profile import LONGEST_NS, SECOND, spot_profile, usdm_profile
from fairlead_binance.rest import NeverSent, Rest
from fairlead_binance.signing import Credentials, Given, Signer
from fairlead_binance.spot_account import PERMISSION as SPOT_PERMISSION
from fairlead_binance.spot_account import SpotAccount
from fairlead_binance.spot_events import SpotEvents
from fairlead_binance.usdm_account import PERMISSION as USDM_PERMISSION
from fairlead_binance.usdm_account import UsdmAccount
from fairlead_binance.usdm_events import UsdmEvents

log = logging.getLogger("fairlead.binance")

_FAR_NS = duration("1s")
"""A clock that is off by more is worth a warning: it is made up for, and something is wrong with it."""

Order = Submit | Cancel | Replace


class Answered(msgspec.Struct, rename="camel"):
    """What answers to orders have in common."""

    order_id: int = 0
    algo_id: int = 0
    status: str = ""
    executed_qty: Decimal | None = None
    orig_qty: Decimal | None = None
    price: Decimal | None = None


class BinanceBroker:
    """Trades `symbols` on one Binance account.

        BinanceBroker("BTC/USDT", key="secret:BINANCE_KEY", secret="secret:BINANCE_SECRET")
        BinanceBroker("BTC/USDT:USDT", product="usdm", environment="live", key=..., private_key=...)

    `product` is spot or usdm, each an account of its own; `environment` testnet, demo or live. Keys are references or
    `Secret`s: an HMAC key has a `secret`, an Ed25519 or RSA one a `private_key` in PEM. `currency` is what the
    account is measured in. `orders` is how orders go out: "websocket" or "rest". `valid` is how long Binance may take
    to accept an order. `leverage` and `margin_mode` ("cross" or "isolated") are what a futures account is to have: a
    difference is found by reconciliation, and nothing is set. `account_id` is Binance's id of the account (spot: its
    uid, futures: its alias): with it one account is one, whatever key it is used with, and another one is refused. A
    key that may withdraw is refused unless `allow_withdrawal`. `url` puts all addresses somewhere else. Raises
    ConfigurationError.
    """

    def __init__(
        self,
        *symbols: str,
        key: Given = None,
        secret: Given = None,
        private_key: Given = None,
        product: str = SPOT,
        environment: str = "testnet",
        currency: str = "USDT",
        name: str = "binance",
        orders: str = "websocket",
        valid: str | int = "5s",
        leverage: int | None = None,
        margin_mode: str = "",
        account_id: str = "",
        allow_withdrawal: bool = False,
        url: str = "",
    ) -> None:
        self._places = places(product, environment, url)
        self._credentials = Credentials.of(key, secret, private_key)
        self._spot = product == SPOT
        validity = duration(valid)
        modes = {"leverage": str(leverage)} if leverage is not None else {}
        modes |= {"margin_mode": margin_mode} if margin_mode else {}
        _refuse_words(symbols, orders, validity, modes, margin_mode, spot=self._spot)
        self.name = name
        self.profile = (
            spot_profile(environment, currency, validity)
            if self._spot
            else usdm_profile(environment, currency, validity, modes)
        )
        self._symbols = symbols
        self._product = product
        self._environment = environment
        self._by_rest = orders == "rest"
        self._account_id = account_id
        self._allow_withdrawal = allow_withdrawal
        self._known = Known()
        self._listing = Listing()
        self._rest: Rest | None = None
        self._account: SpotAccount | UsdmAccount | None = None
        self._link: Link | None = None
        self._listener: Callable[[Report], None] = _nowhere
        self._clock: Clock | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._epoch = 0
        self._giving_up: Handle | None = None
        self._armed_ns = 0
        self._funded_ns = 0

    @property
    def fingerprint(self) -> str:
        """The account: a digest of Binance's id for it where that was given, else of the key."""
        text = self._account_id or self._credentials.key.reveal()
        return f"{self._product}.{hashlib.sha256(text.encode()).hexdigest()[:24]}"

    def endpoints(self) -> tuple[str, ...]:
        """The addresses that it connects to."""
        return self._places.all()

    # --- the connection -----------------------------------------------------------------------------------------

    async def instruments(self) -> Sequence[Instrument]:
        """The symbols, with Binance's rules. Raises ConfigurationError, ConnectivityError or VenueError."""
        if self._account is not None:
            return await self._list(self._account)
        rest, account = await self._open_rest(_elapsed)  # there is no clock yet: Binance's is enough
        try:
            await rest.measure()
            return await self._list(account)
        finally:
            await rest.close()

    async def _list(self, account: SpotAccount | UsdmAccount) -> list[Instrument]:
        try:
            self._listing.learn(await account.instruments())
        except Refusal as refusal:
            raise self._explained(refusal) from None
        return self._listing.chosen(self._symbols, self._environment)

    async def _open_rest(self, now: Callable[[], int]) -> tuple[Rest, SpotAccount | UsdmAccount]:
        rest = Rest(self._places, self._product, now, self._credentials)
        await rest.open()
        kind = SpotAccount if self._spot else UsdmAccount
        return rest, kind(rest, self._listing, self._known, self._symbols)

    async def connect(self, emit: Callable[[Report], None], clock: Clock) -> None:
        """Check the key and the account, and hear of it. Raises ConfigurationError, ConnectivityError, VenueError."""
        await self.close()
        self._listener, self._clock = emit, clock
        self._rest, self._account = rest, account = await self._open_rest(clock.now)
        rest.unsettled = lambda: self._spawn(rest.measure())
        try:
            await rest.measure()
            if abs(rest.clock.offset_ns) > _FAR_NS:
                off = rest.clock.offset_ns / 1e9
                log.warning(
                    "this machine's clock is %.1f s off Binance's, which is made up for: set it", -off
                )
            await self._check(rest, account)
            self._link = link = self._make_link(rest)
            await link.open(clock)
            if not len(self._listing):
                await self._list(account)
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

    def _make_link(self, rest: Rest) -> Link:
        given = self._credentials
        signer = Signer(given.key.reveal(), given.secret.reveal() if given.secret else "", rest.sign)
        if self._spot:
            events = SpotEvents(self._listing, self._known, self._emit)
            return SpotLink(rest, signer, self._places, self._lost, events)
        futures = UsdmEvents(self._listing, self._known, self._emit, self._on_funding)
        return UsdmLink(rest, signer, self._places, self._lost, futures)

    async def _check(self, rest: Rest, account: SpotAccount | UsdmAccount) -> None:
        if self._places.wallet:
            allowed = await rest.ask("get", "v1/account/apiRestrictions", wallet=True)
            self._check_key(allowed, SPOT_PERMISSION if self._spot else USDM_PERMISSION)
        theirs = await account.check()
        if self._account_id and theirs != self._account_id:
            raise ConfigurationError(
                f"this key is of Binance's account {theirs or 'without an id'}, not of account_id="
                f"{self._account_id!r}: check which key it is"
            )

    def _check_key(self, allowed: Mapping[str, Any], permission: str) -> None:
        if allowed.get("enableWithdrawals") and not self._allow_withdrawal:
            raise ConfigurationError(
                "this Binance key may withdraw, which trading does not need: take that permission from it, or say "
                "allow_withdrawal=True"
            )
        if not allowed.get(permission):
            raise ConfigurationError(
                f"this Binance key may not trade {self._product}: give it the permission ({permission}), or trade "
                f"on paper with BinanceStream's data"
            )
        if not allowed.get("ipRestrict"):
            log.warning("this Binance key works from every address: give it a list of yours")

    def _explained(self, refusal: Refusal) -> Exception:
        if refusal.number not in codes.WRONG_KEY:
            return refusal
        return ConfigurationError(
            f"Binance's {self._environment} does not take this key for {self._product} ({refusal.number} "
            f"{refusal.text}): keys of testnet, demo and live differ, as do those of "
            f"spot and futures on testnets; check environment= "
            f"and product=, the key's permissions and its list of addresses"
        )

    def _emit(self, report: Report) -> None:
        """Tell the engine, of what was told already nothing more."""
        match report:
            case Accepted(client_order_id=name, broker_order_id=number):
                news = self._known.is_news("accepted", name, number)
            case Canceled(client_order_id=name, filled_quantity=filled):
                news = self._known.is_news("canceled", name, str(filled))
            case _:
                news = True
        if news:
            self._listener(report)

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

    # --- orders -------------------------------------------------------------------------------------------------

    def send(self, command: Command) -> None:
        """Write a command once, or answer that it was not sent."""
        clock, link, rest = self._clock, self._link, self._rest
        if clock is None:
            raise ConfigurationError(f"broker {self.name!r} is not connected")
        if link is None or rest is None:
            self._unsent(command, "there is no connection to Binance")
            return
        if not isinstance(command, Submit | Cancel | Replace):
            self._spawn(self._command(command))
            return
        try:
            request = self._request(command)
        except Unsendable as why:
            self._unsent(command, str(why))
            return
        if isinstance(command, Submit):
            intent, waits = command.intent, not self._spot and commands.conditional(command.intent)
            self._known.order(command.client_order_id, intent.instrument, intent.side, waits=waits)
        if self._by_rest:
            self._spawn(self._post(command, request))
            return
        now = clock.now()
        if rest.weights.closed_ns > now:
            self._unsent(command, "Binance takes nothing now: it asked for a pause")
            return
        left = command.deadline_ns - now
        if left < 0:
            self._unsent(command, "its deadline had passed")
            return
        # Binance takes nothing that reaches it after its window: it ends with the deadline.
        request.params["recvWindow"] = str(max(1, min(left, LONGEST_NS) // 1_000_000))
        try:
            self._watch(now)
            link.api.write(
                request.method,
                request.params,
                lambda result, refusal: self._answered(command, result, refusal),
                lambda: self._unknown(command, "no answer came"),
            )
        except ConnectivityError as error:
            self._unsent(command, str(error))

    def _watch(self, now: int) -> None:
        """See to it that what is never answered is called unknown; one timer does for all."""
        if self._giving_up is None and self._clock is not None:
            self._giving_up = self._clock.call_at(now + self.profile.answer_ns, self._give_up)

    def _give_up(self) -> None:
        self._giving_up = None
        if self._link is not None and self._clock is not None:
            waits = self._link.api.give_up(self._clock.now() - self.profile.answer_ns)
            if waits is not None:
                self._watch(waits)

    def _request(self, command: Order) -> Request:
        if isinstance(command, Submit):
            submit = commands.spot_submit if self._spot else commands.usdm_submit
            return submit(self._listing, command)
        if isinstance(command, Cancel):
            if self._spot:
                return commands.spot_cancel(self._listing, command)
            return commands.usdm_cancel(
                self._listing, command, waits=command.client_order_id in self._known.waits
            )
        if self._spot:
            raise Unsendable("spot changes no order in one step")
        return commands.usdm_replace(self._listing, command, self._known.side(command.client_order_id))

    async def _post(self, command: Order, request: Request) -> None:
        """The same over HTTP."""
        assert self._rest is not None
        try:
            row = await self._rest.ask(
                request.verb, request.path, request.params, before_ns=command.deadline_ns
            )
        except NeverSent as error:
            self._unsent(command, str(error))
        except Refusal as refusal:
            self._answered(command, b"", refusal)
        except ConnectivityError as error:
            self._unknown(command, str(error))
        except asyncio.CancelledError:
            self._unknown(command, "the connection was closed")
            raise
        else:
            self._answered(command, msgspec.json.encode(row), None)

    async def _command(self, command: CancelAll | ArmDeadMan) -> None:
        """What goes over HTTP alone; what it cancels is told of order by order."""
        account, clock, before = self._account, self._clock, command.deadline_ns
        assert account is not None
        assert clock is not None
        try:
            if isinstance(command, CancelAll):
                native = self._listing.native(command.instrument) if command.instrument else ""
                await account.cancel_all(native, before)
                return
            symbols = [self._listing.native(name) for name in command.instruments]
            began = clock.now()
            await account.arm(command.timeout_ns, symbols, before)
            until = began + command.timeout_ns if command.timeout_ns else 0
            self._armed_ns = until
            self._emit(DeadManSet(until_ns=until))
            if until:  # Binance says of an order that it was canceled, and not by what
                clock.call_at(until, lambda: self._fired(until))
        except (ConnectivityError, VenueError, ConfigurationError, KeyError) as error:
            if isinstance(command, CancelAll):
                log.error("not all orders could be canceled at once: %s", error)
            else:
                self._emit(DeadManSet(reason=str(error)))

    def _fired(self, until_ns: int) -> None:
        if self._armed_ns == until_ns:
            self._armed_ns = 0
            self._emit(DeadManFired(reason="Binance was not told again in time"))

    # --- answers ------------------------------------------------------------------------------------------------

    def _answered(self, command: Order, result: Any, refusal: Refusal | None) -> None:
        if refusal is None:
            self._carried_out(command, _answers.decode(result))
        elif refusal.verdict is Verdict.UNKNOWN:
            self._unknown(command, str(refusal))
        else:
            self._refused(command, refusal)

    def _carried_out(self, command: Order, row: Answered) -> None:
        name, now = command.client_order_id, self._now()
        number = f"{ALGO}{row.algo_id}" if row.algo_id else str(row.order_id or "")
        match command:
            case Submit(intent=intent):
                if row.order_id:
                    self._known.number(self._listing.native(intent.instrument), number, name)
                self._emit(Accepted(client_order_id=name, event_ns=now, broker_order_id=number))
            case Cancel():
                filled = ZERO if row.algo_id else row.executed_qty
                if row.algo_id or row.status == "CANCELED":
                    self._emit(Canceled(client_order_id=name, event_ns=now, filled_quantity=filled))
            case Replace(attempt=attempt, quantity=quantity, limit_price=price):
                quantity, price = row.orig_qty or quantity, row.price or price
                if price is None or self._known.changes(name, quantity, price):
                    told = Replaced(
                        client_order_id=name,
                        event_ns=now,
                        attempt=attempt,
                        broker_order_id=number,
                        quantity=quantity,
                        limit_price=price,
                    )
                    self._emit(told)

    def _refused(self, command: Order, refusal: Refusal) -> None:
        name, code, text, now = command.client_order_id, str(refusal.number), refusal.text, self._now()
        match command:
            case Submit():
                code = DUPLICATE_ID if refusal.verdict is Verdict.DUPLICATE else code
                self._emit(Rejected(client_order_id=name, event_ns=now, code=code, reason=text))
            case Cancel():
                code = UNKNOWN_ORDER if refusal.number in codes.UNKNOWN_ORDER else code
                self._emit(CancelRejected(client_order_id=name, event_ns=now, code=code, reason=text))
            case Replace(attempt=attempt):
                told = ReplaceRejected(
                    client_order_id=name, event_ns=now, attempt=attempt, code=code, reason=text
                )
                self._emit(told)

    def _unknown(self, command: Order, reason: str) -> None:
        name = command.client_order_id
        self._emit(OutcomeUnknown(client_order_id=name, event_ns=self._now(), reason=reason))

    def _now(self) -> int:
        return self._clock.now() if self._clock is not None else 0

    def _unsent(self, command: Command, reason: str) -> None:
        now = self._now()
        match command:
            case Submit(client_order_id=name):
                self._emit(NotSent(client_order_id=name, event_ns=now, reason=reason))
            case Cancel(client_order_id=name):
                told = CancelRejected(client_order_id=name, event_ns=now, code="not_sent", reason=reason)
                self._emit(told)
            case Replace(client_order_id=name, attempt=attempt):
                refused = ReplaceRejected(
                    client_order_id=name, event_ns=now, attempt=attempt, code="not_sent", reason=reason
                )
                self._emit(refused)
            case ArmDeadMan():
                self._emit(DeadManSet(reason=reason))
            case CancelAll():
                log.error("not all orders could be canceled at once: %s", reason)

    # --- questions ----------------------------------------------------------------------------------------------

    def _asked(self) -> SpotAccount | UsdmAccount:
        if self._account is None or self._link is None:
            raise ConnectivityError("there is no connection to Binance")
        return self._account

    async def snapshot(self) -> Snapshot:
        """The account there. Raises ConnectivityError or VenueError."""
        account = self._asked()
        if self._rest is not None:
            await self._rest.measure()
        return await account.snapshot()

    async def lookup(self, client_order_ids: Sequence[str]) -> Mapping[str, OrderReport | None]:
        """What Binance knows of these orders, open, done or waiting for a price."""
        return await self._asked().lookup(client_order_ids)

    async def fills(self, since_ns: int) -> Sequence[FillReport]:
        """Executions since then in the symbols that are traded, oldest first. Raises as `snapshot` does."""
        return await self._asked().fills(since_ns)

    # --- funding ------------------------------------------------------------------------------------------------

    async def _catch_up(self, account: SpotAccount | UsdmAccount) -> None:
        """What was paid before the first connection is in the balances; what was paid while it was broken is told."""
        assert self._clock is not None
        if not isinstance(account, UsdmAccount):
            return
        first = not self._funded_ns
        since = self._clock.now() if first else self._funded_ns
        self._funded_ns = await account.incomes(since, _nowhere if first else self._emit)

    def _on_funding(self, at_ns: int) -> None:
        self._spawn(self._tell_funding())

    async def _tell_funding(self) -> None:
        account = self._account
        if isinstance(account, UsdmAccount):
            self._funded_ns = await account.incomes(self._funded_ns, self._emit)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("what was asked of Binance besides failed: %s", error)


_answers = msgspec.json.Decoder(Answered)


def _refuse_words(
    symbols: Sequence[str],
    orders: str,
    validity_ns: int,
    modes: Mapping[str, str],
    margin_mode: str,
    *,
    spot: bool,
) -> None:
    if not symbols:
        raise ConfigurationError(
            "BinanceBroker trades nothing: name what it is to trade, BinanceBroker('BTC/USDT', ...)"
        )
    for symbol in symbols:
        if not isinstance(symbol, str) or "/" not in symbol or (":" in symbol) is spot:
            what = "spot is written BTC/USDT" if spot else "futures are written BTC/USDT:USDT"
            raise ConfigurationError(f"{symbol!r} is no symbol of this product: {what}; see product=")
    if orders not in ("websocket", "rest"):
        raise ConfigurationError(f"orders={orders!r} is no way that they go: write 'websocket' or 'rest'")
    if not SECOND // 10 <= validity_ns <= LONGEST_NS:
        raise ConfigurationError(f"valid={validity_ns} ns is none that Binance takes: write 100ms to 60s")
    if spot and modes:
        raise ConfigurationError(
            "leverage and margin_mode are of futures: leave them out, or say product='usdm'"
        )
    if margin_mode not in ("", "cross", "isolated"):
        raise ConfigurationError(f"margin_mode={margin_mode!r} is none: write 'cross' or 'isolated'")


def _elapsed() -> int:
    return int(asyncio.get_running_loop().time() * 1e9)


def _nowhere(report: Report) -> None:
    """Where reports go before anybody listens."""
