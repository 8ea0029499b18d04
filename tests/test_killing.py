"""kill -9 against a venue in another process: nothing is lost, nothing doubled; and the judge would notice."""

import contextlib
import copy
import hashlib
import io
import os
from argparse import Namespace
from decimal import Decimal
from pathlib import Path
from typing import Any

import evidence
import kills
import long_journal
import pytest
import verdict
import victim

from fairlead import facts as f
from fairlead._engine.replay import replay
from fairlead._kernel.apply import apply
from fairlead._kernel.state import State, fingerprint
from fairlead._storage.journal import Journal, read_facts

FULL = os.environ.get("FAIRLEAD_PROVE") == "full"
KILLS = 1_000 if FULL else 100
FACTS, STARTS = (1_000_000, 100) if FULL else (100_000, 5)
START_SECONDS = 5.0 if FULL else 30.0
"""The target, on a quiet machine; in continuous integration a bound that only a blunder breaks."""


# --- the judge ------------------------------------------------------------------------------------------------


def intent(step: int, **more: Any) -> dict[str, Any]:
    return {"strategy": "one", "side": "buy", "quantity": "1", "tag": f"step {step}", **more}


def name_of(number: int, epoch: int = 1, attempt: int = 1) -> str:
    return f"0001{epoch:04x}{number:022x}{attempt:02x}"


ONE, TWO = name_of(1), name_of(2)


def fill(number: int, order: str, quantity: str = "1", side: str = "buy") -> dict[str, Any]:
    return {
        "fill_id": f"F{number}", "client_order_id": order, "strategy": "one", "side": side, "quantity": quantity,
        "price": "10", "fee": "0", "event_ns": 15,
    }  # fmt: skip


def story() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A journal and a ledger that agree: one order filled, one canceled, listed and at rest."""
    facts = [
        {"t": "EngineStarted", "epoch": 1},
        {"t": "AccountOpened", "balances": {"USDT": "100"}},
        {"t": "OrderSubmitted", "client_order_id": ONE, "intent": intent(1), "quantity": "1"},
        {"t": "OrderAccepted", "client_order_id": ONE},
        {"t": "Filled", "fill": fill(1, ONE)},
        {"t": "OrderSubmitted", "client_order_id": TWO, "intent": intent(2), "quantity": "1"},
        {"t": "OrderCanceled", "client_order_id": TWO},
        {"t": "FillsListed", "until_ns": 10**9},
    ]
    placed = [
        {
            "t": "Placed",
            "order": {"client_order_id": n, "intent": intent(i), "quantity": "1", "accepted_ns": 12},
        }
        for i, n in enumerate((ONE, TWO), 1)
    ]
    entries = [
        {"t": "Books", "ledger": {"balances": {"USDT": "100"}}},
        *placed,
        {"t": "Executed", "fill": fill(1, ONE)},
        {"t": "Ended", "client_order_id": TWO, "status": "canceled"},
    ]
    return [{"seq": seq, "now": 10, "cause": seq, **fact} for seq, fact in enumerate(facts, 1)], entries


def judged(change: Any) -> str:
    facts, entries = copy.deepcopy(story())
    change(facts, entries)
    return "\n".join(verdict.judge(facts, entries))


def test_a_good_story_has_no_breach() -> None:
    """What agrees is found to agree."""
    assert judged(lambda facts, entries: None) == ""


def again(entry: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(entry), **changes}


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("I1: the venue took", lambda facts, entries: entries.append(again(entries[1]))),
        (
            "I1: one decision",
            lambda facts, entries: entries.append(
                {"t": "Placed", "order": again(entries[1]["order"], client_order_id=name_of(1, 2))}
            ),
        ),
        ("I1: one decided step", lambda facts, entries: facts[5]["intent"].update(tag="step 1")),
        ("was submitted at", lambda facts, entries: facts.insert(6, again(facts[2], seq=6))),
        ("I3: the venue has", lambda facts, entries: facts.pop(2)),
        ("before it was written", lambda facts, entries: facts[2].update(now=10**9)),
        ("I4", lambda facts, entries: facts[6].update(t="OrderRejected", code="not_accepted")),
        ("I6", lambda facts, entries: facts[2].update(quantity="0.5")),
        ("I7: lost", lambda facts, entries: facts.pop(4)),
        ("booked twice", lambda facts, entries: facts.insert(5, again(facts[4], seq=5))),
        ("the venue has none", lambda facts, entries: entries.pop(3)),
        ("otherwise", lambda facts, entries: facts[4]["fill"].update(price="11")),
        ("another order", lambda facts, entries: facts[4]["fill"].update(client_order_id=TWO)),
        ("I8", lambda facts, entries: entries.insert(4, {"t": "Executed", "fill": fill(2, TWO, "0.5")})),
        ("I9", lambda facts, entries: facts[4].update(seq=99)),
        ("I13: lost", lambda facts, entries: entries.pop(4)),
        ("I13: unresolved", lambda facts, entries: facts.pop(6)),
        ("I14", lambda facts, entries: facts.append(again(facts[6], t="CancelRequested", seq=9))),
        ("which nobody placed", lambda facts, entries: facts.insert(0, again(facts[3]))),
        ("I17", lambda facts, entries: facts.append({**facts[0], "seq": 9})),
        ("I16", lambda facts, entries: facts.insert(5, {"t": "BreakerTripped", "state": "killed", "seq": 5})),
        ("never placed", lambda facts, entries: facts[5]["intent"].update(tag="step 3")),
        ("I5", lambda facts, entries: facts[5]["intent"].update(repeats=name_of(7))),
        ("I2", lambda facts, entries: entries[2]["order"]["intent"].update(replaces=left_open(entries))),
    ],
)
def test_the_judge_sees(rule: str, change: Any) -> None:
    """Each rule finds a journal or a ledger in which it is broken."""
    assert rule in judged(change)


def left_open(entries: list[dict[str, Any]]) -> str:
    """Make the first order one that is still open, and give its name."""
    entries[1]["order"]["quantity"] = "2"
    return ONE


def test_cash_and_positions_are_compared() -> None:
    """The journal's sums, the engine's and the venue's must be the same."""
    facts, entries = story()
    books = {"balances": {"USDT": "90"}, "positions": [], "open": {}, "sweeps": 0}
    snapshot = {"balances": {"USDT": "90"}, "positions": {}, "orders": []}
    assert verdict.at_rest(books, snapshot) == []
    assert verdict.cash(facts, entries, books, snapshot) == [f"I10: one still holds {Decimal(1)}"]
    assert "I11" in verdict.cash(facts, entries, books, {**snapshot, "balances": {"USDT": "91"}})[0]
    assert "I10" in verdict.at_rest(books, {**snapshot, "positions": {"BTC": "1"}})[0]
    assert "I12" in verdict.at_rest({**books, "positions": [["one", "BTC", "1"]]}, snapshot)[0]
    assert "alone" in verdict.at_rest({**books, "open": {ONE: "accepted"}}, snapshot)[0]
    assert "XBT" in verdict.at_rest({**books, "discrepancies": ["XBT"]}, snapshot)[0]
    assert "unknown" in verdict.at_rest({**books, "open": {ONE: "unknown"}}, snapshot)[0]


