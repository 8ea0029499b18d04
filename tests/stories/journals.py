"""Journals of trading at random, for tests that spoil them."""

import random
from collections.abc import Sequence
from pathlib import Path

from fairlead import facts as f
from fairlead._storage.journal import Journal
from fairlead.testing import Bench

SEGMENT = 4096


def trades(count: int, seed: int = 1) -> list[list[f.Fact]]:
    """The turns of a bench that trades at random, as they stood in its journal."""
    dice, bench = random.Random(seed), Bench()
    bench.price(100)
    for _ in range(count):
        action = dice.randrange(5)
        if action == 0:
            bench.do(lambda s: s.buy(1, stop_loss=dice.randint(50, 90), take_profit=dice.randint(110, 150)))
        elif action == 1:
            bench.do(lambda s: s.sell(1))
        elif action == 2:
            bench.do(lambda s: s.buy(1, limit_price=dice.randint(60, 99)))
        elif action == 3:
            bench.price(dice.randint(60, 140))
        else:
            bench.advance("1m")
    return [[f.decode(data) for data in record] for record in bench.journal.records]


def write(folder: Path, turns: Sequence[Sequence[f.Fact]], *, close: bool = True) -> None:
    """Append turns to a journal of small segments; not closed, it is left as a killed engine leaves it."""
    journal = Journal.open(folder, boot_id="", sync_behind=False, segment_bytes=SEGMENT)
    for turn in turns:
        journal.append(turn)
    if close:
        journal.close()
