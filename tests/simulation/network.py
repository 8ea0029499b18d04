"""What is between an adapter and its venue: requests, questions, and a private stream, each with its faults."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TypeVar

from fairlead import ConnectivityError
from fairlead.ports import AccountChanged, Command, FillVoided, Rejected, Report, Submit
from simulation.exchange import Exchange
from simulation.faults import Weather

T = TypeVar("T")

PING = 5.0
"""Seconds between an adapter's pings; two that get no answer end a connection."""


class Answer:
    """What came back: reports, or a failure that says nothing of the outcome."""

    def __init__(self, reports: list[Report] | None, failure: str = "") -> None:
        self.reports = reports
        self.failure = failure


class Connection:
    """One private stream. `heard` takes its messages, `lost` is told when the adapter would notice its end."""

    def __init__(
        self, network: Network, heard: Callable[[Report], None], lost: Callable[[str], None]
    ) -> None:
        self.open = True
        self.mute = False
        self.dead = False
        self._network = network
        self._heard = heard
        self._lost = lost
        self._missed = False
        self._kept: Report | None = None
        self._last = 0.0

    def carry(self, report: Report) -> None:
        """Bring one message to the adapter, or fail to."""
        weather = self._network.weather
        if not self.open or self.mute or self.dead:
            return
        if isinstance(report, AccountChanged | FillVoided):
            # Nobody can ask for it later, and money has no id: told twice it would count twice. See acct.away.
            self._heard(report)
            return
        if weather.strikes("ws.drop"):
            self._missed = True
            return
        if self._missed:
            self._missed = False
            self.end("a gap in the sequence of messages")
            return
        if self._kept is not None:
            kept, self._kept = self._kept, None
            self._deliver(report)
            self._deliver(kept)
            return
        if weather.strikes("ws.reorder"):
            self._kept = report
            asyncio.get_running_loop().call_later(1.0, self._release)
            return
        self._deliver(report)
        if weather.strikes("ws.dup"):
            self._deliver(report)

    def _release(self) -> None:
        if self._kept is not None:
            kept, self._kept = self._kept, None
            self._deliver(kept)

    def _deliver(self, report: Report) -> None:
        loop = asyncio.get_running_loop()
        lag = self._network.lag_until
        at = max(self._last, loop.time() + 0.01, lag)
        self._last = at
        loop.call_at(at, self._arrive, report)

    def _arrive(self, report: Report) -> None:
        if self.open and not self.dead:
            self._heard(report)

    def end(self, reason: str) -> None:
        """It is closed, and the adapter sees it."""
        if self.open:
            self.open = False
            asyncio.get_running_loop().call_later(0.01, self._lost, reason)

    def black_hole(self) -> None:
        """Nothing comes through any more; two pings later the adapter knows."""
        self.dead = True
        asyncio.get_running_loop().call_later(2 * PING, self.end, "no answer to a ping")

    def stall(self, seconds: float) -> None:
        """It answers pings and says nothing, until the venue closes it."""
        self.mute = True
        asyncio.get_running_loop().call_later(seconds, self.end, "closed by the venue")


class Network:
    """Carries everything, with the faults of the day."""

    def __init__(self, exchange: Exchange, weather: Weather, seed: int) -> None:
        self.exchange = exchange
        self.weather = weather
        self.dice = random.Random(f"network {seed}")
        self.connections: list[Connection] = []
        self.lag_until = 0.0
        self.refusing = ""
        self.crawls = False
        self.outage_until = self.last_request = 0.0
        exchange.push = self._push

    # --- requests -------------------------------------------------------------------------------------------

    def request(self, command: Command, answered: Callable[[Answer], None], *, committed: bool) -> None:
        """Write a request; `answered` hears of it once, or never."""
        weather, loop = self.weather, asyncio.get_running_loop()
        self.last_request = loop.time()
        if self.refusing:
            loop.call_later(0.02, answered, Answer(self._refusal(command)))
            return
        if self.crawls:  # valid still when it arrives, and nobody waits for it any more
            self.crawls = False
            loop.call_later(self.dice.uniform(1, 4.8), self._arrive, command, None, committed, True)
            return
        if weather.strikes("req.lose"):
            return
        if weather.strikes("req.late"):
            loop.call_later(self.dice.uniform(1, 40), self._arrive, command, None, committed, True)
            return
        loop.call_later(self.dice.uniform(0.005, 0.08), self._arrive, command, answered, committed, False)

    def _refusal(self, command: Command) -> list[Report]:
        if isinstance(command, Submit):
            name = command.client_order_id
            self.weather.fire(self.refusing)
            return [Rejected(client_order_id=name, code=self.refusing, reason="try again later")]
        return []

    def _arrive(
        self, command: Command, answered: Callable[[Answer], None] | None, committed: bool, late: bool
    ) -> None:
        reports = self.exchange.handle(command, committed=committed, late=late)
        if answered is None:
            return
        weather, loop = self.weather, asyncio.get_running_loop()
        if weather.strikes("resp.lose"):
            return
        if weather.strikes("resp.error"):
            loop.call_later(0.05, answered, Answer(None, "503: the status of the request is not known"))
        elif weather.strikes("resp.strange"):
            loop.call_later(0.05, answered, Answer(None, "the answer has status PENDING_NOVELTY"))
        elif reports:
            delay = 4.0 if weather.strikes("ack.first") else self.dice.uniform(0.005, 0.08)
            loop.call_later(delay, answered, Answer(reports))

    # --- questions ------------------------------------------------------------------------------------------

    async def ask(self, question: Callable[[], T]) -> T:
        """Ask the venue something. Raises ConnectivityError."""
        await asyncio.sleep(self.dice.uniform(0.01, 0.1))
        if asyncio.get_running_loop().time() < self.outage_until:
            self.weather.fire("query.outage")
            raise ConnectivityError("the venue cannot be reached")
        if self.weather.strikes("query.error"):
            raise ConnectivityError("no answer to a question")
        if self.refusing == "maintenance":
            raise ConnectivityError("the venue is in maintenance")
        return question()

    def query_lag(self) -> int:
        """How old the state is that a question is answered from, in ns."""
        return self.dice.randint(0, 2_000_000_000) if self.weather.strikes("query.lag") else 0

    # --- the private stream -----------------------------------------------------------------------------------

    def listen(self, heard: Callable[[Report], None], lost: Callable[[str], None]) -> Connection:
        """Open a private stream."""
        connection = Connection(self, heard, lost)
        self.connections = [c for c in self.connections if c.open]
        self.connections.append(connection)
        return connection

    def _push(self, report: Report) -> None:
        for connection in self.connections:
            connection.carry(report)

    @property
    def listening(self) -> bool:
        """Whether somebody hears all that the venue says."""
        return any(c.open and not c.mute and not c.dead for c in self.connections)
