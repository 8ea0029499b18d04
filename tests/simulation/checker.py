"""What must hold of a day: one function for each invariant, found from the journal's bytes and the venue's ledger.

Nothing here is shared with the engine. An invariant yields (sequence number, evidence) for each violation. I0 to I36
are the catalogue's; R8 and R9 are two of its rules of recovery.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from simulation.day import Outcome
from simulation.evidence import AT_VENUE, CLOSED, ZERO, Evidence, Seen, Told

Finding = tuple[int, str]
AT_DEATH = 6
"""How many of the last reports may be in the hands of a process that dies."""

QUANTUM = Decimal("1e-8")
ADJUSTED = "adjusted:"
"""What the id of a fill begins with that no execution stands behind."""

EXCUSED = {
    "I15": "exposure limits over time: property tests of the gate; the simulation's breakers are wide",
    "I19": "rate limits do not exist yet",
    "I22": "an age limit for decisions is a breaker: its own tests",
    "I30": "alerts do not exist yet",
    "I31": "secrets: tests of redaction; the simulated adapter has none",
    "I33": "shadows do not exist yet",
}
"""Invariants that have nothing to look at in a simulated day yet, each with the reason."""


class Violation(NamedTuple):
    """What did not hold, of which day, where."""

    invariant: str
    seed: int
    seq: int
    evidence: str

    def __str__(self) -> str:
        return f"{self.invariant} in day {self.seed} at {self.seq}: {self.evidence}"


INVARIANTS: dict[str, Callable[[Evidence], Iterator[Finding]]] = {}


def invariant(
    name: str,
) -> Callable[[Callable[[Evidence], Iterator[Finding]]], Callable[[Evidence], Iterator[Finding]]]:
    """Register an invariant under its id."""

    def register(check: Callable[[Evidence], Iterator[Finding]]) -> Callable[[Evidence], Iterator[Finding]]:
        INVARIANTS[name] = check
        return check

    return register


def check(outcome: Outcome) -> list[Violation]:
    """Everything that did not hold in a day."""
    evidence = Evidence(outcome)
    return [
        Violation(name, outcome.seed, seq, text)
        for name, look in INVARIANTS.items()
        for seq, text in look(evidence)
    ]


def _last(e: Evidence) -> int:
    return e.facts[-1]["seq"] if e.facts else 0  # type: ignore[no-any-return]


# --- the engine itself ------------------------------------------------------------------------------------------


@invariant("I0")
def engine_runs(e: Evidence) -> Iterator[Finding]:
    """The engine ends only when told to, or where the disk or the venue is gone; no strategy is halted by a fault."""
    for crash in e.outcome.crashes:
        yield _last(e), crash
    for fact in e.of("StrategyHalted"):
        yield fact["seq"], f"strategy {fact['strategy']} was halted: {fact['reason']}"
    for fact in e.of("Noted"):
        if "the gate failed" in fact["text"]:
            yield fact["seq"], fact["text"]
    for order in e.orders.values():
        for seq, status, fact in order.steps:
            if status == "denied" and any("the gate failed" in reason for reason in fact["reasons"]):
                yield seq, str(fact["reasons"])


# --- orders -----------------------------------------------------------------------------------------------------


def _step(order: Told) -> tuple[str, ...]:
    """What tells one step of one intent from all others."""
    i = order.intent
    return (i["strategy"], i.get("tag", ""), i.get("type", "market"), i.get("parent", ""), i.get("group", ""))


@invariant("I1")
def one_order_for_each_intent(e: Evidence) -> Iterator[Finding]:
    """A decision is made once, is never lost once it is saved, and becomes one order at the venue at most."""
    made: dict[tuple[str, ...], list[Told]] = defaultdict(list)
    for order in e.orders.values():
        if order.root and order.intent.get("tag"):
            made[order.intent["strategy"], order.intent["tag"], order.intent.get("type", "market")].append(
                order
            )
    for key, orders in made.items():
        accepted = [o for o in orders if o.name in e.seen and e.seen[o.name].accepted]
        if len(accepted) > 1 or sum(len(e.seen[o.name].accepted) for o in accepted) > 1:
            yield accepted[-1].submitted, f"{key} is at the venue as {[o.name for o in accepted]}"
        elif len({o.name for o in orders if o.status != "rejected"}) > 1:
            yield orders[-1].steps[0][0], f"{key} was decided again: {[o.name for o in orders]}"
    tags = {(key[0], key[1]) for key in made}
    for fact in e.of("StrategySaved"):
        serial = msgspec.msgpack.decode(fact["state"])["serial"]
        if serial and (fact["strategy"], f"{fact['strategy']}-{serial}") not in tags:
            yield fact["seq"], f"decision {serial} of {fact['strategy']} is saved, and its order is lost"


@invariant("I2")
def one_live_order_for_each_step(e: Evidence) -> Iterator[Finding]:
    """An order and its replacement, or two linked orders, are never at the venue at the same time."""
    spans = {
        seen.name: (seen.accepted[0], seen.ended[0] if seen.ended else _filled_at(e, seen.name))
        for seen in e.seen.values()
        if seen.accepted
    }
    groups: dict[str, list[Told]] = defaultdict(list)
    for order in e.orders.values():
        if order.name not in spans:
            continue
        group = order.intent.get("group", "")
        if group and not e.outcome.oco:
            groups[group].append(order)
        old = order.intent.get("replaces", "")
        if old in spans and spans[order.name][0] < spans[old][1]:
            yield order.submitted, f"{order.name} was at the venue beside {old}, which it replaces"
    for group, legs in groups.items():
        legs.sort(key=lambda o: spans[o.name][0])
        for one, two in itertools.pairwise(legs):
            if spans[two.name][0] < spans[one.name][1]:
                yield (
                    two.submitted,
                    f"{one.name} and {two.name} of {group} were at the venue at the same time",
                )


def _filled_at(e: Evidence, name: str) -> int:
    """Where in the ledger an order had filled whole; its end where it still works."""
    order = e.orders.get(name)
    total = ZERO
    for at, entry in enumerate(e.outcome.ledger):
        if entry[0] == "fill" and entry[2] == name:
            total += abs(entry[5])
            if order is not None and total >= order.quantity:
                return at
    return len(e.outcome.ledger)


@invariant("I3")
def written_ahead(e: Evidence) -> Iterator[Finding]:
    """Every order that the venue ever saw was in the journal before it was on the wire."""
    for seen in e.seen.values():
        if not seen.writes:
            continue
        order = e.orders.get(seen.name)
        if _is_lost(e, seen):
            continue  # see R9
        if order is None or not order.submitted:
            yield _last(e), f"the venue saw {seen.name}, and the journal has no such order"
        elif not all(committed for _, committed in seen.writes):
            yield order.submitted, f"{seen.name} was sent before it was in the journal"


def _is_lost(e: Evidence, seen: Seen) -> bool:
    """Whether a power cut that the next start knew of can have taken from the journal that an order was sent."""
    after = next((epoch for _, epoch, _ in e.epochs if epoch > seen.epoch), None)
    lost = seen.name not in e.orders or not e.orders[seen.name].submitted
    return lost and "power" in e.outcome.fired and e.outcome.durability == "process" and after in e.lost_tails


@invariant("R9")
def lost_orders_are_adopted_or_halt(e: Evidence) -> Iterator[Finding]:
    """What a power cut took from the journal is known again before anything new is sent, or the account is halted."""
    booked = {(fill["client_order_id"], _plain_id(fill["fill_id"])): seq for seq, fill, _ in e.booked}
    for seen in e.seen.values():
        if not seen.writes or not _is_lost(e, seen):
            continue
        epoch = seen.epoch
        started = next(seq for seq, after, _ in e.epochs if after > epoch)
        halted = any(seq > started for seq in e.halts)
        later = [
            o for o in e.orders.values() if o.submitted and o.name in e.seen and e.seen[o.name].epoch > epoch
        ]
        first = min(later, key=lambda order: _first(e, order.name), default=None)
        if halted or first is None:
            continue
        at, sent = _first(e, first.name), first.submitted
        told = e.orders.get(seen.name)
        known = told is not None and any(seq < sent and status != "held" for seq, status, _ in told.steps)
        fills = [(n, entry) for n, entry in _fills(e, seen.name) if n < at]
        ended = bool(seen.ended) and seen.ended[0] < at
        ended = ended or sum(abs(entry[5]) for _, entry in fills) >= seen.quantity
        if _first(e, seen.name) > at:
            yield sent, f"{seen.name}, which the journal lost, came to the venue after {first.name} was sent"
        elif seen.accepted and not ended and not known:
            yield sent, f"{first.name} was sent while {seen.name}, which the journal lost, worked unknown"
        for _, entry in fills:
            if not known and entry[3] not in e.voids and booked.get((seen.name, entry[3]), sent) >= sent:
                yield (
                    sent,
                    f"{first.name} was sent before fill {entry[3]} of {seen.name}, which was lost, was booked",
                )


def _fills(e: Evidence, name: str) -> list[tuple[int, tuple[Any, ...]]]:
    """The fills of an order, with their places in the ledger."""
    return [
        (at, entry) for at, entry in enumerate(e.outcome.ledger) if entry[0] == "fill" and entry[2] == name
    ]


@invariant("R8")
def differences_are_adopted_or_told(e: Evidence) -> Iterator[Finding]:
    """Books and venue agree at the end, or what differs stands, told, to the last unit; nothing else stands.

    Every change of a position is an execution that the venue lists, so none is ever adjusted.
    """
    adjusts = "adjust" in e.outcome.policy
    for name, left in _differences(e).items():
        stands = next((d for d in e.standing.values() if d["subject"] == name and d["kind"] == "cash"), None)
        told = (
            stands is not None and abs(Decimal(stands["theirs"]) - Decimal(stands["ours"]) - left) <= QUANTUM
        )
        if adjusts or not told:
            yield _last(e), f"{name}: the venue has {left} more, and {stands or 'nobody said so'}"
    if e.outcome.engine:
        for one in e.standing.values():
            if one["kind"] != "cash" or one["subject"] not in _differences(e):
                yield _last(e), f"nothing differs, and there stands {one['kind']} of {one['subject']}"
    for seq, fill, _ in e.booked:
        if fill["fill_id"].startswith(ADJUSTED):
            yield (
                seq,
                f"{fill['quantity']} {fill['instrument']} were adjusted, and every fill of them was listed",
            )


def _differences(e: Evidence) -> dict[str, Decimal]:
    """What the venue has more of each currency at the end, as if every position were worth nothing."""
    found = {name: e.venue_cash[name] - e.cash[name] for name in {*e.cash, *e.venue_cash}}
    return {name: left for name, left in sorted(found.items()) if abs(left) > QUANTUM}


@invariant("I4")
def no_failure_on_transport_evidence(e: Evidence) -> Iterator[Finding]:
    """An order that the venue accepted is never called rejected, and never ended while it works there."""
    for order in e.orders.values():
        accepted = order.name in e.seen and e.seen[order.name].accepted
        if not accepted:
            continue
        for seq, status, _ in order.steps:
            if status == "rejected":
                yield seq, f"{order.name} was called rejected, and the venue had accepted it"
        if order.status in CLOSED and order.name in e.outcome.venue["open"]:
            yield order.steps[-1][0], f"{order.name} is {order.status} here, and works at the venue"


@invariant("I5")
def attempts_in_order(e: Evidence) -> Iterator[Finding]:
    """An attempt follows another only after proof that this one cannot be accepted."""
    for order in e.orders.values():
        attempt = int(order.name[30:], 16)
        if attempt <= 1 or not order.submitted:
            continue
        before = order.intent.get("repeats", "")
        seen = e.seen.get(before)
        if seen is not None and seen.accepted and not (seen.ended and seen.ended[0] < _first(e, order.name)):
            yield order.submitted, f"{order.name} was sent, and {before} worked at the venue"
        told = e.orders.get(before)
        if told is None or not any(s in CLOSED and q < order.submitted for q, s, _ in told.steps):
            yield order.submitted, f"{order.name} was sent before {before} was known to have ended"


def _first(e: Evidence, name: str) -> int:
    """Where in the ledger the venue first saw an order; its end where it never did."""
    seen = e.seen.get(name)
    return seen.writes[0][0] if seen is not None and seen.writes else len(e.outcome.ledger)


@invariant("I13")
def the_same_orders_work(e: Evidence) -> Iterator[Finding]:
    """When all is quiet, the same orders work here and at the venue."""
    if not e.outcome.engine:
        return
    here = {name for name, (status, *_) in e.outcome.engine["orders"].items() if status in AT_VENUE}
    told = {order.name for order in e.orders.values() if order.status in AT_VENUE}
    there = set(e.outcome.venue["open"])
    for name in sorted(there - here):
        yield _last(e), f"{name} works at the venue, and not here"
    for name in sorted(here - there - _beyond_knowing(e)):
        yield _last(e), f"{name} works here ({e.outcome.engine['orders'][name][0]}), and not at the venue"
    for name in sorted(told ^ here):
        yield _last(e), f"{name} is open in one of journal and engine only"


def _beyond_knowing(e: Evidence) -> set[str]:
    """Orders that a forgetful venue gives no evidence of any more, and of which a person has been told."""
    if "query.forget" not in e.outcome.fired:
        return set()
    told = " ".join(fact["text"] for fact in e.of("Noted") if "does not know it any more" in fact["text"])
    return {name for name in e.orders if name in told}


_MAY = {
    "": {"denied", "held", "submitted", "accepted", "partially_filled"},
    "held": {"submitted", "denied", "canceled", "expired", "filled"},
    "submitted": {"unknown", "accepted", "partially_filled", "pending_cancel", *CLOSED} - {"denied"},
    "unknown": {"accepted", "partially_filled", "pending_cancel", *CLOSED} - {"denied"},
    "accepted": {"unknown", "partially_filled", "pending_cancel", "pending_replace", *CLOSED} - {"denied"},
    "partially_filled": {"unknown", "pending_cancel", "pending_replace", *CLOSED} - {"denied"},
    "pending_replace": {"accepted", "partially_filled", "pending_cancel", *CLOSED} - {"denied"},
    "pending_cancel": {"unknown", "accepted", "partially_filled", *CLOSED} - {"denied"},
    "canceled": {"filled"},
    "expired": {"filled"},
    "rejected": {"accepted", "partially_filled", "filled"},
    "filled": {"accepted", "partially_filled"},
    "denied": set(),
}


@invariant("I14")
def orders_move_along_the_table(e: Evidence) -> Iterator[Finding]:
    """Statuses change along the table only; no fill is discarded because of one."""
    for order in e.orders.values():
        before = ""
        for seq, status, fact in order.steps:
            fresh = before or fact["t"] in {"OrderDenied", "OrderHeld", "OrderSubmitted", "OrderAdopted"}
            if not fresh or (status not in _MAY[before] and status != before):
                yield seq, f"{order.name} went from {before or 'nothing'} to {status} by {fact['t']}"
            before = status
    known = {_plain_id(fill["fill_id"]) for _, fill, _ in e.booked} | _contained(e)
    known |= {_plain_id(fact["fill_id"]) for fact in e.of("FillDisowned")}  # taken back before it was told
    for fact in e.of("ReportReceived"):
        for report in (fact["report"], *fact["report"].get("fills", ())):
            if (
                "fill_id" in report
                and report.get("t", "FillReport") == "FillReport"
                and _plain_id(report["fill_id"]) not in known
            ):
                yield (
                    fact["seq"],
                    f"fill {report['fill_id']} of {report.get('client_order_id')} was told and not booked",
                )


@invariant("I36")
def ends_have_a_known_cause(e: Evidence) -> Iterator[Finding]:
    """What ends an order is a report that says so; nothing unknown maps to an end."""
    causes = {
        "OrderRejected": {"Rejected", "NotSent", "LookedUp"},
        "OrderCanceled": {"Canceled", "CancelRejected", "FillReport", "LookedUp", "Backfilled"},
        "OrderExpired": {"Expired", "Canceled", "CancelRejected", "FillReport", "LookedUp", "Backfilled"},
    }
    for order in e.orders.values():
        before = ""
        for seq, status, fact in order.steps:
            wanted = causes.get(fact["t"])
            source = e.inputs.get(fact["cause"], {})
            said = source.get("report", {}).get("t", source.get("t", "nothing"))
            withdrawn = fact.get("code") == "not_sent" or "not sent" in fact.get("reason", "")
            if wanted and before != "held" and said not in wanted and not withdrawn:
                yield seq, f"{order.name} is {status} because of {said}"
            before = status


# --- fills, positions, cash -----------------------------------------------------------------------------------


def _plain_id(fill_id: str) -> str:
    """A fill's id at the venue, without the strategy of a share and without the stream's own spelling."""
    if fill_id.startswith((ADJUSTED, "inferred:")):
        return fill_id
    return fill_id.partition(":")[0].removeprefix("ws-")


def _contained(e: Evidence) -> set[str]:
    return {_plain_id(name) for fact in e.of("AccountOpened") for name in fact.get("contained", ())}


@invariant("I6")
def overfills_are_flagged(e: Evidence) -> Iterator[Finding]:
    """More fills than was ordered are booked all the same, and said aloud."""
    for order in e.orders.values():
        seen = e.seen.get(order.name)
        if seen is None or not order.submitted or seen.filled <= order.quantity:
            continue
        said = any(
            order.name in str(fact) and ("more than" in str(fact) or "overfill" in str(fact))
            for fact in (*e.of("Noted"), *e.of("StateChanged"), *e.of("BreakerTripped"))
        )
        if not said:
            yield (
                order.submitted,
                f"{order.name} filled {seen.filled} of {order.quantity}, and nobody said so",
            )


@invariant("I7")
def each_fill_once(e: Evidence) -> Iterator[Finding]:
    """No fill is booked twice, whatever its id looks like on the way it came."""
    times: Counter[tuple[str, str]] = Counter()
    for seq, fill, sign in e.booked:
        times[_plain_id(fill["fill_id"]), fill["strategy"]] += sign
        if times[_plain_id(fill["fill_id"]), fill["strategy"]] > 1:
            yield seq, f"fill {fill['fill_id']} of {fill['client_order_id']} was booked twice"


@invariant("I8")
def ended_orders_have_all_their_fills(e: Evidence) -> Iterator[Finding]:
    """An order that has ended has filled here what it filled at the venue, and had at its end."""
    for order in e.orders.values():
        seen = e.seen.get(order.name)
        if seen is None or order.status not in CLOSED:
            continue
        if order.filled != seen.filled:
            yield (
                order.steps[-1][0],
                (
                    f"{order.name} is {order.status} with {order.filled} filled, and {seen.filled} at the venue"
                ),
            )
        ends = [seq for seq, status, _ in order.steps if status in {"canceled", "expired"}]
        late = [(seq, fill) for seq, fill in order.fills if ends and seq > ends[0]]
        for seq, fill in late:
            if _plain_id(fill["fill_id"]) not in e.voids:
                yield seq, f"{order.name} had ended, and then its fill {fill['fill_id']} was booked"


@invariant("I9")
def no_fill_is_missing(e: Evidence) -> Iterator[Finding]:
    """When all is quiet, every fill of the venue is booked, and none besides."""
    net: Counter[str] = Counter()
    for _, fill, sign in e.booked:
        net[_plain_id(fill["fill_id"])] += sign
    here = {name for name, times in net.items() if times > 0 and not name.startswith(ADJUSTED)} | _contained(
        e
    )
    there = set(e.venue_fills) - e.voids
    for name in sorted(there - here):
        yield _last(e), f"fill {name} of {e.venue_fills[name][2] or 'nobody here'} is not booked"
    for name in sorted(here - there - e.voids):
        yield _last(e), f"fill {name} is booked, and the venue has none"
    for name in sorted((here & e.voids) - _contained(e)):
        yield _last(e), f"fill {name} was taken back by the venue, and stands here"


@invariant("I10")
def positions_agree(e: Evidence) -> Iterator[Finding]:
    """A position is the sum of its fills, and the venue's when all is quiet."""
    net: dict[str, Decimal] = defaultdict(Decimal)
    for (_, instrument), quantity in e.positions.items():
        net[instrument] += quantity
    for instrument in sorted({*net, *e.venue_positions}):
        if net[instrument] != e.venue_positions[instrument]:
            yield _last(e), f"{instrument}: {net[instrument]} here, {e.venue_positions[instrument]} there"
    for instrument, quantity in e.outcome.venue["positions"].items():
        if e.venue_positions[instrument] != quantity:
            yield _last(e), f"{instrument}: the venue's own books say {quantity}"


