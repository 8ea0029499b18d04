"""Judges a journal by a venue's ledger: what must hold, whenever and wherever the engine was killed.

It shares no code with the engine: the rules are written here a second time, from what they promise.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from evidence import Entry

CENT = Decimal("1e-8")
ZERO = Decimal(0)
CLOCKS_NS = 50_000_000
"""How far the clocks of two processes may be apart: each goes on by itself from the wall's time at its start."""

_ENDINGS = {"OrderCanceled", "OrderExpired", "OrderRejected", "OrderDenied"}
_OF_ORDERS = {
    "OrderSubmitted", "OrderHeld", "OrderDenied", "OrderAdopted", "OrderAccepted", "OrderRejected", "OrderUnknown",
    "OrderTriggered", "OrderReleased", "TrailMoved", "HeldResized", "CancelRequested", "CancelRefused",
    "OrderCanceled", "OrderExpired", "ReplaceRequested", "OrderReplaced", "ReplaceRefused",
}  # fmt: skip
_BEGINNINGS = {"OrderSubmitted", "OrderHeld", "OrderDenied", "OrderAdopted"}


class Venue:
    """What the venue's ledger says."""

    def __init__(self, entries: list[Entry]) -> None:
        self.cash = Decimal(entries[0]["ledger"]["balances"]["USDT"])
        self.placed: dict[str, Entry] = {}
        self.ended: dict[str, int] = {}
        self.filled: dict[str, Decimal] = defaultdict(Decimal)
        self.fills: dict[str, Entry] = {}
        self.twice: list[str] = []
        self.overlaps: list[str] = []
        for entry in entries[1:]:
            self._take(entry)

    def _take(self, entry: Entry) -> None:
        match entry["t"]:
            case "Placed":
                order = entry["order"]
                name = order["client_order_id"]
                if name in self.placed:
                    self.twice.append(name)
                for before in (order["intent"].get(word, "") for word in ("replaces", "repeats")):
                    if before in self.placed and before not in self.ended:
                        self.overlaps.append(f"{name} was live beside {before}, in whose place it comes")
                self.placed[name] = order
            case "NewTerms":
                self.placed[entry["order"]["client_order_id"]] = entry["order"]
            case "Ended":
                self.ended[entry["client_order_id"]] = 1
            case "Executed":
                fill = entry["fill"]
                name = fill["client_order_id"]
                self.fills[fill["fill_id"]] = fill
                self.filled[name] += Decimal(fill["quantity"])
                if name in self.placed and self.filled[name] >= Decimal(self.placed[name]["quantity"]):
                    self.ended[name] = 1

    @property
    def open(self) -> set[str]:
        return set(self.placed) - set(self.ended)


