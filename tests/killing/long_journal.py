"""How long a start takes on a long journal: `python tests/killing/long_journal.py --facts 1000000 --starts 100`."""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import evidence
from lane import Lane

from fairlead import facts as f
from fairlead._kernel.desk import client_order_id
from fairlead._models.orders import Fill, OrderIntent, Side
from fairlead._storage.journal import Journal
from fairlead._storage.segments import boot_id
from fairlead.ports import Accepted, FillReport

INSTRUMENT = "BTC/USDT:USDT@sim"
NOT_IN_A_SNAPSHOT = 50_000
"""How many facts come before a running engine makes another snapshot."""

PRICE, ONE = Decimal(20_000), Decimal(1)


def lengthen(journal: Path, facts: int) -> int:
    """Go on with a journal as if it had traded, until it has so many facts; flat at the end. Returns their number."""
    before = evidence.journal(journal)
    began = [fact for fact in before if fact["t"] == "EngineStarted"][-1]
    numbers = itertools.count(before[-1]["seq"] + 1)
    intents = itertools.count(before[-1]["seq"] + 1)
    writer = Journal.open(journal, boot_id=boot_id(), sync_behind=False)
    count, now = len(before), before[-1]["now"]
    while count < facts:
        for side in Side:
            name = client_order_id(began["namespace"], began["epoch"], next(intents))
            for turn in _life(name, side, numbers, now):
                writer.append(turn)
                count += len(turn)
    writer.close()
    return count


def _life(name: str, side: Side, numbers: Iterator[int], now: int) -> Iterator[list[f.Fact]]:
    """The facts of a market order, turn by turn: decided, accepted, filled."""
    intent = OrderIntent(strategy="one", account="remote", instrument=INSTRUMENT, side=side, quantity=ONE)
    seq = next(numbers)
    where = {"now": now, "cause": seq}
    yield [
        f.TimerFired(seq=seq, strategy="one", name="act", due_ns=now, **where),
        f.OrderSubmitted(
            seq=next(numbers), client_order_id=name, intent=intent, quantity=ONE, deadline_ns=now, **where
        ),
        f.StrategySaved(seq=next(numbers), strategy="one", state=b"\x81\xa4step\x01", **where),
    ]
    seq = next(numbers)
    where = {"now": now, "cause": seq}
    accepted = Accepted(client_order_id=name, event_ns=now, broker_order_id=f"L{seq}")
    yield [
        f.ReportReceived(seq=seq, account="remote", report=accepted, **where),
        f.OrderAccepted(seq=next(numbers), client_order_id=name, broker_order_id=f"L{seq}", **where),
    ]
    seq = next(numbers)
    where = {"now": now, "cause": seq}
    common = {
        "client_order_id": name,
        "instrument": INSTRUMENT,
        "side": side,
        "quantity": ONE,
        "price": PRICE,
    }
    told = FillReport(
        fill_id=f"L{seq}",
        event_ns=now,
        fee=Decimal(0),
        fee_currency="USDT",
        cumulative_quantity=ONE,
        **common,
    )
    fill = Fill(
        fill_id=f"L{seq}", strategy="one", account="remote", fee=Decimal(0), fee_currency="USDT", event_ns=now,
        **common,
    )  # fmt: skip
    yield [
        f.ReportReceived(seq=seq, account="remote", report=told, **where),
        f.Filled(seq=next(numbers), fill=fill, **where),
    ]


def measure(folder: Path, *, facts: int, starts: int) -> list[float]:
    """Seconds from process start to strategies, of so many starts after a kill, on a journal of so many facts.

    The last snapshot is as old as it ever gets while an engine runs.
    """
    lane = Lane(folder / "long", seed=1, plain=False, labels=iter(()))
    lane.start_and_stop()
    lengthen(lane.journal, facts - NOT_IN_A_SNAPSHOT)
    subprocess.run([sys.executable, "-m", "fairlead._engine.keeping", str(lane.journal.parent)], check=True)
    lengthen(lane.journal, facts)
    return [lane.start_and_kill() for _ in range(starts)]


def main() -> int:
    words = argparse.ArgumentParser(description="measure restarts on a long journal")
    words.add_argument("--facts", type=int, default=1_000_000)
    words.add_argument("--starts", type=int, default=100)
    words.add_argument(
        "--json", action="store_true", help="print the seconds of each start, and nothing else"
    )
    given = words.parse_args()
    with tempfile.TemporaryDirectory(prefix="kill-") as folder:
        found = sorted(measure(Path(folder), facts=given.facts, starts=given.starts))
    if given.json:
        print(json.dumps(found))
        return 0
    print(
        f"{len(found)} starts on {given.facts:,} facts: p50 {found[len(found) // 2]:.2f} s, "
        f"p99 {found[int(0.99 * len(found))]:.2f} s, longest {found[-1]:.2f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
