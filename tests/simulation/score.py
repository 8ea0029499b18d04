"""Many days, and what they showed: the scorecard."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

import attrs

from simulation.checker import EXCUSED as EXCUSED_INVARIANTS
from simulation.checker import INVARIANTS, Violation, check
from simulation.day import Outcome, play
from simulation.faults import CATALOGUE, EXCUSED, KINDS, drawn


@attrs.define
class Score:
    """What a number of days showed."""

    days: int = 0
    kills: int = 0
    starts: int = 0
    orders: int = 0
    fills: int = 0
    seconds: float = 0.0
    fired: Counter[str] = attrs.Factory(Counter)
    days_with: Counter[str] = attrs.Factory(Counter)
    violations: list[Violation] = attrs.Factory(list)

    def add(self, outcome: Outcome) -> list[Violation]:
        """Look at one more day."""
        found = check(outcome)
        self.days += 1
        self.kills += outcome.kills
        self.starts += len(outcome.lives)
        self.orders += outcome.orders
        self.fills += outcome.fills
        self.fired.update(outcome.fired)
        self.days_with.update(name for name, times in outcome.fired.items() if times)
        self.violations += found
        return found

    def silent(self, kinds: Iterable[str]) -> list[str]:
        """Kinds that should have struck and never did."""
        return sorted(name for name in kinds if not self.fired[name])

    def rows(self) -> Counter[str]:
        """How often each row of the catalogue was drawn."""
        times: Counter[str] = Counter()
        for name, count in self.fired.items():
            for row in KINDS[name].rows:
                times[row] += count
        return times

    def card(self, kinds: Iterable[str]) -> str:
        """The scorecard."""
        kinds = tuple(kinds)
        lines = [
            f"{self.days} days, {self.days / self.seconds:.1f} a second",
            f"{self.starts} starts, {self.kills} of them ended by a kill",
            f"{self.orders} orders accepted, {self.fills} fills",
            f"{len(INVARIANTS)} invariants checked, {len(EXCUSED_INVARIANTS)} excused",
            f"{len(drawn(kinds))} of {len(CATALOGUE)} rows of the catalogue drawn, {len(EXCUSED)} excused",
            "",
            "fault              fired    days  rows",
        ]
        for name in sorted(kinds):
            rows = " ".join(KINDS[name].rows)
            lines.append(f"{name:<16} {self.fired[name]:>7} {self.days_with[name]:>7}  {rows}")
        if silent := self.silent(kinds):
            lines += ["", f"never fired: {', '.join(silent)}"]
        lines += ["", f"{len(self.violations)} violations"]
        causes: dict[str, list[Violation]] = defaultdict(list)
        for violation in self.violations:
            causes[violation.invariant].append(violation)
        for name, found in sorted(causes.items()):
            lines.append(f"  {name}: {len(found)} in {len({v.seed for v in found})} days; {found[0]}")
        return "\n".join(lines)


def simulate(
    seeds: Iterable[int],
    kinds: Iterable[str] = tuple(KINDS),
    *,
    within: float | None = None,
    at_least: int = 0,
    restart_at_end: bool = False,
    told: Callable[[Violation], None] = lambda violation: None,
) -> Score:
    """Play days; stop after `within` seconds, though not before `at_least` days."""
    score, began = Score(), time.perf_counter()
    for seed in seeds:
        for violation in play(seed, kinds, score.add, restart_at_end=restart_at_end):
            told(violation)
        score.seconds = time.perf_counter() - began
        if within is not None and score.seconds > within and score.days >= at_least:
            break
    return score
