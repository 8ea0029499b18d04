"""The strategies. Each answers for the differences that it is about, and leaves the others to the next."""

from __future__ import annotations

from typing import Literal

from fairlead import ConfigurationError, duration
from fairlead.ports import Action, Discrepancy, DiscrepancyKind, Resolution, Severity, View

_RANK = {Severity.MINOR: 0, Severity.MODERATE: 1, Severity.CRITICAL: 2}
_FIGURES = (DiscrepancyKind.CASH, DiscrepancyKind.MODE)
_ORDERS = (DiscrepancyKind.EXTERNAL_ORDER, DiscrepancyKind.ORDER_STATUS, DiscrepancyKind.ORDER_TERMS)


class _Strategy:
    """What they share: how often to compare, and from which severity on they answer."""

    least: Severity = Severity.MINOR

    def __init__(
        self, *, every: str | int = 0, least: str | None = None, cause: str = "", name: str | None = None
    ) -> None:
        self.name = name or type(self).__name__
        self.every_ns = duration(every) if every else 0
        self.cause = cause
        if least is not None:
            try:
                self.least = Severity(least)
            except ValueError:
                raise ConfigurationError(
                    f"{self.name}: least={least!r} is no severity: write {', '.join(Severity)}"
                ) from None

    def resolve(self, discrepancy: Discrepancy, view: View) -> Resolution | None:
        """What to do about one difference; None below the least severity."""
        if _RANK[discrepancy.severity] < _RANK[self.least]:
            return None
        return self.decide(discrepancy)

    def decide(self, discrepancy: Discrepancy) -> Resolution | None:
        """What to do about a difference that is severe enough."""
        raise NotImplementedError


class WarnOnly(_Strategy):
    """Tells of every difference, and changes nothing."""

    def decide(self, discrepancy: Discrepancy) -> Resolution | None:
        """Warn."""
        return Resolution(Action.WARN)


class AutoAdjust(_Strategy):
    """Takes the venue's truth over: positions, cash and orders, as adjustments that name their `cause`.

    What a position has lost is lost by the strategies that hold it, in proportion; what it has gained is EXTERNAL.
    Settings of the account are no figures to take over: they are only told.
    """

    def decide(self, discrepancy: Discrepancy) -> Resolution | None:
        """Adopt; an order that is over here is taken back there."""
        if discrepancy.kind is DiscrepancyKind.MODE:
            return Resolution(Action.WARN)
        action = Action.CANCEL if discrepancy.kind is DiscrepancyKind.ORDER_STATUS else Action.ADOPT
        return Resolution(action, self.cause or "adopted from the venue")


class SyncToLocal(_Strategy):
    """Trades until the venue has what was here. Cash and settings cannot be traded back: they are only told.

    The orders go through the gate like any other, and only once the account may trade.
    """

    def decide(self, discrepancy: Discrepancy) -> Resolution | None:
        """Trade positions back, take unknown and changed orders back, warn of the rest."""
        if discrepancy.kind in _FIGURES:
            return Resolution(Action.WARN)
        action = Action.CANCEL if discrepancy.kind in _ORDERS else Action.TRADE_BACK
        return Resolution(action, self.cause or "traded back")


class HaltOnMismatch(_Strategy):
    """Halts the account until a person resumes it. From `least="moderate"` on, unless told otherwise."""

    least = Severity.MODERATE

    def decide(self, discrepancy: Discrepancy) -> Resolution | None:
        """Halt."""
        return Resolution(Action.HALT, reason=str(discrepancy))


class ManualApproval(_Strategy):
    """Leaves every difference to a person, who decides about it by its id: `engine.approve(id, why)`."""

    def decide(self, discrepancy: Discrepancy) -> Resolution | None:
        """Ask."""
        return Resolution(Action.ASK)


class FlattenUnknown(_Strategy):
    """Closes what nobody here wanted: positions that are only there, the excess of others, unknown orders."""

    def decide(self, discrepancy: Discrepancy) -> Resolution | None:
        """Flatten or cancel what is unknown; leave the rest to the next strategy."""
        cause = self.cause or "nobody here wanted it"
        if discrepancy.kind in _ORDERS:
            return Resolution(Action.CANCEL, cause)
        if discrepancy.kind in _FIGURES or abs(discrepancy.theirs) < abs(discrepancy.ours):
            return None
        return Resolution(Action.FLATTEN, cause)


class ExternalOrders(_Strategy):
    """What becomes of orders at the venue that nobody here placed: `adopt` (the default), `ignore` or `cancel`."""

    def __init__(
        self,
        policy: Literal["adopt", "ignore", "cancel"] = "adopt",
        *,
        every: str | int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(every=every, name=name)
        if policy not in ("adopt", "ignore", "cancel"):
            raise ConfigurationError(
                f"{self.name}: {policy!r} is no policy: write 'adopt', 'ignore' or 'cancel'"
            )
        self._action = Action(policy)

    def decide(self, discrepancy: Discrepancy) -> Resolution | None:
        """Follow the policy for external orders; leave everything else to the next strategy."""
        if discrepancy.kind is DiscrepancyKind.EXTERNAL_ORDER:
            return Resolution(self._action, "an external order")
        return None
