"""What an account remembers of its orders, so that what Bybit tells of them can be told apart."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from fairlead.ports import Replace

_MOST = 2_000


class Terms(NamedTuple):
    """What an order works on; a price is None where it has none."""

    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None


class Known:
    """Orders by our ids: instruments, terms, changes that were asked for, and which wait for a price.

    Only a memory: what is not in it is asked for. The oldest are forgotten.
    """

    def __init__(self) -> None:
        self.instruments: dict[str, str] = {}
        self.waiting: dict[str, None] = {}
        """Orders that wait for a price."""
        self._told: dict[str, None] = {}
        self._terms: dict[str, Terms] = {}
        self._asked: dict[str, list[Replace]] = {}
        self._paid: dict[str, None] = {}

    def order(self, name: str, instrument: str, *, waits: bool) -> None:
        """An order, and whether it waits for a price."""
        self.instruments[name] = instrument
        if waits:
            self.waiting[name] = None
        else:
            self.waiting.pop(name, None)
        _trim(self.instruments, self.waiting)

    def accepts(self, name: str) -> bool:
        """Whether an order is told of for the first time."""
        new = name not in self._told
        self._told[name] = None
        _trim(self._told)
        return new

    def told(self, name: str) -> bool:
        """Whether it was told of."""
        return name in self._told

    def asks(self, command: Replace) -> None:
        """A change was asked for."""
        self._asked.setdefault(command.client_order_id, []).append(command)
        _trim(self._asked)

    def ends(self, command: Replace) -> None:
        """That change is not going to happen."""
        rest = [one for one in self._asked.get(command.client_order_id, ()) if one.attempt != command.attempt]
        if rest:
            self._asked[command.client_order_id] = rest
        else:
            self._asked.pop(command.client_order_id, None)

    def changed(self, name: str, terms: Terms) -> int | None:
        """Of new terms the number of the change that asked for them, 0 where nobody here did; None of the old ones."""
        before, self._terms[name] = self._terms.get(name), terms
        _trim(self._terms)
        for asked in self._asked.get(name, ()):
            if terms == Terms(asked.quantity, asked.limit_price, asked.stop_price):
                self.ends(asked)
                return asked.attempt
        return 0 if before is not None and before != terms else None

    def ended(self, name: str) -> None:
        """An order will not change any more."""
        self._terms.pop(name, None)
        self._asked.pop(name, None)
        self.waiting.pop(name, None)

    def pays(self, number: str) -> bool:
        """Whether a payment is new; it is not from now on."""
        new = number not in self._paid
        self._paid[number] = None
        _trim(self._paid)
        return new


def _trim(*all_kept: dict[str, Any]) -> None:
    for kept in all_kept:
        while len(kept) > _MOST:
            del kept[next(iter(kept))]