@invariant("I11")
def cash_agrees(e: Evidence) -> Iterator[Finding]:
    """Cash is the opening and all that moved it, and the venue's when all is quiet."""
    if not {"acct.away", "power"} & set(e.outcome.fired):  # else see R8: what nobody heard of
        for currency in _differences(e):
            yield _last(e), f"{currency}: {e.cash[currency]} here, {e.venue_cash[currency]} there"
    if not e.outcome.engine:
        return
    worthless = defaultdict(Decimal, e.outcome.engine["balances"])
    for instrument, (quantity, average, *_) in e.outcome.engine["net"].items():
        if ":" in instrument:
            worthless[instrument.partition(":")[2].partition("@")[0]] -= quantity * average
    for currency in sorted({*e.cash, *worthless}):
        if abs(e.cash[currency] - worthless[currency]) > QUANTUM:
            yield (
                _last(e),
                f"{currency}: {e.cash[currency]} in the journal, {worthless[currency]} in the engine",
            )


@invariant("I12")
def strategies_add_up(e: Evidence) -> Iterator[Finding]:
    """Positions of strategies and EXTERNAL add up to the account's, and are the sums of their fills."""
    if not e.outcome.engine:
        return
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for (_, instrument, strategy), quantity in e.outcome.engine["positions"].items():
        if strategy:
            sums[instrument] += quantity
            if e.positions[strategy, instrument] != quantity:
                told = e.positions[strategy, instrument]
                yield _last(e), f"{strategy} holds {quantity} {instrument}, and {told} by its fills"
    for instrument, (quantity, *_) in e.outcome.engine["net"].items():
        if sums[instrument] != quantity:
            yield (
                _last(e),
                f"{instrument}: strategies hold {sums[instrument]} in sum, the account {quantity}",
            )