class Books:
    """What the journal says."""

    def __init__(self, facts: list[Entry]) -> None:
        self.facts = facts
        self.submitted: dict[str, Entry] = {}
        self.intents: dict[str, Entry] = {}
        self.rejected: dict[str, Entry] = {}
        self.ending: dict[str, tuple[Entry, Decimal]] = {}
        self.quantity: dict[str, Decimal] = {}
        self.filled: dict[str, Decimal] = defaultdict(Decimal)
        self.fills: dict[str, Entry] = {}
        self.cash = ZERO
        self.moved = ZERO
        self.breaches: list[str] = []
        self._killed = False
        self._epoch = 0
        self._shares: dict[str, Decimal] = defaultdict(Decimal)
        for fact in facts:
            self._take(fact)

    def _breach(self, text: str) -> None:
        self.breaches.append(text)

    def _take(self, fact: Entry) -> None:
        kind = fact["t"]
        if kind in _OF_ORDERS:
            self._order(kind, fact)
        match kind:
            case "EngineStarted":
                if fact["epoch"] <= self._epoch:
                    self._breach(f"I17: epoch {fact['epoch']} follows {self._epoch}")
                self._epoch = fact["epoch"]
            case "AccountOpened":
                self.cash = Decimal(fact["balances"]["USDT"])
            case "Filled":
                self._fill(fact)
            case "FillReversed":
                self._reverse(fact["fill"])
            case "CashChanged":
                self.moved += Decimal(fact["amount"])
            case "BreakerTripped":
                self._killed = self._killed or fact["state"] == "killed"
            case "BreakerReset":
                self._killed = self._killed and fact["breaker"] != "kill"

    def _order(self, kind: str, fact: Entry) -> None:
        name, seq = fact["client_order_id"], fact["seq"]
        if kind not in _BEGINNINGS and name not in self.intents:
            self._breach(f"I14: {kind} at {seq} of {name}, which nobody placed")
        if name in self.ending and kind not in ("OrderAccepted", "OrderTriggered"):
            ending = self.ending[name][0]
            adopted = ending["t"] == "OrderRejected" and kind in ("CancelRequested", "OrderCanceled")
            if not adopted:
                self._breach(f"I14: {kind} at {seq} of {name}, which had ended ({ending['t']})")
        if kind in _BEGINNINGS:
            self.intents.setdefault(name, fact["intent"])
            self.quantity[name] = Decimal(fact.get("quantity") or fact["intent"]["quantity"])
        if kind in ("HeldResized", "OrderReplaced"):
            self.quantity[name] = Decimal(fact["quantity"])
        if kind == "OrderSubmitted":
            self._submit(name, fact)
        elif kind == "OrderRejected":
            self.rejected[name] = fact
        elif kind == "OrderAccepted":
            self.rejected.pop(name, None)
            self.ending.pop(name, None)
        if kind in _ENDINGS:
            self.ending[name] = (fact, self.filled[name])

    def _submit(self, name: str, fact: Entry) -> None:
        intent, seq = fact["intent"], fact["seq"]
        if name in self.submitted:
            self._breach(f"I1: {name} was submitted at {self.submitted[name]['seq']} and again at {seq}")
        self.submitted[name] = fact
        if self._killed and not intent.get("sweep"):
            self._breach(f"I16: {name} was submitted at {seq}, after a kill and outside of it")
        if int(name[4:8], 16) > self._epoch:
            self._breach(f"I17: {name} at {seq} is of an epoch that has not begun")
        if intent.get("repeats") and intent["repeats"] not in self.ending:
            self._breach(f"I5: {name} at {seq} repeats {intent['repeats']}, of which nothing is proven")

    def _fill(self, fact: Entry) -> None:
        fill = fact["fill"]
        if fill["fill_id"] in self.fills:
            self._breach(f"I7: fill {fill['fill_id']} was booked twice, at {fact['seq']} again")
        self.fills[fill["fill_id"]] = fact
        self._book(fill, 1)

    def _reverse(self, fill: Entry) -> None:
        if self.fills.pop(fill["fill_id"], None) is None:
            self._breach(f"I7: fill {fill['fill_id']} was taken back and is not there")
        self._book(fill, -1)

    def _book(self, fill: Entry, sign: int) -> None:
        quantity = sign * Decimal(fill["quantity"])
        self.filled[fill["client_order_id"]] += quantity
        self._shares[fill["strategy"]] += quantity if fill["side"] == "buy" else -quantity

    @property
    def positions(self) -> dict[str, Decimal]:
        """By strategy; what is flat is left out."""
        return {name: held for name, held in self._shares.items() if held}


def judge(facts: list[Entry], entries: list[Entry]) -> list[str]:
    """Every breach of what must hold of a journal and a ledger that have come to rest; none is as it should be."""
    books, venue = Books(facts), Venue(entries)
    return [
        *books.breaches,
        *_duplicates(books, venue),
        *_orders(books, venue),
        *_fills(books, venue),
        *_decisions(books),
    ]


def _duplicates(books: Books, venue: Venue) -> Iterator[str]:
    for name in venue.twice:
        yield f"I1: the venue took {name} twice"
    for text in venue.overlaps:
        yield f"I2: {text}"
    numbers: dict[str, list[str]] = defaultdict(list)
    tags: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, order in venue.placed.items():
        intent = order["intent"]
        if not intent.get("repeats"):
            numbers[name[8:30]].append(name)
        if _decided(intent):
            tags[intent["strategy"], intent["tag"]].append(name)
    for names in [*numbers.values(), *tags.values()]:
        if len(names) > 1:
            yield f"I1: one decision has {len(names)} orders at the venue: {', '.join(names)}"


def _decided(intent: Entry) -> bool:
    """Whether a strategy's handler decided this order, and not something that follows from another one."""
    followed = ("parent", "replaces", "repeats", "sweep")
    return intent.get("tag", "").startswith("step") and not any(intent.get(word) for word in followed)


def _orders(books: Books, venue: Venue) -> Iterator[str]:
    for name, order in venue.placed.items():
        fact = books.submitted.get(name)
        if fact is None:
            yield f"I3: the venue has {name}, of which the journal knows nothing"
        elif fact["now"] > order["accepted_ns"] + CLOCKS_NS:
            yield f"I3: {name} was at the venue before it was written down"
        if name in books.rejected:
            code = books.rejected[name].get("code", "")
            yield f"I4: {name} counts as rejected ({code}), and the venue had taken it"
    there = venue.open
    for name in books.submitted:
        closed = name in books.ending or books.filled[name] >= books.quantity[name]
        if closed and name in there:
            yield f"I13: lost: {name} works at the venue, and counts as ended"
        elif not closed and name not in there:
            yield f"I13: unresolved: {name} does not work at the venue, and counts as open"
    for name, (fact, filled) in books.ending.items():
        if filled != venue.filled.get(name, ZERO):
            yield (
                f"I8: {name} ended at {fact['seq']} with {filled} filled, and the venue has {venue.filled[name]}"
            )


