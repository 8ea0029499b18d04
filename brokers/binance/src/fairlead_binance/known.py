"""What an account remembers of orders, so that what Binance says of them by other names is understood."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fairlead import Side

_MOST = 20_000


class Known:
    """Orders by our ids: their instruments, sides and whether they wait for a price; and our ids by theirs.

    Only a memory: what is not in it is asked for. The oldest are forgotten.
    """

    def __init__(self) -> None:
        self.waits: dict[str, None] = {}
        """Conditional orders of futures, by our id."""
        self._told: dict[tuple[str, str, str], None] = {}
        self._terms: dict[str, tuple[Decimal, Decimal]] = {}
        self._paid: dict[tuple[str, str], None] = {}
        self._instruments: dict[str, str] = {}
        self._sides: dict[str, Side] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._aliases: dict[str, str] = {}

    def order(self, name: str, instrument: str, side: Side, *, waits: bool = False) -> None:
        """An order of ours, or one that Binance tells of under this name."""
        self._instruments[name] = instrument
        self._sides[name] = side
        if waits:
            self.waits[name] = None
        for kept in (self._instruments, self._sides, self.waits):
            _trim(kept)

    def number(self, native: str, number: str, name: str) -> None:
        """Theirs for an order; numbers are of one symbol."""
        if number and number != "0":
            self._names[native, number] = name
            _trim(self._names)

    def alias(self, other: str, name: str) -> None:
        """Another name for an order, which somebody gave it at the venue."""
        self._aliases[other] = self._aliases.get(name, name)
        _trim(self._aliases)

    def is_news(self, kind: str, name: str, what: str) -> bool:
        """Whether this was not told of an order before: its answer and the stream both tell."""
        news = (kind, name, what) not in self._told
        self._told[kind, name, what] = None
        _trim(self._told)
        return news

    def changes(self, name: str, quantity: Decimal, price: Decimal) -> bool:
        """Whether an order was not told of on these terms last: answer and stream both tell of a change."""
        before, self._terms[name] = self._terms.get(name), (quantity, price)
        _trim(self._terms)
        return before != (quantity, price)

    def pays(self, number: str, native: str) -> bool:
        """Whether a payment with this number is new; it is not from now on."""
        new = (number, native) not in self._paid
        self._paid[number, native] = None
        _trim(self._paid)
        return new

    def instrument(self, name: str) -> str | None:
        """The long form of an order's instrument."""
        return self._instruments.get(name)

    def side(self, name: str) -> Side | None:
        """An order's side."""
        return self._sides.get(name)

    def named(self, native: str, number: str) -> str | None:
        """Our id for their number."""
        return self._names.get((native, number))

    def ours(self, native: str, number: str, name: str) -> str:
        """The name that an order goes by here, whatever it is called there now."""
        return self._names.get((native, number)) or self._aliases.get(name, name)


def _trim(kept: dict[Any, Any]) -> None:
    while len(kept) > _MOST:
        del kept[next(iter(kept))]
