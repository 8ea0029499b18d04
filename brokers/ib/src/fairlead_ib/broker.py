"""`IbBroker`: one account at Interactive Brokers, as fairlead trades it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Callable, Mapping, Sequence

from fairlead import ConfigurationError, ConnectivityError, Instrument, duration
from fairlead.ports import (
    ArmDeadMan,
    Cancel,
    CancelAll,
    CancelRejected,
    Clock,
    Command,
    DeadManSet,
    FillReport,
    Handle,
    NotSent,
    OrderReport,
    Replace,
    ReplaceRejected,
    Report,
    Snapshot,
    StreamDown,
    StreamUp,
    Submit,
)
from fairlead_ib import commands
from fairlead_ib.account import Account
from fairlead_ib.book import Book, Working, written
from fairlead_ib.contracts import find
from fairlead_ib.executions import Executions
from fairlead_ib.gateway import Gateway, address_of
from fairlead_ib.instruments import Listing
from fairlead_ib.profile import DATA_SHARE, ib_profile
from fairlead_ib.sdk import load

log = logging.getLogger("fairlead.ib")

_ENVIRONMENTS = {"paper": "127.0.0.1:7497", "live": "127.0.0.1:7496"}
_ACCOUNT = re.compile(r"[A-Z]{1,3}[0-9]{3,10}")


class IbBroker:
    """Trades `symbols` on one account of a TWS or IB Gateway that runs and is logged in.

        IbBroker("AAPL.NASDAQ", "EUR/USD", account="DU1234567")

    `account` is IB's number of the account. Whether that is a paper account is told by the number, which has to agree
    with `environment`, paper or live; the port says nothing. `url` is where TWS listens, `host:port`. `client_id` is
    this engine's alone and stays the same: only orders of the same client can be canceled. `currency` is what the
    account is measured in. `heartbeat` is how often TWS is asked whether it is there, and how long it has to answer;
    `fee_wait` how long an execution waits for what it cost. Raises ConfigurationError.
    """

    def __init__(
        self,
        *symbols: str,
        account: str = "",
        environment: str = "paper",
        url: str = "",
        client_id: int = 1,
        currency: str = "USD",
        name: str = "ib",
        heartbeat: str | int = "5s",
        fee_wait: str | int = "2s",
    ) -> None:
        if not symbols:
            raise ConfigurationError(
                "IbBroker trades nothing: name what it is to trade, IbBroker('AAPL.NASDAQ', ...)"
            )
        if not _ACCOUNT.fullmatch(account):
            raise ConfigurationError(
                f"account={account!r} is no account of Interactive Brokers: write its number, account='DU1234567'"
            )
        check_environment(environment, account)
        check_client(client_id)
        self.name = name
        self.profile = ib_profile(environment, currency)
        self._symbols = symbols
        self._account_number = account
        self._url = url or where(environment)
        self._address = address_of(self._url)
        self._client_id = client_id
        self._heartbeat_ns = duration(heartbeat)
        self._fee_wait_ns = duration(fee_wait)
        self._listing = Listing()
        self._gateway: Gateway | None = None
        self._account: Account | None = None
        self._executions: Executions | None = None
        self._book: Book | None = None
        self._emit: Callable[[Report], None] = _nowhere
        self._clock: Clock | None = None
        self._beat: Handle | None = None
        self._beating: asyncio.Task[None] | None = None
        self._epoch = 0

    @property
    def fingerprint(self) -> str:
        """The account: a digest of its number."""
        return hashlib.sha256(self._account_number.encode()).hexdigest()[:24]

    def endpoints(self) -> tuple[str, ...]:
        """The address that it connects to."""
        return (self._url,)

    # --- the connection -----------------------------------------------------------------------------------------

    async def instruments(self) -> Sequence[Instrument]:
        """The symbols, with IB's rules. Raises ConfigurationError, ConnectivityError or VenueError."""
        if not len(self._listing):
            gateway = self._gateway
            if gateway is None or not gateway.connected:
                gateway = self._gateway = self._dial()
                await gateway.open()
            for symbol in self._symbols:
                self._listing.learn(await find(gateway, symbol))
        return [known.instrument for known in self._listing.all()]

    def _dial(self) -> Gateway:
        sdk = load()
        return Gateway(
            sdk, self._address, self._client_id, lost=self._lost, now=self._now, per_second=DATA_SHARE,
            handlers={
                "openOrder": self._on_order, "orderStatus": self._on_status, "execDetails": self._on_execution,
                "commissionReport": self._on_commission, "error": self._on_error,
            },
        )  # fmt: skip

    def _now(self) -> int:
        return self._clock.now() if self._clock else int(asyncio.get_running_loop().time() * 1e9)

    async def connect(self, emit: Callable[[Report], None], clock: Clock) -> None:
        """Log on, check the account, and hear of its orders. Raises ConfigurationError or ConnectivityError."""
        self._emit, self._clock = emit, clock
        gateway = self._gateway
        if gateway is not None and gateway.connected and not gateway.online:
            await gateway.restored()  # the socket is good: it is TWS that is cut off
        elif gateway is None or not gateway.connected or self._account is not None:
            self._leave()
            gateway = self._gateway = self._dial()
            await gateway.open()
        try:
            self._check(gateway)
            if self._executions is None or self._book is None:
                self._executions = Executions(self._listing, self._tell, clock, self._fee_wait_ns)
                self._book = Book(self._tell, self._executions.after)
            self._account = Account(gateway, self._listing, self._account_number)
            await self.instruments()
            await self._account.bind()
        except BaseException:  # nothing half open is left, whatever stopped it
            self._leave()
            raise
        self._watch()
        self._epoch += 1
        if self._epoch > 1:
            emit(StreamUp(epoch=self._epoch))

    def _tell(self, report: Report) -> None:
        self._emit(report)

    def _check(self, gateway: Gateway) -> None:
        if self._account_number not in gateway.accounts:
            raise ConfigurationError(
                f"this TWS is logged in to {', '.join(gateway.accounts)}, not to {self._account_number}: log in to "
                f"that account, or write account= as it is"
            )

    def _lost(self, reason: str) -> None:
        self._still()
        if self._executions is not None:
            self._executions.lost()
        if self._book is not None:
            self._book.lost()
        if self._account is not None:
            self._emit(StreamDown(reason=reason))

    def _leave(self) -> None:
        self._still()
        gateway, self._gateway, self._account = self._gateway, None, None
        if gateway is not None:
            gateway.close()

    async def close(self) -> None:
        """Leave; orders go on working there."""
        if self._executions is not None:
            self._executions.forget()
        beating = self._beating
        self._leave()
        if beating is not None:
            await asyncio.gather(beating, return_exceptions=True)

    # --- is it there? -------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        assert self._clock is not None
        self._still()
        self._beat = self._clock.call_at(self._clock.now() + self._heartbeat_ns, self._ask_for_life)

    def _ask_for_life(self) -> None:
        self._beating = asyncio.get_running_loop().create_task(self._prove_life())

    async def _prove_life(self) -> None:
        gateway = self._gateway
        if gateway is None:
            return
        try:
            await gateway.alive(self._heartbeat_ns / 1e9)
        except ConnectivityError:
            if gateway is self._gateway:
                self._beating = None
                gateway.fail("TWS does not answer")
            return
        if gateway is self._gateway and gateway.ready:
            self._watch()

    def _still(self) -> None:
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None
        if self._beating is not None:
            self._beating.cancel()
            self._beating = None

    # --- messages -----------------------------------------------------------------------------------------------

    def _on_order(self, contract: object, order: object, state: object) -> None:
        if self._book is not None:
            self._book.opened(contract, order, state, self._client_id)

    def _on_status(self, number: int, client_id: int, perm_id: int, status: str, filled: float) -> None:
        if self._book is not None and client_id == self._client_id:
            self._book.stands(number, status, perm_id, filled)

    def _on_execution(self, contract: object, execution: object) -> None:
        if self._executions is not None:
            self._executions.executed(contract, execution)

    def _on_commission(self, report: object) -> None:
        if self._executions is not None:
            self._executions.charged(report)

    def _on_error(self, number: int, code: int, text: str) -> None:
        if self._book is not None:
            self._book.said(number, code, text)

    # --- commands -----------------------------------------------------------------------------------------------

    def send(self, command: Command) -> None:
        """Write a command once, or answer that it was not sent."""
        gateway, clock = self._gateway, self._clock
        if gateway is None or clock is None or self._book is None or not gateway.ready:
            self._unsent(command, "there is no connection to Interactive Brokers")
            return
        try:
            match command:
                case Submit():
                    self._submit(gateway, clock, self._book, command)
                case Cancel():
                    self._cancel(gateway, clock, self._book, command)
                case Replace():
                    self._replace(gateway, clock, self._book, command)
                case CancelAll():
                    self._cancel_all(gateway, clock, self._book, command)
                case ArmDeadMan():
                    self._unsent(command, "Interactive Brokers has no dead-man switch")
        except (ConnectionError, ConfigurationError) as error:
            self._unsent(command, str(error))

    def _submit(self, gateway: Gateway, clock: Clock, book: Book, command: Submit) -> None:
        known = self._listing.of(command.intent.instrument)
        order = commands.order(gateway.sdk, command, self._account_number)
        row = Working(command.client_order_id, gateway.order_id(), known.contract, order)
        if clock.now() > command.deadline_ns:
            self._unsent(command, "its deadline had passed")
            return
        book.add(row)
        try:
            gateway.client.placeOrder(row.order_id, known.contract, order)
        except ConnectionError:
            book.drop(row)
            raise

    def _replace(self, gateway: Gateway, clock: Clock, book: Book, command: Replace) -> None:
        row = book.find(command.client_order_id)
        if row is None:
            self._unsent(command, f"it is of another client than client_id={self._client_id}")
            return
        order = commands.changed(written(row.order), command)
        if clock.now() > command.deadline_ns:
            self._unsent(command, "its deadline had passed")
            return
        gateway.client.placeOrder(row.order_id, row.contract, order)
        row.changing, row.next = command, order

    def _cancel(self, gateway: Gateway, clock: Clock, book: Book, command: Cancel) -> None:
        row = book.find(command.client_order_id)
        if row is None:
            self._unsent(command, f"it is of another client than client_id={self._client_id}")
            return
        if clock.now() > command.deadline_ns:
            self._unsent(command, "its deadline had passed")
            return
        gateway.client.cancelOrder(row.order_id)
        row.canceling = True

    def _cancel_all(self, gateway: Gateway, clock: Clock, book: Book, command: CancelAll) -> None:
        known = self._listing.of(command.instrument) if command.instrument else None
        if clock.now() > command.deadline_ns:
            self._unsent(command, "its deadline had passed")
        elif known is None:
            gateway.client.reqGlobalCancel()
        else:
            for row in book.open_at(known.contract.conId):
                gateway.client.cancelOrder(row.order_id)
                row.canceling = True

    def _unsent(self, command: Command, reason: str) -> None:
        match command:
            case Submit(client_order_id=name):
                self._emit(NotSent(client_order_id=name, reason=reason))
            case Cancel(client_order_id=name):
                self._emit(CancelRejected(client_order_id=name, code="not_sent", reason=reason))
            case Replace(client_order_id=name, attempt=attempt):
                self._emit(
                    ReplaceRejected(client_order_id=name, attempt=attempt, code="not_sent", reason=reason)
                )
            case ArmDeadMan():
                self._emit(DeadManSet(reason=reason))
            case CancelAll():
                log.error("not all orders could be canceled at once: %s", reason)

    # --- questions ----------------------------------------------------------------------------------------------

    def _asked(self) -> Account:
        if self._account is None:
            raise ConnectivityError("there is no connection to Interactive Brokers")
        return self._account

    async def snapshot(self) -> Snapshot:
        """The account there. Raises ConnectivityError."""
        return await self._asked().snapshot()

    async def lookup(self, client_order_ids: Sequence[str]) -> Mapping[str, OrderReport | None]:
        """What IB knows of these orders, open or ended today. Raises ConnectivityError."""
        account = self._asked()
        ended = {row.client_order_id: row for row in await account.completed()}
        found = ended | {row.client_order_id: row for row in await account.open_orders()}
        return {name: found.get(name) for name in client_order_ids}

    async def fills(self, since_ns: int) -> Sequence[FillReport]:
        """Today's executions since then, oldest first. Raises ConnectivityError or VenueError."""
        account, executions = self._asked(), self._executions
        assert executions is not None
        rows = await account.executions()
        await executions.costs(rows)
        taken_back, fills = executions.listed(rows, since_ns)
        for report in taken_back:
            self._emit(report)
        return fills


def where(environment: str) -> str:
    """Where TWS listens unless it was told otherwise. Raises ConfigurationError."""
    if environment not in _ENVIRONMENTS:
        raise ConfigurationError(f"environment={environment!r} is none: write 'paper' or 'live'")
    return _ENVIRONMENTS[environment]


def check_client(client_id: int) -> None:
    """Refuse what is no client id, and 0, which is TWS itself. Raises ConfigurationError."""
    if not 0 < client_id < 2**31:
        raise ConfigurationError(f"client_id={client_id} is none for an engine: write 1 or more")


def check_environment(environment: str, account: str) -> None:
    """Refuse an account of the other kind: the numbers of paper accounts begin with D. Raises ConfigurationError."""
    where(environment)
    if account.startswith("D") is (environment == "live"):
        other = "paper" if environment == "live" else "live"
        raise ConfigurationError(
            f"{account} is a {other} account, and environment={environment!r}: write environment={other!r}, or the "
            f"number of the other account"
        )


def _nowhere(report: Report) -> None:
    """Where reports go before anybody listens."""
