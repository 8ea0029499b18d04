"""Safeguards taken out, one at a time: a checker that misses none of them may be believed when it finds nothing.

Each is a patch of the engine for the time of a test. None is a switch in what is shipped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple
from unittest import mock

import msgspec

from fairlead import facts as f
from fairlead._engine import live
from fairlead._kernel import apply as folding
from fairlead._kernel import desk as desks
from fairlead._kernel import reconciliation
from fairlead._kernel.desk import Desk
from fairlead._kernel.exits import Exits
from fairlead._kernel.fills import Fills
from fairlead._kernel.gate import Gate
from fairlead._kernel.kernel import Kernel
from fairlead._kernel.outbox import Outbox
from fairlead._kernel.reconciliation import Reconciliation
from fairlead._kernel.reports import Reports
from fairlead._kernel.resolver import Resolver
from fairlead._storage.home import AccountHome
from fairlead.ports import Action, Resolution, Submit
from fairlead_reconcile import AutoAdjust
from simulation import day
from simulation.network import Network

Patch = Callable[[contextlib.ExitStack], None]


class Ablation(NamedTuple):
    """A safeguard: under which faults its absence shows, and by what it is taken out."""

    name: str
    kinds: tuple[str, ...]
    caught_by: frozenset[str]
    patch: Patch

    @contextlib.contextmanager
    def out(self) -> Iterator[None]:
        """Without it."""
        with contextlib.ExitStack() as stack:
            self.patch(stack)
            yield


def _no_write_ahead(stack: contextlib.ExitStack) -> None:
    commit = Kernel._commit

    def send_then_write(self: Kernel) -> None:
        self.outbox.release()
        commit(self)

    stack.enter_context(mock.patch.object(Kernel, "_commit", send_then_write))


def _two_sends(stack: contextlib.ExitStack) -> None:
    release = Outbox.release

    def twice(self: Outbox) -> None:
        self.waiting += [one for one in self.waiting if isinstance(one[1], Submit)]
        release(self)

    stack.enter_context(mock.patch.object(Outbox, "release", twice))


def _no_epoch(stack: contextlib.ExitStack) -> None:
    make = desks.client_order_id

    def without(namespace: int, epoch: int, intent: int, attempt: int = 1) -> str:
        return make(namespace, 0, intent, attempt)

    stack.enter_context(mock.patch.object(desks, "client_order_id", without))


def _no_validity(stack: contextlib.ExitStack) -> None:
    request = Network.request

    def for_ever(self: Network, command: Any, answered: Any, *, committed: bool) -> None:
        command = msgspec.structs.replace(command, deadline_ns=1 << 62)
        request(self, command, answered, committed=committed)

    stack.enter_context(mock.patch.object(Network, "request", for_ever))


def _not_found_at_once(stack: contextlib.ExitStack) -> None:
    def absent(self: Resolver, account: Any, order: Any, asked_ns: int) -> None:
        self._kernel.reports.refuse(order, f.NOT_ACCEPTED, "not found")

    stack.enter_context(mock.patch.object(Resolver, "_absent", absent))


def _no_dedupe(stack: contextlib.ExitStack) -> None:
    """Two safeguards stand behind each other: the ids of fills, and the totals that the venue tells with them."""
    stack.enter_context(mock.patch.object(Fills, "known", return_value=False))
    stack.enter_context(mock.patch.object(Fills, "_retold", return_value=False))


def _no_backfill(stack: contextlib.ExitStack) -> None:
    async def none(self: Any, since_ns: int) -> list[Any]:
        return []

    stack.enter_context(mock.patch("simulation.adapter.SimexBroker.fills", none))


def _no_cumulative(stack: contextlib.ExitStack) -> None:
    end = Reports.end

    def at_once(self: Reports, order: Any, reason: str, filled: Any, **more: Any) -> None:
        end(self, order, reason, order.filled_quantity, **more)

    stack.enter_context(mock.patch.object(Reports, "end", at_once))
    stack.enter_context(mock.patch.object(Fills, "tell", return_value=None))


def _replace_unconfirmed(stack: contextlib.ExitStack) -> None:
    place = Desk.place

    def now(self: Desk, intent: Any, after: tuple[str, ...] = ()) -> Any:
        return place(self, intent, () if intent.replaces and not intent.exits else after)

    stack.enter_context(mock.patch.object(Desk, "place", now))


def _no_reservation_of_unknowns(stack: contextlib.ExitStack) -> None:
    unknown = folding._order_unknown

    def release(state: Any, fact: Any) -> None:
        order = state.orders[fact.client_order_id]
        known = order.status
        unknown(state, fact)
        if order.status != known and order.status == "unknown":
            folding._reserve(state, order, -order.remaining_quantity)

    stack.enter_context(mock.patch.dict(folding._HANDLERS, {f.OrderUnknown: release}))


def _no_restore_of_states(stack: contextlib.ExitStack) -> None:
    reopen = live.reopen

    def forget(folder: Any, boot_id: str) -> Any:
        opened = reopen(folder, boot_id)
        opened.state.tripped.clear()
        opened.state.lowered.clear()
        return opened

    stack.enter_context(mock.patch.object(live, "reopen", forget))


def _no_lock(stack: contextlib.ExitStack) -> None:
    def acquire(self: AccountHome) -> tuple[int, None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.epoch + 1, None

    stack.enter_context(mock.patch.object(AccountHome, "acquire", acquire))
    # Behind it stands what the home knows, and that an id of ours is known from the journal.
    stack.enter_context(mock.patch.object(AccountHome, "mark", None))
    stack.enter_context(mock.patch.object(Reconciliation, "lost", return_value=None))
    stack.enter_context(mock.patch.object(day, "PEERS", ("other",)))


def _no_rearming(stack: contextlib.ExitStack) -> None:
    def only_begin(self: Exits) -> None:
        self._recovered = True

    stack.enter_context(mock.patch.object(Exits, "recovered", only_begin))
    stack.enter_context(mock.patch.object(Exits, "_check_later", return_value=None))


def _no_state_in_the_gate(stack: contextlib.ExitStack) -> None:
    stack.enter_context(mock.patch.object(Gate, "_permission", return_value=None))
    stack.enter_context(mock.patch.object(Gate, "still", return_value=True))


def _no_adoption(stack: contextlib.ExitStack) -> None:
    def leave(self: AutoAdjust, discrepancy: Any) -> None:
        """To the next."""

    stack.enter_context(mock.patch.object(AutoAdjust, "decide", leave))


def _no_explanation(stack: contextlib.ExitStack) -> None:
    decide = Reconciliation._decide

    def tell(self: Reconciliation, found: Any, unsure: set[str]) -> bool:
        if found.kind != "lost_order":
            return decide(self, found, unsure)
        self.resolve(found, Resolution(Action.WARN), "engine")
        return False

    stack.enter_context(mock.patch.object(Reconciliation, "_decide", tell))


def _no_wait_after_a_cut(stack: contextlib.ExitStack) -> None:
    stack.enter_context(mock.patch.object(Reconciliation, "_settled", return_value=0))


def _no_listing(stack: contextlib.ExitStack) -> None:
    stack.enter_context(mock.patch.object(reconciliation, "_moved_by_fills", return_value=False))


def _no_memory_of_strangers(stack: contextlib.ExitStack) -> None:
    known = Fills.known

    def of_ours(self: Fills, report: Any) -> bool:
        return report.client_order_id in self._state.orders and known(self, report)

    stack.enter_context(mock.patch.object(Fills, "known", of_ours))


def _no_flags(stack: contextlib.ExitStack) -> None:
    stack.enter_context(mock.patch.object(Fills, "lower", return_value=None))


ABLATIONS = {
    one.name: one
    for one in (
        Ablation("write-ahead", ("kill.label", "kill"), frozenset({"I1", "I3"}), _no_write_ahead),
        Ablation("one send", ("id.open",), frozenset({"I1", "I3", "I4"}), _two_sends),
        Ablation("epoch in the id", ("kill",), frozenset({"I17"}), _no_epoch),
        Ablation("validity bound", ("req.late", "stop", "kill"), frozenset({"I4", "I9"}), _no_validity),
        Ablation(
            "lag before not found", ("kill.label", "query.lag", "req.late"), frozenset({"I4"}), _not_found_at_once
        ),
        Ablation("dedupe with apply", ("ws.dup",), frozenset({"I7", "I10"}), _no_dedupe),
        Ablation("backfill", ("ws.drop", "kill"), frozenset({"I9", "I10"}), _no_backfill),
        Ablation("cumulative check", ("fill.race", "ws.reorder"), frozenset({"I8"}), _no_cumulative),
        Ablation("cancel confirmed before replace", ("fill.race",), frozenset({"I2"}), _replace_unconfirmed),
        Ablation("reservation of unknowns", ("req.lose",), frozenset({"I26"}), _no_reservation_of_unknowns),
        Ablation("states survive", ("halt", "kill"), frozenset({"I16", "I24", "I20"}), _no_restore_of_states),
        Ablation("lock", ("peer",), frozenset({"I3", "I10", "I13"}), _no_lock),
        Ablation("exits after a restart", ("kill", "kill.label"), frozenset({"I28"}), _no_rearming),
        Ablation("states in the gate", ("halt",), frozenset({"I16"}), _no_state_in_the_gate),
        Ablation("differences are adopted", ("acct.away",), frozenset({"R8"}), _no_adoption),
        Ablation("lost orders are adopted", ("power",), frozenset({"R9", "I13"}), _no_explanation),
        Ablation("wait after a power cut", ("power", "req.late"), frozenset({"R9"}), _no_wait_after_a_cut),
        Ablation(
            "listing before adjusting", ("acct.missed", "ws.drop", "query.lag"), frozenset({"R8"}), _no_listing
        ),
        Ablation("ids of strangers", ("acct.crowd", "acct.manual", "kill"), frozenset({"I7"}), _no_memory_of_strangers),
        Ablation("flags of overfills", ("fill.over",), frozenset({"I6"}), _no_flags),
    )
}  # fmt: skip

NOT_THERE_YET = {
    "deadline at the wire": "checked by adapters, where it is written: the conformance kit takes it out there",
}
"""Safeguards that the engine has not got yet, so that there is nothing to take out."""


def first_caught(ablation: Ablation, seeds: Iterable[int]) -> tuple[int, set[str]] | None:
    """The first seed under which the absence of a safeguard shows, and by which invariants; None where none does."""
    from simulation.checker import check

    with ablation.out():
        for seed in seeds:
            found = {v.invariant for v in day.play(seed, ablation.kinds, check, all_of_them=True, strength=4)}
            if found & ablation.caught_by:
                return seed, found
    return None
