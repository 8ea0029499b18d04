"""The checker and its reader are their own proof: what is planted is found, what is whole passes."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from fairlead._storage.journal import read_facts
from fairlead.facts import encode
from simulation.checker import check
from simulation.day import Outcome, play
from simulation.reader import read_log, read_turns

Plant = Callable[[Outcome], None]
pytestmark = pytest.mark.full


def found(plant: Plant) -> set[str]:
    """The invariants that a day breaks which was whole before something was planted."""

    def look(outcome: Outcome) -> set[str]:
        assert check(outcome) == []
        plant(outcome)
        return {violation.invariant for violation in check(outcome)}

    return play(1, (), look)  # type: ignore[no-any-return]


def swap(outcome: Outcome, kind: str, change: Callable[[tuple[Any, ...]], tuple[Any, ...] | None]) -> None:
    """Change the last entry of a kind in the venue's ledger, or take it out."""
    at = max(i for i, entry in enumerate(outcome.ledger) if entry[0] == kind)
    changed = change(outcome.ledger[at])
    outcome.ledger[at : at + 1] = [] if changed is None else [changed]


def test_the_reader_reads_what_the_engine_wrote() -> None:
    """Two readers that share nothing read the same facts."""

    def look(outcome: Outcome) -> None:
        folder = outcome.folder / "run" / "journal"
        turns, faults = read_turns(folder)
        assert faults == []
        mine = [(fact["t"], fact["seq"], fact["now"]) for turn in turns for fact in turn.facts]
        theirs = [(type(fact).__name__, fact.seq, fact.now) for fact in read_facts(folder)]
        assert mine == theirs
        assert len(mine) > 200

    play(1, ("kill",), look, all_of_them=True)


def test_a_flipped_bit_is_found() -> None:
    """One bit in the middle of a journal breaks the chain."""

    def flip(outcome: Outcome) -> None:
        path = outcome.folder / "run" / "journal" / "000001.seg"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        assert read_log(path.parent, 1).faults

    assert "I21" in found(flip)


def test_an_order_that_the_journal_does_not_know_is_found() -> None:
    """The venue saw an order that nobody wrote down."""
    name = "05ea000100000000000000000000ff01"
    assert "I3" in found(lambda o: o.ledger.append(("submit", 0, name, False, 0, Decimal(1))))


def test_an_order_at_the_venue_twice_is_found() -> None:
    """One decision became two orders."""

    def double(outcome: Outcome) -> None:
        accepted = next(entry for entry in outcome.ledger if entry[0] == "accept")
        outcome.ledger.append(accepted)

    assert "I1" in found(double)


def test_a_fill_that_is_missing_is_found() -> None:
    """The venue has a fill more than the journal."""
    more = (
        "fill", 0, "", "F9999", "BTC/USDT:USDT@simex", Decimal(1), Decimal(100), Decimal(0), "USDT", "",
    )  # fmt: skip
    assert {"I9", "I10", "I11"} <= found(lambda o: o.ledger.append(more))


def test_a_fill_too_many_is_found() -> None:
    """The journal has a fill that the venue never had."""
    assert {"I8", "I9", "I10"} <= found(lambda o: swap(o, "fill", lambda entry: None))


def test_an_order_called_rejected_is_found() -> None:
    """An order that is open here only is found."""

    def vanish(outcome: Outcome) -> None:
        outcome.engine["orders"]["05ea0001000000000000000000000101"] = (
            "accepted",
            Decimal(0),
            Decimal(1),
            "",
        )

    assert "I13" in found(vanish)


def test_an_order_that_stays_unknown_is_found() -> None:
    """What is not resolved at the end is found."""

    def doubt(outcome: Outcome) -> None:
        outcome.engine["orders"]["05ea0001000000000000000000000101"] = ("unknown", Decimal(0), Decimal(1), "")

    assert "I29" in found(doubt)


def test_money_that_differs_is_found() -> None:
    """A deposit that only the venue knows."""
    assert "I11" in found(lambda o: o.ledger.append(("money", 0, "USDT", Decimal("0.01"), "deposit")))


def test_a_late_request_is_found() -> None:
    """A request that was written after its deadline."""
    assert found(lambda o: o.ledger.append(("write", 2, "x", 1, 1))) == {"I18"}


def test_a_report_that_was_shed_is_found() -> None:
    """An adapter told something that the journal does not have."""

    def tell(outcome: Outcome) -> None:
        life = max(outcome.lives, key=lambda one: len(one.reports))
        life.reports.insert(1, {"t": "Accepted", "client_order_id": "nobody"})

    assert "I34" in found(tell)


def test_a_crash_is_found() -> None:
    """An engine that ended by itself."""
    assert found(lambda o: o.crashes.append("it fell over")) == {"I0"}


def test_a_state_that_differs_from_its_fold_is_found() -> None:
    """A live state that its journal does not give."""
    assert found(lambda o: o.folds.append(("a", "b", "b"))) == {"I20"}


def test_facts_encode_as_they_are_read() -> None:
    """What the engine encodes is what the reader's plain dicts hold."""

    def look(outcome: Outcome) -> None:
        folder = outcome.folder / "run" / "journal"
        theirs = [msgspec.msgpack.decode(encode(fact)) for fact in read_facts(folder)]
        mine = [fact for turn in read_turns(folder)[0] for fact in turn.facts]
        assert mine == theirs

    play(2, (), look)