@invariant("I26")
def reservations_are_what_may_fill(e: Evidence) -> Iterator[Finding]:
    """What is reserved is the sum of what works or is unknown."""
    if not e.outcome.engine:
        return
    wanted: dict[str, list[Decimal]] = defaultdict(lambda: [ZERO, ZERO])
    for order in e.orders.values():
        if order.status in AT_VENUE and not order.intent.get("group"):
            wanted[order.intent["instrument"]][order.signed < 0] += max(order.quantity - order.filled, ZERO)
    for instrument in sorted({*wanted, *e.outcome.engine["working"]}):
        buy, sell, _ = e.outcome.engine["working"].get(instrument, (ZERO, ZERO, {}))
        if [buy, sell] != wanted[instrument]:
            yield (
                _last(e),
                f"{instrument}: reserved {buy} and {sell}, and {wanted[instrument]} can still fill",
            )


@invariant("I27")
def reduce_only_reduces(e: Evidence) -> Iterator[Finding]:
    """A reduce-only order does no more than reduce when it is sent, nor when it fills, if nothing crossed it."""
    for seq, order, _, held in e.submitted:
        if order.intent.get("reduce_only") and (held * order.signed >= 0 or order.sent > abs(held)):
            yield seq, f"reduce-only {order.name} of {order.sent} was sent with {held} held"
    for seq, order, before, after, crossed in e.reduced:
        crossed = crossed or e.seen[order.name].most > order.quantity
        if not crossed and (abs(after) >= abs(before) or after * before < 0):
            yield seq, f"reduce-only {order.name} took {order.intent['strategy']} from {before} to {after}"


