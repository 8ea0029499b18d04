"""Keeping a lease that ends: renewed in time, and nothing leaves once it has not been."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from fairlead.errors import LeaseLost
from fairlead.ports import Command, Lease, NotSent, Replace, ReplaceRejected, Report, Submit, Time

log = logging.getLogger("fairlead.lease")


class LeaseKeeper:
    """Renews a lease when a third of its time is over, and guards what is sent by the clock itself.

    A lease that is lost, or that could not be renewed by its deadline, an answer that never comes included, calls
    `lost`; whoever takes the account over
    need not know whether this process has noticed.
    """

    def __init__(self, lease: Lease, deadline_ns: int, time: Time, lost: Callable[[LeaseLost], None]) -> None:
        self.deadline_ns = deadline_ns
        self._lease = lease
        self._time = time
        self._lost = lost

    def guard(
        self, send: Callable[[Command], None], report: Callable[[Report], None]
    ) -> Callable[[Command], None]:
        """What sends only while the lease holds. An order that came too late is reported as not sent."""
        now = self._time.now

        def sent(command: Command) -> None:
            if now() < self.deadline_ns:
                send(command)
            elif isinstance(command, Submit):
                report(
                    NotSent(
                        client_order_id=command.client_order_id, reason="the lease of the account has ended"
                    )
                )
            elif isinstance(command, Replace):
                name, why = command.client_order_id, "the lease of the account has ended"
                report(
                    ReplaceRejected(
                        client_order_id=name, attempt=command.attempt, code="not_sent", reason=why
                    )
                )

        return sent

    async def keep(self) -> None:
        """Renew for as long as the engine runs."""
        while True:
            left = self.deadline_ns - self._time.now()
            await asyncio.sleep(max(0.0, self._time.delay(self._time.now() + left // 3)))
            try:
                async with asyncio.timeout(max(_AGAIN_SECONDS, self._time.delay(self.deadline_ns))):
                    deadline = await self._lease.renew()
            except LeaseLost as error:
                self._end(str(error))
                return
            except (
                Exception
            ) as error:  # out of reach, say: there is time until the deadline, and then it is over
                why = str(error) or type(error).__name__
                log.warning("the lease was not renewed: %s", why)
                if self._time.now() >= self.deadline_ns:
                    self._end(f"it could not be renewed before its deadline ({why})")
                    return
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            if deadline is None:
                return
            if deadline <= self._time.now():
                self._end("its new deadline has passed already by this engine's clock")
                return
            self.deadline_ns = deadline

    def _end(self, why: str) -> None:
        self.deadline_ns = 0
        self._lost(
            LeaseLost(f"the lease is lost: {why}; nothing is sent any more, start again to take it back")
        )


_AGAIN_SECONDS = 0.2
