"""A broker adapter as its author would write it, on the simulated network.

Every retry is off; what no answer came to is unknown; a question that got no answer raises. It opens its private
stream again by itself and says so.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import msgspec

from fairlead import Instrument, OrderType
from fairlead.ports import (
    Clock,
    Command,
    FillReport,
    NotSent,
    OrderReport,
    OutcomeUnknown,
    Report,
    Snapshot,
    StreamDown,
    StreamUp,
    Submit,
    VenueProfile,
)
from simulation.network import Answer, Connection, Network

if TYPE_CHECKING:
    from simulation.host import Host

PATIENCE = 3.0
VALID_NS = 5_000_000_000
REMEMBERED_NS = 60_000_000_000

PLAIN = VenueProfile(
    venue="simex", environment="testnet", reduce_only=True, base_currency="USDT", validity_ns=VALID_NS
)
"""Market and limit orders only: the engine holds the rest."""

RICH = attrs.evolve(
    PLAIN, order_types=frozenset({OrderType.MARKET, OrderType.LIMIT, OrderType.STOP}), post_only=True
)
"""Stops rest at the venue; linked orders are the engine's."""


IN_PLACE = frozenset({OrderType.LIMIT})


def replacing(profile: VenueProfile, seed: int) -> VenueProfile:
    """The profile of a day: in some of them orders are replaced in place, in some of those under a new id."""
    way = random.Random(f"replace {seed}").randrange(4)
    return attrs.evolve(profile, replaces=IN_PLACE, replace_renames=way == 1) if way < 2 else profile


class SimexBroker:
    """The account at the simulated venue, as one process sees it. `emitted` is all that it told its engine."""

    name = "simex"
    fingerprint = "main"

    def __init__(self, host: Host, network: Network, profile: VenueProfile) -> None:
        self.profile = profile
        self.emitted: list[Report] = []
        self._host = host
        self._network = network
        self._exchange = network.exchange
        self._emit: Callable[[Report], None] | None = None
        self._stream: Connection | None = None
        self._epoch = 0
        self._acked: set[str] = set()

    # --- the broker port --------------------------------------------------------------------------------------

    async def instruments(self) -> Sequence[Instrument]:
        return await self._ask("instruments", lambda: list(self._exchange.listed))

    async def connect(self, emit: Callable[[Report], None], clock: Clock) -> None:
        self._host.at("connect")
        self._emit, self._clock = emit, clock
        await self._ask("hello", lambda: None)
        self._open()
        assert self._stream is not None
        if self._host.unsubscribed:  # found out at the next ping, and asked for again
            self._host.unsubscribed, self._stream.mute = False, True
            await asyncio.sleep(5)
            self._stream.mute = False
        if self._epoch > 1:
            self._say(StreamUp(epoch=self._epoch))

    def send(self, command: Command) -> None:
        self._host.at("send")
        if self._host.dead:
            return
        name = getattr(command, "client_order_id", "")
        if self._clock.now() > command.deadline_ns:
            if isinstance(command, Submit):
                self._say(NotSent(client_order_id=name, reason="its deadline had passed"))
            else:
                self._say(OutcomeUnknown(client_order_id=name, reason="its deadline had passed"))
            return
        self._exchange.ledger.append(
            ("write", self._clock.now(), name, command.deadline_ns, self._host.epoch)
        )
        left = command.deadline_ns - self._clock.now()  # venues judge by their own clock, and so must we
        command = msgspec.structs.replace(command, deadline_ns=self._exchange.clock.now() + left)
        patience = _Patience(self, name, submit=isinstance(command, Submit))
        self._network.request(command, patience.answered, committed=name in self._host.committed)
        self._host.at("sent")

    async def snapshot(self) -> Snapshot:
        found = await self._ask("snapshot", self._exchange.venue.snapshot)
        if self._network.weather.strikes("query.part"):
            return attrs.evolve(found, orders=None, positions=None)
        return found

    async def lookup(self, client_order_ids: Sequence[str]) -> Mapping[str, OrderReport | None]:
        return await self._ask("lookup", lambda: self._look_up(client_order_ids))

    async def fills(self, since_ns: int) -> Sequence[FillReport]:
        def found() -> list[FillReport]:
            newest = self._exchange.clock.now() - self._network.query_lag()
            listed = self._exchange.venue.fills(since_ns)
            return [self._exchange.told(fill) for fill in listed if fill.event_ns <= newest]

        return await self._ask("fills", found)

    async def close(self) -> None:
        self._emit = None
        if self._stream is not None:
            self._stream.open = False

    # --- questions --------------------------------------------------------------------------------------------

    async def _ask(self, what: str, question: Callable[[], Any]) -> Any:
        self._host.at(what)
        answer = await self._network.ask(question)
        self._host.at(what)
        return answer

    def _look_up(self, names: Sequence[str]) -> dict[str, OrderReport | None]:
        exchange, now = self._exchange, self._exchange.clock.now()
        found = exchange.venue.lookup(names)
        newest = now - self._network.query_lag()
        for name in names:
            order = found[name]
            if order is None:
                continue
            times = [entry[1] for entry in exchange.ledger if len(entry) > 2 and entry[2] == name]
            order = found[name] = exchange.as_of(order, newest)
            old = exchange.forgets and not order.open and max(times) < now - REMEMBERED_NS
            if old:
                self._network.weather.fire("query.forget")
            seen = min(t for t in times) <= newest
            if old or not seen:
                found[name] = None
        return found

    # --- the private stream -------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._epoch += 1
        self._stream = self._network.listen(self._heard, self._lost)
        self._host.stream = self._stream

    def _heard(self, report: Report) -> None:
        self._acked.add(getattr(report, "client_order_id", ""))
        self._say(report)

    def _lost(self, reason: str) -> None:
        if self._emit is not None and not self._host.dead:
            self._say(StreamDown(reason=reason))  # the engine connects again

    def _say(self, report: Report) -> None:
        self._host.at("report")
        if self._emit is None or self._host.dead:
            return
        self.emitted.append(report)
        self._emit(report)

    # --- answers to commands --------------------------------------------------------------------------------------

    def _answered(self, name: str, answer: Answer) -> None:
        if answer.reports is None:
            self._say(OutcomeUnknown(client_order_id=name, reason=answer.failure))
            return
        for report in answer.reports:
            self._say(report)


class _Patience:
    """Waits for the answer to one command, and gives up after a while."""

    def __init__(self, broker: SimexBroker, name: str, *, submit: bool) -> None:
        self._broker = broker
        self._name = name
        self._done = False
        asyncio.get_running_loop().call_later(PATIENCE, self._give_up)

    def answered(self, answer: Answer) -> None:
        if not self._done:
            self._done = True
            self._broker._answered(self._name, answer)

    def _give_up(self) -> None:
        if not self._done:
            self._done = True
            self._broker._say(OutcomeUnknown(client_order_id=self._name, reason="no answer came"))


def plain(report: Report) -> dict[str, Any]:
    """A report as the journal holds it."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(report))  # type: ignore[no-any-return]