@invariant("I32")
def profit_agrees(e: Evidence) -> Iterator[Finding]:
    """Fees, funding and profit are those of the venue's own statement.

    What of a profit is realised depends on the order of fills; where that was another one here, all of it is compared
    as if every position were worth nothing.
    """
    if not e.outcome.engine or e.voids:
        return
    for instrument, (held, average, realised, fees, funding) in e.outcome.venue["holdings"].items():
        mine = e.outcome.engine["net"].get(instrument, (ZERO,) * 5)
        there = {"fees": fees, "profit": realised - held * average}
        here = {"fees": mine[3], "profit": mine[2] - mine[0] * mine[1]}
        if not {"acct.away", "power"} & set(e.outcome.fired):  # unheard, funding is money without a name
            there["funding"], here["funding"] = funding, mine[4]
        if _told_in_order(e, instrument):
            there["realised"], here["realised"] = realised, mine[2]
        for what, amount in there.items():
            if abs(here[what] - amount) > QUANTUM:
                yield (
                    _last(e),
                    f"{what} of {instrument}: {here[what]} here, {amount} in the venue's statement",
                )


def _told_in_order(e: Evidence, instrument: str) -> bool:
    booked = [_plain_id(fill["fill_id"]) for _, fill, _ in e.booked if fill["instrument"] == instrument]
    there = [name for name, entry in e.venue_fills.items() if entry[4] == instrument]
    return list(dict.fromkeys(booked)) == there


