"""The control socket of a session: what may be asked of it, and where it is found."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead import facts as f
from fairlead._control.places import socket_path
from fairlead._control.protocol import REFUSED, ControlError, Request
from fairlead._control.registry import Announcement, Engine
from fairlead._control.server import ControlServer
from fairlead._engine import looking
from fairlead._engine.differing import discrepancies
from fairlead._engine.distributions import core_version
from fairlead._engine.parts import Parts, kind_of
from fairlead._engine.risk import risk
from fairlead._models.accounts import KILL
from fairlead._storage.run import RunFolder
from fairlead.errors import ConfigurationError

if TYPE_CHECKING:
    from fairlead._engine.live import Session
    from fairlead._kernel.kernel import Kernel

log = logging.getLogger("fairlead.control")

LOOKS = ("status", "positions", "orders", "balance", "breakers", "risk", "discrepancies", "health")
"""What can be looked at; every other verb is a command."""

_FAULTS = {
    f.OrderRejected: lambda fact: f"order {fact.client_order_id} was rejected: {fact.reason or fact.code}",
    f.OrderUnknown: lambda fact: f"the answer to order {fact.client_order_id} was lost: {fact.reason}",
    f.StrategyHalted: lambda fact: f"strategy {fact.strategy} was halted: {fact.reason}",
    f.StrategyFaulted: lambda fact: f"strategy {fact.strategy} raised: {fact.reason}",
    f.BreakerTripped: lambda fact: (
        "" if fact.breaker == KILL else f"breaker {fact.breaker} tripped: {fact.reason}"
    ),
}


class Control:
    """Answers requests about a session, on its loop, and keeps the last fault in mind.

    An asynchronous context manager: inside it the socket is there and the engine is listed. Where either cannot be
    made this is logged, and the engine trades without.
    """

    def __init__(self, session: Session, kernel: Kernel, about: looking.About) -> None:
        self._session = session
        self._kernel = kernel
        self._about = about
        self._fault: dict[str, Any] | None = None
        self._server: ControlServer | None = None
        self._announcement: Announcement | None = None

    async def __aenter__(self) -> Control:
        path = socket_path(Path(self._about.path))
        server = ControlServer(path, asyncio.get_running_loop(), self.handle)
        try:
            await server.open()
            self._server = server
        except OSError as error:
            log.warning(
                "the control socket %s cannot be made (%s): the engine trades on and cannot be steered from outside",
                path,
                error.strerror or error,
            )
        try:
            self._announcement = Announcement(self._listed("" if self._server is None else str(path)))
        except OSError as error:
            log.warning("this engine is not listed by `fairlead ps` (%s)", error)
        self._kernel.observers.append(self.facts)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._announcement is not None:
            self._announcement.withdraw()
        if self._server is not None:
            await self._server.close()

    def _listed(self, path: str) -> Engine:
        about = self._about
        return Engine(
            run=about.path,
            pid=os.getpid(),
            host=socket.gethostname(),
            kind=about.kind,
            socket=path,
            started_ns=about.started_ns,
            version=about.version,
            strategies=tuple(self._kernel.runners),
            accounts=tuple(about.environments),
        )

    def facts(self, batch: Sequence[f.Fact]) -> None:
        """A turn's facts: the last one that is a fault is kept."""
        for fact in batch:
            words = _FAULTS.get(type(fact))
            if words is not None and (text := words(fact)):
                self._fault = {"now_ns": fact.now, "text": text}

    def handle(self, request: Request, who: str) -> Any:
        """The answer to a request. Raises ConfigurationError for one that is wrong, ControlError where it must wait."""
        verb = request.verb
        if verb in LOOKS:
            if request.arguments:
                raise ConfigurationError(f"{verb} takes no arguments")
            return self._look(verb)
        if (phase := self._session.phase) != "running":
            remedy = f": ask for {verb} again in a moment" if phase == "starting" else ""
            raise ControlError(REFUSED, f"the engine is {phase}{remedy}")
        return self._session.command(verb, who, request.why, request.arguments, request.request)

    def _look(self, what: str) -> Any:
        if what == "status":
            return looking.status(
                self._kernel,
                self._about,
                phase=self._session.phase,
                fault=self._fault,
            )
        if what == "risk":
            return risk(self._kernel)
        if what == "discrepancies":
            return discrepancies(self._kernel)
        return getattr(looking, what)(self._kernel)


def about(folder: RunFolder, parts: Parts, *, started_ns: int) -> looking.About:
    """What is known of a run before its kernel turns."""
    return looking.About(
        run=folder.name,
        path=str(folder.path),
        kind=kind_of(parts.brokers.values()),
        pid=os.getpid(),
        version=core_version(),
        started_ns=started_ns,
        streams={name: str(getattr(s, "label", name)) for name, s in parts.streams.items()},
        environments={name: broker.profile.environment for name, broker in parts.brokers.items()},
        waived=parts.waived,
    )
