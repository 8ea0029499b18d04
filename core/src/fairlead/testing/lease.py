"""A lease that a test grants, lets run out, and takes away."""

from __future__ import annotations

from fairlead.errors import ConnectivityError, LeaseLost
from fairlead.ports import Clock
from fairlead.units import duration


class FakeLease:
    """Put it among an engine's plugins; its deadline is `lasts` after each time that it is taken or renewed.

    `lost` says why it is refused, "" while it is granted; while it is not `reachable`, nobody can tell.
    """

    def __init__(self, clock: Clock, lasts: str = "6s", epoch: int = 1) -> None:
        self.lost = ""
        self.reachable = True
        self.held = False
        self.renewals = 0
        self._clock = clock
        self._lasts_ns = duration(lasts)
        self._epoch = epoch

    def acquire(self) -> tuple[int, int | None]:
        """Take it in a new epoch. Raises LeaseLost where it is refused."""
        if self.lost:
            raise LeaseLost(self.lost)
        self.held = True
        epoch, self._epoch = self._epoch, self._epoch + 1
        return epoch, self._deadline()

    async def renew(self) -> int | None:
        """Extend it. Raises LeaseLost where it is refused, ConnectivityError while it cannot be reached."""
        if not self.reachable:
            raise ConnectivityError("the lease's database does not answer")
        if self.lost:
            raise LeaseLost(self.lost)
        self.renewals += 1
        return self._deadline()

    def release(self) -> None:
        """Give it back."""
        self.held = False

    def _deadline(self) -> int:
        return self._clock.now() + self._lasts_ns
