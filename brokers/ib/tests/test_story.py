"""Two hundred orders through an engine that runs, with faults on and a kill -9 in the middle: the books agree."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead import TradingState
from fairlead import facts as f
from fairlead._storage.journal import read_facts
from fairlead_venue import FaultPlan, Venue

TRADER = Path(__file__).parent / "trader.py"
COUNT = 200
AAPL = "AAPL.NASDAQ@ib"
FAULTS = """
seed = 11
[[fault]]
kind = "lose"
on = "order"
chance = 0.02
[[fault]]
kind = "lose_answer"
on = "order"
chance = 0.03
[[fault]]
kind = "delay"
on = "order"
chance = 0.03
lasts = "300ms"
[[fault]]
kind = "notice"
on = "order"
chance = 0.1
code = 10349
[[fault]]
kind = "duplicate"
on = "event:*Status"
chance = 0.1
[[fault]]
kind = "delay"
on = "execDetails"
chance = 0.05
lasts = "60ms"
[[fault]]
kind = "delay"
on = "commissionReport"
chance = 0.1
lasts = "100ms"
[[fault]]
kind = "tear"
on = "execDetails"
at = 25
[[fault]]
kind = "drop"
on = "order"
at = 60
[[fault]]
kind = "drop"
on = "order"
at = 140
"""


class Story:
    """The venue, and the trader's processes, one after the other."""

    def __init__(self, venue: Venue, folder: Path) -> None:
        self.venue = venue
        self.run = folder / "run"
        self.log = folder / "stderr"
        self.child: subprocess.Popen[bytes]
        self.lost: list[str] = []
        self._missing: set[str] = set()

    def start(self) -> None:
        words = [sys.executable, str(TRADER), str(self.run), self.venue.addresses["tws"], str(COUNT)]
        with self.log.open("ab") as errors:
            self.child = subprocess.Popen(words, stderr=errors)

    def end(self, number: signal.Signals) -> None:
        self.child.send_signal(number)
        self.child.wait(30)

    def trade_until(self, condition: Callable[[], bool], seconds: float = 150) -> None:
        """Quotes, some twenty a second, until it holds."""
        deadline, number = time.monotonic() + seconds, 0
        while not condition():
            assert self.child.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < deadline, self.log.read_text()[-3000:]
            for _ in range(25):
                number += 1
                price = 200.0 + number % 7 * 0.01
                self.venue.quote("AAPL.NASDAQ", price - 0.01, price + 0.01)
                time.sleep(0.03)
            self.operate()

    def operate(self) -> None:
        """What a person does: an order in doubt that twice was not on TWS's list is said not to be there."""
        there = {order["client_id"] for order in self.venue.orders("tws")}
        unknown = self.unknown()
        missing = {name for name in unknown if name not in there}
        for name in missing & self._missing:
            done = self.ask("order", "resolve", name, "--why", "TWS lists no such order", "--yes")
            if done.returncode == 0:
                self.lost.append(name)
            else:
                assert "is starting" in done.stderr, done.stderr
        self._missing = missing - set(self.lost)
        if unknown == [name for name in unknown if name in self.lost] and self.reduced():
            self.ask("resume", "--symbol", AAPL, "--why", "TWS and our books agree", "--yes")

    def facts(self) -> list[f.AnyFact]:
        return list(read_facts(self.run / "journal")) if (self.run / "journal").exists() else []

    def reduced(self) -> bool:
        """Whether doubt has lowered what may be done with the instrument."""
        changes = [fact for fact in self.facts() if isinstance(fact, f.StateChanged) and AAPL in fact.scope]
        return bool(changes) and changes[-1].state != TradingState.ACTIVE

    def decided(self) -> int:
        return sum(isinstance(fact, f.OrderSubmitted) for fact in self.facts())

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fairlead", *words, "--run", str(self.run), "--json"]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)

    def open_orders(self) -> list[dict[str, str]]:
        said = self.ask("orders").stdout
        return list(json.loads(said)) if said else []

    def unknown(self) -> list[str]:
        doubtful = ("unknown", "pending_cancel")
        return [row["order"] for row in self.open_orders() if row["status"] in doubtful]


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    with Venue("tws", process=True, faults=FaultPlan.parse(FAULTS)) as venue:
        venue.quote("AAPL.NASDAQ", 199.99, 200.01)
        told = Story(venue, tmp_path)
        yield told
        if told.child.poll() is None:
            told.end(signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_hundred_orders_and_a_kill(story: Story) -> None:
    """Nothing is sent twice, nothing is lost but what a person says so of, and venue and journal agree to the cent."""
    story.start()
    # A start waits half a minute for what is in doubt: so what a person has to decide is decided before.
    story.trade_until(lambda: len(story.venue.orders("tws")) > COUNT // 2 and not story.unknown())
    story.end(signal.SIGKILL)
    story.start()
    story.trade_until(lambda: story.decided() >= COUNT)
    story.venue.clear()
    story.trade_until(lambda: not story.open_orders())
    print(f"{len(story.lost)} of {COUNT} orders never reached the venue, and ended by the operator's word")
    story.end(signal.SIGTERM)
    compare(story)


def compare(story: Story) -> None:
    facts, books = story.facts(), story.venue.books()["tws"]
    submitted = [fact.client_order_id for fact in facts if isinstance(fact, f.OrderSubmitted)]
    assert max(Counter(submitted).values()) == 1
    at_venue = Counter(order["client_id"] for order in books["orders"])
    assert max(at_venue.values()) == 1
    unsent = {
        fact.client_order_id
        for fact in facts
        if isinstance(fact, f.OrderRejected) and fact.code == "not_sent"
    }
    assert set(submitted) == set(at_venue) | set(story.lost) | unsent
    assert not set(at_venue) & (set(story.lost) | unsent)
    filled = {fact.fill.fill_id: fact.fill for fact in facts if isinstance(fact, f.Filled)}
    mine = sorted((fill.client_order_id, fill.quantity, fill.price) for fill in filled.values())
    theirs = sorted(
        (done["client_id"], Decimal(done["quantity"]), Decimal(done["price"])) for done in books["executions"]
    )
    assert mine == theirs
    fees = sum(fill.fee for fill in filled.values())
    fees -= sum(fact.amount for fact in facts if isinstance(fact, f.CashChanged) and fact.reason == "fee")
    assert fees == sum(Decimal(done["fee"]) for done in books["executions"])
    held = sum(fill.quantity if fill.side == "buy" else -fill.quantity for fill in filled.values())
    assert held == Decimal(books["positions"].get(AAPL, {"quantity": "0"})["quantity"])