# --- limits and states ------------------------------------------------------------------------------------------


@invariant("I16")
def lowered_states_hold(e: Evidence) -> Iterator[Finding]:
    """While trading is lowered nothing is sent that may make a position larger; while killed, nothing at all."""
    for seq, order, state, held in e.submitted:
        if state == "active":
            continue
        reduces = held * order.signed < 0 and order.sent <= abs(held)
        if state in {"killed", "recovering"} or not reduces:
            yield seq, f"{order.name} was sent while trading was {state}, with {held} held"


@invariant("I24")
def trips_survive(e: Evidence) -> Iterator[Finding]:
    """What was tripped or lowered is still so after any number of restarts, until somebody lifts it."""
    if not e.outcome.engine:
        return
    if sorted(map(tuple, e.outcome.engine["tripped"])) != sorted(e.tripped):
        yield _last(e), f"tripped in the engine: {e.outcome.engine['tripped']}, by the journal: {e.tripped}"
    if e.outcome.engine["lowered"] != e.lowered:
        yield _last(e), f"lowered in the engine: {e.outcome.engine['lowered']}, by the journal: {e.lowered}"


@invariant("I25")
def one_boundary_for_each_day(e: Evidence) -> Iterator[Finding]:
    """Trading days only rise, and each begins once."""
    last: dict[str, str] = {}
    for fact in e.of("DayStarted"):
        if fact["day"] <= last.get(fact["account"], ""):
            yield fact["seq"], f"day {fact['day']} began after {last[fact['account']]}"
        last[fact["account"]] = fact["day"]


