"""What can go wrong: the kinds of fault that a day draws from, and the catalogue that they stand for.

Every row of the catalogue of faults is drawn by a kind here, or excused with a reason. A kind that is drawn and
never fires is as red as a violation: it would prove nothing.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

CATALOGUE = tuple(
    f"{layer}{number:02d}"
    for layer, rows in (
        ("N", 12), ("A", 15), ("S", 32), ("C", 6), ("P", 10), ("K", 9), ("D", 7), ("O", 8), ("X", 5),
    )
    for number in range(1, rows + 1)
)  # fmt: skip
"""N network, A the venue's API, S semantics, C clock, P process, K disk, D data, O operator, X security."""


class Fault(NamedTuple):
    """A kind of fault: the rows it stands for, and how often it strikes.

    `rate` is its chance at each opportunity, `times` how many moments of a day it is planned for at most.
    """

    name: str
    rows: tuple[str, ...]
    what: str
    rate: float = 0.0
    times: int = 0


KINDS = {
    fault.name: fault
    for fault in (
        # --- requests and their answers
        Fault("req.lose", ("N02",), "a request never arrives", 0.02),
        Fault("req.late", ("N03",), "a request arrives 1 to 40 s after its sender gave up", 0.01),
        Fault("resp.lose", ("N01", "A02", "A03"), "an answer never comes; the order may be there", 0.03),
        Fault("resp.error", ("A01",), "a server error after the request took effect", 0.02),
        Fault("resp.strange", ("A14",), "an answer with a status that nobody knows", 0.01),
        Fault("ack.first", ("A05",), "the stream says accepted, and then the request times out", 0.02),
        Fault("reject", ("S30",), "the venue refuses an order, definitively", 0.02),
        Fault("id.open", ("A04",), "the venue takes an id again once its order is closed", 0.0, 1),
        Fault("ban", ("A09", "A10"), "too many requests: refused for a while", 0.0, 1),
        Fault("maintenance", ("A11",), "the venue restarts: refused, and streams end", 0.0, 1),
        # --- questions
        Fault("query.error", ("N04",), "a question gets no answer", 0.05),
        Fault(
            "query.outage", ("P09",), "no question gets an answer for minutes: starts fail in a row", 0.0, 1
        ),
        Fault("query.lag", ("A06",), "a question is answered from a state up to 2 s old", 0.3),
        Fault("query.forget", ("A08",), "closed orders are found for a minute only", 0.0, 1),
        Fault("query.part", ("A15",), "a part of a snapshot is missing", 0.1),
        # --- the private stream
        Fault("ws.dup", ("S02",), "a message comes twice", 0.03),
        Fault("ws.reorder", ("S01", "S05"), "two messages change places", 0.03),
        Fault("ws.lag", ("N12",), "messages come seconds late for a while", 0.0, 2),
        Fault("ws.drop", ("N11",), "a message is missed, and the next one shows the gap", 0.02),
        Fault("ws.close", ("N09", "N10"), "the stream ends and is opened again", 0.0, 2),
        Fault("ws.stall", ("N06",), "the stream answers pings and says nothing", 0.0, 1),
        Fault("ws.blackhole", ("N05",), "the connection is half open: nothing comes at all", 0.0, 1),
        Fault("ws.unsub", ("N08",), "the stream is open again, and its subscription is not", 0.0, 1),
        # --- what orders and fills mean
        Fault("fill.race", ("S07", "S06"), "an order fills while its cancel is on the way", 0.15),
        Fault("replace.race", ("S09",), "an order fills while its replacement is on the way", 0.15),
        Fault("replace.old", ("S10",), "the end of a former id is told before the new one", 0.5),
        Fault("cancel.lie", ("S08",), "a cancel is confirmed for reception, and does nothing", 0.03),
        Fault("fill.partial", ("S06",), "little is offered: orders fill in parts", 0.3),
        Fault("fill.ids", ("S03",), "a fill has one id on the stream and another in the list", 0.03),
        Fault("fill.untold", ("S03",), "no fill says what its order has filled in all, all day", 0.0, 1),
        Fault("fill.over", ("S12",), "more fills than was ordered", 0.05),
        Fault("fill.void", ("S05",), "the venue takes a fill back", 0.0, 1),
        Fault("void.early", ("S05",), "a fill is taken back before the fill itself is told", 0.0, 2),
        Fault("stop.reject", ("S15",), "the venue refuses a stop", 0.1),
        Fault("inst.change", ("S17", "S18"), "tick, lot and minimum change", 0.0, 1),
        Fault("inst.delist", ("S19",), "an instrument takes no orders any more", 0.0, 1),
        # --- the account
        Fault("acct.fee", ("S20",), "a fee is paid in a third currency", 0.2),
        Fault("acct.flow", ("S21",), "money comes or goes", 0.0, 2),
        Fault("acct.funding", ("S22",), "funding is paid", 0.0, 2),
        Fault("acct.forced", ("S23",), "the venue reduces a position by force", 0.0, 1),
        Fault("acct.manual", ("S24", "S14"), "somebody trades by hand on the same account", 0.0, 2),
        Fault("acct.missed", ("S24", "N11"), "somebody trades by hand while the stream is mute", 0.0, 4),
        Fault("acct.away", ("S21", "S22"), "money moves while nobody listens", 0.0, 2),
        Fault("acct.crowd", ("S24",), "others trade more than a thousand times, some of it unheard", 0.0, 1),
        # --- time
        Fault(
            "clock.skew", ("C01", "C06"), "the engine's clock is up to 3 s off, at each start another", 0.0, 1
        ),
        Fault("clock.jump", ("C02",), "the engine's clock leaps ahead", 0.0, 1),
        Fault("midnight", ("C03",), "the trading day ends in the middle", 0.0, 1),
        # --- the process
        Fault("kill", ("P01",), "kill -9 at any moment", 0.0, 4),
        Fault("kill.label", ("P01", "S04"), "kill -9 at a labelled point of the code", 0.0, 4),
        Fault("kill.start", ("P02", "P09"), "kill -9 in the middle of a start", 0.0, 3),
        Fault("stop", ("P06",), "an end in good order, and a start after it", 0.0, 1),
        Fault("pause", ("P10", "P04"), "the process stands still between the journal and the wire", 0.01),
        Fault("peer", ("O03", "K08"), "a second engine wants the same account", 0.0, 1),
        # --- the disk
        Fault("disk.full", ("K01",), "the journal cannot grow", 0.0, 1),
        Fault("disk.error", ("K02", "K03"), "the journal cannot be written at all any more", 0.0, 1),
        Fault("power.full", ("K04",), "a power cut takes what was not synced; every turn was", 0.0, 1),
        Fault("power", ("K04", "K06"), "a power cut takes the end of the journal, orders with it", 0.0, 3),
        Fault("torn", ("K06",), "the last record is half written", 0.0, 1),
        # --- market data
        Fault("px.flash", ("D01",), "one price far from all others", 0.003),
        Fault("px.bad", ("D02",), "a price that is no number, zero or negative", 0.005),
        Fault("px.stale", ("N07", "D03"), "the same old price again and again", 0.0, 1),
        Fault("px.crossed", ("D04",), "a bid above its ask", 0.005),
        Fault("px.late", ("D05",), "a price that comes long after it was made", 0.005),
        # --- people
        Fault("halt", ("O01",), "somebody halts trading, and lifts it later", 0.0, 1),
    )
}

