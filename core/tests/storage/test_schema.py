"""Facts of other versions: older ones are lifted, newer ones are looked at and never traded on."""

import msgspec
import pytest

from fairlead._storage import journal as module
from fairlead._storage import upcasting
from fairlead._storage.journal import Journal, read_facts
from fairlead._storage.reading import read
from fairlead._storage.segments import SegmentWriter
from fairlead._storage.upcasting import upcast
from fairlead.errors import JournalError
from fairlead.facts import SCHEMA, Noted, encode


def note(seq, text="x"):
    return Noted(seq=seq, now=seq, cause=seq, source="test", text=text)


def write(folder, payloads, schema):
    """A journal that a version with this schema wrote."""
    from fairlead._storage.reading import Kind, last_segment

    writer = SegmentWriter(folder, last_segment(folder, Kind.JOURNAL)[0], boot_id="", schema=schema)
    for payload in payloads:
        writer.append(writer.seq + 1, payload)
    writer.close()


def facts(*maps):
    return msgspec.msgpack.encode(list(maps))


def test_segments_say_which_schema_their_facts_have(tmp_path):
    """Each for itself: an upgrade begins a new one."""
    write(tmp_path, [facts({"t": "Noted", "seq": 1, "now": 1, "cause": 1, "source": "s", "text": "t"})], 7)
    journal = Journal.open(tmp_path, boot_id="", sync_behind=False)
    journal.append([note(2)])
    journal.close()
    assert [record.schema for record in read(tmp_path)] == [7, SCHEMA]


def test_a_newer_journal_is_refused_to_trade_on_and_can_be_looked_at(tmp_path):
    """Unknown kinds and fields are passed over by who only looks; the refusal names both versions and the remedy."""
    known = {"t": "Noted", "seq": 1, "now": 1, "cause": 1, "source": "s", "text": "t", "colour": "red"}
    write(tmp_path, [facts(known, {"t": "Teleported", "seq": 2, "now": 1, "cause": 1})], SCHEMA + 1)
    with pytest.raises(
        JournalError,
        match=rf"record 1 was written by a newer fairlead, whose facts have version {SCHEMA + 1}",
    ):
        list(read_facts(tmp_path))
    assert [fact.text for fact in read_facts(tmp_path, known_only=True)] == ["t"]


def test_a_fact_of_no_version_is_refused(tmp_path):
    """Nothing is guessed about a kind that is not known, whatever the segment says."""
    write(tmp_path, [facts({"t": "Teleported", "seq": 1, "now": 1, "cause": 1})], SCHEMA)
    with pytest.raises(JournalError, match="holds a fact that this fairlead does not know"):
        list(read_facts(tmp_path))
    assert list(read_facts(tmp_path, known_only=True)) == []


def test_older_facts_are_lifted_one_version_after_the_other():
    """Each upcaster knows one step; facts without one stay as they are."""

    def renamed(fact):
        source = fact.pop("origin")
        return {**fact, "source": source}

    steps = {
        ("Noted", 1): renamed,
        ("Noted", 2): lambda fact: {**fact, "text": fact["text"].upper()},
    }
    old = {"t": "Noted", "seq": 1, "now": 1, "cause": 1, "origin": "s", "text": "t"}
    other = {"t": "TimerCanceled", "seq": 2, "now": 1, "cause": 1, "strategy": "s", "name": "n"}
    lifted = upcast(facts(old, other), 1, upcasters=steps, to=3)
    assert lifted == [{"t": "Noted", "seq": 1, "now": 1, "cause": 1, "source": "s", "text": "T"}, other]
    assert upcast(facts(lifted[0]), 3, upcasters=steps, to=3) == [lifted[0]]


def test_a_journal_of_an_older_version_is_read_through_its_upcasters(tmp_path, monkeypatch):
    """By everybody who reads facts, Decimals and bytes included; what is current is decoded at once."""
    monkeypatch.setattr(module, "SCHEMA", SCHEMA + 1)
    monkeypatch.setattr(upcast, "__kwdefaults__", {"upcasters": upcasting.UPCASTERS, "to": SCHEMA + 1})
    monkeypatch.setitem(
        upcasting.UPCASTERS, ("Noted", SCHEMA), lambda fact: {**fact, "text": "lifted " + fact["text"]}
    )
    cash = {
        "t": "CashChanged", "seq": 2, "now": 1, "cause": 1, "account": "a", "reason": "fee", "currency": "EUR",
        "amount": "0.10", "flow": 1,
    }  # fmt: skip
    kept = {"t": "StrategySaved", "seq": 3, "now": 1, "cause": 1, "strategy": "s", "state": b"\x00\xff"}
    old = {"t": "Noted", "seq": 1, "now": 1, "cause": 1, "source": "s", "text": "t"}
    write(tmp_path, [facts(old, cash, kept)], SCHEMA)
    write(tmp_path, [b"\x91" + encode(note(2))], SCHEMA + 1)
    noted, money, saved, last = read_facts(tmp_path)
    assert (noted.text, last.text) == ("lifted t", "x")
    assert (str(money.amount), money.flow, saved.state) == ("0.10", 1.0, b"\x00\xff")
