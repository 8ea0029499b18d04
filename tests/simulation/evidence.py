"""What the journal's bytes say, folded without the engine, beside what the venue's ledger says."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

import attrs

from simulation.day import Outcome
from simulation.reader import read_numbers, read_turns

ZERO = Decimal(0)
AT_VENUE = {"submitted", "unknown", "accepted", "partially_filled", "pending_cancel", "pending_replace"}
CLOSED = {"denied", "filled", "canceled", "rejected", "expired"}
SEVERITY = ["active", "reduce_only", "recovering", "halted", "killed"]


@attrs.define
class Told:
    """One order as the journal tells it: `steps` are (seq, status, fact)."""

    name: str
    intent: dict[str, Any]
    quantity: Decimal
    epoch: int
    status: str = ""
    filled: Decimal = ZERO
    sent: Decimal = ZERO
    before: Decimal = ZERO
    submitted: int = 0
    wire_reduce_only: bool = False
    steps: list[tuple[int, str, dict[str, Any]]] = attrs.Factory(list)
    fills: list[tuple[int, dict[str, Any]]] = attrs.Factory(list)

    @property
    def signed(self) -> int:
        """1 for a buy, -1 for a sell."""
        return 1 if self.intent["side"] == "buy" else -1

    @property
    def root(self) -> bool:
        """Whether it is what a strategy decided, and not what the engine made of it."""
        i = self.intent
        return not (i.get("parent") or i.get("replaces") or i.get("group", "").startswith("exit:"))


@attrs.define
class Seen:
    """One order as the venue's ledger has it; times are in the order of the ledger."""

    name: str
    accepted: list[int] = attrs.Factory(list)
    ended: list[int] = attrs.Factory(list)
    writes: list[tuple[int, bool]] = attrs.Factory(list)
    filled: Decimal = ZERO
    most: Decimal = ZERO
    quantity: Decimal = ZERO
    epoch: int = 0


