"""Reconciliation: an account's books against its venue's, at the start, after reconnects, on a timer, on command.

A difference counts when two snapshots in a row show it and nothing is in flight that explains it. What is done about
it is up to the reconcilers, in the user's order; without one it is told, and nothing else. All of it is facts.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import attrs

from fairlead import facts as f
from fairlead._kernel.clock import TIMER
from fairlead._kernel.state import ZERO
from fairlead._models import reports as r
from fairlead._models.accounts import EXTERNAL, TradingState
from fairlead._models.orders import CLOSED, Liquidity, OrderIntent, OrderStatus, OrderType, Side
from fairlead._models.reconciliation import (
    POSITIONS,
    Action,
    Discrepancy,
    DiscrepancyKind,
    Resolution,
    Severity,
    severity,
)
from fairlead._models.venue import OrderReport, Snapshot, TakeSnapshot, VenueProfile
from fairlead.units import SECOND

if TYPE_CHECKING:
    from fairlead._kernel.kernel import Kernel
    from fairlead.ports import Reconciler

_AGAIN_NS = SECOND // 4
_PATIENCE_NS = 15 * SECOND
_WITHOUT_PRICE = "no price to book it at yet"
_CENT = Decimal("1e-8")

_MOVING = (OrderStatus.SUBMITTED, OrderStatus.UNKNOWN, OrderStatus.PENDING_CANCEL)


@attrs.define
class _Books:
    """One account: what the last snapshot showed, and which differences wait until they can be booked."""

    name: str
    profile: VenueProfile
    every_ns: int
    seen: dict[str, Discrepancy] = attrs.Factory(dict)
    waiting: set[str] = attrs.Factory(set)
    snapshot: Snapshot | None = None
    asked_ns: int = 0
    due_ns: int = 0
    rounds: int = 0
    done: Callable[[], None] | None = None


class Reconciliation:
    """Asks for snapshots by the resolver's door, compares, and carries out what reconcilers decide."""

    def __init__(
        self, kernel: Kernel, profiles: dict[str, VenueProfile], reconcilers: Sequence[Reconciler]
    ) -> None:
        self._kernel = kernel
        self._recorder = kernel.recorder
        self._state = kernel.state
        self._told: set[str] = set()
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

    def begin(self, account: str, done: Callable[[], None]) -> None:
        """Compare before strategies start, where there is anything to compare; `done` is called at its end."""
        books = self._books[account]
        if not books.every_ns and not self.reconcilers:
            done()
            return
        books.done = done
        self.check(account)

    def check(self, account: str) -> None:
        """Compare as soon as the venue has answered."""
        self._at(self._books[account], self._recorder.now)

    def reconnected(self, account: str) -> None:
        """The private stream is there again: compare, whatever was being asked when it broke."""
        self._books[account].asked_ns = 0
        self.check(account)

    def keep_watch(self) -> None:
        """Compare now and then, from here on."""
        for books in self._books.values():
            if books.every_ns and not books.due_ns:
                self._at(books, self._recorder.now + books.every_ns)

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
        if not books.asked_ns or now >= books.asked_ns + _PATIENCE_NS:
            books.asked_ns = now
            self._kernel.resolver.inquire(books.name, TakeSnapshot())
        self._at(books, now + _PATIENCE_NS)

    # --- comparing ------------------------------------------------------------------------------------------

    def taken(self, account: str, report: r.SnapshotTaken) -> None:
        """The venue's view has come: without one of its own it is the last one again."""
        books = self._books[account]
        books.asked_ns = 0
        snapshot = books.snapshot = report.snapshot or books.snapshot
        if snapshot is None:
            return
        found = {one.id: one for one in self._differences(books, snapshot, report.asked_ns)}
        confirmed = [one for name, one in found.items() if books.seen.get(name) == one]
        fresh = len(confirmed) < len(found)
        books.seen = found
        for name in [
            n for n, one in self._state.discrepancies.items() if one.account == account and n not in found
        ]:
            self._recorder.record(f.DiscrepancyGone, discrepancy=name)
        for one in confirmed:
            if self._state.discrepancies.get(one.id) != one:
                self._recorder.record(f.DiscrepancyFound, discrepancy=one)
            elif one.id not in books.waiting:
                continue
            books.waiting.discard(one.id)
            self._decide(one)
        self._go_on(books, again=fresh)

    def _go_on(self, books: _Books, *, again: bool) -> None:
        books.due_ns = 0
        now = self._recorder.now
        if again:
            books.rounds += 1
            if not books.profile.exact:
                self._kernel.resolver.review(books.name)
            self._at(books, now + _AGAIN_NS + (0 if books.profile.exact else books.profile.query_lag_ns))
            if books.rounds < 10:
                return
        books.rounds = 0
        if not again and books.every_ns:
            self._at(books, now + books.every_ns)
        if books.done is not None:
            done, books.done = books.done, None
            done()

    def _differences(self, books: _Books, snapshot: Snapshot, asked_ns: int) -> Iterator[Discrepancy]:
        since = asked_ns - (0 if books.profile.exact else books.profile.query_lag_ns)
        if snapshot.positions is not None:
            yield from self._positions(books, snapshot, since)
        if snapshot.balances is not None and not self._moving(books.name, since):
            yield from self._cash(books, snapshot)
        if snapshot.orders is not None:
            yield from self._orders(books, snapshot.orders, asked_ns)

    def _positions(self, books: _Books, snapshot: Snapshot, since: int) -> Iterator[Discrepancy]:
        theirs = snapshot.positions or {}
        ours = {
            key.instrument: position.quantity
            for key, position in self._state.positions.items()
            if key.account == books.name and not key.strategy and position.quantity
        }
        for name in sorted({*ours, *theirs}):
            rules = self._state.instruments.get(name) or self._kernel.catalogue.get(name)
            here, there = ours.get(name, ZERO), theirs.get(name, ZERO)
            spot = rules is not None and rules.spot
            if here == there or spot or self._moving(books.name, since, name):
                continue
            kind, weight = DiscrepancyKind.QUANTITY, severity(here, there)
            if not here or not there or (here > 0) != (there > 0):
                weight = Severity.CRITICAL
                kind = DiscrepancyKind.SIDE
                if not here or not there:
                    kind = DiscrepancyKind.MISSING_HERE if not here else DiscrepancyKind.MISSING_THERE
            yield self._one(books, kind, name, here, there, weight)

    def _cash(self, books: _Books, snapshot: Snapshot) -> Iterator[Discrepancy]:
        """What fills booked in another order than the venue's have realised sooner or later is no difference."""
        ours, theirs = self._state.accounts[books.name].balances, snapshot.balances or {}
        for currency in sorted({*ours, *theirs}):
            here = ours.get(currency, ZERO)
            there = theirs.get(currency, ZERO) + self._realised(books, snapshot, currency)
            if abs(here - there) > _CENT:
                yield self._one(books, DiscrepancyKind.CASH, currency, here, there, severity(here, there))

    def _realised(self, books: _Books, snapshot: Snapshot, currency: str) -> Decimal:
        """What we have realised more than the venue on what both hold alike: our entry prices make up for it."""
        more, held = ZERO, snapshot.positions or {}
        for key, position in self._state.positions.items():
            entry = snapshot.entry_prices.get(key.instrument)
            if key.account != books.name or key.strategy or not position.quantity or not entry:
                continue
            rules = self._state.instruments[key.instrument]
            if not rules.spot and rules.settle == currency and held.get(key.instrument) == position.quantity:
                more += rules.profit(position.quantity, entry, position.average_price)
        return more

    def _orders(self, books: _Books, orders: Sequence[OrderReport], asked_ns: int) -> Iterator[Discrepancy]:
        there = {found.client_order_id or found.broker_order_id: found for found in orders}
        for name, found in there.items():
            order = self._state.orders.get(name)
            if order is None:
                kind = DiscrepancyKind.EXTERNAL_ORDER
            elif order.status in CLOSED and order.updated_ns < asked_ns - books.profile.query_lag_ns:
                kind = DiscrepancyKind.ORDER_STATUS
            else:
                continue
            left = found.quantity - found.filled_quantity
            yield self._one(books, kind, name, ZERO, left, Severity.CRITICAL, found)
        for order in self._state.open.values():
            settled = order.updated_ns < asked_ns - books.profile.query_lag_ns
            at_rest = order.status in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)
            if order.account == books.name and at_rest and settled and order.client_order_id not in there:
                self._kernel.resolver.look_up(order)

    def _moving(self, account: str, since: int, instrument: str = "") -> bool:
        """Whether anything is in flight that may explain a difference."""
        if self._kernel.reports.fills.moved_since(account, since, instrument):
            return True
        return any(
            order.account == account
            and order.status in _MOVING
            and (not instrument or order.instrument == instrument)
            for order in self._state.open.values()
        )

    def _one(
        self,
        books: _Books,
        kind: DiscrepancyKind,
        subject: str,
        ours: Decimal,
        theirs: Decimal,
        weight: Severity,
        order: OrderReport | None = None,
    ) -> Discrepancy:
        about = "position" if kind in POSITIONS else kind
        name = f"{zlib.crc32(f'{books.name} {about} {subject}'.encode()):08x}"
        return Discrepancy(
            id=name,
            account=books.name,
            kind=kind,
            subject=subject,
            ours=ours,
            theirs=theirs,
            severity=weight,
            order=order,
        )

    # --- resolving ------------------------------------------------------------------------------------------

    def _decide(self, found: Discrepancy) -> None:
        for reconciler in self.reconcilers:
            resolution = reconciler.resolve(found, self._kernel.view)
            if resolution is not None:
                self.resolve(found, resolution, reconciler.name)
                return
        self.resolve(found, Resolution(Action.WARN), "engine")

    def resolve(self, found: Discrepancy, resolution: Resolution, who: str) -> None:
        """Carry a decision out, and write it down. What has no price to be booked at waits for the next check."""
        action = resolution.action
        if action in (Action.ADOPT, Action.TRADE_BACK, Action.FLATTEN, Action.CANCEL) and not self._can_book(
            found
        ):
            if found.id not in self._told:
                self._told.add(found.id)
                self._recorder.record(f.Noted, source="reconciliation", text=f"{found}: {_WITHOUT_PRICE}")
            self._books[found.account].waiting.add(found.id)
            return
        self._recorder.record(
            f.DiscrepancyResolved,
            discrepancy=found.id,
            action=action,
            who=who,
            adjustment=resolution.cause,
            why=resolution.reason,
        )
        match action:
            case Action.HALT:
                self._halt(found, who)
            case Action.ADOPT | Action.TRADE_BACK | Action.FLATTEN | Action.CANCEL:
                self._adopt(found, action, resolution.cause or str(action))
                self._kernel.schedule(self._recorder.now, lambda: self._trade(found, action), TIMER, 0)

    def _halt(self, found: Discrepancy, who: str) -> None:
        self._recorder.record(
            f.StateChanged,
            scope=f"account:{found.account}",
            state=TradingState.HALTED,
            reason=str(found),
            who=who,
        )

    def _can_book(self, found: Discrepancy) -> bool:
        if found.kind in POSITIONS:
            return self._price(found) is not None
        return found.order is None or found.order.side is not None

    def _price(self, found: Discrepancy) -> Decimal | None:
        """What an adopted position is booked at: the venue's entry price where it opens one, else the mark."""
        rules = self._state.instruments.get(found.subject) or self._kernel.catalogue.get(found.subject)
        lane = self._kernel.market.lanes.get(found.subject)
        snapshot = self._books[found.account].snapshot
        entry = snapshot.entry_prices.get(found.subject) if snapshot is not None else None
        if rules is None:
            return None
        if not found.ours and entry is not None:
            return entry
        return rules.price(lane.mark) if lane is not None and lane.mark else entry

    def _adopt(self, found: Discrepancy, action: Action, cause: str) -> None:
        """The venue's truth becomes ours, as a fact that names what it is.

        What a position lost is lost by the strategies that hold it, unless it is about to be bought back.
        """
        fills, change = self._kernel.reports.fills, found.theirs - found.ours
        if found.kind in POSITIONS:
            price = self._price(found)
            assert price is not None
            rules = self._state.instruments.get(found.subject) or self._kernel.catalogue[found.subject]
            fills.adjust(
                found.account,
                r.FillReport(
                    client_order_id="",
                    fill_id=f"adjusted:{found.id}:{self._recorder.seq}",
                    instrument=found.subject,
                    side=Side.BUY if change > 0 else Side.SELL,
                    quantity=abs(change),
                    price=price,
                    fee=ZERO,
                    fee_currency=rules.settle,
                    liquidity=Liquidity.UNKNOWN,
                    cause=cause,
                ),
                shared=action is not Action.TRADE_BACK,
            )
        elif found.kind is DiscrepancyKind.CASH:
            fills.move_cash(
                found.account, r.AccountChanged(cause=cause, currency=found.subject, amount=change)
            )
        elif found.kind is DiscrepancyKind.EXTERNAL_ORDER:
            self._adopt_order(found)

    def _adopt_order(self, found: Discrepancy) -> None:
        there = found.order
        assert there is not None
        assert there.side is not None
        kind = OrderType.STOP if there.stop_price is not None else OrderType.LIMIT
        if there.stop_price is None and there.limit_price is None:
            kind = OrderType.MARKET
        elif there.stop_price is not None and there.limit_price is not None:
            kind = OrderType.STOP_LIMIT
        intent = OrderIntent(
            strategy=EXTERNAL,
            account=found.account,
            instrument=there.instrument,
            side=there.side,
            quantity=there.quantity,
            type=kind,
            limit_price=there.limit_price,
            stop_price=there.stop_price,
        )
        self._kernel.reports.fills.ensure_known(there.instrument)
        self._recorder.record(
            f.OrderAdopted,
            client_order_id=found.subject,
            intent=intent,
            broker_order_id=there.broker_order_id,
            filled_quantity=there.filled_quantity,
        )

    def _trade(self, found: Discrepancy, action: Action) -> None:
        """What trades waits until the account may, and goes through the gate like any other order."""
        if self._state.uncertain.get(found.account, ()) is None or self._kernel.starting:
            self._kernel.schedule(self._recorder.now + SECOND, lambda: self._trade(found, action), TIMER, 0)
            return
        order = self._state.orders.get(found.subject)
        if order is not None:
            if found.kind is DiscrepancyKind.ORDER_STATUS or action in (Action.CANCEL, Action.FLATTEN):
                self._kernel.outbox.cancel(order)
            return
        unwanted = self._state.quantity(found.account, found.subject, EXTERNAL)
        back = found.ours - found.theirs
        if found.kind not in POSITIONS or action is Action.ADOPT or not unwanted or not back:
            return
        size = min(abs(unwanted), abs(back)) if (unwanted > 0) != (back > 0) else ZERO
        if action is Action.FLATTEN and abs(found.theirs) < abs(found.ours):
            return
        if size:
            self._kernel.place(
                OrderIntent(
                    strategy=EXTERNAL,
                    account=found.account,
                    instrument=found.subject,
                    side=Side.BUY if back > 0 else Side.SELL,
                    quantity=size,
                    reduce_only=True,
                    tag=str(action),
                )
            )
