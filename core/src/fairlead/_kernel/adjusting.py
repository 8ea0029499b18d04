"""Carrying out what was decided about a difference: the venue's truth is booked, then what has to be sent is sent.

Booking happens at once and whole. What trades or cancels is owed until the account may trade, across restarts, and
then goes through the gate as any other order; what the gate refuses is not tried again, and said aloud.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from fairlead import facts as f
from fairlead._kernel.clock import TIMER
from fairlead._kernel.state import ZERO, Owed
from fairlead._models import reports as r
from fairlead._models.accounts import EXTERNAL, PositionKey
from fairlead._models.orders import Liquidity, Order, OrderIntent, OrderType, Side
from fairlead._models.reconciliation import ORDERS, POSITIONS, Action, Discrepancy, DiscrepancyKind
from fairlead._models.venue import OrderReport, Snapshot
from fairlead.units import SECOND

if TYPE_CHECKING:
    from fairlead._kernel.kernel import Kernel


class Adjusting:
    """Books, and sends what is owed. `snapshots` are the last ones, by account."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._recorder = kernel.recorder
        self._state = kernel.state
        self.snapshots: dict[str, Snapshot] = {}
        self._again = False

    # --- whether it can be done -------------------------------------------------------------------------------

    def obstacle(self, found: Discrepancy) -> str:
        """Why a difference cannot be booked now, "" if it can."""
        if found.kind in POSITIONS:
            return self._unpriced(
                found.subject, self._price(found.account, found.subject, opens=not found.ours)
            )
        if found.kind is DiscrepancyKind.CASH:
            missing = (
                self._unpriced(key.instrument, self._price(key.account, key.instrument))
                for key, _ in self._overheld(found)
            )
            return next((text for text in missing if text), "")
        there = found.order
        if there is not None and found.subject not in self._state.orders:
            if self._kernel.rules(there.instrument) is None:
                return f"{there.instrument} is not known here"
            if there.side is None:
                return "its venue does not tell its side"
        return ""

    def _unpriced(self, instrument: str, price: Decimal | None) -> str:
        if self._kernel.rules(instrument) is None:
            return f"{instrument} is not known here"
        return "" if price is not None else f"there is no price of {instrument} to book it at yet"

    def _price(self, account: str, instrument: str, *, opens: bool = False) -> Decimal | None:
        """What an adopted position is booked at: the venue's entry price where it opens one, else the mark."""
        rules = self._kernel.rules(instrument)
        if rules is None:
            return None
        lane = self._kernel.market.lanes.get(instrument)
        snapshot = self.snapshots.get(account)
        entry = None if snapshot is None else snapshot.entry_prices.get(instrument)
        if opens and entry is not None:
            return entry
        return rules.price(lane.mark) if lane is not None and lane.mark else entry

    # --- booking ----------------------------------------------------------------------------------------------

    def book(self, found: Discrepancy, action: Action, cause: str) -> None:
        """The venue's truth becomes ours, as facts that name what it is."""
        if found.kind in POSITIONS:
            # what a position lost is lost by the strategies that hold it, unless it is about to be bought back
            price = self._price(found.account, found.subject, opens=not found.ours)
            assert price is not None
            self._move(
                found, found.subject, found.change, price, cause, shared=action is not Action.TRADE_BACK
            )
        elif found.kind is DiscrepancyKind.CASH:
            self._book_cash(found, cause)
        elif found.kind is DiscrepancyKind.ORDER_TERMS:
            if action is Action.ADOPT:
                self._take_terms(found)
        elif found.subject not in self._state.orders:
            self._adopt_order(found)

    def _move(
        self,
        found: Discrepancy,
        instrument: str,
        change: Decimal,
        price: Decimal,
        cause: str,
        *,
        shared: bool = True,
    ) -> None:
        fills, rules = self._kernel.reports.fills, self._kernel.rules(instrument)
        assert rules is not None
        fill = r.FillReport(
            client_order_id="",
            fill_id=f"adjusted:{found.id}:{self._recorder.seq}",
            instrument=instrument,
            side=Side.BUY if change > 0 else Side.SELL,
            quantity=abs(change),
            price=price,
            fee=ZERO,
            fee_currency=rules.settle,
            liquidity=Liquidity.UNKNOWN,
            cause=cause,
        )
        fills.adjust(found.account, fill, shared=shared)

    def _book_cash(self, found: Discrepancy, cause: str) -> None:
        """The venue's balance; where it no longer covers what is held on spot, that shrinks to it."""
        fills, account = self._kernel.reports.fills, found.account
        balances = self._state.accounts[account].balances
        wanted = balances | {found.subject: balances.get(found.subject, ZERO) + found.change}
        for key, excess in self._overheld(found):
            price = self._price(key.account, key.instrument)
            assert price is not None
            self._move(found, key.instrument, -excess, price, cause)
        for currency in sorted({*wanted, *balances}):  # a lost holding brought no money in
            change = wanted.get(currency, ZERO) - balances.get(currency, ZERO)
            if change:
                fills.move_cash(account, r.AccountChanged(cause=cause, currency=currency, amount=change))

    def _overheld(self, found: Discrepancy) -> list[tuple[PositionKey, Decimal]]:
        """Spot positions in a currency of which the venue has less than they add up to, and how much too large."""
        held = [
            (key, position.quantity)
            for key, position in self._state.positions.items()
            if key.account == found.account
            and not key.strategy
            and position.quantity > 0
            and (rules := self._state.instruments.get(key.instrument)) is not None
            and rules.spot
            and rules.base == found.subject
        ]
        there = self._state.accounts[found.account].balances.get(found.subject, ZERO) + found.change
        excess = sum((quantity for _, quantity in held), ZERO) - there
        over = []
        for key, quantity in held:
            if excess > 0:
                over.append((key, min(quantity, excess)))
                excess -= quantity
        return over

    def _adopt_order(self, found: Discrepancy) -> None:
        there = found.order
        assert there is not None
        assert there.side is not None
        intent = OrderIntent(
            strategy=EXTERNAL,
            account=found.account,
            instrument=there.instrument,
            side=there.side,
            quantity=there.quantity,
            type=_type_of(there),
            limit_price=there.limit_price,
            stop_price=there.stop_price,
        )
        fills = self._kernel.reports.fills
        fills.ensure_known(there.instrument)
        # Fills that came after the snapshot was made are booked already, as nobody's.
        filled = max(there.filled_quantity, fills.strange(found.subject))
        self._recorder.record(
            f.OrderAdopted,
            client_order_id=found.subject,
            intent=intent,
            broker_order_id=there.broker_order_id,
            filled_quantity=filled,
        )
        fills.tell(self._state.orders[found.subject], filled, self._recorder.now)

    def _take_terms(self, found: Discrepancy) -> None:
        """Somebody changed a working order at its venue: it is what it is there."""
        order, there = self._state.open.get(found.subject), found.order
        if order is None or there is None:
            return
        intent = msgspec.structs.replace(
            order.intent,
            quantity=there.quantity,
            limit_price=order.limit_price if there.limit_price is None else there.limit_price,
            stop_price=order.stop_price if there.stop_price is None else there.stop_price,
        )
        self._recorder.record(
            f.OrderAdopted,
            client_order_id=order.client_order_id,
            intent=intent,
            broker_order_id=there.broker_order_id,
            filled_quantity=order.filled_quantity,
        )
        self._kernel.changed(order)

    # --- sending ----------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Send all that is owed, once it may be: what a start found, and what an earlier run had not sent yet."""
        self._kernel.schedule(self._recorder.now, self._send_all, TIMER, 0)

    def _send_all(self) -> None:
        if self._kernel.starting:  # it is asked for again once strategies have
            return
        early = False
        for number, owed in list(self._state.owed.items()):
            if self._is_early(owed.discrepancy):
                early = True
            else:
                self._send(number, owed)
        if early and not self._again:
            self._again = True
            self._kernel.schedule(self._recorder.now + SECOND, self._try_again, TIMER, 0)

    def _try_again(self) -> None:
        self._again = False
        self._send_all()

    def _is_early(self, found: Discrepancy) -> bool:
        """Whether the account may not trade yet, or nothing can be valued yet, as it is for a moment after a start."""
        if self._state.uncertain.get(found.account, ()) is None:
            return True
        lane = self._kernel.market.lanes.get(found.subject)
        return found.kind in POSITIONS and (lane is None or not lane.mark)

    def _send(self, number: int, owed: Owed) -> None:
        order, why = self._take_back(owed) if owed.discrepancy.kind in ORDERS else self._trade(owed)
        name = "" if order is None else order.client_order_id
        self._recorder.record(f.ResolutionEnded, resolution=number, order=name, why=why)
        if why:
            self._kernel.reconciliation.say(f"{owed.discrepancy}: {owed.action} was not sent: {why}")

    def _take_back(self, owed: Owed) -> tuple[Order | None, str]:
        order = self._state.orders.get(owed.discrepancy.subject)
        if order is None or (order.closed and owed.discrepancy.kind is not DiscrepancyKind.ORDER_STATUS):
            return order, ""
        self._kernel.outbox.cancel(order)
        return order, ""

    def _trade(self, owed: Owed) -> tuple[Order | None, str]:
        """Close what became EXTERNAL by this difference, and no more than is left of it."""
        found = owed.discrepancy
        unwanted = self._state.quantity(found.account, found.subject, EXTERNAL)
        back = -found.change
        if not unwanted or (unwanted > 0) == (back > 0):
            return None, ""
        order = self._kernel.place(
            OrderIntent(
                strategy=EXTERNAL,
                account=found.account,
                instrument=found.subject,
                side=Side.BUY if back > 0 else Side.SELL,
                quantity=min(abs(unwanted), abs(back)),
                reduce_only=True,
                tag=str(owed.action),
            )
        )
        return order, "; ".join(order.reasons) if order.denied else ""


def _type_of(there: OrderReport) -> OrderType:
    if there.stop_price is not None:
        return OrderType.STOP if there.limit_price is None else OrderType.STOP_LIMIT
    return OrderType.MARKET if there.limit_price is None else OrderType.LIMIT
