"""Rate limits of venues: how many messages each still takes, and what is kept back for cancels."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import attrs

from fairlead._kernel.recorder import Recorder
from fairlead._models.venue import RateLimit, VenueProfile


@attrs.define
class Budget:
    """What was spent of one limit within its window."""

    limit: RateLimit
    spent: int = 0
    log: deque[tuple[int, int]] = attrs.Factory(deque)

    def left(self, now: int) -> int:
        """How much weight may be sent now."""
        while self.log and self.log[0][0] <= now - self.limit.window_ns:
            self.spent -= self.log.popleft()[1]
        return self.limit.weight - self.spent

    def spend(self, now: int, weight: int) -> None:
        """So much was sent."""
        self.spent += weight
        self.log.append((now, weight))

    def ready_ns(self, now: int, weight: int) -> int:
        """When so much may be sent: now, or when enough of what was spent is out of the window."""
        short = weight - self.left(now)
        for when, gone in self.log:
            if short <= 0:
                break
            short -= gone
            now = when + self.limit.window_ns
        return now


class Budgets:
    """The rate limits of each account's venue. An order needs room beyond the reserve, which is for cancels."""

    def __init__(self, recorder: Recorder, profiles: dict[str, VenueProfile]) -> None:
        self._recorder = recorder
        self._of = {
            name: tuple(Budget(limit) for limit in profile.rate_limits)
            for name, profile in profiles.items()
            if profile.rate_limits
        }
        self._resume()

    def __contains__(self, account: str) -> bool:
        return account in self._of

    def _resume(self) -> None:
        """Count what an engine before this one has sent: the venue's window goes on.

        Of cancels that were repeated only the last is known. One that still waited for room counts as if it had left.
        """
        orders = self._recorder.state.orders.values()
        for account, budgets in self._of.items():
            there = [order for order in orders if order.account == account]
            sent = [(order.sent_ns, False) for order in there if order.sent_ns]
            sent += [(order.replace_ns, False) for order in there if order.replace_ns]
            sent += [(order.cancel_ns, True) for order in there if order.cancel_ns]
            sent.sort()
            for budget in budgets:
                for when, cancels in sent:
                    budget.spend(when, budget.limit.cancel if cancels else budget.limit.order)

    def refusals(self, account: str) -> Iterable[str]:
        """Why no new order may be sent now."""
        now = self._recorder.now
        for budget in self._of.get(account, ()):
            limit = budget.limit
            left = budget.left(now) - limit.kept
            if left < limit.order:
                wait = (budget.ready_ns(now, limit.order + limit.kept) - now) / 1e9
                yield (
                    f"{limit.name}: {budget.spent} of {limit.weight} are spent, {limit.kept} are kept for cancels; "
                    f"there is room in {wait:.3g} s"
                )

    def spend_order(self, account: str) -> None:
        """An order is being sent."""
        for budget in self._of[account]:
            budget.spend(self._recorder.now, budget.limit.order)

    def cancel_ns(self, account: str) -> int:
        """When a cancel may be sent: now, or later."""
        now = self._recorder.now
        return max((b.ready_ns(now, b.limit.cancel) for b in self._of[account]), default=now)

    def spend_cancel(self, account: str) -> None:
        """A cancel is being sent."""
        for budget in self._of[account]:
            budget.spend(self._recorder.now, budget.limit.cancel)
