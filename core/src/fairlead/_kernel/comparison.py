"""What a snapshot of an account shows that the books do not, and nothing in flight explains."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from fairlead._kernel.identity import Origin, origin
from fairlead._kernel.state import ZERO
from fairlead._models.orders import CLOSED, Order, OrderStatus, OrderType
from fairlead._models.reconciliation import (
    ORDERS,
    POSITIONS,
    Discrepancy,
    DiscrepancyKind,
    Severity,
    severity,
)
from fairlead._models.venue import OrderReport, Snapshot, VenueProfile

if TYPE_CHECKING:
    from fairlead._kernel.kernel import Kernel

_CENT = Decimal("1e-8")
_MOVING = (OrderStatus.SUBMITTED, OrderStatus.UNKNOWN, OrderStatus.PENDING_CANCEL)
_AT_REST = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)


class Comparison:
    """One account against one snapshot, which was asked for at `asked_ns`; it changes nothing.

    `passed_over` are the subjects of figures that something in flight kept from being compared.
    """

    def __init__(
        self, kernel: Kernel, account: str, profile: VenueProfile, snapshot: Snapshot, asked_ns: int
    ) -> None:
        self._kernel = kernel
        self._state = kernel.state
        self._account = account
        self._profile = profile
        self._snapshot = snapshot
        lag = 0 if profile.exact else profile.query_lag_ns
        self._settled_ns = asked_ns - profile.query_lag_ns
        self._quiet_ns = asked_ns - lag
        self.passed_over: set[str] = set()
        self._there = self._by_our_id(snapshot.orders or ())

    def differences(self) -> Iterator[Discrepancy]:
        """All of them; positions come first, since what they turn out to be moves cash."""
        if self._snapshot.positions is not None:
            yield from self._positions()
        if self._snapshot.balances is not None:
            yield from self._cash()
        if self._snapshot.orders is not None:
            yield from self._orders()
        if self._snapshot.modes is not None:
            yield from self._modes(self._snapshot.modes)

    def says_nothing_of(self, found: Discrepancy) -> bool:
        """Whether this snapshot lacks what a difference is about, or something in flight hides it."""
        snapshot = self._snapshot
        if found.kind in POSITIONS:
            part: object = snapshot.positions
        elif found.kind in ORDERS:
            part = snapshot.orders
        else:
            part = snapshot.modes if found.kind is DiscrepancyKind.MODE else snapshot.balances
        return part is None or found.subject in self.passed_over

    def absent(self) -> list[Order]:
        """Open orders that had come to rest, and that the venue does not list among the open ones."""
        if self._snapshot.orders is None:
            return []
        return [order for order in self._resting() if order.client_order_id not in self._there]

    def unheard(self) -> list[Order]:
        """Orders that are held here and work there."""
        return [
            order
            for name in self._there
            if (order := self._state.open.get(name)) is not None and order.status is OrderStatus.HELD
        ]

    def leaving(self) -> list[Order]:
        """Orders of others that were asked to leave and still work."""
        return [
            order
            for name in self._there
            if (order := self._state.open.get(name)) is not None
            and order.status is OrderStatus.PENDING_CANCEL
            and self._settled(order)
            and origin(self._state, name) is Origin.FOREIGN
        ]

    # --- positions and cash -----------------------------------------------------------------------------------

    def _positions(self) -> Iterator[Discrepancy]:
        theirs = self._snapshot.positions or {}
        ours: dict[str, Decimal] = {}
        for key, position in self._state.positions.items():
            if key.account == self._account and not key.strategy:
                ours[key.instrument] = ours.get(key.instrument, ZERO) + position.quantity
        for name in sorted({*ours, *theirs}):
            rules = self._kernel.rules(name)
            here, there = ours.get(name, ZERO), theirs.get(name, ZERO)
            if here == there or (rules is not None and rules.spot):
                continue
            if self._moving(name):
                self.passed_over.add(name)
                continue
            kind, weight = DiscrepancyKind.QUANTITY, severity(here, there)
            if not here or not there:
                kind = DiscrepancyKind.MISSING_THERE if here else DiscrepancyKind.MISSING_HERE
            elif (here > 0) != (there > 0):
                kind = DiscrepancyKind.SIDE
            if kind is not DiscrepancyKind.QUANTITY:
                weight = Severity.CRITICAL
            yield self._one(kind, name, here, there, weight)

    def _cash(self) -> Iterator[Discrepancy]:
        """What fills booked in another order than the venue's have realised sooner or later is no difference."""
        ours, theirs = self._state.accounts[self._account].balances, self._snapshot.balances or {}
        moving = self._moving()
        for currency in sorted({*ours, *theirs}):
            here = ours.get(currency, ZERO)
            there = theirs.get(currency, ZERO) + self._realised(currency)
            if abs(here - there) <= _CENT:
                continue
            if moving:
                self.passed_over.add(currency)
            else:
                yield self._one(DiscrepancyKind.CASH, currency, here, there, severity(here, there))

    def _realised(self, currency: str) -> Decimal:
        """What we have realised more than the venue on what both hold alike: our entry prices make up for it."""
        more, held = ZERO, self._snapshot.positions or {}
        for key, position in self._state.positions.items():
            entry = self._snapshot.entry_prices.get(key.instrument)
            if key.account != self._account or key.strategy or not position.quantity or not entry:
                continue
            rules = self._state.instruments[key.instrument]
            if not rules.spot and rules.settle == currency and held.get(key.instrument) == position.quantity:
                more += rules.profit(position.quantity, entry, position.average_price)
        return more

    def _moving(self, instrument: str = "") -> bool:
        """Whether anything is in flight that may explain a difference."""
        if self._kernel.reports.fills.moved_since(self._account, self._quiet_ns, instrument):
            return True
        return any(
            order.account == self._account
            and order.status in _MOVING
            and (not instrument or order.instrument == instrument)
            for order in self._state.open.values()
        )

    # --- orders -----------------------------------------------------------------------------------------------

    def _by_our_id(self, orders: Sequence[OrderReport]) -> dict[str, OrderReport]:
        """Orders there by the id that they have here: ours, else the venue's."""
        known = {
            order.broker_order_id: order.client_order_id
            for order in self._state.open.values()
            if order.account == self._account and order.broker_order_id
        }
        return {
            one.client_order_id or known.get(one.broker_order_id) or one.broker_order_id: one
            for one in orders
        }

    def _orders(self) -> Iterator[Discrepancy]:
        for name, found in self._there.items():
            order = self._state.orders.get(name)
            if order is None:
                yield self._unknown_order(name, found)
            elif order.status in CLOSED:
                if self._settled(order):
                    left = found.quantity - found.filled_quantity
                    yield self._one(DiscrepancyKind.ORDER_STATUS, name, ZERO, left, Severity.CRITICAL, found)
            elif order.status in _AT_REST and self._settled(order) and _other_terms(order, found):
                yield self._one(
                    DiscrepancyKind.ORDER_TERMS,
                    name,
                    order.quantity,
                    found.quantity,
                    Severity.CRITICAL,
                    found,
                )

    def _unknown_order(self, name: str, found: OrderReport) -> Discrepancy:
        kinds = {
            Origin.FOREIGN: DiscrepancyKind.EXTERNAL_ORDER,
            Origin.LOST: DiscrepancyKind.LOST_ORDER,
            Origin.OURS: DiscrepancyKind.ORDER_STATUS,  # it ended so long ago that it was let go
        }
        left = found.quantity - found.filled_quantity
        return self._one(kinds[origin(self._state, name)], name, ZERO, left, Severity.CRITICAL, found)

    def _resting(self) -> list[Order]:
        """Orders that the venue should list as open: others' also while they are asked to leave."""
        return [
            order
            for order in self._state.open.values()
            if order.account == self._account
            and self._settled(order)
            and (
                order.status in _AT_REST
                or (
                    order.status is OrderStatus.PENDING_CANCEL
                    and origin(self._state, order.client_order_id) is Origin.FOREIGN
                )
            )
        ]

    def _settled(self, order: Order) -> bool:
        return order.updated_ns < self._settled_ns

    # --- settings ---------------------------------------------------------------------------------------------

    def _modes(self, modes: Mapping[str, str]) -> Iterator[Discrepancy]:
        for subject, actual in sorted(modes.items()):
            wanted = self._profile.modes.get(subject, self._profile.modes.get(subject.partition(" ")[0]))
            if wanted is not None and wanted != actual:
                yield self._one(
                    DiscrepancyKind.MODE,
                    subject,
                    ZERO,
                    ZERO,
                    Severity.CRITICAL,
                    expected=wanted,
                    actual=actual,
                )

    def _one(
        self,
        kind: DiscrepancyKind,
        subject: str,
        ours: Decimal,
        theirs: Decimal,
        weight: Severity,
        order: OrderReport | None = None,
        *,
        expected: str = "",
        actual: str = "",
    ) -> Discrepancy:
        about = "position" if kind in POSITIONS else kind
        name = f"{zlib.crc32(f'{self._account} {about} {subject}'.encode()):08x}"
        return Discrepancy(
            id=name,
            account=self._account,
            kind=kind,
            subject=subject,
            ours=ours,
            theirs=theirs,
            severity=weight,
            order=order,
            expected=expected,
            actual=actual,
        )


def _other_terms(order: Order, found: OrderReport) -> bool:
    """Whether a venue has an order with another quantity or price; a price that it does not tell is no other.

    Of linked orders the venue, and here the engine, make smaller what another has filled: each in its own time.
    """
    if order.intent.group or order.intent.closes:
        return False
    prices = [(order.limit_price, found.limit_price)]
    if order.type is not OrderType.TRAILING_STOP:  # that one moves by itself
        prices.append((order.stop_price, found.stop_price))
    return found.quantity != order.quantity or any(
        mine is not None and theirs is not None and mine != theirs for mine, theirs in prices
    )
