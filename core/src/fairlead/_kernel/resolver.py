"""The resolver: what became of orders that are in doubt, by evidence alone.

It asks venues how orders stand and what they filled, until there is an answer; what cannot be proven stays unknown,
reserved for, and is said aloud. Errors, timeouts and silence prove nothing. "Not found" proves something only when
the venue was asked after the order could last have reached it, and its look-ups could last have lagged; twice, on a
private stream that is up, with the list of fills agreeing.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from fairlead import facts as f
from fairlead._kernel.clock import TIMER
from fairlead._kernel.fills import CLOCK_ERROR_NS, OVERLAP_NS
from fairlead._kernel.identity import Origin, origin
from fairlead._models import reports as r
from fairlead._models.accounts import EXTERNAL, TradingState
from fairlead._models.orders import AT_VENUE, Order, OrderStatus
from fairlead._models.venue import FillsSince, Inquiry, Lookup, OrderReport, VenueProfile
from fairlead.units import SECOND

if TYPE_CHECKING:
    from fairlead._kernel.kernel import Kernel

ALARM_NS = 60 * SECOND
"""Doubt that lasts longer than this is said aloud."""

RECOVERY_NS = 30 * SECOND
"""How long a start waits for every order to be resolved, before it goes on with less."""

_LOOK_NS = SECOND
_FIRST_NS, _LAST_NS = SECOND // 8, 30 * SECOND
PATIENCE_NS = 15 * SECOND
"""How long an answer is waited for, and the longest pause after questions that failed."""

_PROOFS = 2
_ROUNDS = 3

_ANSWERED = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_REPLACE)


@attrs.define
class _Case:
    """One order in doubt: since when, how often it was looked up, and how often that proved that it is not there.

    `proof_ns` is the time after which not to be found is such a proof, 0 where nothing speaks for that yet.
    """

    since_ns: int
    due_ns: int
    proof_ns: int = 0
    looks: int = 0
    absent: int = 0
    alarmed: bool = False


@attrs.define
class _Account:
    """What is being asked on one account.

    `review` are orders to be looked up at once, whatever they seem to be, and `asking` who waits for that; all fills
    are booked up to `listed_ns`. After `failures` questions in a row that failed it asks again at `again_ns`.
    """

    name: str
    profile: VenueProfile
    review: set[str] = attrs.Factory(set)
    asking: dict[str, list[Callable[[], None]]] = attrs.Factory(dict)
    cases: dict[str, _Case] = attrs.Factory(dict)
    listed_ns: int = 0
    fills_due_ns: int = 0
    fills_wanted: bool = False
    wanted_ns: int = 0
    asked_ns: int = 0
    failures: int = 0
    again_ns: int = 0
    look_ns: int = 0


class Resolver:
    """Asks by `inquire`, which the shell sets; answers come back as LookedUp and Backfilled reports."""

    def __init__(self, kernel: Kernel, profiles: dict[str, VenueProfile]) -> None:
        self._kernel = kernel
        self._recorder = kernel.recorder
        self._state = kernel.state
        self._ended_ns = kernel.state.now  # when the last run's last fact was written
        self._accounts = {name: _Account(name, profile) for name, profile in profiles.items()}
        self.inquire: Callable[[str, Inquiry], None] = _ask_nobody
        self.recovered: Callable[[str, bool], None] = _tell_nobody

    # --- when to look ---------------------------------------------------------------------------------------

    def review(self, name: str) -> None:
        """Look up every order that may be at the venue, and list fills: the private stream may have missed anything."""
        account = self._accounts[name]
        account.review = {
            order.client_order_id for order in (*self._at_venue(name), *self._sent_perhaps(name))
        }
        account.fills_wanted, account.wanted_ns = True, self._recorder.now
        self._look_at(account, self._recorder.now)

    def settled(self, name: str) -> bool:
        """Whether all that was to be looked up, and all fills, are known."""
        return not (self._accounts[name].review or self._accounts[name].fills_wanted)

    def reconnected(self, name: str) -> None:
        """The private stream is there again: what was being asked when it broke may never be answered."""
        account = self._accounts[name]
        account.asked_ns = account.failures = account.again_ns = 0
        self.review(name)

    def look_up(self, order: Order) -> None:
        """Ask for an order at once; for as long as it is in doubt then again and again, ever later."""
        if not self.follows(order):
            return
        account, now, name = self._accounts[order.account], self._recorder.now, order.client_order_id
        if name in account.cases:
            return
        if order.status in (
            OrderStatus.ACCEPTED,
            OrderStatus.PARTIALLY_FILLED,
        ):  # by itself it is not in doubt
            account.review.add(name)
        else:
            account.cases[name] = _Case(now, now)
        self._look_at(account, now)

    def inform(self, order: Order, told: Callable[[], None]) -> None:
        """Look an order up at once, whatever it seems to be, and tell when the answer, and its fills, are booked.

        Nobody is told where the venue does not answer. At a venue in this process nothing gets lost: no look is needed.
        """
        account = self._accounts[order.account]
        if account.profile.exact:
            told()
            return
        account.review.add(order.client_order_id)
        account.asking.setdefault(order.client_order_id, []).append(told)
        self._look_at(account, self._recorder.now)

    def _answer(self, account: _Account) -> None:
        """Tell those who asked for orders that are known now."""
        if account.fills_wanted:
            return
        for name in [name for name in account.asking if name not in account.review]:
            for told in account.asking.pop(name):
                told()

    def _look_at(self, account: _Account, when: int) -> None:
        if account.look_ns and account.look_ns <= when:
            return
        account.look_ns = when
        self._kernel.schedule(when, lambda: self._look(account, when), TIMER, 0)

    def _look(self, account: _Account, when: int) -> None:
        if account.look_ns != when:  # an earlier look has taken its place
            return
        account.look_ns = 0
        now = self._recorder.now
        if now < account.again_ns or (account.asked_ns and now < account.asked_ns + PATIENCE_NS):
            self._look_at(
                account, account.again_ns if now < account.again_ns < now + _LOOK_NS else now + _LOOK_NS
            )
            return
        for order in self._at_venue(account.name):
            self._open_case(account, order)
        inquiry = self._next(account)
        if inquiry is not None:
            account.asked_ns = now
            self.inquire(account.name, inquiry)
        elif self._is_recovered(account):
            self._end_recovery(account)
        if inquiry is not None or account.fills_wanted or account.review:
            self._look_at(account, now + _LOOK_NS)
        elif account.cases:
            self._look_at(account, max(now + 1, min(case.due_ns for case in account.cases.values())))
        elif not account.profile.exact:
            self._look_at(account, now + _LOOK_NS)

    def _next(self, account: _Account) -> Inquiry | None:
        """The one question to ask now: fills first, since how an order stands is judged by them."""
        now, every = self._recorder.now, account.profile.backfill_ns
        if account.fills_wanted or (every and not account.profile.exact and now >= account.fills_due_ns):
            return FillsSince(self._since(account))
        due = [name for name, case in account.cases.items() if case.due_ns <= now]
        names = sorted({*due, *account.review})
        return Lookup(tuple(names)) if names else None

    def _since(self, account: _Account) -> int:
        """From when fills may be missing: what is not booked, and all that open orders have filled."""
        oldest = (order.created_ns for order in self._at_venue(account.name) if self._suspect(account, order))
        return max(0, min([account.listed_ns, *oldest]) - OVERLAP_NS - account.profile.query_lag_ns)

    def _suspect(self, account: _Account, order: Order) -> bool:
        name = order.client_order_id
        return name in account.review or name in account.cases

    # --- who is in doubt ------------------------------------------------------------------------------------

    def _at_venue(self, account: str) -> list[Order]:
        return [
            o
            for o in self._state.open.values()
            if o.account == account and o.status in AT_VENUE and self.follows(o)
        ]

    def _sent_perhaps(self, account: str) -> list[Order]:
        """Held orders: of one that was sent last of all, a power cut may have taken the record."""
        if not self._state.tail_lost:
            return []
        held = (o for o in self._state.open.values() if o.status is OrderStatus.HELD and not o.intent.style)
        return [order for order in held if order.account == account]

    def follows(self, order: Order) -> bool:
        """Whether it finds out about an order by its id; of orders that others placed, snapshots tell."""
        return order.strategy != EXTERNAL or origin(self._state, order.client_order_id) is Origin.OURS

    def _open_case(self, account: _Account, order: Order) -> None:
        name, now = order.client_order_id, self._recorder.now
        if self._overdue(account, order):
            self._kernel.reports.doubt(order, "no answer came")
        if not self._in_doubt(account, order):
            account.cases.pop(name, None)
        elif name not in account.cases:
            account.cases[name] = _Case(now, now)

    def _overdue(self, account: _Account, order: Order) -> bool:
        late = order.deadline_ns + account.profile.answer_ns
        return (
            order.status is OrderStatus.SUBMITTED and not account.profile.exact and self._recorder.now > late
        )

    def _in_doubt(self, account: _Account, order: Order) -> bool:
        reports = self._kernel.reports
        if order.status is OrderStatus.UNKNOWN or order.client_order_id in reports.ending:
            return True
        if reports.fills.missing(order):
            return True
        if order.status is OrderStatus.PENDING_REPLACE:
            since = order.replace_ns
        elif order.status is OrderStatus.PENDING_CANCEL:
            since = order.updated_ns
        else:
            return False
        late = self._recorder.now >= since + account.profile.answer_ns
        return order.client_order_id in account.cases or (late and not account.profile.exact)

    def unanswered(self, name: str, report: r.Unanswered) -> None:
        """A question failed: it is asked again after a pause, ever longer ones in a row."""
        account = self._accounts[name]
        if report.asked_ns < account.asked_ns or not account.asked_ns:  # another has taken its place
            return
        account.asked_ns = 0
        account.failures += 1
        account.again_ns = self._recorder.now + pause_ns(name, account.failures, report.asked_ns)
        self._look_at(account, account.again_ns)

    # --- what was found -------------------------------------------------------------------------------------

    def backfilled(self, name: str, report: r.Backfilled) -> None:
        """The list of fills is booked: go on with what is still in doubt."""
        account = self._accounts[name]
        account.asked_ns = account.failures = 0
        if report.asked_ns >= account.wanted_ns:  # one asked before a reconnect leaves out what broke it
            account.fills_wanted = False
        account.listed_ns = max(account.listed_ns, report.asked_ns)
        account.fills_due_ns = self._recorder.now + account.profile.backfill_ns
        self._look_at(account, self._recorder.now)
        self._answer(account)

    def looked_up(self, name: str, report: r.LookedUp) -> None:
        """How orders stand: each is judged by itself."""
        account = self._accounts[name]
        account.asked_ns = account.failures = 0
        for client_order_id, found in report.orders.items():
            order = self._state.orders.get(client_order_id)
            account.review.discard(client_order_id)
            if order is None:
                continue
            if found is None:
                if order.status in AT_VENUE:
                    self._absent(account, order, report.asked_ns)
            elif found.open or not order.closed:
                if order.status is OrderStatus.HELD:
                    self._kernel.reports.sent_unheard(order)
                self._found(account, order, found, report.asked_ns)
            self._back_off(account, order)
        self._look_at(account, self._recorder.now)
        self._answer(account)

    def _back_off(self, account: _Account, order: Order) -> None:
        case = account.cases.get(order.client_order_id)
        if case is None:
            return
        if order.closed:
            del account.cases[order.client_order_id]
            return
        case.looks += 1
        case.due_ns = self._recorder.now + min(_FIRST_NS << min(case.looks, 10), _LAST_NS)
        if case.proof_ns:
            case.due_ns = min(case.due_ns, max(case.proof_ns, self._recorder.now) + _FIRST_NS)
        if not case.alarmed and self._recorder.now >= case.since_ns + ALARM_NS:
            case.alarmed = True
            self._kernel.reports.fills.note(
                f"{order.client_order_id} has been in doubt for {ALARM_NS // SECOND} s ({order.status}, "
                f"{order.filled_quantity} of {order.quantity} filled): look at it at its venue"
            )

    def _found(self, account: _Account, order: Order, found: OrderReport, asked_ns: int) -> None:
        reports = self._kernel.reports
        lag = 0 if account.profile.exact else account.profile.query_lag_ns
        reports.fills.tell(order, found.filled_quantity, asked_ns - lag)
        reports.replacements.found(order, found, asked_ns)
        if order.closed and not (found.open and order.status is OrderStatus.REJECTED):
            return
        if reports.fills.missing(order):
            account.fills_wanted = True
        if found.open:
            reports.accept(order, found.broker_order_id)
            if order.status is OrderStatus.PENDING_CANCEL:
                self._kernel.desk.cancel(order, "canceled again")
            return
        if self._inferred(account, order, found):
            return
        if found.status == "rejected" and not order.filled_quantity and not found.filled_quantity:
            reports.refuse(order, found.status, "its venue refused it")
        else:
            expired = found.status == "expired"
            reports.end(order, found.status or "ended", found.filled_quantity, expired=expired)

    def _inferred(self, account: _Account, order: Order, found: OrderReport) -> bool:
        """Stand in for fills that the venue counts and does not list; True where that closed the order."""
        fills = self._kernel.reports.fills
        case = account.cases.get(order.client_order_id)
        patient = account.profile.own_fills and (case is None or case.looks < _ROUNDS)
        if not fills.missing(order) or patient:
            return False
        account.fills_wanted = False
        if not fills.infer(order, found.average_price):
            self._restrict(
                order, f"{order.client_order_id} filled {found.filled_quantity} at a price nobody tells"
            )
        return order.closed

    def _absent(self, account: _Account, order: Order, asked_ns: int) -> None:
        """The venue knows no such order."""
        reports, profile = self._kernel.reports, account.profile
        answered = bool(order.broker_order_id or order.filled_quantity) or order.status in _ANSWERED
        if profile.exact:
            if answered:
                reports.end(order, "the venue does not know it any more", order.filled_quantity)
            else:
                reports.refuse(order, "not_sent", "not sent: the venue has never seen it")
            return
        if answered:  # its venue's memory may be short: that is no ending
            if order.client_order_id in reports.ending:
                reports.end(order, reports.ending[order.client_order_id][1], order.filled_quantity)
            elif order.status is not OrderStatus.UNKNOWN:
                case = account.cases.get(order.client_order_id)
                if case is None or not case.looks:
                    text = f"{order.client_order_id} was at its venue, which does not know it any more"
                    reports.fills.note(text)
                reports.doubt(order, "its venue does not know it any more")
            return
        if profile.validity_ns is None:
            if order.given_up:
                return  # a person has looked, and said that it is not there
            reports.doubt(order, "its venue does not know it, and may yet")
            self._restrict(
                order, f"{order.client_order_id} may still reach its venue, which sets no bound to that"
            )
            return
        reports.doubt(order, "its venue does not know it yet")
        proven = order.deadline_ns + profile.query_lag_ns + CLOCK_ERROR_NS
        books = self._state.accounts[account.name]
        case = account.cases.get(order.client_order_id)
        if case is None:
            case = account.cases[order.client_order_id] = _Case(self._recorder.now, self._recorder.now)
        case.proof_ns = proven
        if asked_ns <= proven or not books.stream_up:
            case.absent = 0
            return
        case.absent += 1
        if books.fills_until_ns <= proven:
            account.fills_wanted = True
        elif case.absent >= _PROOFS:
            reports.refuse(order, f.NOT_ACCEPTED, "its venue never got it: it was valid no longer when asked")

    def _restrict(self, order: Order, why: str) -> None:
        """What cannot be known must not grow: the instrument may only reduce, until a person has looked."""
        scope = f"instrument:{order.instrument}"
        if scope not in self._state.lowered:
            self._recorder.record(
                f.StateChanged, scope=scope, state=TradingState.REDUCE_ONLY, reason=why, who="resolver"
            )

    # --- after a start --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to find out what happened while nobody listened, and to compare fills now and then.

        `recovered` is told of each account: whether its venue could be asked within RECOVERY_NS.
        """
        for name, account in self._accounts.items():
            books = self._state.accounts[name]
            account.listed_ns = self._ended_ns if account.profile.exact else books.fills_until_ns
            account.fills_due_ns = self._recorder.now + account.profile.backfill_ns
            if self._recovering(account):
                self.review(name)
                if not account.profile.exact:
                    self._give_up_at(account, self._recorder.now + RECOVERY_NS)
            elif not account.profile.exact:
                self._look_at(account, self._recorder.now + _LOOK_NS)

    def _give_up_at(self, account: _Account, when: int) -> None:
        self._kernel.schedule(when, lambda: self._give_up(account), TIMER, 0)

    def _give_up(self, account: _Account) -> None:
        """Recovery has had its time: go on, reducing only, while the rest is being resolved."""
        if not self._recovering(account):
            return
        if account.fills_wanted:
            self.recovered(account.name, False)
        else:
            self._end_recovery(account)

    def _is_recovered(self, account: _Account) -> bool:
        waiting = account.fills_wanted or account.review or account.cases
        return self._recovering(account) and not waiting

    def _recovering(self, account: _Account) -> bool:
        return self._state.uncertain.get(account.name, ()) is None

    def _end_recovery(self, account: _Account) -> None:
        unresolved = tuple(sorted({*account.cases, *account.review}))
        self._recorder.record(f.AccountRecovered, account=account.name, unresolved=unresolved)
        self._kernel.reconciliation.begin(account.name, lambda reached: self.recovered(account.name, reached))


def pause_ns(account: str, failures: int, asked_ns: int) -> int:
    """How long to wait before asking again: from a second on twice as long each time, and up to half of it more.

    How much more tells from when it was asked, so that a replay waits as long.
    """
    base = SECOND << min(failures - 1, 4)
    more = zlib.crc32(f"{account} {asked_ns}".encode()) % (base // 2)
    return min(base + more, PATIENCE_NS)


def _ask_nobody(account: str, inquiry: Inquiry) -> None:
    """In a replay the answers are in the journal."""


def _tell_nobody(account: str, reached: bool) -> None:
    """Nobody waits for a recovery."""
