"""What a limit is about: everything, one instrument, a group of them, or one strategy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from fairlead import ConfigurationError, Order, OrderIntent
from fairlead.ports import Reference, View
from fairlead_breakers._shared import is_called, shrinks

_KINDS = ("base", "venue", "tag")


@dataclass(frozen=True)
class Scope:
    """The orders and positions that a limit counts together, on each account by itself.

    What is empty does not narrow it. `tag` is known of orders only; `without` are instruments with an entry of their
    own. `words` are put after a reason.
    """

    words: str = ""
    members: frozenset[str] = frozenset()
    base: str = ""
    venue: str = ""
    strategy: str = ""
    tag: str = ""
    without: frozenset[str] = frozenset()

    def holds(self, instrument: str, view: View) -> bool:
        """Whether an instrument is in it."""
        if not (self.members or self.base or self.venue or self.without):
            return True
        found = view.instrument(instrument)
        if self.without and is_called(found, self.without):
            return False
        if self.members and not is_called(found, self.members):
            return False
        return self.base in ("", found.base) and self.venue in ("", found.venue)

    def covers(self, intent: OrderIntent, view: View) -> bool:
        """Whether an order is in it."""
        if (self.strategy and intent.strategy != self.strategy) or (self.tag and intent.tag != self.tag):
            return False
        return self.holds(intent.instrument, view)

    def orders(self, account: str, view: View) -> Iterator[Order]:
        """The open orders in it."""
        return (order for order in view.orders(account) if self.covers(order.intent, view))

    def instruments(self, account: str, view: View, more: OrderIntent | None = None) -> Iterator[str]:
        """The instruments in it of which something is held or may come to be, that of one more order first."""
        names = dict.fromkeys([] if more is None else [more.instrument])
        names.update(dict.fromkeys(p.key.instrument for p in view.positions(account)))
        names.update(dict.fromkeys(order.instrument for order in view.orders(account)))
        return (name for name in names if self.holds(name, view))

    def refers(self, setting: str) -> Iterator[Reference]:
        """What it names."""
        named = [("instrument", name) for name in sorted(self.members)]
        named += [("base", self.base), ("venue", self.venue), ("strategy", self.strategy)]
        return (Reference(setting, kind, name) for kind, name in named if name)

    def reach(
        self, account: str, instrument: str, view: View, more: OrderIntent | None = None
    ) -> tuple[Decimal, Decimal]:
        """How long and how short a position in it can get, with one more order where that is of its instrument."""
        own = more if more is not None and more.instrument == instrument else None
        return view.reach(account, instrument, self.owner, own)

    def shrinks(self, intent: OrderIntent, view: View) -> bool:
        """Whether an order can only make its position smaller."""
        return shrinks(intent, view, self.owner)

    @property
    def owner(self) -> str | None:
        """The strategy whose positions count; None for the account's."""
        return self.strategy or None


def instrument_scope(name: str) -> Scope:
    """One instrument, by its long or short name."""
    return Scope(words=f" (instrument {name})", members=frozenset([name]))


def strategy_scope(name: str) -> Scope:
    """One strategy."""
    return Scope(words=f" (strategy {name})", strategy=name)


def group_scope(name: str, members: Sequence[str]) -> Scope:
    """A named list of instruments (a sector, say), or `base:BTC`, `venue:binance`, `tag:breakout`.

    Raises ConfigurationError for a name of neither kind.
    """
    words, (kind, colon, value) = f" (group {name})", name.partition(":")
    if isinstance(members, str):
        raise ConfigurationError(f"members {members!r} is one text: write a list of instruments")
    if members:
        return Scope(words=words, members=frozenset(members))
    if colon and value and kind in _KINDS:
        return Scope(
            words=words,
            base=value if kind == "base" else "",
            venue=value if kind == "venue" else "",
            tag=value if kind == "tag" else "",
        )
    raise ConfigurationError(
        "nothing says what belongs to it: give members=[...], or call it base:NAME, venue:NAME or tag:NAME"
    )
