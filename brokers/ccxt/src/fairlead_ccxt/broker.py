"""`CcxtBroker`: an account at any exchange that ccxt supports."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from fairlead import ConfigurationError, ConnectivityError, Instrument, VenueError, duration
from fairlead.net import Weights
from fairlead.ports import (
    DUPLICATE_ID,
    UNKNOWN_ORDER,
    Accepted,
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
    VenueProfile,
)
from fairlead_ccxt.account import Account
from fairlead_ccxt.codes import LOCAL, Verdict, judge, reason_of
from fairlead_ccxt.commands import Request, Unsendable, cancel, exact, plain, submit
from fairlead_ccxt.credentials import Credentials, Given
from fairlead_ccxt.facts import Facts, facts_of
from fairlead_ccxt.instruments import Listing
from fairlead_ccxt.known import Known
from fairlead_ccxt.markets import Markets, markets_of
from fairlead_ccxt.place import place
from fairlead_ccxt.polling import Polling
from fairlead_ccxt.private import Private
from fairlead_ccxt.profile import profile
from fairlead_ccxt.reports import NotUnderstood, Reader, decimal_of, time_of
from fairlead_ccxt.sdk import Call, Sdk, Unsent

log = logging.getLogger("fairlead.ccxt")

_KEPT = "not_sent"


class CcxtBroker:
    """Trades `symbols`, all spot or all derivatives, on one account of an `exchange`, by ccxt's name of it.

        CcxtBroker("binance", "BTC/USDT", key="secret:BINANCE_KEY", secret="secret:BINANCE_SECRET")

    Of `key`, `secret`, `password`, `uid`, `wallet` and `private_key`, references or `Secret`s, it wants what
    the exchange wants. `environment` is testnet, demo or live. `currency` is what the account is measured in,
    by default what the first symbol is settled in. `valid` is how long the exchange may take to accept an
    order, where it knows such a bound. `account_id` names the account: without it one account with two keys
    is taken for two. `poll` is how often an exchange without a private stream is asked. `facts` replace what
    we know of the exchange. A key that may withdraw is refused unless `allow_withdrawal`. `url` puts all
    addresses somewhere else. Raises ConfigurationError.
    """

    def __init__(
        self,
        exchange: str,
        *symbols: str,
        key: Given = None,
        secret: Given = None,
        password: Given = None,
        uid: Given = None,
        wallet: Given = None,
        private_key: Given = None,
        environment: str = "testnet",
        currency: str = "",
        name: str = "",
        account_id: str = "",
        valid: str | int | None = None,
        poll: str | int = "2s",
        keep_alive: str | int = "10s",
        allow_withdrawal: bool = False,
        facts: Facts | None = None,
        url: str = "",
    ) -> None:
        self._place = place(exchange, symbols, environment, url)
        self._facts = (
            attrs.evolve(facts, venue=facts.venue or exchange) if facts is not None else facts_of(exchange)
        )
        self._symbols = [symbol.partition("@")[0] for symbol in symbols]
        self._credentials = Credentials.of(
            key=key, secret=secret, password=password, uid=uid, wallet=wallet, private_key=private_key
        )
        self.name = name or exchange
        self._validity = self._facts.validity_ns if valid is None else duration(valid)
        if self._validity is not None and not self._facts.window:
            raise ConfigurationError(
                f"valid={valid!r}: nothing is known that bounds how late {exchange} takes an order: leave `valid` out"
            )
        self.profile: VenueProfile = profile(
            self._facts, self._place.kind, environment, currency or _settled(self._symbols[0]), self._validity
        )
        self._account_id = account_id
        self._allow_withdrawal = allow_withdrawal
        self._poll = duration(poll) / 1e9
        self._keep_alive = max(1, duration(keep_alive) // 1_000_000)
        self._listing = Listing(self._facts.venue)
        self._known = Known()
        self._reader = Reader(self._facts, self._listing, self._known)
        self._account = Account(
            self._facts, self._place.kind, self._symbols, self._listing, self._known, self._reader
        )
        self._emit: Callable[[Report], None] = _nowhere
        self._clock: Clock | None = None
        self._context = contextvars.copy_context()
        self._markets: Markets | None = None
        self._sdk: Sdk | None = None
        self._stream: Private | Polling | None = None
        self._watching: Sdk | None = None
        self._epoch = 0
        self._checked = False

    def __repr__(self) -> str:
        return f"<CcxtBroker {self._place.exchange} {self._place.environment} {' '.join(self._symbols)}>"

    @property
    def fingerprint(self) -> str:
        """Which account it is. Raises ConfigurationError where the secret that names it is nowhere."""
        if self._account_id:
            return f"{self._place.exchange}.{self._account_id}"
        return self._credentials.fingerprint(f"{self._place.exchange}:{self._place.kind}{self._place.url}")

    def endpoints(self) -> Sequence[str]:
        """The addresses that it connects to, as far as they are known without ccxt."""
        return [self._place.url] if self._place.url else []

    # --- the connection -----------------------------------------------------------------------------------------

    async def instruments(self) -> Sequence[Instrument]:
        """What the symbols are, asked without the key; before `connect` too."""
        self._markets = await markets_of(self._place, self._facts)
        found = self._markets.instruments(self._symbols)
        self._listing.learn(found)
        return found

    async def connect(self, emit: Callable[[Report], None], clock: Clock) -> None:
        """Open the private stream anew. Raises ConfigurationError, ConnectivityError or VenueError."""
        await self._leave()
        self._emit, self._clock = emit, clock
        self._context = contextvars.copy_context()
        try:
            if self._markets is None:
                await self.instruments()
            if self._sdk is None:
                self._sdk = await self._open(clock.now)
            self._watching = await self._open(clock.now, self._sdk.weights)
            self._account.sdk = self._watching
            await self._prepare()
            await self._listen()
        except BaseException:  # nothing half open is left, whatever stopped it
            await self._leave()
            raise
        self._epoch += 1
        if self._epoch > 1:
            self._tell(StreamUp(epoch=self._epoch))

    async def _open(self, now: Callable[[], int], weights: Weights | None = None) -> Sdk:
        assert self._markets is not None
        sdk = await Sdk.open(
            self._place, self._facts, now, self._credentials, weights=weights, keep_alive=self._keep_alive
        )
        await sdk.start(self._markets.give(sdk.exchange))
        return sdk

    async def _prepare(self) -> None:
        """The exchange's clock and, once, what the account and its key may do."""
        assert self._sdk is not None
        assert self._watching is not None
        await self._watching.measure()
        self._sdk.clock = self._watching.clock
        if not self._checked:
            await self._account.check()
            await self._check_key()
            self._checked = True

    async def _check_key(self) -> None:
        assert self._watching is not None
        if self._facts.permissions is None or (self._place.environment != "live" and not self._place.local):
            if self._place.environment == "live":
                log.warning(
                    "%s: what the key may do cannot be asked: give it no right to withdraw", self.name
                )
            return
        try:
            trades, withdraws, bound = await self._watching.start(
                self._facts.permissions(self._watching.exchange)
            )
        except ConfigurationError:
            raise
        except Exception as error:  # a class of ccxt's
            raise ConnectivityError(
                f"{self.name}: what the key may do could not be asked: {type(error).__name__}"
            ) from None
        if withdraws and not self._allow_withdrawal:
            raise ConfigurationError(
                f"{self.name}: this key may withdraw money: take that right from it, or pass allow_withdrawal=True"
            )
        if not trades:
            raise ConfigurationError(
                f"{self.name}: this key may not trade: give it that right, or use another key"
            )
        if not bound:
            log.warning("%s: this key works from any address: bind it to yours", self.name)

    async def _listen(self) -> None:
        assert self._watching is not None
        watching = self._watching
        if watching.exchange.has.get("watchOrders") and watching.exchange.has.get("watchMyTrades"):
            self._stream = Private(
                watching, self._facts, self._place.kind, self._symbols, self._account, self._reader
            )
        else:
            self._stream = Polling(watching, self._account, self._symbols, self._poll)
        stream = self._stream

        def lost(reason: str) -> None:
            if self._stream is stream:
                self._stream = self._account.sdk = None
                stream.close()
                self._tell(StreamDown(reason=reason))

        await stream.open(self._tell, lost)
        if self._stream is not stream:
            raise ConnectivityError(f"{self.name}: the private stream broke while it was opened")

    def _tell(self, report: Report) -> None:
        """Report from where the engine is: ccxt's own context rounds in another way."""
        self._context.copy().run(self._emit, report)

    async def snapshot(self) -> Snapshot:
        """The account as the exchange sees it."""
        return await self._account.snapshot()

    async def lookup(self, client_order_ids: Sequence[str]) -> Mapping[str, OrderReport | None]:
        """What the exchange knows of these orders."""
        return await self._account.lookup(client_order_ids)

    async def fills(self, since_ns: int) -> Sequence[FillReport]:
        """Our executions since then, oldest first. Raises ConnectivityError or VenueError."""
        try:
            return await self._account.fills(since_ns)
        except NotUnderstood as error:
            raise VenueError(f"{self.name}'s list of fills cannot be read: {error}") from None

    async def close(self) -> None:
        """Leave; orders go on working there."""
        await self._leave()
        sdk, self._sdk = self._sdk, None
        if sdk is not None:
            await sdk.close()

    async def _leave(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
        watching, self._watching, self._account.sdk = self._watching, None, None
        if watching is not None:
            await watching.close()

    # --- commands -----------------------------------------------------------------------------------------------

    def send(self, command: Command) -> None:
        """Write a command once, or say that it was not sent."""
        clock, sdk = self._clock, self._sdk
        if clock is None:
            return
        try:
            if sdk is None or self._stream is None:
                raise Unsendable("there is no connection")
            if clock.now() > command.deadline_ns:
                raise Unsendable("its deadline had passed")
            self._start(sdk, command, command.deadline_ns - clock.now())
        except Unsendable as error:
            self._unsent(command, str(error), _KEPT)

    def _start(self, sdk: Sdk, command: Command, left_ns: int) -> None:
        left_ns -= sdk.clock.error_ns
        match command:
            case Submit(client_order_id=name):
                symbol = self._symbol(command.intent.instrument)
                request = submit(self._facts, command, symbol, left_ns)
                self._known.order(name, symbol)
                self._run(sdk, command, request)
            case Cancel(client_order_id=name):
                symbol = self._symbol(command.instrument)
                number = command.broker_order_id or self._known.number(name)
                self._run(sdk, command, cancel(self._facts, command, symbol, number, left_ns))
            case CancelAll(instrument=name):
                for symbol in [self._symbol(name)] if name else self._symbols:
                    for params in ({}, *filter(None, [self._facts.conditional.get(self._place.kind)])):
                        self._run(sdk, command, Request("cancel_all_orders", (symbol, dict(params))))
            case Replace():
                raise Unsendable("an order is canceled here, and placed anew")
            case ArmDeadMan():
                raise Unsendable("there is no dead-man switch")

    def _symbol(self, instrument: str) -> str:
        found = self._listing.find(instrument)
        if found is None:
            raise Unsendable(f"{instrument} is not traded on this account")
        return found.symbol

    def _run(self, sdk: Sdk, command: Command, request: Request) -> None:
        # A hyperliquid request is numbered by its time: a pinned one could come twice.
        at_ms = sdk.clock.now() // 1_000_000 if self._facts.window else 0
        call = Call(deadline_ns=command.deadline_ns, at_ms=at_ms)
        sdk.start(self._write(sdk, command, request, call), call)

    async def _write(self, sdk: Sdk, command: Command, request: Request, call: Call) -> None:
        try:
            if isinstance(command, Submit):
                exact(sdk.exchange, request)
            answer = await getattr(sdk.exchange, request.method)(*request.args)
        except asyncio.CancelledError:
            self._answer_unknown(command, call, "the connection was closed before an answer came")
            raise
        except (Unsent, Unsendable) as error:
            if call.writes:
                self._answer_unknown(command, call, str(error))
            else:
                self._unsent(command, str(error), LOCAL if isinstance(error, Unsendable) else _KEPT)
        except Exception as error:  # ccxt's classes say too little
            self._failed(sdk, command, call, error)
        else:
            if isinstance(command, Submit):
                self._placed(command, request, answer)

    def _placed(self, command: Submit, request: Request, answer: Any) -> None:
        name, symbol = command.client_order_id, request.args[0]
        number = str(answer.get("id") or "")
        if number:
            self._known.order(name, symbol, number)
        strange = _differs(request, answer)
        if strange:
            log.error("%s: order %s was placed with another %s", self.name, name, strange)
            self._tell(OutcomeUnknown(client_order_id=name, reason=f"the exchange repeats another {strange}"))
        elif not self._facts.acknowledges and self._known.accept(name):
            self._tell(Accepted(client_order_id=name, broker_order_id=number, event_ns=self._at(answer)))

    def _at(self, answer: Any) -> int:
        assert self._clock is not None
        return time_of(answer) or self._clock.now()

    def _failed(self, sdk: Sdk, command: Command, call: Call, error: Exception) -> None:
        verdict = judge(self._facts, call, error)
        code, text = reason_of(self._facts, call.body, error)
        if self._facts.codes is not None and code in self._facts.codes.clock:
            sdk.unsettled = True
            sdk.start(self._settle_clock(sdk))
        match verdict:
            case Verdict.UNSENT:
                # ccxt itself would not write it: its own words name what is wrong, and hold no address.
                self._unsent(command, str(error)[:300], LOCAL)
            case Verdict.UNKNOWN:
                self._answer_unknown(command, call, f"{code} {text}".strip())
            case Verdict.DUPLICATE:
                self._refused(command, DUPLICATE_ID, text)
            case Verdict.ABSENT:
                self._refused(command, UNKNOWN_ORDER if isinstance(command, Cancel) else code, text)
            case Verdict.REFUSED:
                self._refused(command, code or str(call.status), text)

    async def _settle_clock(self, sdk: Sdk) -> None:
        try:
            await sdk.measure()
        except (ConnectivityError, VenueError) as error:
            log.warning("%s: its clock could not be measured: %s", self.name, error)

    def _refused(self, command: Command, code: str, reason: str) -> None:
        match command:
            case Submit(client_order_id=name):
                self._tell(Rejected(client_order_id=name, code=code, reason=reason))
            case Cancel(client_order_id=name):
                self._tell(CancelRejected(client_order_id=name, code=code, reason=reason))
            case _:
                log.warning("%s: %s was refused: %s %s", self.name, type(command).__name__, code, reason)

    def _answer_unknown(self, command: Command, call: Call, reason: str) -> None:
        if isinstance(command, Submit | Cancel) and call.writes:
            self._tell(OutcomeUnknown(client_order_id=command.client_order_id, reason=reason))
        elif not call.writes:
            self._unsent(command, reason, _KEPT)

    def _unsent(self, command: Command, reason: str, code: str) -> None:
        match command:
            case Submit(client_order_id=name) if code == LOCAL:
                self._tell(Rejected(client_order_id=name, code=LOCAL, reason=reason))
            case Submit(client_order_id=name):
                self._tell(NotSent(client_order_id=name, reason=reason))
            case Cancel(client_order_id=name):
                self._tell(CancelRejected(client_order_id=name, code=_KEPT, reason=reason))
            case Replace(client_order_id=name, attempt=attempt):
                self._tell(ReplaceRejected(client_order_id=name, attempt=attempt, code=_KEPT, reason=reason))
            case ArmDeadMan():
                self._tell(DeadManSet(reason=reason))
            case CancelAll():
                log.warning("%s: not every order could be canceled: %s", self.name, reason)


def _differs(request: Request, answer: Any) -> str:
    """Which number of a new order the exchange repeats otherwise than it was sent."""
    _, kind, _, quantity, price, _ = request.args
    echoed = decimal_of(answer.get("amount"))
    if echoed is not None and plain(echoed) != quantity:
        return f"quantity: {plain(echoed)} for {quantity}"
    echoed = decimal_of(answer.get("price")) if kind == "limit" else None
    if echoed and plain(echoed) != price:
        return f"price: {plain(echoed)} for {price}"
    return ""


def _settled(symbol: str) -> str:
    pair, _, settle = symbol.partition(":")
    return settle.partition("-")[0] or pair.partition("/")[2]


def _nowhere(report: Report) -> None:
    """Where reports go before anybody listens."""
