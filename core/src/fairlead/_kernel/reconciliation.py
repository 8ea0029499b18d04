"""Reconciliation: an account's books against its venue's, at the start, after reconnects, on a timer, on command.

A difference counts when two snapshots in a row show it and nothing is in flight that explains it. What is done about
it is up to the reconcilers, in the user's order; without one it is told, and nothing else. All of it is facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import attrs

from fairlead import facts as f
from fairlead._kernel.adjusting import Adjusting
from fairlead._kernel.clock import TIMER
from fairlead._kernel.comparison import Comparison
from fairlead._kernel.fills import CLOCK_ERROR_NS
from fairlead._kernel.identity import explained
from fairlead._kernel.resolver import PATIENCE_NS, pause_ns
from fairlead._models import reports as r
from fairlead._models.accounts import TradingState
from fairlead._models.reconciliation import (
    BOOKING,
    POSITIONS,
    TRADING,
    Action,
    Discrepancy,
    DiscrepancyKind,
    Resolution,
    fitting,
)
from fairlead._models.venue import Snapshot, TakeSnapshot, VenueProfile
from fairlead._secrets.scrub import said
from fairlead.units import SECOND

if TYPE_CHECKING:
    from fairlead._kernel.kernel import Kernel
    from fairlead.ports import Reconciler

ENGINE = "engine"
"""Who decides where no reconciler does."""

START_NS = 30 * SECOND
"""How long a start waits for a first snapshot, before it is refused."""

_AGAIN_NS = SECOND // 4
_ROUNDS, _BUSY_ROUNDS = 10, 3
"""How many snapshots in a row may show something new, and how many may come while something is in flight."""

_BY_FILLS = POSITIONS | {DiscrepancyKind.CASH}
"""What executions may explain that have not been listed yet."""


@attrs.define
class _Books:
    """One account, and what its last snapshot showed.

    `rounds` is how many snapshots in a row showed something new, `absent` are open orders that the last one did not
    list, `seen_ns` is when each difference was first seen, `compared_ns` when a comparison was last finished. What the
    venue had before `settled_ns` may not be all of it.
    """

    name: str
    profile: VenueProfile
    every_ns: int
    seen: dict[str, Discrepancy] = attrs.Factory(dict)
    seen_ns: dict[str, int] = attrs.Factory(dict)
    absent: set[str] = attrs.Factory(set)
    snapshot: Snapshot | None = None
    taken_ns: int = 0
    asked_ns: int = 0
    failures: int = 0
    due_ns: int = 0
    rounds: int = 0
    compared_ns: int = 0
    settled_ns: int = 0
    done: Callable[[bool], None] | None = None


@attrs.frozen
class Proposal:
    """What one reconciler would do about a difference; `fault` says why its answer cannot be used, if so."""

    reconciler: str
    resolution: Resolution | None
    fault: str = ""


class Reconciliation:
    """Asks for snapshots by the resolver's door, compares, and has done what reconcilers decide."""

    def __init__(
        self, kernel: Kernel, profiles: dict[str, VenueProfile], reconcilers: Sequence[Reconciler]
    ) -> None:
        self._kernel = kernel
        self._recorder = kernel.recorder
        self._state = kernel.state
        self._told: set[tuple[str, str]] = set()
        self._adjusting = Adjusting(kernel)
        self.reconcilers = tuple(reconcilers)
        self._books = {
            name: _Books(name, profile, self._every(profile)) for name, profile in profiles.items()
        }

    def _every(self, profile: VenueProfile) -> int:
        """How often to compare; what lives in this process cannot drift unless somebody wants it watched."""
        wanted = [reconciler.every_ns or profile.watch_ns for reconciler in self.reconcilers]
        if not profile.exact:
            wanted.append(profile.watch_ns)
        return min((every for every in wanted if every), default=0)

    # --- when -----------------------------------------------------------------------------------------------

    def begin(self, account: str, done: Callable[[bool], None]) -> None:
        """Compare before strategies start, where there is anything to compare.

        `done` is called at its end: with False where the venue gave no snapshot within START_NS. After a power cut that
        is when nothing that the journal lost can be on its way any more: all of it is adopted by then, or the account
        is halted.
        """
        books = self._books[account]
        if not books.every_ns and not self.reconcilers:
            done(True)
            return
        books.done, now = done, self._recorder.now
        if self._state.tail_lost:
            books.settled_ns = self._settled(books.profile)
        begins = max(now, books.settled_ns)
        if begins > now:
            self._kernel.schedule(begins, lambda: self._kernel.resolver.review(account), TIMER, 0)
        self._at(books, begins)
        self._kernel.schedule(begins + START_NS, lambda: self._give_up(books), TIMER, 0)

    def _settled(self, profile: VenueProfile) -> int:
        """When all that was sent before the last power cut has arrived, or never will, and shows."""
        cut = max(self._state.lost_tails.values(), default=0)
        if profile.exact or profile.validity_ns is None:  # at once, and without a bound
            return cut
        return cut + profile.validity_ns + profile.query_lag_ns + CLOCK_ERROR_NS

    def _give_up(self, books: _Books) -> None:
        """The start has waited long enough. What a power cut may have taken is not traded on unseen."""
        if books.done is not None and books.snapshot is not None and not self._is_whole(books):
            self._halt(
                books.name,
                "the journal's last records may be lost with the machine's power, and its venue did not tell all its "
                "open orders, positions and fills: resume once you have looked at them there",
                ENGINE,
            )
        self._end_begin(books)

    def _is_whole(self, books: _Books) -> bool:
        """Whether nothing that a power cut took can be missing from what the venue has told."""
        if not self._state.tail_lost:
            return True
        told = books.snapshot is not None and None not in (books.snapshot.orders, books.snapshot.positions)
        listed = books.profile.exact or self._state.accounts[books.name].fills_until_ns >= books.settled_ns
        settled = listed and self._kernel.resolver.settled(books.name)
        return told and settled and books.taken_ns >= books.settled_ns

    def _end_begin(self, books: _Books) -> None:
        if books.done is not None:
            done, books.done = books.done, None
            done(books.snapshot is not None)

    def check(self, account: str) -> None:
        """Compare as soon as the venue has answered."""
        self._at(self._books[account], self._recorder.now)

    def reconnected(self, account: str) -> None:
        """The private stream is there again: compare, whatever was being asked when it broke."""
        self._books[account].asked_ns = 0
        self.check(account)

    def keep_watch(self) -> None:
        """Strategies have started: compare now and then from here on, and send what is owed."""
        for books in self._books.values():
            if books.every_ns and not books.due_ns:
                self._at(books, self._recorder.now + books.every_ns)
        self._adjusting.settle()

    def _at(self, books: _Books, when: int) -> None:
        if books.due_ns and books.due_ns <= when:
            return
        books.due_ns = when
        self._kernel.schedule(when, lambda: self._ask(books, when), TIMER, 0)

    def _ask(self, books: _Books, when: int) -> None:
        if books.due_ns != when:
            return
        books.due_ns = 0
        now = self._recorder.now
        if not books.asked_ns or now >= books.asked_ns + PATIENCE_NS:
            books.asked_ns = now
            self._kernel.resolver.inquire(books.name, TakeSnapshot())
        self._at(books, now + PATIENCE_NS)

    def unanswered(self, account: str, report: r.Unanswered) -> None:
        """A snapshot could not be had: it is asked for again after a pause, ever longer ones in a row."""
        books = self._books[account]
        if report.asked_ns < books.asked_ns or not books.asked_ns:  # another has taken its place
            return
        books.asked_ns = 0
        books.failures += 1
        self._at(books, self._recorder.now + pause_ns(account, books.failures, report.asked_ns))

    # --- comparing ------------------------------------------------------------------------------------------

    def taken(self, account: str, report: r.SnapshotTaken) -> None:
        """The venue's view has come: without one of its own it is the last one again. A late one is passed over."""
        books = self._books[account]
        books.asked_ns = books.failures = 0
        snapshot = books.snapshot = report.snapshot or books.snapshot
        if snapshot is None or report.asked_ns < books.taken_ns:
            return
        books.taken_ns = report.asked_ns
        self._adjusting.snapshots[account] = snapshot
        comparison = Comparison(self._kernel, account, books.profile, snapshot, report.asked_ns)
        found = {one.id: one for one in comparison.differences()}
        fresh = self._missing_orders(books, comparison)
        confirmed, unsure = self._sort(books, found, report.asked_ns)
        self._forget(books, found, comparison)
        moved = self._find(books, confirmed, unsure)
        if fresh or moved or unsure:
            self._go_on(books, rounds=_ROUNDS)
        else:
            self._go_on(books, rounds=_BUSY_ROUNDS if comparison.passed_over else 0)

    def _sort(
        self, books: _Books, found: dict[str, Discrepancy], asked_ns: int
    ) -> tuple[list[Discrepancy], set[str]]:
        """Differences that count, and the ids of those that do not count yet.

        One whose figures never rest counts after so many rounds, but is not booked: `unsure` names it as well.
        """
        confirmed: list[Discrepancy] = []
        unsure: set[str] = set()
        listed_ns = self._state.accounts[books.name].fills_until_ns
        for name, one in found.items():
            same = one.same(books.seen.get(name))
            since = books.seen_ns.setdefault(name, asked_ns)
            moved = _moved_by_fills(one) and self._has_moved(one, since)
            if (
                moved or not same
            ):  # other figures, or the same by chance, are another difference, of other executions
                books.seen_ns[name] = asked_ns
            settled = books.profile.exact or listed_ns >= books.seen_ns[name] + books.profile.query_lag_ns
            steady = (settled or not _moved_by_fills(one)) and same
            if not steady:
                unsure.add(name)
            if steady or (name in books.seen and books.rounds + 1 >= _ROUNDS):
                confirmed.append(one)
        books.seen = found
        return confirmed, unsure

    def _has_moved(self, found: Discrepancy, since_ns: int) -> bool:
        """Whether anything was booked since then of what a difference is about."""
        if found.kind in POSITIONS:
            instrument = found.subject
        else:
            instrument = found.order.instrument if found.order is not None else ""
        return self._kernel.reports.fills.moved_since(found.account, since_ns, instrument)

    def _forget(self, books: _Books, found: dict[str, Discrepancy], comparison: Comparison) -> None:
        """What a snapshot does not show any more is gone, unless it says nothing of it."""
        for name, one in list(self._state.discrepancies.items()):
            if one.account == books.name and name not in found and not comparison.says_nothing_of(one):
                self._recorder.record(f.DiscrepancyGone, discrepancy=name)
        books.seen_ns = {name: since for name, since in books.seen_ns.items() if name in found}

    def _find(self, books: _Books, confirmed: Iterable[Discrepancy], unsure: set[str]) -> bool:
        """Write down and decide what counts; True where something was booked, so that it has to be looked at again.

        Cash waits for that look, since positions that were adopted have moved it.
        """
        moved = booked = False
        for one in confirmed:
            if one.kind is DiscrepancyKind.CASH and moved:
                continue
            if not self._is_known(one):
                self._recorder.record(f.DiscrepancyFound, discrepancy=one)
            elif one.id in self._state.decided:
                self._insist(one)
                continue
            if self._decide(one, unsure):
                booked = True
                moved = moved or one.kind in POSITIONS
        return booked

    def _is_known(self, found: Discrepancy) -> bool:
        """Whether this difference stands already; what was booked is none any more, and so this is another."""
        decided = self._state.decided.get(found.id)
        settled = decided is not None and decided.action in BOOKING
        lasting = found.kind is DiscrepancyKind.ORDER_STATUS
        return found.same(self._state.discrepancies.get(found.id)) and (lasting or not settled)

    def _insist(self, found: Discrepancy) -> None:
        """A cancel may be lost: an order that is over here, and was to go there, is canceled until it is gone."""
        decided = self._state.decided.get(found.id)
        order = self._state.orders.get(found.subject)
        if decided is not None and decided.action is Action.CANCEL and order is not None and order.closed:
            self._kernel.outbox.cancel(order)

    def _missing_orders(self, books: _Books, comparison: Comparison) -> bool:
        """Look our orders up that are not listed; others' have ended when two snapshots say so. True to look again."""
        foreign = set()
        for order in comparison.absent():
            name = order.client_order_id
            if self._kernel.resolver.follows(order):
                self._kernel.resolver.look_up(order)
            elif name in books.absent:
                self._kernel.reports.lapse(order, "its venue does not list it any more")
            else:
                foreign.add(name)
        books.absent = foreign
        for order in comparison.unheard():
            self._kernel.resolver.look_up(order)
        for order in comparison.leaving():
            self._kernel.outbox.cancel(order)
        return bool(foreign)

    def _go_on(self, books: _Books, *, rounds: int) -> None:
        """Look again soon, up to so many times in a row, else when it is due."""
        books.due_ns = 0
        now = self._recorder.now
        if rounds:
            books.rounds += 1
            if not books.profile.exact:
                self._kernel.resolver.review(books.name)
            if books.rounds < rounds:
                lag = 0 if books.profile.exact else books.profile.query_lag_ns
                self._at(books, now + _AGAIN_NS + lag)
                return
        books.rounds = 0
        if books.done is not None and not self._is_whole(books):
            self._at(books, max(now + _AGAIN_NS, books.settled_ns))
            return
        books.compared_ns = now
        if books.every_ns:
            self._at(books, now + books.every_ns)
        self._end_begin(books)

    # --- deciding -------------------------------------------------------------------------------------------

    def proposals(self, found: Discrepancy) -> Iterator[Proposal]:
        """What each reconciler says about a difference, in their order; nothing is done."""
        for reconciler in self.reconcilers:
            try:
                resolution = reconciler.resolve(found, self._kernel.view)
            except Exception as error:  # what it may be is unknown, and so is what it would have decided
                yield Proposal(reconciler.name, None, f"resolve() failed, {said(error)}")
                continue
            yield Proposal(reconciler.name, resolution, _unusable(found, resolution))

    def _decide(self, found: Discrepancy, unsure: set[str]) -> bool:
        """Do what the first reconciler with an answer wants; True where something was booked.

        What the journal lost is nobody's policy: after a power cut it is ours, else a person looks at it first.
        """
        if found.kind is DiscrepancyKind.LOST_ORDER:
            reason, action = "the journal never gave its id out", Action.HALT
            if explained(self._state, found.subject):
                obstacle = self._adjusting.obstacle(found)
                reason, action = obstacle or reason, Action.HALT if obstacle else Action.ADOPT
            self.resolve(found, Resolution(action, reason=reason), ENGINE)
            return action is Action.ADOPT
        for proposal in self.proposals(found):
            if proposal.fault:
                self.say(f"{proposal.reconciler}: {proposal.fault}: {found} is left to a person")
                asks = Resolution(Action.ASK, reason=proposal.fault)
                return self._resolve(found, asks, proposal.reconciler, "")
            if proposal.resolution is not None:
                wait = "its figures have not come to rest" if found.id in unsure else ""
                return self._resolve(found, proposal.resolution, proposal.reconciler, wait)
        return self._resolve(found, Resolution(Action.WARN), ENGINE, "")

    def standing(self, accounts: Iterable[str]) -> list[Discrepancy]:
        """The differences of accounts that still are, with the figures that were seen last."""
        latest = {name: one for books in self._books.values() for name, one in books.seen.items()}
        found = [one for one in self._state.discrepancies.values() if one.account in accounts]
        return [latest.get(one.id, one) if one.same(latest.get(one.id)) else one for one in found]

    def every_ns(self, account: str) -> int:
        """How often an account is compared, 0 for only when asked."""
        return self._books[account].every_ns

    def compared_ns(self, account: str) -> int:
        """When a comparison of an account was last finished, 0 before the first."""
        return self._books[account].compared_ns

    def obstacle(self, found: Discrepancy) -> str:
        """Why what was found cannot be booked now, "" if it can."""
        moves = found.kind in _BY_FILLS
        instrument = found.subject if found.kind in POSITIONS else ""
        since = self._books[found.account].taken_ns + 1
        decided = self._state.decided.get(found.id)
        if decided is not None and decided.action in BOOKING:
            return f"{decided.action} was decided already, by {decided.who}: reconcile to see what is left"
        if moves and self._kernel.reports.fills.moved_since(found.account, since, instrument):
            return "it has moved since it was compared: reconcile first"
        return self._adjusting.obstacle(found)

    def _resolve(self, found: Discrepancy, resolution: Resolution, who: str, wait: str) -> bool:
        if resolution.action in BOOKING and (why := wait or self._adjusting.obstacle(found)):
            if (found.id, why) not in self._told:
                self._told.add((found.id, why))
                self.say(f"{found}: {why}")
            return False
        self.resolve(found, resolution, who)
        return resolution.action in BOOKING

    def resolve(self, found: Discrepancy, resolution: Resolution, who: str) -> None:
        """Carry a decision out, and write it down."""
        action = resolution.action
        self._recorder.record(
            f.DiscrepancyResolved,
            discrepancy=found.id,
            action=action,
            who=who,
            adjustment=resolution.cause,
            why=resolution.reason,
        )
        if action is Action.HALT:
            self._halt(found.account, str(found), who)
        elif action in BOOKING:
            self._books[found.account].seen.pop(found.id, None)  # what comes next is another difference
            self._adjusting.book(found, action, resolution.cause or str(action))
        if action in TRADING:
            self._adjusting.settle()

    def _halt(self, account: str, reason: str, who: str) -> None:
        scope = f"account:{account}"
        lowered = self._state.lowered.get(scope, TradingState.ACTIVE)
        if lowered.severity < TradingState.HALTED.severity:
            self._recorder.record(
                f.StateChanged, scope=scope, state=TradingState.HALTED, reason=reason, who=who
            )

    # --- what the journal does not explain ------------------------------------------------------------------

    def lost(self, account: str, client_order_id: str, what: str) -> None:
        """The venue has something of ours that the journal does not know: explained by a power cut, or by nothing."""
        if explained(self._state, client_order_id):
            self.say(f"{what}: the journal's last records were lost with the machine's power, and it is ours")
        else:
            self._halt(account, f"the venue has {what}: resume once you have looked at it there", ENGINE)

    def say(self, text: str) -> None:
        """Write something down that a person should read."""
        self._recorder.record(f.Noted, source="reconciliation", text=text)


def _moved_by_fills(found: Discrepancy) -> bool:
    """Whether executions may explain a difference that have not been listed yet."""
    return found.kind in _BY_FILLS or (found.order is not None and found.order.filled_quantity > 0)


def _unusable(found: Discrepancy, resolution: object) -> str:
    if resolution is None:
        return ""
    if not isinstance(resolution, Resolution):
        return f"resolve() gave {type(resolution).__name__}, which is no Resolution"
    fit = fitting(found.kind)
    if resolution.action not in fit:
        return f"{resolution.action} does not fit {found.kind}, only {', '.join(sorted(fit))}"
    return ""
