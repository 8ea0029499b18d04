"""A broker whose venue runs in another process, on `fairlead_sim.serve`."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar, cast

import attrs
import msgspec

from fairlead import ConfigurationError, ConnectivityError, Instrument, VenueError, duration
from fairlead.ports import (
    Accepted,
    ArmDeadMan,
    Cancel,
    Canceled,
    CancelRejected,
    Clock,
    Command,
    DeadManSet,
    FillReport,
    MarketEvent,
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
    VenueProfile,
)
from fairlead_sim.profile import full_profile
from fairlead_sim.protocol import (
    LIMIT,
    Answer,
    AskFills,
    AskInstruments,
    AskLookup,
    AskSnapshot,
    Failure,
    Hello,
    IsFills,
    IsInstruments,
    IsLookup,
    IsSnapshot,
    Learn,
    Market,
    Pushed,
    SendCancel,
    SendCancelAll,
    SendDeadMan,
    SendReplace,
    SendSubmit,
    Welcome,
    answers,
    line,
    parse_address,
)

A = TypeVar("A", Welcome, IsSnapshot, IsLookup, IsFills, IsInstruments)
SECOND = duration("1s")
_ANSWERS = (Accepted, Rejected, Canceled, CancelRejected, Replaced, ReplaceRejected)


class RemoteBroker:
    """Trades at the venue that listens at `address` (`tcp://127.0.0.1:9000` or `unix:///path`).

    `currency` is the account's; `patience` is how long a command or a question waits for its answer. What the
    streams deliver is passed on, so that venue matches against the engine's own market data.
    """

    def __init__(
        self,
        address: str,
        *,
        name: str = "remote",
        currency: str = "USDT",
        patience: str | int = "5s",
        profile: VenueProfile | None = None,
    ) -> None:
        self.name = name
        self.profile = profile or _profile(name, currency)
        self._address = address
        self._where = parse_address(address)
        self._patience = duration(patience)
        self._instruments: dict[str, Instrument] = {}
        self._line: _Line | None = None
        self._emit: Callable[[Report], None] = _nowhere
        self._clock: Clock | None = None
        self._epoch = 0
        self._waiting: dict[str, int] = {}

    def learn(self, instrument: Instrument) -> None:
        """List an instrument there, now or when connected."""
        self._instruments[instrument.id] = instrument
        if self._line is not None:
            self._line.write(line(Learn(instrument)))

    def market(self, event: MarketEvent) -> None:
        """Pass a market event on."""
        if self._line is not None:
            self._line.write(line(Market(event)))

    # --- the broker port ----------------------------------------------------------------------------------------

    async def connect(self, emit: Callable[[Report], None], clock: Clock) -> None:
        """Open the connection; raises ConnectivityError, or ConfigurationError for an account in another currency."""
        await self.close()
        self._emit, self._clock = emit, clock
        self._line = opened = await self._dial(self._receive)
        try:
            welcome = await self._ask(Hello(next(opened.numbers)), Welcome)
        except (ConnectivityError, VenueError):
            await self.close()
            raise
        if welcome.profile.base_currency != self.profile.base_currency:
            await self.close()
            raise ConfigurationError(
                f"the account at {self._address} is in {welcome.profile.base_currency}, "
                f"not in {self.profile.base_currency}: pass currency={welcome.profile.base_currency!r}"
            )
        self._teach(opened)
        self._epoch += 1
        if self._epoch > 1:
            emit(StreamUp(epoch=self._epoch))

    def send(self, command: Command) -> None:
        """Write a command once, or answer that it was not sent; before it was ever connected nobody listens."""
        if self._clock is None:
            return
        match command:
            case Submit():
                text = line(SendSubmit(command))
            case Cancel():
                text = line(SendCancel(command))
            case Replace():
                text = line(SendReplace(command))
            case ArmDeadMan():
                text = line(SendDeadMan(command))
            case _:
                text = line(SendCancelAll(command))
        opened = self._line
        if opened is None:
            self._unsent(command, "there is no connection")
        elif self._clock.now() > command.deadline_ns:
            self._unsent(command, "its deadline had passed")
        else:
            opened.write(text)
            if isinstance(command, Submit | Cancel | Replace):
                name = command.client_order_id
                until = self._waiting[name] = self._clock.now() + self._patience
                self._clock.call_at(until, partial(self._give_up, name, until))

    def _unsent(self, command: Command, reason: str) -> None:
        assert self._clock is not None
        match command:
            case Submit(client_order_id=name):
                self._emit(NotSent(client_order_id=name, event_ns=self._clock.now(), reason=reason))
            case Cancel(client_order_id=name):
                self._emit(
                    CancelRejected(
                        client_order_id=name, event_ns=self._clock.now(), code="not_sent", reason=reason
                    )
                )
            case Replace(client_order_id=name, attempt=attempt):
                self._emit(
                    ReplaceRejected(client_order_id=name, attempt=attempt, code="not_sent", reason=reason)
                )
            case ArmDeadMan():
                self._emit(DeadManSet(reason=reason))

    def _give_up(self, name: str, until: int) -> None:
        if self._waiting.get(name) == until:
            self._unknown(name, "no answer came")

    def _unknown(self, name: str, reason: str) -> None:
        assert self._clock is not None
        del self._waiting[name]
        self._emit(OutcomeUnknown(client_order_id=name, event_ns=self._clock.now(), reason=reason))

    async def instruments(self) -> Sequence[Instrument]:
        """What is listed there, with what is listed from here; before `connect` too, by a connection of its own."""
        if self._line is not None:
            return (await self._ask(AskInstruments(self._number()), IsInstruments)).instruments
        opened = await self._dial(_nowhere)
        try:
            self._teach(opened)
            request = AskInstruments(next(opened.numbers))
            return (await self._ask(request, IsInstruments, opened)).instruments
        finally:
            await opened.close()

    async def snapshot(self) -> Snapshot:
        """The account there."""
        return (await self._ask(AskSnapshot(self._number()), IsSnapshot)).snapshot

    async def lookup(self, client_order_ids: Sequence[str]) -> Mapping[str, OrderReport | None]:
        """What the venue knows of these orders."""
        return (await self._ask(AskLookup(self._number(), client_order_ids), IsLookup)).orders

    async def fills(self, since_ns: int) -> Sequence[FillReport]:
        """Executions since then, oldest first."""
        return (await self._ask(AskFills(self._number(), since_ns), IsFills)).fills

    async def close(self) -> None:
        """Leave; orders go on working there."""
        opened, self._line = self._line, None
        if opened is not None:
            await opened.close()

    # --- the connection -----------------------------------------------------------------------------------------

    async def _dial(self, receive: Callable[[Report], None]) -> _Line:
        opened = _Line(receive, self._lost)
        loop = asyncio.get_running_loop()
        host, port = self._where
        try:
            if port:
                await loop.create_connection(lambda: opened, host, port)
            else:
                await loop.create_unix_connection(lambda: opened, host)
        except OSError as error:
            raise ConnectivityError(f"no venue answers at {self._address}: {error}") from error
        return opened

    def _teach(self, opened: _Line) -> None:
        for instrument in self._instruments.values():
            opened.write(line(Learn(instrument)))

    def _number(self) -> int:
        return next(self._line.numbers) if self._line is not None else 0

    async def _ask(
        self,
        request: Hello | AskSnapshot | AskLookup | AskFills | AskInstruments,
        kind: type[A],
        opened: _Line | None = None,
    ) -> A:
        opened = opened or self._line
        if opened is None:
            raise ConnectivityError(f"there is no connection to {self._address}")
        try:
            answer = await asyncio.wait_for(opened.ask(request.id, line(request)), self._patience / 1e9)
        except TimeoutError:
            raise ConnectivityError(
                f"{self._address} gave no answer within {self._patience / 1e9:g} s"
            ) from None
        if not isinstance(answer, kind):
            raise VenueError(f"{self._address} answered something else: {answer}")
        return answer

    def _receive(self, report: Report) -> None:
        if isinstance(report, _ANSWERS):
            self._waiting.pop(report.client_order_id, None)
        self._emit(report)

    def _lost(self, opened: _Line, reason: str) -> None:
        if self._line is opened:
            self._line = None
            for name in sorted(self._waiting):
                self._unknown(name, "the connection was lost")
            self._emit(StreamDown(reason=reason))


class _Line(asyncio.Protocol):
    """One connection: lines out, answers and reports in."""

    def __init__(self, receive: Callable[[Report], None], lost: Callable[[_Line, str], None]) -> None:
        self.numbers = itertools.count(1)
        self._receive = receive
        self._lost = lost
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._rest = b""
        self._why = "the venue closed the connection"
        self._transport: asyncio.Transport | None = None
        self._ended = asyncio.Event()

    def write(self, text: bytes) -> None:
        """Hand bytes to the socket at once."""
        if self._transport is not None:
            self._transport.write(text)

    async def ask(self, number: int, text: bytes) -> Answer:
        """Write a question and wait for its answer."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked[number] = future
        self.write(text)
        try:
            return await future
        finally:
            self._asked.pop(number, None)

    async def close(self) -> None:
        """Leave; what was written goes out first, unless nobody takes it."""
        if self._transport is not None:
            self._transport.close()
            try:
                await asyncio.wait_for(self._ended.wait(), 1)
            except TimeoutError:
                self._transport.abort()
                await self._ended.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        self._transport = cast(asyncio.Transport, transport)  # other loops have transports of their own kinds

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > 64 * LIMIT:
            self._fail("a line of the venue is too long")
            return
        for text in lines:
            try:
                message = answers.decode(text)
            except msgspec.DecodeError as error:
                self._fail(f"the venue sent what is no answer: {error}")
                return
            match message:
                case Pushed(report):
                    self._receive(report)
                case Failure(reason):
                    self._why = reason
                case _:
                    future = self._asked.get(message.id)
                    if future is not None and not future.done():
                        future.set_result(message)

    def _fail(self, reason: str) -> None:
        self._why = reason
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        self._transport = None
        reason = str(error) if error else self._why
        for future in self._asked.values():
            if not future.done():
                future.set_exception(ConnectivityError(reason))
        self._ended.set()
        self._lost(self, reason)


def _profile(name: str, currency: str) -> VenueProfile:
    """What is on its way may be lost or late, but not for long on a loopback."""
    return attrs.evolve(
        full_profile(name, currency, exact=False), validity_ns=SECOND, query_lag_ns=0, answer_ns=SECOND
    )


def _nowhere(report: Report) -> None:
    """Where reports go before anybody listens."""
