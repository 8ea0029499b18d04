"""Bybit through a running engine: 200 orders at a venue that fails as Bybit does, and a kill in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from evidence import journal

from fairlead_venue import Fault, FaultPlan, Venue

TRADER = Path(__file__).parent / "stories" / "bybit_trader.py"
ORDERS = 260
"""Some are held back, since they would cross an own one, or while there is no connection."""

PLAN = FaultPlan(
    seed=11,
    faults=(
        Fault(kind="refuse", on="order", chance=0.02),
        Fault(kind="unknown", on="order", chance=0.03),
        Fault(kind="unknown", on="order", chance=0.02, executed=False),
        Fault(kind="lose", on="order", chance=0.02),
        Fault(kind="lose_answer", on="order", chance=0.03),
        Fault(kind="reject_later", on="order", chance=0.02),
        Fault(kind="lose", on="cancel", chance=0.03),
        Fault(kind="delay_answer", on="cancel", chance=0.05, lasts="250ms"),
        Fault(kind="lose", on="event:order", chance=0.02),
        Fault(kind="lose", on="event:execution", chance=0.02),
        Fault(kind="duplicate", on="event:*", chance=0.03),
        Fault(kind="reorder", on="event:order", chance=0.03),
        Fault(kind="events_first", on="order", chance=0.1, lasts="5ms"),
        Fault(kind="answer_first", on="order", chance=0.1),
        Fault(kind="drop", on="order", at=50),
        Fault(kind="garbage", on="event:execution", at=40),
    ),
)


def start(folder: Path, venue: Venue) -> "subprocess.Popen[bytes]":
    with (folder / "log").open("ab") as log:
        words = [sys.executable, str(TRADER), str(folder), venue.addresses["rest"], str(ORDERS)]
        return subprocess.Popen(words, stdout=log, stderr=log)


def made(folder: Path) -> int:
    found = folder / "made"
    return int(found.read_text() or 0) if found.exists() else 0


def booked(facts: list[dict[str, Any]]) -> Counter[str]:
    """What the journal says was filled, by order."""
    found: Counter[str] = Counter()
    for fact in facts:
        if fact["t"] in ("Filled", "FillReversed"):
            much = Decimal(fact["fill"]["quantity"])
            found[fact["fill"]["client_order_id"]] += much if fact["t"] == "Filled" else -much  # type: ignore[assignment]
    return found


@pytest.mark.full
@pytest.mark.timeout(120)
def test_a_kill_amid_two_hundred_orders(tmp_path: Path) -> None:
    """Trade with faults on, die, go on: at the end the venue's ledger is the journal's, order by order."""
    with Venue(
        "bybit", cash=["100_000 USDT", "2 BTC"], pairs=["BTC/USDT"], process=True, synthetic=True, faults=PLAN,
        variants={"limit_scale": "100"},
    ) as venue:  # fmt: skip
        end = time.monotonic() + 45
        first = start(tmp_path, venue)
        while made(tmp_path) < ORDERS // 2:
            assert first.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < end, (tmp_path / "log").read_text()
            time.sleep(0.01)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        second = start(tmp_path, venue)
        try:
            assert second.wait(60) == 0, (tmp_path / "log").read_text()
        finally:
            second.kill()
        book = venue.books()["unified"]
    facts, books = journal(tmp_path / "run" / "journal"), json.loads((tmp_path / "books").read_text())
    sent = [fact for fact in facts if fact["t"] == "OrderSubmitted"]
    names = [order["client_id"] for order in book["orders"]]
    assert len(names) == len(set(names)), "an order was taken twice"
    assert set(names) <= {fact["client_order_id"] for fact in sent}, "an order was never written down"
    decided = Counter(fact["intent"]["tag"] for fact in sent if not fact["intent"].get("repeats"))
    assert [tag for tag, count in decided.items() if count > 1] == [], "an order was decided twice"
    filled = {
        order["client_id"]: Decimal(order["filled"]) for order in book["orders"] if Decimal(order["filled"])
    }
    assert {name: much for name, much in booked(facts).items() if much} == filled
    theirs = {name: Decimal(held["quantity"]) for name, held in book["positions"].items() if ":" in name}
    ours = {name: Decimal(much) for name, much in books["held"].items() if ":" in name}
    assert {k: v for k, v in ours.items() if v} == {k: v for k, v in theirs.items() if v}
    assert Decimal(books["cash"]["BTC"]) == Decimal(book["balances"]["BTC"])
    assert len(sent) >= 200
    assert len(book["executions"]) > 50


@pytest.mark.full
def test_the_example_buys_and_sells(tmp_path: Path) -> None:
    """In its box it needs no key and no network, and ends by itself."""
    example = Path(__file__).parents[1] / "examples" / "11_bybit.py"
    done = subprocess.run(
        [sys.executable, str(example)], cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False,
        env={**os.environ, "FAIRLEAD_HOME": str(tmp_path / "home")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0].startswith("buy 0.002 at")
    assert said[-1] == "bought and sold"
