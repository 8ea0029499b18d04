"""`python -m simulation`: play days, print the scorecard; 1 where anything did not hold."""

from __future__ import annotations

import argparse
import sys

from simulation.checker import check
from simulation.day import Outcome, play
from simulation.faults import KINDS
from simulation.score import simulate


def parser() -> argparse.ArgumentParser:
    """The command line."""
    words = argparse.ArgumentParser(prog="./dev simulate", description="Play simulated days of trading.")
    words.add_argument("--days", type=int, default=100, metavar="N")
    words.add_argument("--seed", type=int, default=0, metavar="S", help="the first day (default 0)")
    words.add_argument("--faults", default="", metavar="A,B", help="only these kinds (default all)")
    words.add_argument("--replay", type=int, metavar="SEED", help="play one day and tell all of it")
    words.add_argument("--restart", action="store_true", help="start anew when the faults are over")
    words.add_argument("--list", action="store_true", help="list the kinds of fault")
    return words


def chosen(text: str) -> tuple[str, ...]:
    """The kinds that a user names."""
    names = tuple(text.split(",")) if text else tuple(KINDS)
    unknown = [name for name in names if name not in KINDS]
    if unknown:
        sys.exit(f"simulate: no fault is named {', '.join(unknown)}: --list shows them")
    return names


def tell(outcome: Outcome) -> int:
    """One day, in full."""
    print(f"day {outcome.seed}, trace {outcome.trace()}")
    print("faults", ", ".join(f"{name} {times}" for name, times in sorted(outcome.fired.items()) if times))
    for life in outcome.lives:
        print(f"  start at {life.began:10.3f} s, epoch {life.epoch}: {life.end}")
    violations = check(outcome)
    for violation in violations:
        print(violation)
    print(f"{outcome.orders} orders, {outcome.fills} fills, {len(violations)} violations")
    return min(len(violations), 1)


def main() -> int:
    """Do what the words say."""
    words = parser().parse_args()
    if words.list:
        for fault in KINDS.values():
            print(f"{fault.name:<16} {' '.join(fault.rows):<10} {fault.what}")
        return 0
    kinds = chosen(words.faults)
    if words.replay is not None:
        return int(play(words.replay, kinds, tell, restart_at_end=words.restart))
    seeds = range(words.seed, words.seed + words.days)
    score = simulate(seeds, kinds, restart_at_end=words.restart, told=print)
    print(score.card(kinds))
    return int(bool(score.violations))


if __name__ == "__main__":
    sys.exit(main())