class Evidence:
    """All that the checker looks at."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        run = outcome.folder / "run"
        self.turns, self.byte_faults = read_turns(run / "journal")
        self.tape, tape_faults = read_numbers(run / "tape")
        self.byte_faults += tape_faults
        self.facts = [fact for turn in self.turns for fact in turn.facts]
        self.inputs = {fact["seq"]: fact for fact in self.facts if fact["cause"] == fact["seq"]}
        self.orders: dict[str, Told] = {}
        self.booked: list[tuple[int, dict[str, Any], int]] = []
        self.positions: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self.cash: dict[str, Decimal] = defaultdict(Decimal)
        self.instruments: dict[str, dict[str, Any]] = {}
        self.epochs: list[tuple[int, int, int]] = []
        self.submitted: list[tuple[int, Told, str, Decimal]] = []
        self.reduced: list[tuple[int, Told, Decimal, Decimal, bool]] = []
        self.protected: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self._moved: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
        self.lowered: dict[str, str] = {}
        self.tripped: dict[tuple[str, str], str] = {}
        self.standing: dict[str, dict[str, Any]] = {}
        self.lost_tails: set[int] = set()
        self.halts: list[int] = []
        self.seen: dict[str, Seen] = {}
        self._fold()
        self._read_ledger()

    # --- the journal ------------------------------------------------------------------------------------------

    def _fold(self) -> None:
        for fact in self.facts:
            handler = getattr(self, f"_{fact['t']}", None)
            if handler is not None:
                handler(fact)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The facts of a kind."""
        return [fact for fact in self.facts if fact["t"] == kind]

    def _EngineStarted(self, fact: dict[str, Any]) -> None:  # noqa: N802
        self.epochs.append((fact["seq"], fact["epoch"], fact["namespace"]))
        if fact.get("tail_lost"):
            self.lost_tails.add(fact["epoch"])

    def _DiscrepancyFound(self, fact: dict[str, Any]) -> None:  # noqa: N802
        self.standing[fact["discrepancy"]["id"]] = fact["discrepancy"]

    def _DiscrepancyGone(self, fact: dict[str, Any]) -> None:  # noqa: N802
        self.standing.pop(fact["discrepancy"], None)

    def _InstrumentDefined(self, fact: dict[str, Any]) -> None:  # noqa: N802
        found = fact["instrument"]
        self.instruments[f"{found['symbol']}@{found['venue']}"] = found

    def _AccountOpened(self, fact: dict[str, Any]) -> None:  # noqa: N802
        for currency, amount in fact["balances"].items():
            self.cash[currency] += Decimal(amount)

    def _CashChanged(self, fact: dict[str, Any]) -> None:  # noqa: N802
        self.cash[fact["currency"]] += Decimal(fact["amount"])

    def _StateChanged(self, fact: dict[str, Any]) -> None:  # noqa: N802
        if fact["state"] == "active":
            self.lowered.pop(fact["scope"], None)
        else:
            self.lowered[fact["scope"]] = fact["state"]
            if fact["state"] == "halted" and fact["reason"]:
                self.halts.append(fact["seq"])

    def _BreakerTripped(self, fact: dict[str, Any]) -> None:  # noqa: N802
        self.tripped[fact["breaker"], fact["scope"]] = fact["state"]

    def _BreakerReset(self, fact: dict[str, Any]) -> None:  # noqa: N802
        self.tripped.pop((fact["breaker"], fact.get("scope", "")), None)

    def trading(self, intent: dict[str, Any]) -> str:
        """The most severe state over all that an intent belongs to."""
        scopes = {
            "engine",
            f"account:{intent['account']}",
            f"strategy:{intent['strategy']}",
            f"instrument:{intent['instrument']}",
        }
        found = [state for scope, state in self.lowered.items() if scope in scopes]
        found += [state for (_, scope), state in self.tripped.items() if scope in scopes]
        return max(found, key=SEVERITY.index, default="active")

    def _order(self, fact: dict[str, Any], status: str) -> Told:
        name = fact["client_order_id"]
        order = self.orders.get(name)
        if order is None:
            intent = fact.get("intent", {})
            epoch = self.epochs[-1][1] if self.epochs else 0
            order = self.orders[name] = Told(name, intent, Decimal(intent.get("quantity", 0)), epoch)
        order.status = status or order.status
        order.steps.append((fact["seq"], order.status, fact))
        return order

    def _OrderAdopted(self, fact: dict[str, Any]) -> None:  # noqa: N802
        order = self._order(fact, "partially_filled" if Decimal(fact["filled_quantity"]) else "accepted")
        if len(order.steps) == 1:
            order.epoch, order.filled = int(order.name[4:8], 16), Decimal(fact["filled_quantity"])

    def _OrderDenied(self, fact: dict[str, Any]) -> None:  # noqa: N802
        self._order(fact, "denied")

    def _OrderHeld(self, fact: dict[str, Any]) -> None:  # noqa: N802
        self._order(fact, "held")

    def _OrderSubmitted(self, fact: dict[str, Any]) -> None:  # noqa: N802
        order = self._order(fact, "submitted")
        order.quantity = order.sent = Decimal(fact["quantity"])
        if fact["deadline_ns"] <= fact["now"]:  # written down after the fact: the venue had it, see I18
            return
        order.submitted = fact["seq"]
        order.wire_reduce_only = fact.get("reduce_only", False)
        key = (order.intent["strategy"], order.intent["instrument"])
        self.submitted.append((fact["seq"], order, self.trading(order.intent), self.positions[key]))

    def _OrderAccepted(self, fact: dict[str, Any]) -> None:  # noqa: N802
        order = self.orders[fact["client_order_id"]]
        doubtful = order.status in {"submitted", "unknown", "rejected"}
        self._order(fact, ("partially_filled" if order.filled else "accepted") if doubtful else "")

    def _OrderRejected(self, fact: dict[str, Any]) -> None:  # noqa: N802
        self._order(fact, "rejected")

    def _OrderUnknown(self, fact: dict[str, Any]) -> None:  # noqa: N802
        self._order(fact, "unknown")

    def _CancelRequested(self, fact: dict[str, Any]) -> None:  # noqa: N802
        self._order(fact, "pending_cancel")

    def _CancelRefused(self, fact: dict[str, Any]) -> None:  # noqa: N802
        order = self.orders[fact["client_order_id"]]
        if order.status != "pending_cancel":
            return
        unknown = fact.get("code") == "unknown_order" or not (
            order.filled or any(step[2].get("broker_order_id") for step in order.steps)
        )
        self._order(fact, "unknown" if unknown else "partially_filled" if order.filled else "accepted")

    def _ReplaceRequested(self, fact: dict[str, Any]) -> None:  # noqa: N802
        order = self._order(fact, "pending_replace")
        order.before = order.quantity
        order.quantity = max(order.quantity, Decimal(fact["quantity"]))

    def _OrderReplaced(self, fact: dict[str, Any]) -> None:  # noqa: N802
        self._replaced(fact, Decimal(fact["quantity"]))

    def _ReplaceRefused(self, fact: dict[str, Any]) -> None:  # noqa: N802
        self._replaced(fact, self.orders[fact["client_order_id"]].before)

    def _replaced(self, fact: dict[str, Any], quantity: Decimal) -> None:
        order = self.orders[fact["client_order_id"]]
        order.quantity = quantity
        works = "partially_filled" if order.filled else "accepted"
        done = order.filled >= quantity
        self._order(fact, "filled" if done else works if order.status == "pending_replace" else "")

    def _OrderCanceled(self, fact: dict[str, Any]) -> None:  # noqa: N802
        self._order(fact, "canceled")

    def _OrderExpired(self, fact: dict[str, Any]) -> None:  # noqa: N802
        self._order(fact, "expired")

    def _HeldResized(self, fact: dict[str, Any]) -> None:  # noqa: N802
        self.orders[fact["client_order_id"]].quantity = Decimal(fact["quantity"])

    def _Filled(self, fact: dict[str, Any]) -> None:  # noqa: N802
        self._book(fact, 1)

    def _FillReversed(self, fact: dict[str, Any]) -> None:  # noqa: N802
        self._book(fact, -1)

    def _book(self, fact: dict[str, Any], sign: int) -> None:
        fill = fact["fill"]
        self.booked.append((fact["seq"], fill, sign))
        side = 1 if fill["side"] == "buy" else -1
        moved = Decimal(fill["quantity"]) * side * sign
        order = self.orders.get(fill["client_order_id"])
        key = (fill["strategy"], fill["instrument"])
        before = self.positions[key]
        self.positions[key] += moved
        self._pay(fill, moved, sign)
        self._protect(key, order, moved, sign)
        self._moved[key].append((fact["seq"], fill["client_order_id"]))
        if order is None:
            return
        order.filled += Decimal(fill["quantity"]) * sign
        order.fills.append((fact["seq"], fill))
        if order.intent.get("reduce_only") and sign > 0:
            crossed = any(at > order.submitted and name != order.name for at, name in self._moved[key])
            self.reduced.append((fact["seq"], order, before, self.positions[key], crossed))
        if sign < 0:
            return
        if order.filled >= order.quantity:
            self._order({**fact, "client_order_id": order.name}, "filled")
        elif order.status in {"submitted", "unknown", "accepted", "rejected"}:
            self._order({**fact, "client_order_id": order.name}, "partially_filled")

    def _protect(self, key: tuple[str, str], order: Told | None, moved: Decimal, sign: int) -> None:
        """How much of a position was bought or sold with a stop: it shrinks with the position, and ends with it."""
        held = self.positions[key]
        if held * (held - moved) < 0:  # it turned: what there is now is new
            self.protected[key] = ZERO
        if order is not None and order.intent.get("stop_loss") and sign < 0:
            self.protected[key] = max(self.protected[key] - abs(moved), ZERO)
        elif order is not None and order.intent.get("stop_loss") and moved * held > 0:
            self.protected[key] += abs(moved)
        elif order is not None and order.intent.get("group", "").startswith("exit:"):
            self.protected[key] = max(self.protected[key] - abs(moved), ZERO)
        self.protected[key] = min(self.protected[key], abs(held))

    def _pay(self, fill: dict[str, Any], moved: Decimal, sign: int) -> None:
        pay(
            self.cash,
            fill["instrument"],
            moved,
            Decimal(fill["price"]),
            Decimal(fill["fee"]) * sign,
            fill["fee_currency"],
        )

    # --- the venue ----------------------------------------------------------------------------------------------

    def _read_ledger(self) -> None:
        """Cash is kept as if every position were worth nothing: then no rule of accounting is in it."""
        self.venue_cash: dict[str, Decimal] = defaultdict(Decimal, self.outcome.opening)
        self.venue_positions: dict[str, Decimal] = defaultdict(Decimal)
        self.venue_fills: dict[str, tuple[Any, ...]] = {}
        self.voids: set[str] = set()
        epochs: dict[str, int] = {}
        for at, entry in enumerate(self.outcome.ledger):
            kind = entry[0]
            if kind == "write" and entry[2]:
                epochs.setdefault(entry[2], entry[4])
            if kind in {"submit", "accept", "end", "refuse", "fill"} and entry[2]:
                seen = self.seen.setdefault(entry[2], Seen(entry[2], epoch=epochs.get(entry[2], 0)))
            if kind == "submit":
                seen.writes.append((at, entry[3]))
                seen.quantity = entry[5]
            elif kind == "accept":
                seen.accepted.append(at)
            elif kind == "end":
                seen.ended.append(at)
            elif kind == "money":
                self.venue_cash[entry[2]] += entry[3]
            elif kind == "fill":
                _, _, name, fill_id, instrument, signed, price, fee, currency, _ = entry
                self.venue_fills[fill_id] = entry
                self.venue_positions[instrument] += signed
                pay(self.venue_cash, instrument, signed, price, fee, currency)
                if name:
                    seen.filled += abs(signed)
                    seen.most = max(seen.most, seen.filled)
            elif kind == "void":
                _, _, name, fill_id, instrument, signed, price, fee, currency, _ = self.venue_fills[entry[2]]
                self.voids.add(fill_id)
                self.venue_positions[instrument] -= signed
                pay(self.venue_cash, instrument, -signed, price, -fee, currency)
                self.seen[name].filled -= abs(signed)
                self.seen[name].ended.append(at)  # only fills of ended orders are taken back


def pay(
    cash: dict[str, Decimal],
    instrument: str,
    signed: Decimal,
    price: Decimal,
    fee: Decimal,
    fee_currency: str,
) -> None:
    """What a trade does to cash, positions being worth nothing."""
    symbol = instrument.partition("@")[0]
    pair, _, settle = symbol.partition(":")
    base, _, quote = pair.partition("/")
    cash[settle or quote] -= signed * price
    if not settle:
        cash[base] += signed
    cash[fee_currency] -= fee