GAPS = {"ws.drop", "ws.close", "ws.stall", "ws.blackhole", "ws.unsub", "maintenance", "query.lag"}
"""What can hide from an engine what no order of ours asks for: a fill that nobody here ordered, or one taken back."""

EXCUSED = {
    "A07": "whether an adapter can ask by our id is a question to adapters: the conformance kit asks it",
    "A12": "there is no batch command yet",
    "A13": "a replacement is atomic, or a cancel and a new order: no command of the port can half succeed",
    "S11": "reconciliation is a plugin that does not exist yet",
    "S13": "the kill sequence does not exist yet",
    "S16": "the dead-man switch: tests of the kernel, and of an engine that hangs",
    "S25": "hedged accounts are not in the port yet",
    "S26": "leverage is not in the port yet",
    "S27": "codes of Interactive Brokers: its adapter's tests",
    "S28": "order ids of Interactive Brokers: its adapter's tests",
    "S29": "client ids of Interactive Brokers: its adapter's tests",
    "S31": "corporate actions are not in the port yet",
    "S32": "two ids behind one order: Interactive Brokers, its adapter's tests",
    "C04": "calendars: property tests over zones and years",
    "C05": "naive datetimes: a rule of the linter",
    "P03": "memory: measured over 10^7 events, not over minutes",
    "P05": "a task that dies ends the session: tests of sessions",
    "P07": "a newer format: tests of storage",
    "P08": "one build runs one account: the lock, and versions in run.json",
    "K05": "a defect of another store",
    "K07": "a defect of another store",
    "K09": "growth of logs: tests of storage",
    "D06": "rounding: property tests of the grid",
    "D07": "units: tests of limits and of instruments",
    "O02": "typing errors: tests of bad input",
    "O04": "wrong keys: tests of wiring",
    "O05": "alerts are a plugin that does not exist yet",
    "O06": "alerts are a plugin that does not exist yet",
    "O07": "an edited journal does not verify: tests of storage",
    "O08": "an outside kill tool does not exist yet",
    "X01": "secrets: tests of redaction",
    "X02": "a dashboard does not exist yet",
    "X03": "plugins are enabled by name: tests of wiring",
    "X04": "nothing reads pickles: a rule of the linter",
    "X05": "rights of keys: adapters' tests",
}
"""Rows of the catalogue that no kind draws, each with the reason."""


