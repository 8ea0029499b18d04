"""How alike an entry may be to what is held already."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from math import sqrt

from fairlead import OrderIntent, Side, duration
from fairlead.ports import View
from fairlead_breakers._shared import reduces
from fairlead_breakers.limits.rule import NumberRule

EVERY_NS = duration("1m")
"""How often marks are looked at."""

_MOST, _LEAST = 120, 20


class Correlation(NumberRule):
    """The highest correlation of an entry with a position, of returns by the minute over the last two hours.

    Holding two instruments that move alike is one position of twice the size; the opposite of one that moves the other
    way is too. It is unknown for the first 20 minutes, and an entry beside another position is refused until then.
    """

    of_orders = False
    example = "0.8"

    def set(self, setting: object) -> None:
        """Take a correlation over."""
        super().set(setting)
        if not hasattr(self, "_marks"):
            self._marks: dict[str, deque[float]] = {}

    def sample(self, view: View) -> None:
        """Look at all marks, once a minute."""
        for name in view.watched():
            self._marks.setdefault(name, deque(maxlen=_MOST)).append(view.mark(name) or 0.0)

    def why(self, intent: OrderIntent, view: View) -> str:
        """Compare it with each position."""
        if reduces(intent, view):
            return ""
        account, owner = intent.account, self.scope.owner
        for name in self.scope.instruments(account, view):
            held = view.position(account, name, owner)
            if name == intent.instrument or not held:
                continue
            found = self._between(intent.instrument, name)
            if found is None:
                return f"max_correlation: the correlation of {intent.instrument} with {name} is not known yet"
            if (held > 0) != (intent.side is Side.BUY):
                found = -found
            if found > self.most:
                return f"correlation {found:.3f} with the position in {name} is above {self.text}"
        return ""

    def _between(self, one: str, other: str) -> float | None:
        pairs = list(
            zip(reversed(self._marks.get(one, ())), reversed(self._marks.get(other, ())), strict=False)
        )
        moves = [
            (a / before_a - 1, b / before_b - 1)
            for (a, b), (before_a, before_b) in pairwise(pairs)
            if a and b and before_a and before_b
        ]
        return correlation(moves) if len(moves) >= _LEAST else None


def correlation(moves: list[tuple[float, float]]) -> float:
    """Pearson's correlation of pairs; 0.0 where one of the two does not move."""
    count = len(moves)
    mean_a, mean_b = sum(a for a, _ in moves) / count, sum(b for _, b in moves) / count
    both = sum((a - mean_a) * (b - mean_b) for a, b in moves)
    square_a, square_b = sum((a - mean_a) ** 2 for a, _ in moves), sum((b - mean_b) ** 2 for _, b in moves)
    return both / sqrt(square_a * square_b) if square_a and square_b else 0.0
