"""What may be traded at all, and when."""

from __future__ import annotations

from collections.abc import Iterator

from fairlead import ConfigurationError, OrderIntent, OrderType
from fairlead.ports import Reference, View
from fairlead_breakers._shared import is_called, protects, reduces
from fairlead_breakers.limits.hours import TradingHours
from fairlead_breakers.limits.rule import Rule


class Listing(Rule):
    """A rule whose setting is a list of instruments, by long or short name."""

    changes = False

    def set(self, setting: object) -> None:
        """Take a list over."""
        if isinstance(setting, str) or not setting:
            raise ConfigurationError(f"{setting!r} is no list of instruments: write ['BTC/USDT', 'ETH/USDT']")
        self.names = frozenset(str(name) for name in setting)  # type: ignore[attr-defined]

    def refers(self) -> Iterator[Reference]:
        """What its scope and its list name."""
        yield from super().refers()
        yield from (Reference(self.name, "instrument", name) for name in sorted(self.names))

    @property
    def text(self) -> str:
        """The list."""
        return ", ".join(sorted(self.names))


class Restricted(Listing):
    """Instruments that must not be bought or sold, but to get rid of them."""

    def why(self, intent: OrderIntent, view: View) -> str:
        """Look it up."""
        if not is_called(view.instrument(intent.instrument), self.names) or reduces(intent, view):
            return ""
        return f"{intent.instrument} is restricted: {self.text}"


class Allowed(Listing):
    """The only instruments that may be traded; what is held of others may be reduced."""

    def why(self, intent: OrderIntent, view: View) -> str:
        """Look it up."""
        if is_called(view.instrument(intent.instrument), self.names) or reduces(intent, view):
            return ""
        return f"{intent.instrument} is not among what is allowed: {self.text}"


class Hours(Rule):
    """When orders may be sent: in a session; in its auctions limit orders only."""

    changes = False

    def set(self, setting: object) -> None:
        """Take hours over."""
        self.hours = TradingHours.of(setting)

    @property
    def text(self) -> str:
        """The hours."""
        return str(self.hours)

    def why(self, intent: OrderIntent, view: View) -> str:
        """Look at the clock. What protects a position always passes."""
        if protects(intent):
            return ""
        closed = self.hours.closed(view.now)
        if closed:
            return f"{intent.instrument} is not traded now: {closed} ({self.text})"
        auction = self.hours.auction(view.now)
        if auction and intent.type is not OrderType.LIMIT:
            return f"{intent.instrument} is in an auction ({auction}), which takes limit orders only"
        return ""