def drawn(kinds: Iterable[str]) -> set[str]:
    """The rows that these kinds stand for."""
    return {row for name in kinds for row in KINDS[name].rows}


class Weather:
    """Which faults strike when: a seed, the kinds of this day, and a count of what has fired.

    Of the kinds that are allowed, a day has about half: what only fails in good company would hide otherwise.
    """

    def __init__(
        self, seed: int, kinds: Iterable[str], *, all_of_them: bool = False, strength: float = 0.0
    ) -> None:
        self.dice = random.Random(f"weather {seed}")
        allowed = sorted(kinds)
        self.kinds = {name for name in allowed if self.dice.random() < 0.5 or all_of_them}
        # How long a request is valid is only known by a clock that is right.
        if self.kinds & {"clock.jump", "pause"}:
            self.kinds.discard("req.late")
        # Without totals, whether a look-up counts a fill is known by its time only, and so by a clock that is right.
        if self.kinds & {"clock.skew", "clock.jump", "pause"}:
            self.kinds.discard("fill.untold")
        # Two ids of one fill can be told from two fills by totals only: a venue has to give one or the other.
        if "fill.untold" in self.kinds:
            self.kinds.discard("fill.ids")
        if self.kinds & GAPS and "acct.missed" not in allowed:
            self.kinds -= {"acct.manual", "acct.forced", "fill.void"}
        self.strength = (
            strength or (1.0 if all_of_them else 0.0) or self.dice.choice((0.5, 1.0, 1.0, 2.0, 4.0))
        )
        self.fired: Counter[str] = Counter()
        self.calm = False

    def rolls(self, name: str) -> bool:
        """Whether a fault would strike here; who can still fail to do it counts it with `fire`."""
        return not self.calm and name in self.kinds and self.dice.random() < KINDS[name].rate * self.strength

    def strikes(self, name: str) -> bool:
        """Whether a fault strikes at this opportunity."""
        struck = self.rolls(name)
        if struck:
            self.fired[name] += 1
        return struck

    def planned(self, name: str) -> int:
        """For how many moments of this day a fault is planned."""
        return self.dice.randint(1, KINDS[name].times) if name in self.kinds else 0

    def fire(self, name: str) -> None:
        """Count a fault that was planned and has struck."""
        self.fired[name] += 1
