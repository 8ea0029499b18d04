"""`./dev kill-test [--kills N] [--seed N] [--lanes N] [--keep FOLDER]`: kill -9, again and again, and judge."""

import argparse
import itertools
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lane import LABELS, Lane, Tally
from unsafe import SAFEGUARDS

KILLS_A_LANE = 50
LANES = 3
"""Most of a life is waiting, for a venue's proof above all."""


class Labels:
    """Every label in turn, in an order by dice, for all lanes."""

    def __init__(self, dice: random.Random) -> None:
        shuffled = list(LABELS)
        dice.shuffle(shuffled)
        self._endless = itertools.cycle(shuffled)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        with self._lock:
            return next(self._endless)


def kill(kills: int, *, seed: int, folder: Path, lanes: int = LANES, without: str = "") -> Tally:
    """Kill so often, in lanes side by side, each with a venue of its own.

    `without` names a safeguard that is taken out, to see that it is missed.
    """
    dice = random.Random(seed)
    labels = Labels(dice)
    count = max(min(lanes, kills), -(-kills // KILLS_A_LANE))
    sizes = [kills // count + (number < kills % count) for number in range(count)]
    tally = Tally()

    def run(number: int, size: int, seed: int) -> Tally:
        lane = Lane(
            folder / f"lane-{number:03d}", seed=seed, plain=number % 2 == 1, labels=labels, without=without
        )
        found = lane.run(size)
        print(
            f"lane {number}: {found.kills} kills, {len(found.breaches)} breaches", file=sys.stderr, flush=True
        )
        return found

    with ThreadPoolExecutor(lanes) as pool:
        for found in pool.map(run, range(len(sizes)), sizes, [dice.randrange(1 << 30) for _ in sizes]):
            tally.add(found)
    return tally


def percentile(values: list[float], part: float) -> float:
    """The value below which that part of all lies."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))] if values else 0.0


def report(tally: Tally, seconds: float = 0.0) -> str:
    """What a person reads."""
    text = [
        f"  {label:42} {tally.reached[label]:5} {tally.missed[label] or '':5}"
        for label in sorted({*tally.reached, *tally.missed})
    ]
    breaches = len(tally.breaches)
    duplicates = sum("I1:" in breach or "I2:" in breach for breach in tally.breaches)
    lost = sum("I13:" in b or "I4:" in b or " lost: " in b for b in tally.breaches)
    fills = sum("I7:" in breach for breach in tally.breaches)
    return "\n".join(
        [
            *tally.breaches[:200],
            f"{'killed at':42}  times  (not reached: killed there after a while)",
            *text,
            f"kills {tally.kills}, and {tally.venue_kills} of the venue, in {seconds:.0f} s; "
            f"{tally.orders} orders and {tally.fills} fills at the venue, {tally.facts} facts",
            f"duplicates {duplicates}, lost orders {lost}, lost or doubled fills {fills}, breaches in all {breaches}",
            f"restart, process start to strategies: {len(tally.restarts)} of them, "
            f"p50 {percentile(tally.restarts, 0.5):.2f} s, p99 {percentile(tally.restarts, 0.99):.2f} s, "
            f"longest {max(tally.restarts, default=0):.2f} s",
        ]
    )


def main() -> int:
    words = argparse.ArgumentParser(
        prog="./dev kill-test", description="kill -9 an engine that trades, and judge."
    )
    words.add_argument("--kills", type=int, default=100)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--lanes", type=int, default=LANES, help="so many engines side by side")
    words.add_argument("--keep", type=Path, metavar="FOLDER", help="leave journals and ledgers there")
    words.add_argument("--without", default="", choices=["", *SAFEGUARDS], help="take a safeguard out")
    given = words.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kill-") as temporary:
        tally = kill(
            given.kills,
            seed=given.seed,
            folder=given.keep or Path(temporary),
            lanes=given.lanes,
            without=given.without,
        )
    print(report(tally, time.monotonic() - begun))
    return 1 if tally.breaches else 0