@invariant("I28")
def protected_positions_have_their_stop(e: Evidence) -> Iterator[Finding]:
    """A position that should have a stop has one, here or at the venue, or somebody was told."""
    if any(fact["source"] in {"unprotected", "protection"} for fact in e.of("Noted")):
        return
    covered: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for order in e.orders.values():
        i = order.intent
        if i.get("group", "").startswith("exit:") and i.get("type") == "stop" and order.status not in CLOSED:
            covered[i["strategy"], i["instrument"]] -= order.signed * (order.quantity - order.filled)
    for key, needed in e.protected.items():
        held = e.positions[key]
        if needed - abs(covered[key]) >= Decimal(e.instruments[key[1]]["lot"]):
            yield (
                _last(e),
                f"{key[0]} holds {held} {key[1]}, {needed} with a stop, and {covered[key]} are covered",
            )


# --- engine, journal, leadership --------------------------------------------------------------------------------


@invariant("I17")
def epochs_rise(e: Evidence) -> Iterator[Finding]:
    """Each start has a higher epoch, and every order the epoch of the start that made it."""
    for (_, before, name), (seq, after, again) in zip(e.epochs, e.epochs[1:], strict=False):
        if after <= before:
            yield seq, f"epoch {after} follows {before}"
        if again != name:
            yield seq, f"namespace {again} follows {name}"
    spaces = {f"{name:04x}" for _, _, name in e.epochs}
    for order in e.orders.values():
        if not re.fullmatch("[0-9a-f]{32}", order.name) or order.name[:4] not in spaces:
            yield order.steps[0][0], f"{order.name} is not of our namespace"
        elif int(order.name[4:8], 16) != order.epoch:
            yield order.steps[0][0], f"{order.name} was made in epoch {order.epoch}"