def _fills(books: Books, venue: Venue) -> Iterator[str]:
    for name in sorted(set(venue.fills) - set(books.fills)):
        yield f"I7: lost: fill {name} of {venue.fills[name]['client_order_id']} is not booked"
    for name in sorted(set(books.fills) - set(venue.fills)):
        yield f"I7: fill {name} is booked, and the venue has none"
    for name, fact in books.fills.items():
        ours, theirs = fact["fill"], venue.fills.get(name)
        if theirs is not None and any(
            Decimal(ours[key]) != Decimal(theirs[key]) for key in ("quantity", "price", "fee")
        ):
            yield f"I7: fill {name} is booked otherwise than it was"
        if theirs is not None and (ours["side"], ours["client_order_id"]) != (
            theirs["side"],
            theirs["client_order_id"],
        ):
            yield f"I7: fill {name} is booked for another order"
    for name, filled in books.filled.items():
        if name in books.submitted and filled > Decimal(books.submitted[name]["quantity"]):
            yield f"I6: {name} filled {filled} of {books.submitted[name]['quantity']}"
    booked: dict[str, int] = {name: fact["seq"] for name, fact in books.fills.items()}
    for fact in books.facts:
        if fact["t"] == "FillsListed":
            for name, fill in venue.fills.items():
                if fill["event_ns"] + CLOCKS_NS < fact["until_ns"] and booked.get(name, 0) > fact["seq"]:
                    yield f"I9: {name} was booked after all fills until then were listed, at {fact['seq']}"


def _decisions(books: Books) -> Iterator[str]:
    """No step is decided twice, and none is left out (steps 0, 1, 2, 3 and 6 of each eight place an order)."""
    steps: dict[str, Counter[int]] = defaultdict(Counter)
    for intent in books.intents.values():
        if _decided(intent):
            steps[intent["strategy"]][int(intent["tag"].split()[1])] += 1
    for strategy, counted in steps.items():
        wanted = {step for step in range(1, max(counted) + 1) if step % 8 in (0, 1, 2, 3, 6)}
        for step in sorted(wanted - set(counted)):
            yield f"lost: {strategy} never placed its order of step {step}"
        for step, times in counted.items():
            if times > 1:
                yield f"I1: one decided step: {step} of {strategy}, {times} times"


def at_rest(books: dict[str, Any], snapshot: Entry) -> list[str]:
    """What the living engine and the venue say differently; none where they agree and nothing is in flight."""
    ours: dict[str, Decimal] = defaultdict(Decimal)
    shares: dict[str, Decimal] = defaultdict(Decimal)
    for strategy, instrument, quantity in books["positions"]:
        (shares if strategy else ours)[instrument] += Decimal(quantity)
    theirs = {name: Decimal(quantity) for name, quantity in snapshot["positions"].items()}
    working = {name for name, status in books["open"].items() if status != "held"}
    there = {order["client_order_id"] for order in snapshot["orders"]}
    moving = {name: s for name, s in books["open"].items() if s in ("submitted", "unknown", "pending_cancel")}
    found = [f"{name} is {status}" for name, status in moving.items()]
    found += [f"{name} works here alone" for name in sorted(working - there)]
    found += [f"{name} works at the venue alone" for name in sorted(there - working)]
    if dict(ours) != theirs:
        found.append(f"I10: {dict(ours)} is held here, {theirs} at the venue")
    if {k: v for k, v in shares.items() if v} != {k: v for k, v in ours.items() if v}:
        found.append(f"I12: strategies hold {dict(shares)}, the account {dict(ours)}")
    found += [f"it counts as a difference: {text}" for text in books.get("discrepancies", ())]
    if books["sweeps"]:
        found.append(f"{books['sweeps']} sweeps are under way")
    return found


def cash(facts: list[Entry], entries: list[Entry], books: dict[str, Any], snapshot: Entry) -> list[str]:
    """Cash of a flat account: the journal's, the engine's and the venue's are one sum (I11)."""
    here, there = Books(facts), Venue(entries)
    flows = {
        "journal": here.cash + here.moved + _earned([fact["fill"] for fact in here.fills.values()]),
        "engine": Decimal(books["balances"]["USDT"]),
        "ledger": there.cash + _earned(there.fills.values()),
        "venue": Decimal(snapshot["balances"]["USDT"]),
    }
    found = [f"I11: {flows}"] if max(flows.values()) - min(flows.values()) > CENT else []
    return found + [f"I10: {name} still holds {held}" for name, held in here.positions.items()]


def _earned(fills: Any) -> Decimal:
    """What fills that end flat have brought: each is money that came or went, less its fee."""
    earned = ZERO
    for fill in fills:
        worth = Decimal(fill["quantity"]) * Decimal(fill["price"])
        earned += (worth if fill["side"] == "sell" else -worth) - Decimal(fill["fee"])
    return earned
