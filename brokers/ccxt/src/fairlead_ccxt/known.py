"""What an account remembers of orders: their instruments, and our ids by theirs."""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K", str, tuple[str, str])
_MOST = 20_000


class Known:
    """Only a memory: what is not in it is asked for. The oldest are forgotten."""

    def __init__(self) -> None:
        self._instruments: dict[str, str] = {}
        self._numbers: dict[str, str] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._accepted: dict[str, str] = {}

    def order(self, name: str, symbol: str, number: str = "") -> None:
        """An order, by our id; `number` is theirs."""
        self._instruments[name] = symbol
        _trim(self._instruments)
        if number:
            self._names[symbol, number] = name
            self._numbers[name] = number
            _trim(self._names)
            _trim(self._numbers)

    def accept(self, name: str) -> bool:
        """Whether an order is accepted only now; it is told of once, by its answer or on the stream."""
        if name in self._accepted:
            return False
        self._accepted[name] = ""
        _trim(self._accepted)
        return True

    def symbol(self, name: str) -> str | None:
        """What an order trades."""
        return self._instruments.get(name)

    def number(self, name: str) -> str:
        """Their id of an order; empty where it is not known."""
        return self._numbers.get(name, "")

    def named(self, symbol: str, number: str) -> str | None:
        """Our id for theirs."""
        return self._names.get((symbol, number))


def _trim(kept: dict[K, str]) -> None:
    while len(kept) > _MOST:
        del kept[next(iter(kept))]