def test_the_reader_of_its_own(tmp_path: Path) -> None:
    """The judge's reader gives what the engine wrote, over segments, up to a torn tail."""
    for first in (1, 4):
        journal = Journal.open(tmp_path, boot_id="", sync_behind=False)
        for seq in range(first, first + 3):
            journal.append([f.Noted(seq=seq, now=seq, cause=seq, source="s", text="t" * seq)])
        journal.close()
    assert [fact["seq"] for fact in evidence.journal(tmp_path)] == [1, 2, 3, 4, 5, 6]
    path = max(tmp_path.glob("*.seg"))
    path.write_bytes(path.read_bytes()[:-12])
    assert [fact["seq"] for fact in evidence.journal(tmp_path)] == [1, 2, 3, 4, 5]
    (tmp_path / "000001.seg").unlink()
    with pytest.raises(evidence.Torn):
        evidence.journal(tmp_path)


# --- the engine -----------------------------------------------------------------------------------------------


def compare_states(folder: Path, *, plain: bool) -> None:
    """What lived is what a fold of the journal gives, at every moment that was looked at; a replay decides the same."""
    prints = dict(line.split() for line in (folder / "prints").read_text().splitlines())
    state, compared = State(), 0
    for fact in read_facts(folder / "run" / "journal"):
        apply(state, fact)
        wanted = prints.get(str(fact.seq))
        if wanted is not None:
            assert hashlib.sha256(fingerprint(state)).hexdigest() == wanted, f"{folder}: state at {fact.seq}"
            compared += 1
    assert compared
    engine = victim.make(Namespace(folder=folder, address="unix:///nowhere", plain=plain), victim.Doom("", 0))
    replayed = replay(engine)
    assert replayed.first_difference is None, f"{folder}: {replayed.first_difference}"


@pytest.mark.full
def test_a_few_kills(tmp_path: Path) -> None:
    """Killed a few times, at moments by dice: no breach."""
    tally = kills.kill(6, seed=7, folder=tmp_path)
    assert tally.breaches == []
    assert tally.kills == 6


@pytest.mark.prove
def test_many_kills(tmp_path: Path) -> None:
    """Killed at any moment and at each labelled one, starts included: no duplicate, no loss, quick restarts."""
    tally = kills.kill(KILLS, seed=1, folder=tmp_path)
    print(kills.report(tally))
    assert tally.breaches == []
    assert tally.kills == KILLS
    assert tally.orders > KILLS
    assert kills.percentile(tally.restarts, 0.99) <= START_SECONDS
    if FULL:
        assert [label for label in kills.LABELS if not tally.reached[label]] == []
    for number, folder in enumerate(sorted(tmp_path.glob("lane-*"))):
        compare_states(folder, plain=number % 2 == 1)


@pytest.mark.prove
@pytest.mark.parametrize("safeguard", kills.SAFEGUARDS)
def test_without_a_safeguard(tmp_path: Path, safeguard: str) -> None:
    """An engine with a safeguard taken out is found out."""
    with contextlib.redirect_stderr(io.StringIO()):
        tally = kills.kill(9, seed=1, folder=tmp_path, without=safeguard)
    assert tally.breaches


@pytest.mark.prove
def test_starts_on_a_long_journal(tmp_path: Path) -> None:
    """However long the journal, a start takes seconds."""
    found = long_journal.measure(tmp_path, facts=FACTS, starts=STARTS)
    print(f"p50 {kills.percentile(found, 0.5):.2f} s, p99 {kills.percentile(found, 0.99):.2f} s")
    assert kills.percentile(found, 0.99) <= START_SECONDS
