"""A running engine at Hyperliquid in a box: two hundred orders, faults, kill -9 in the middle, and the books agree."""

import asyncio
import hashlib
import importlib.util
import os
import signal
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.facts import Filled, Noted, OrderAdopted, OrderSubmitted
from fairlead_venue import Fault, FaultPlan, Venue

TRADER = Path(__file__).parent / "trader.py"
KEY = hashlib.sha256(b"venue-secret").hexdigest()
STORM = FaultPlan(
    seed=11,
    faults=(
        Fault(kind="lose_answer", on="/exchange", chance="1%"),
        Fault(kind="lose", on="/exchange", chance="1%"),
        Fault(kind="unknown", on="order", chance="1%"),
        Fault(kind="reject_later", on="order", chance="1%"),
        Fault(kind="duplicate", on="event:order", chance="3%"),
        Fault(kind="duplicate", on="event:fill", chance="3%"),
        Fault(kind="reorder", on="event:order", chance="2%"),
        Fault(kind="lose", on="event:order", chance="1%"),
        Fault(kind="lose", on="event:fill", chance="1%"),
        Fault(kind="unknown_field", on="event:*", chance="3%"),
        Fault(kind="error", on="account", chance="3%", status=502),
        Fault(kind="drop", on="order", at=60),
        Fault(kind="garbage", on="event:fill", at=90),
        Fault(kind="drop", on="event:fill", at=130),
    ),
)


def trader():
    """The engine's script as a module."""
    spec = importlib.util.spec_from_file_location("trader", TRADER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Run:
    """A run in one process after the other, and its facts."""

    def __init__(self, folder, venue):
        self.words = [str(folder / "run"), venue.addresses["rest"], venue.addresses["account"]]
        self.engine = trader().make_engine(*self.words)
        self.errors = folder / "stderr"
        self.facts = []
        self.done = False
        self.starts = 0

    def start(self):
        with self.errors.open("ab") as errors:
            words = [sys.executable, str(TRADER), *self.words]
            environment = {**os.environ, "HYPERLIQUID_AGENT_KEY": KEY}
            self.child = subprocess.Popen(words, stderr=errors, env=environment)
        return self.child

    def again(self):
        """A start may meet a fault, and says so and ends: whoever runs it starts it again, a few times."""
        self.starts += 1
        return self.starts <= 5 and self.start() is not None

    def follow(self, until):
        """Read facts until one is what is waited for."""

        async def read():
            async with asyncio.timeout(80):
                async for fact in self.engine.events(since=self.facts[-1].seq if self.facts else 0):
                    self.facts.append(fact)
                    if until(fact):
                        return

        async def watched():
            reading = asyncio.create_task(read())
            while not reading.done() and (self.child.poll() is None or self.done or self.again()):
                await asyncio.wait([reading], timeout=0.2)
            if not reading.done():
                reading.cancel()
                raise TimeoutError
            await reading

        try:
            asyncio.run(watched())
        except TimeoutError:
            pytest.fail(
                f"{len(self.facts)} facts, and not what was waited for: {self.errors.read_text()[-3000:]}"
            )


@pytest.mark.full
@pytest.mark.timeout(180)
def test_the_ledger_is_the_journal(tmp_path, monkeypatch):
    """Every order is at the venue once, every execution in the journal once, and cash and position are the same."""
    monkeypatch.setenv("HYPERLIQUID_AGENT_KEY", KEY)
    # Two lives in one minute ask for more than one address may.
    words = {"synthetic": True, "pairs": ["BTC/USDC"], "variants": {"weight": "6000"}}
    with Venue("hyperliquid", faults=STORM, process=True, **words) as venue:
        run = Run(tmp_path, venue)
        child, sent = run.start(), Counter()

        def hundredth(fact):
            sent["orders"] += isinstance(fact, OrderSubmitted)
            return sent["orders"] == 100

        run.follow(hundredth)
        child.send_signal(signal.SIGKILL)
        child.wait(10)
        run.start()
        run.follow(lambda fact: isinstance(fact, Noted) and fact.text == "done")
        run.child.send_signal(signal.SIGTERM)
        assert run.child.wait(20) == 0, run.errors.read_text()[-3000:]
        run.done = True
        run.follow(lambda fact: type(fact).__name__ == "EngineStopped")
        books = venue.books()["perps"]
    judge(run.facts, books)
    assert KEY not in run.errors.read_text()


def judge(facts, books):
    """The venue's ledger by the journal."""
    submitted = Counter(fact.client_order_id for fact in facts if isinstance(fact, OrderSubmitted))
    placed = Counter(order["client_id"].removeprefix("0x") for order in books["orders"])
    assert len(submitted) >= 200
    assert max(placed.values()) == max(submitted.values()) == 1
    assert set(placed) <= set(submitted)
    assert not [fact for fact in facts if isinstance(fact, OrderAdopted)]
    fills = [fact.fill for fact in facts if isinstance(fact, Filled)]
    mine = Counter((fill.client_order_id, fill.quantity, fill.price) for fill in fills)
    theirs = Counter(
        (done["client_id"].removeprefix("0x"), Decimal(done["quantity"]), Decimal(done["price"]))
        for done in books["executions"]
    )
    assert mine == theirs
    position = sum((fill.quantity if fill.side == "buy" else -fill.quantity for fill in fills), Decimal(0))
    held = sum((Decimal(row["quantity"]) for row in books["positions"].values()), Decimal(0))
    assert position == held
    assert not [order for order in books["orders"] if order["status"] in {"new", "partially_filled"}]