@invariant("I18")
def nothing_is_sent_late(e: Evidence) -> Iterator[Finding]:
    """No request is written after its deadline."""
    for kind, now, name, *rest in e.outcome.ledger:
        if kind == "write" and now > rest[0]:
            yield _last(e), f"{name} was written {(now - rest[0]) / 1e9:.3f} s after its deadline"


@invariant("I20")
def the_fold_is_the_state(e: Evidence) -> Iterator[Finding]:
    """Folding the journal gives the state that lived, and the same again."""
    for live, once, twice in e.outcome.folds:
        if live != once:
            yield _last(e), "the state that lived is not what its journal gives"
        if once != twice:
            yield _last(e), "the journal gives another state the second time"


@invariant("I21")
def the_chain_is_whole(e: Evidence) -> Iterator[Finding]:
    """Bytes verify, and the numbers of journal and tape together have no gap and no double."""
    for fault in e.byte_faults:
        yield _last(e), fault
    numbers = Counter([fact["seq"] for fact in e.facts] + e.tape)
    for seq, times in numbers.items():
        if times > 1:
            yield seq, f"number {seq} was given {times} times"
    lost = {"power", "power.full", "disk.full", "disk.error"} & set(e.outcome.fired)
    if numbers and not lost:
        for seq in sorted(set(range(1, max(numbers))) - set(numbers))[:3]:
            yield seq, f"number {seq} is missing"


