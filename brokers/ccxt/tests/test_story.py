"""By ccxt through a running engine: a Binance in a box that fails in many ways, and a kill in the middle."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from evidence import journal

from fairlead_venue import Fault, FaultPlan, Venue

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("ccxt") is None, reason="ccxt is not installed: see conftest.py"
    ),
    pytest.mark.full,
]
TRADER = Path(__file__).parent / "trader.py"
STEPS = 260
"""Some are held back: they would cross an own order, or there was no connection. Two hundred at least go out."""

WITHIN = 50.0
PLAN = FaultPlan(
    seed=11,
    faults=(
        Fault(kind="refuse", on="order", chance=0.02),
        Fault(kind="unknown", on="order", chance=0.03),
        Fault(kind="unknown", on="order", chance=0.02, executed=False),
        Fault(kind="lose_answer", on="order", chance=0.02, lasts="50ms"),
        Fault(kind="error", on="order", chance=0.02),
        Fault(kind="delay_answer", on="cancel", chance=0.05, lasts="300ms"),
        Fault(kind="lose", on="event:order", chance=0.02),
        Fault(kind="duplicate", on="event:order", chance=0.05),
        Fault(kind="events_first", on="order", chance=0.1, lasts="5ms"),
        Fault(kind="answer_first", on="order", chance=0.1),
        Fault(kind="drop", on="order", at=60),
        Fault(kind="garbage", on="event:order", at=150),
    ),
)


def start(folder: Path, venue: Venue) -> "subprocess.Popen[bytes]":
    with (folder / "log").open("ab") as log:
        words = [
            sys.executable,
            "-W",
            "ignore",
            str(TRADER),
            str(folder),
            venue.addresses["rest"],
            str(STEPS),
        ]
        return subprocess.Popen(words, stdout=log, stderr=log)


def step(folder: Path) -> int:
    try:
        return int((folder / "step").read_text() or 0)
    except FileNotFoundError:
        return 0


def wrong(facts: list[dict[str, Any]], book: dict[str, Any], balances: dict[str, str]) -> list[str]:
    """What differs between a journal and the venue's own ledger."""
    submitted = [fact for fact in facts if fact["t"] == "OrderSubmitted"]
    ours, theirs = (
        {fact["client_order_id"] for fact in submitted},
        Counter(o["client_id"] for o in book["orders"]),
    )
    found = [f"{name} is there {count} times" for name, count in theirs.items() if count > 1]
    found += [f"{name} was never written down" for name in theirs if name not in ours]
    tags = Counter(fact["intent"]["tag"] for fact in submitted)
    found += [f"{tag} was decided {count} times" for tag, count in tags.items() if count > 1]
    booked: dict[str, Decimal] = defaultdict(Decimal)
    for fact in facts:
        if fact["t"] in ("Filled", "FillReversed"):
            sign = 1 if fact["t"] == "Filled" else -1
            booked[fact["fill"]["client_order_id"]] += sign * Decimal(fact["fill"]["quantity"])
    for order in book["orders"]:
        if booked[order["client_id"]] != Decimal(order["filled"]):
            found.append(
                f"{order['client_id']} filled {order['filled']}, and {booked[order['client_id']]} is booked"
            )
    for currency in {*balances, *book["balances"]}:
        here, there = Decimal(balances.get(currency, 0)), Decimal(book["balances"].get(currency, 0))
        if abs(here - there) > Decimal("1e-6"):
            found.append(f"{there} {currency} is there, and {here} in the books")
    return found


@pytest.mark.timeout(120)
def test_a_kill_amid_two_hundred_orders(tmp_path: Path) -> None:
    """Trade with faults on, die, go on: at the end the venue's ledger is the journal's, order by order."""
    with Venue(
        "binance", cash=["100_000 USDT", "2 BTC"], pairs=["BTC/USDT"], process=True, synthetic=True, faults=PLAN,
        variants={"orders_10s": "10000", "weight": "100000"},
    ) as venue:  # fmt: skip
        first = start(tmp_path, venue)
        end = time.monotonic() + WITHIN
        while step(tmp_path) < STEPS // 2:
            assert first.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < end, (tmp_path / "log").read_text()
            time.sleep(0.01)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        second = start(tmp_path, venue)
        try:
            assert second.wait(WITHIN) == 0, (tmp_path / "log").read_text()
        finally:
            second.kill()
        book = venue.books()["spot"]
    facts = journal(tmp_path / "run" / "journal")
    assert wrong(facts, book, json.loads((tmp_path / "books").read_text())) == []
    assert sum(fact["t"] == "OrderSubmitted" for fact in facts) >= 200
    assert len(book["executions"]) > 50


def test_the_example_trades_in_a_box(tmp_path: Path) -> None:
    """Without a key it starts a venue of its own, trades there, and says what it came to."""
    script = Path(__file__).parents[3] / "examples" / "13_ccxt.py"
    words = [sys.executable, "-W", "ignore", str(script), "--seconds", "12"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert "buy 0.004 at" in done.stdout
    assert "that is enough of a box: " in done.stdout
