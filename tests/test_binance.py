"""Binance through a running engine: a venue in a box that fails as Binance does, and a kill in the middle."""

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

TRADER = Path(__file__).parent / "stories" / "binance_trader.py"
STEPS = 260
"""Some are held back: they would cross an own order, or there was no connection."""

WITHIN = 50.0
PLAN = FaultPlan(
    seed=7,
    faults=(
        Fault(kind="refuse", on="order", chance=0.02),
        Fault(kind="unknown", on="order", chance=0.03),
        Fault(kind="unknown", on="order", chance=0.02, executed=False),
        Fault(kind="lose", on="order", chance=0.02),
        Fault(kind="lose_answer", on="order", chance=0.02),
        Fault(kind="delay_answer", on="cancel", chance=0.05, lasts="300ms"),
        Fault(kind="lose", on="cancel", chance=0.03),
        Fault(kind="lose", on="event:order", chance=0.02),
        Fault(kind="duplicate", on="event:order", chance=0.05),
        Fault(kind="events_first", on="order", chance=0.1, lasts="5ms"),
        Fault(kind="answer_first", on="order", chance=0.1),
        Fault(kind="drop", on="order", at=60),
        Fault(kind="garbage", on="event:order", at=150),
    ),
)  # fmt: skip


def start(folder: Path, venue: Venue, product: str) -> "subprocess.Popen[bytes]":
    words = [sys.executable, str(TRADER), str(folder), venue.addresses["rest"], product, str(STEPS)]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(words, stdout=log, stderr=log)


def step(folder: Path) -> int:
    try:
        return int((folder / "step").read_text() or 0)
    except FileNotFoundError:
        return 0


def judge(facts: list[dict[str, Any]], book: dict[str, Any], books: dict[str, Any]) -> list[str]:
    """What is wrong with a journal by the venue's ledger, in words of its own."""
    wrong = []
    submitted = [fact for fact in facts if fact["t"] == "OrderSubmitted"]
    names = Counter(fact["client_order_id"] for fact in submitted)
    there = Counter(order["client_id"] for order in book["orders"])
    wrong += [f"{name} was sent twice" for name, count in (names + there).items() if there[name] > 1]
    wrong += [f"{name} was never written down" for name in there if name not in names]
    tags = Counter(fact["intent"]["tag"] for fact in submitted if not fact["intent"].get("replaces"))
    wrong += [f"{tag} was decided {count} times" for tag, count in tags.items() if tag and count > 1]
    booked: dict[str, Decimal] = defaultdict(Decimal)
    reversed_ones: set[str] = set()
    for fact in facts:
        if fact["t"] == "Filled":
            booked[fact["fill"]["client_order_id"]] += Decimal(fact["fill"]["quantity"])
        elif fact["t"] == "FillReversed":
            booked[fact["fill"]["client_order_id"]] -= Decimal(fact["fill"]["quantity"])
            reversed_ones.add(fact["fill"]["fill_id"])
    for order in book["orders"]:
        ours, theirs = booked[order["client_id"]], Decimal(order["filled"])
        if ours != theirs:
            wrong.append(f"{order['client_id']} filled {theirs}, and {ours} is booked")
    wrong += [
        f"{name} is not there, and filled {much}"
        for name, much in booked.items()
        if much and name not in there
    ]
    return wrong + money(book, books)


def money(book: dict[str, Any], books: dict[str, Any]) -> list[str]:
    """Fills that were booked later than the venue's realise profit sooner or later: entry prices make up for it."""
    wrong = []
    ours = {name: list(map(Decimal, held)) for name, held in books["positions"].items() if ":" in name}
    theirs = {
        name: [Decimal(held["quantity"]), Decimal(held["average_price"])]
        for name, held in book["positions"].items()
        if ":" in name
    }
    if {name: held[0] for name, held in ours.items()} != {name: held[0] for name, held in theirs.items()}:
        wrong.append(f"{theirs} is held, and {ours} in the books")
    for currency in {*books["balances"], *book["balances"]}:
        here, there = (
            Decimal(found["balances"].get(currency, 0))
            - (sum((much * entry for much, entry in held.values()), Decimal(0)) if currency == "USDT" else 0)
            for found, held in ((books, ours), (book, theirs))
        )
        if abs(here - there) > Decimal("1e-6"):
            wrong.append(f"{there} {currency} is there, and {here} in the books")
    return wrong


@pytest.mark.full
@pytest.mark.timeout(120)
@pytest.mark.parametrize("product", ["spot", "usdm"])
def test_a_kill_amid_two_hundred_orders(tmp_path: Path, product: str) -> None:
    """Warm up, trade with faults on, die, go on: at the end the venue's ledger is the journal's, order by order."""
    limits = {"orders_10s": "10000", "weight": "100000", "futures_weight": "100000"}
    with Venue(
        "binance", cash=["100_000 USDT", "2 BTC"], pairs=["BTC/USDT"], process=True, synthetic=True, faults=PLAN,
        variants=limits,
    ) as venue:  # fmt: skip
        end = time.monotonic() + WITHIN
        first = start(tmp_path, venue, product)
        while step(tmp_path) < STEPS // 2:
            assert first.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < end, (tmp_path / "log").read_text()
            time.sleep(0.01)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        second = start(tmp_path, venue, product)
        try:
            assert second.wait(WITHIN) == 0, (tmp_path / "log").read_text()
        finally:
            second.kill()
        book = venue.books()["spot" if product == "spot" else "futures"]
    facts = journal(tmp_path / "run" / "journal")
    books = json.loads((tmp_path / "books").read_text())
    assert judge(facts, book, books) == []
    assert sum(fact["t"] == "OrderSubmitted" for fact in facts) >= 200
    assert len(book["orders"]) > 100
    assert len(book["executions"]) > 30


@pytest.mark.full
@pytest.mark.parametrize("product", ["spot", "usdm"])
def test_the_example_trades_in_a_box(tmp_path: Path, product: str) -> None:
    """Without a key it starts a venue of its own, trades there, and says what it came to."""
    script = Path(__file__).parent.parent / "examples" / "10_binance.py"
    words = [sys.executable, str(script), "--product", product, "--seconds", "3"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert "that is enough of a box: " in done.stdout
    assert "buy 0.004 at" in done.stdout


def test_real_money_needs_to_be_said_twice() -> None:
    """`environment="live"` alone is refused: the engine wants `live=True` besides."""
    from fairlead import ConfigurationError, LiveTradingEngine, Secret, Strategy
    from fairlead_binance import BinanceBroker, BinanceStream
    from fairlead_breakers import Limits

    class Idle(Strategy):
        def on_start(self) -> None:
            pass

    key, secret = Secret.of("some-key"), Secret.of("some-secret")
    broker = BinanceBroker("BTC/USDT", key=key, secret=secret, environment="live")
    with pytest.raises(ConfigurationError, match="live=True"):
        LiveTradingEngine(
            Idle(), plugins=[broker, BinanceStream("BTC/USDT"), Limits(max_order_value="1 USDT")]
        )
