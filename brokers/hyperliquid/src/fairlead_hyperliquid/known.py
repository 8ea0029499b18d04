"""What an account remembers of orders: whose a number of the venue's is, and how much of it has filled.

Only a memory. Our ids are in the cloids at the venue, so that what is not in it is asked for.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs

_MOST = 20_000


@attrs.define
class Line:
    """One order of ours: its numbers at the venue, oldest first, and those that were told of.

    `sent` says that it was sent from here, `canceling` that its cancel was, `ended` that the end of its last number was
    told.
    """

    name: str
    numbers: list[int] = attrs.Factory(list)
    told: list[int] = attrs.Factory(list)
    sent: bool = False
    canceling: bool = False
    ended: bool = False


class Known:
    """Orders by our ids and by their numbers. The oldest are forgotten."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._lines: dict[str, Line] = {}
        self._filled: dict[int, Decimal] = {}
        self._fills: dict[str, None] = {}

    def line(self, name: str) -> Line:
        """An order, which is known from now on."""
        found = self._lines.get(name)
        if found is None:
            found = self._lines[name] = Line(name)
            _trim(self._lines)
        return found

    def number(self, number: int, name: str) -> None:
        """A number of an order."""
        self._names[number] = name
        _trim(self._names)
        numbers = self.line(name).numbers
        if number not in numbers:
            numbers.append(number)
            numbers.sort()

    def name(self, number: int) -> str | None:
        """Whose a number is."""
        return self._names.get(number)

    def fill(self, fill_id: str, number: int, quantity: Decimal) -> None:
        """An execution, by stream or list; it counts once."""
        if fill_id not in self._fills:
            self._fills[fill_id] = None
            self._filled[number] = self._filled.get(number, Decimal(0)) + quantity
            _trim(self._fills)
            _trim(self._filled)

    def filled(self, number: int) -> Decimal:
        """How much of a number has filled, as far as it was told."""
        return self._filled.get(number, Decimal(0))

    def before(self, name: str, number: int) -> Decimal:
        """How much an order had filled under its numbers before this one."""
        return sum((self.filled(one) for one in self.line(name).numbers if one < number), Decimal(0))


def _trim(kept: dict[Any, Any]) -> None:
    while len(kept) > _MOST:
        del kept[next(iter(kept))]