@invariant("I23")
def every_number_is_one(e: Evidence) -> Iterator[Finding]:
    """No stored fact holds a number that is none."""
    for fact in e.facts:
        for name, value in fact.items():
            if isinstance(value, float) and not math.isfinite(value):
                yield fact["seq"], f"{fact['t']}.{name} is {value}"


@invariant("I29")
def everything_resolves(e: Evidence) -> Iterator[Finding]:
    """When the faults are over, everything unknown is resolved in time, and the engine trades again."""
    if not e.outcome.engine:
        yield _last(e), f"no engine runs at the end: {e.outcome.lives[-1].end}"
        return
    for name, (status, *_) in e.outcome.engine["orders"].items():
        doubtful = status in {"submitted", "unknown", "pending_cancel", "pending_replace"}
        if doubtful and name not in _beyond_knowing(e):
            yield _last(e), f"{name} is still {status}"
    if e.outcome.engine["fatal"] or not e.outcome.engine["stream_up"]:
        yield _last(e), f"not well: {e.outcome.engine['fatal'] or 'the private stream is down'}"


@invariant("I34")
def nothing_is_shed(e: Evidence) -> Iterator[Finding]:
    """Every report that an adapter gave an engine is in the journal; only a death cuts the end off."""
    told: dict[int, list[dict[str, Any]]] = defaultdict(list)
    epoch, first = 0, {}
    for fact in e.facts:
        if fact["t"] == "EngineStarted":
            epoch = fact["epoch"]
            first[epoch] = fact["seq"]
        elif fact["t"] == "ReportReceived":
            told[epoch].append(fact["report"])
    for life in e.outcome.lives:
        if life.epoch not in first:
            continue
        missing = _shed(life.reports, told[life.epoch])
        at_the_end = 0 if life.end == "end of the day" else AT_DEATH
        cut = "power cut" in life.end and e.outcome.durability == "process"
        if cut or life.end.startswith("failed: JournalError"):
            at_the_end += len(
                missing
            )  # the end of the journal is lost or was never written, and no more than that
        if missing and missing[0] < len(life.reports) - at_the_end:
            report = life.reports[missing[0]]
            yield first[life.epoch], f"epoch {life.epoch} was told and did not record {report}"


def _shed(said: list[dict[str, Any]], heard: list[dict[str, Any]]) -> list[int]:
    """Which of what was said was not heard; what waits while an engine starts may change places."""
    left = [*heard]
    missing = []
    for at, report in enumerate(said):
        if report in left:
            left.remove(report)
        else:
            missing.append(at)
    return missing


@invariant("I35")
def every_order_has_an_owner(e: Evidence) -> Iterator[Finding]:
    """Each order can be traced to a strategy of the start that made it, and to its class and arguments."""
    owners: set[str] = set()
    for fact in e.facts:
        if fact["t"] == "EngineStarted":
            owners = {s["name"] for s in fact["strategies"] if s["module"] and s["qualname"]}
        elif fact["t"] == "OrderSubmitted" and fact["intent"]["strategy"] not in owners:
            yield (
                fact["seq"],
                f"{fact['client_order_id']} is of {fact['intent']['strategy']}, which nobody knows",
            )
