"""apply(state, fact): the only place where the account's state changes.

It mutates and returns nothing, decides nothing and reads nothing but its two arguments, so folding a journal
gives the live state again, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from fairlead import facts as f
from fairlead._kernel import entries, ledger
from fairlead._kernel.state import (
    DOUBT,
    REMEMBERED_ORDERS,
    REMEMBERED_REQUESTS,
    REMEMBERED_STARTS,
    ZERO,
    AccountState,
    ChangedLimit,
    Decided,
    Handled,
    Owed,
    State,
    Sweep,
    Timer,
    Tripped,
    Working,
)
from fairlead._kernel.transitions import allowed, move
from fairlead._models.accounts import PositionKey, TradingState
from fairlead._models.orders import AT_VENUE, CLOSED, Fill, Order, OrderIntent, OrderStatus, Side, Terms
from fairlead._models.reconciliation import TRADING
from fairlead._models.reports import CASH_FLOWS, FillReport
from fairlead.errors import InvariantViolation
from fairlead.units import SECOND

_S = OrderStatus
_SUBMITTED, _BUY = OrderStatus.SUBMITTED, Side.BUY

_DOUBTFUL = (_S.SUBMITTED, _S.ACCEPTED, _S.PARTIALLY_FILLED, _S.PENDING_CANCEL)

TOMBSTONE_NS = 24 * 3600 * SECOND
"""So long an order that was given up is remembered at least: should it appear after all, it is adopted and canceled."""

REMEMBERED_EPOCHS = 1_000
"""Starts of which it is known how many orders there had been; ids of older ones count as known."""

VOIDED = "voided:"
"""Put before the id of a fill that was taken back: told again, it is neither booked nor taken back again."""


def reached(fill: Fill | FillReport, total: Decimal) -> str:
    """Another name of an execution: what its order had filled with it. Some venues use two ids for one execution."""
    figures = (total, fill.quantity, fill.price)
    return ":".join([fill.client_order_id, *(f"{figure.normalize():f}" for figure in figures)])


def apply(state: State, fact: f.Fact) -> None:
    """Let one fact take effect. Raises InvariantViolation where it contradicts the state."""
    handler = _HANDLERS.get(type(fact))
    if handler is not None:
        handler(state, fact)
    state.seq = fact.seq
    state.now = fact.now


# --- the run ----------------------------------------------------------------------------------------------------


def _engine_started(state: State, fact: f.EngineStarted) -> None:
    state.namespace, state.epoch, state.strategies = fact.namespace, fact.epoch, fact.strategies
    if fact.tail_lost:
        state.tail_lost = True
        state.lost_tails[fact.epoch] = fact.now
    state.epochs[fact.epoch] = state.intents
    if len(state.epochs) > REMEMBERED_EPOCHS:
        state.lost_tails.pop(oldest := next(iter(state.epochs)), None)
        del state.epochs[oldest]
    state.unfinished = [*state.unfinished[1 - REMEMBERED_STARTS :], fact.now]
    for number in [number for number, sweep in state.sweeps.items() if sweep.verb == "stop"]:
        del state.sweeps[number]  # that was of the run before
    for name in fact.accounts:
        if name in state.accounts:
            state.accounts[name].stream_up = True
            state.uncertain[name] = None


def _strategies_started(state: State, _: f.StrategiesStarted) -> None:
    state.tail_lost = False  # the accounts have been compared
    for account in [account for account, left in state.uncertain.items() if left == ()]:
        del state.uncertain[account]


def _engine_stopped(state: State, fact: f.EngineStopped) -> None:
    if not fact.failed:
        del state.unfinished[-1:]


def _account_doubted(state: State, fact: f.AccountDoubted) -> None:
    scope = f"account:{fact.account}"
    state.tripped[DOUBT, scope] = Tripped(DOUBT, scope, TradingState.HALTED, fact.reason, fact.now)


def _account_adopted(state: State, fact: f.AccountAdopted) -> None:
    scope = f"account:{fact.account}"
    state.tripped.pop((DOUBT, scope), None)
    if state.lowered.get(scope, TradingState.ACTIVE).severity < TradingState.REDUCE_ONLY.severity:
        state.lowered[scope] = TradingState.REDUCE_ONLY
        state.lowered_why[scope] = f"adopted: {fact.why} ({fact.who})"
    state.orphans.extend(name for name, order in state.open.items() if order.account == fact.account)
    _forget(state, fact.account)


def _account_moved(state: State, fact: f.AccountMoved) -> None:
    scope = f"account:{fact.account}"
    for key in [key for key in state.tripped if key[1] == scope]:
        del state.tripped[key]
    state.lowered.pop(scope, None)
    state.lowered_why.pop(scope, None)
    _forget(state, fact.account)


def _forget(state: State, account: str) -> None:
    """Take an account out, with its orders and positions."""
    state.accounts.pop(account, None)
    state.uncertain.pop(account, None)
    gone = {name for name, order in state.orders.items() if order.account == account}
    for name in gone:
        del state.orders[name]
        state.open.pop(name, None)
        state.children.pop(name, None)
        state.entries.pop(name, None)
    kept = [name for name in state.closed if name not in gone]
    state.closed.clear()
    state.closed.extend(kept)
    for name in [name for name, found in state.discrepancies.items() if found.account == account]:
        del state.discrepancies[name]
        state.decided.pop(name, None)
    for number in [number for number, owed in state.owed.items() if owed.discrepancy.account == account]:
        del state.owed[number]
    for key in [key for key in state.positions if key.account == account]:
        del state.positions[key]
    for key in [key for key in state.day_profits if key.account == account]:
        del state.day_profits[key]


def _instrument_defined(state: State, fact: f.InstrumentDefined) -> None:
    state.instruments[fact.instrument.id] = fact.instrument


def _account_opened(state: State, fact: f.AccountOpened) -> None:
    account = AccountState(fact.account, fact.currency, dict(fact.balances))
    account.fills_until_ns = fact.now
    state.accounts[fact.account] = account
    state.external_fills.extend(fact.contained)


def _stream_changed(state: State, fact: f.StreamChanged) -> None:
    state.accounts[fact.account].stream_up = fact.up


def _dead_man_changed(state: State, fact: f.DeadManChanged) -> None:
    state.accounts[fact.account].dead_man_ns = fact.until_ns


def _dead_man_tripped(state: State, fact: f.DeadManTripped) -> None:
    account = state.accounts[fact.account]
    account.dead_man_ns, account.dead_man_fired_ns = 0, fact.now


def _fills_listed(state: State, fact: f.FillsListed) -> None:
    account = state.accounts[fact.account]
    account.fills_until_ns = max(account.fills_until_ns, fact.until_ns)


def _account_recovered(state: State, fact: f.AccountRecovered) -> None:
    del state.uncertain[fact.account]
    if (
        fact.unresolved or state.tail_lost
    ):  # of a journal without its end, until the accounts have been compared
        state.uncertain[fact.account] = fact.unresolved


# --- reconciliation ---------------------------------------------------------------------------------------------


def _discrepancy_found(state: State, fact: f.DiscrepancyFound) -> None:
    state.discrepancies[fact.discrepancy.id] = fact.discrepancy
    state.decided.pop(fact.discrepancy.id, None)


def _discrepancy_resolved(state: State, fact: f.DiscrepancyResolved) -> None:
    found = state.discrepancies.get(fact.discrepancy)
    if found is None:
        return
    state.decided[found.id] = Decided(fact.action, fact.who, fact.why)
    if fact.action in TRADING:
        state.owed[fact.seq] = Owed(found, fact.action)


def _resolution_ended(state: State, fact: f.ResolutionEnded) -> None:
    state.owed.pop(fact.resolution, None)


def _discrepancy_gone(state: State, fact: f.DiscrepancyGone) -> None:
    state.discrepancies.pop(fact.discrepancy, None)
    state.decided.pop(fact.discrepancy, None)


def _order_adopted(state: State, fact: f.OrderAdopted) -> None:
    intent = fact.intent
    order = state.open.get(fact.client_order_id)
    if order is None:
        order = Order(
            client_order_id=fact.client_order_id,
            intent=intent,
            status=_S.PARTIALLY_FILLED if fact.filled_quantity else _S.ACCEPTED,
            quantity=intent.quantity,
            broker_order_id=fact.broker_order_id,
            filled_quantity=fact.filled_quantity,
            created_ns=fact.now,
        )
        state.orders[fact.client_order_id] = state.open[fact.client_order_id] = order
    else:
        _reserve(state, order, -order.remaining_quantity)
        order.intent, order.quantity = intent, intent.quantity
    order.limit_price, order.stop_price = intent.limit_price, intent.stop_price
    order.updated_ns = fact.now
    _reserve(state, order, order.remaining_quantity)


# --- orders -----------------------------------------------------------------------------------------------------


def _new_order(state: State, fact: Any, status: OrderStatus) -> Order:
    intent: OrderIntent = fact.intent
    order = Order(
        client_order_id=fact.client_order_id,
        intent=intent,
        status=status,
        quantity=intent.quantity,
        limit_price=intent.limit_price,
        stop_price=intent.stop_price,
        created_ns=fact.now,
        updated_ns=fact.now,
    )
    if not intent.repeats:
        state.intents += 1
    state.orders[fact.client_order_id] = order
    if intent.parent:
        state.children.setdefault(intent.parent, []).append(order)
    return order


def _order_denied(state: State, fact: f.OrderDenied) -> None:
    order = state.orders.get(fact.client_order_id)
    if order is None:
        order = _new_order(state, fact, _S.DENIED)
        _remember(state, order)
    else:
        _finish(state, order, _S.DENIED)
    order.reasons = fact.reasons
    order.updated_ns = fact.now


def _order_held(state: State, fact: f.OrderHeld) -> None:
    order = _new_order(state, fact, _S.HELD)
    order.after = fact.after
    state.open[order.client_order_id] = order


def _order_submitted(state: State, fact: f.OrderSubmitted) -> None:
    order = state.orders.get(fact.client_order_id)
    if order is None:
        order = _new_order(state, fact, _SUBMITTED)
        state.open[fact.client_order_id] = order
    else:
        move(order, _SUBMITTED)
        order.after = ()
        order.updated_ns = fact.now
    order.quantity = fact.quantity
    order.sent_ns, order.deadline_ns = fact.now, fact.deadline_ns
    _reserve(state, order, fact.quantity - order.filled_quantity)


def _order_accepted(state: State, fact: f.OrderAccepted) -> None:
    order = _order(state, fact)
    if fact.broker_order_id:
        _rename(order, fact.broker_order_id)
    if order.status in (_S.SUBMITTED, _S.UNKNOWN):
        move(order, _S.PARTIALLY_FILLED if order.filled_quantity else _S.ACCEPTED)
    elif order.status is _S.REJECTED:
        move(order, _S.ACCEPTED)
        _reopen(state, order)


def _rename(order: Order, broker_order_id: str) -> None:
    before = order.broker_order_id
    if order.replacements and before and before != broker_order_id:
        order.former_ids = (*order.former_ids, before)
    order.broker_order_id = broker_order_id


def _order_rejected(state: State, fact: f.OrderRejected) -> None:
    order = _order(state, fact)
    _finish(state, order, _S.REJECTED)
    order.reasons = (*order.reasons, fact.reason or fact.code)
    order.given_up = fact.code == f.NOT_ACCEPTED


def _order_unknown(state: State, fact: f.OrderUnknown) -> None:
    order = _order(state, fact)
    if order.status in _DOUBTFUL:
        move(order, _S.UNKNOWN)
    order.reasons = (*order.reasons, fact.reason)


def _order_triggered(state: State, fact: f.OrderTriggered) -> None:
    order = _order(state, fact)
    order.triggered = True
    order.after = fact.after


def _order_released(state: State, fact: f.OrderReleased) -> None:
    _order(state, fact).after = ()


def _trail_moved(state: State, fact: f.TrailMoved) -> None:
    order = _order(state, fact)
    order.extreme = fact.extreme
    order.stop_price = fact.stop_price


def _held_resized(state: State, fact: f.HeldResized) -> None:
    order = _order(state, fact)
    order.quantity = fact.quantity  # at a venue only linked orders are: what is reserved of them follows


def _cancel_requested(state: State, fact: f.CancelRequested) -> None:
    order = _named(state, fact)
    order.expiring = order.expiring or fact.expires
    order.cancel_ns = fact.now
    if order.status is not _S.PENDING_CANCEL and allowed(order.status, _S.PENDING_CANCEL):
        move(order, _S.PENDING_CANCEL)
        order.updated_ns = fact.now  # asked again, it has been leaving for as long all the same


def _cancel_refused(state: State, fact: f.CancelRefused) -> None:
    order = _named(state, fact)  # it is looked up, and canceled again where it still works
    reason = f"not canceled: {fact.reason or fact.code}"
    if reason not in order.reasons:
        order.reasons = (*order.reasons, reason)


def _replace_requested(state: State, fact: f.ReplaceRequested) -> None:
    order = _named(state, fact)
    move(order, _S.PENDING_REPLACE)
    order.replacing = Terms(
        attempt=fact.attempt,
        quantity=fact.quantity,
        limit_price=fact.limit_price,
        stop_price=fact.stop_price,
        before=order.quantity,
        deadline_ns=fact.deadline_ns,
    )
    order.replacements, order.replace_ns, order.updated_ns = fact.attempt, fact.now, fact.now
    if fact.quantity > order.quantity:  # until it is known which of the two it is, the larger may fill
        _reserve(state, order, fact.quantity - order.quantity)
        order.quantity = fact.quantity


def _order_replaced(state: State, fact: f.OrderReplaced) -> None:
    order = _order(state, fact)
    if fact.broker_order_id:
        _rename(order, fact.broker_order_id)
    order.limit_price, order.stop_price = fact.limit_price, fact.stop_price
    order.intent = msgspec.structs.replace(
        order.intent, quantity=fact.quantity, limit_price=fact.limit_price, stop_price=fact.stop_price
    )
    _settle_replace(state, order, fact.quantity)


def _replace_refused(state: State, fact: f.ReplaceRefused) -> None:
    order = _order(state, fact)
    order.reasons = (*order.reasons, f"not replaced: {fact.reason or fact.code}")
    if order.replacing is not None:
        _settle_replace(state, order, order.replacing.before)


def _settle_replace(state: State, order: Order, quantity: Any) -> None:
    """It is known what an order is to fill in all; that may be what it has filled."""
    order.replacing = None
    if order.status not in AT_VENUE:
        return
    done = order.filled_quantity >= quantity
    _reserve(state, order, max(quantity - order.filled_quantity, ZERO) - order.remaining_quantity)
    order.quantity = quantity
    if done:
        move(order, _S.FILLED)
        if state.open.pop(order.client_order_id, None) is not None:
            _remember(state, order)
    elif order.status is _S.PENDING_REPLACE:
        move(order, _S.PARTIALLY_FILLED if order.filled_quantity else _S.ACCEPTED)


def _order_canceled(state: State, fact: f.OrderCanceled) -> None:
    order = _order(state, fact)
    _finish(state, order, _S.CANCELED)
    if fact.reason:
        order.reasons = (*order.reasons, fact.reason)


def _order_expired(state: State, fact: f.OrderExpired) -> None:
    order = _order(state, fact)
    _finish(state, order, _S.EXPIRED)
    if fact.reason:
        order.reasons = (*order.reasons, fact.reason)


def _order(state: State, fact: Any) -> Order:
    order = _named(state, fact)
    order.updated_ns = fact.now
    return order


def _named(state: State, fact: Any) -> Order:
    order = state.orders.get(fact.client_order_id)
    if order is None:
        raise InvariantViolation(
            f"{type(fact).__name__} of order {fact.client_order_id}, which nobody placed"
        )
    return order


def _finish(state: State, order: Order, status: OrderStatus) -> None:
    reserved = order.status in AT_VENUE
    move(order, status)
    if reserved:
        _reserve(state, order, -order.remaining_quantity)
    if order.replacing is not None:  # nobody will know which it was: what filled was at least ordered
        order.quantity = max(order.replacing.before, order.filled_quantity)
        order.replacing = None
    if state.open.pop(order.client_order_id, None) is not None:
        _remember(state, order)


def _reopen(state: State, order: Order) -> None:
    state.open[order.client_order_id] = order
    _reserve(state, order, order.remaining_quantity)


def _remember(state: State, order: Order) -> None:
    state.closed.append(order.client_order_id)
    if len(state.closed) > REMEMBERED_ORDERS:
        oldest = state.orders.get(state.closed.popleft())
        if oldest is not None and _is_needed(state, oldest):
            state.closed.append(oldest.client_order_id)
        elif oldest is not None and oldest.status in CLOSED:
            del state.orders[oldest.client_order_id]
            state.children.pop(oldest.client_order_id, None)


def _is_needed(state: State, order: Order) -> bool:
    """Whether a closed order may yet matter: it may turn up at its venue, or its exits may have to be placed."""
    if order.client_order_id in state.entries:
        return True
    return order.given_up and state.now < order.updated_ns + TOMBSTONE_NS


def _reserve(state: State, order: Order, quantity: Any) -> None:
    """Change what may still fill by a signed quantity; a grouped order enters or leaves its group."""
    intent = order.intent
    book = state.accounts[intent.account].working
    working = book.get(intent.instrument)
    if working is None:
        working = book[intent.instrument] = Working()
    group = intent.group
    if group:
        members = working.groups.setdefault(group, {})
        if quantity > 0:
            members[order.client_order_id] = order
        elif order.remaining_quantity + quantity <= 0:
            members.pop(order.client_order_id, None)
            if not members:
                del working.groups[group]
    elif intent.side is _BUY:
        working.buy += quantity
    else:
        working.sell += quantity


# --- money ------------------------------------------------------------------------------------------------------


def _filled(state: State, fact: f.Filled) -> None:
    fill = fact.fill
    order = state.orders.get(fill.client_order_id)
    _check(state, fill, order)
    if order is None:
        state.external_fills.append(fill.fill_id)
        if fact.total is not None:
            state.external_fills.append(reached(fill, fact.total))
    else:
        _fill_order(state, order, fill.quantity, fill.price, fact.now)
        order.fill_ids = (*order.fill_ids, fill.fill_id)
        order.fee += fill.fee
        if fact.total is not None:
            order.totals = (*order.totals, (fact.total, fill.quantity, fill.price))
        if fact.inferred:
            order.inferred = (*order.inferred, fill)
        parent = state.carried_out(order)
        if parent is not None:
            _fill_order(state, parent, fill.quantity, fill.price, fact.now)
            parent.fee += fill.fee
    ledger.book(state, fill, 1)
    entries.follow(state, fill, order)


def _fill_disowned(state: State, fact: f.FillDisowned) -> None:
    order = _named(state, fact)
    order.fill_ids = (*order.fill_ids, VOIDED + fact.fill_id)


def _check(state: State, fill: Fill, order: Order | None) -> None:
    """Raises InvariantViolation for a fill that cannot be booked, before anything is."""
    if fill.instrument not in state.instruments or fill.account not in state.accounts:
        raise InvariantViolation(
            f"fill {fill.fill_id} is of {fill.instrument} on account {fill.account}, and one of them is not known"
        )
    if order is not None and order.status is _S.DENIED:
        raise InvariantViolation(f"fill {fill.fill_id} is of {order.client_order_id}, which was denied")


def _fill_order(state: State, order: Order, quantity: Any, price: Any, now: int) -> None:
    if order.status in AT_VENUE:
        _reserve(state, order, -min(quantity, order.remaining_quantity))
    before = order.filled_quantity
    order.filled_quantity = before + quantity
    paid = (order.average_price or ZERO) * before + price * quantity
    order.average_price = paid / order.filled_quantity
    order.updated_ns = now
    if order.filled_quantity >= order.quantity:
        order.replacing = None
        if order.status is not _S.FILLED:
            move(order, _S.FILLED)
        if state.open.pop(order.client_order_id, None) is not None:
            _remember(state, order)
    elif order.status in (_S.SUBMITTED, _S.UNKNOWN, _S.ACCEPTED, _S.REJECTED):
        if order.status is _S.REJECTED:
            _reopen(state, order)
        move(order, _S.PARTIALLY_FILLED)


def _fill_reversed(state: State, fact: f.FillReversed) -> None:
    fill = fact.fill
    order = state.orders.get(fill.client_order_id)
    _check(state, fill, order)
    if order is None:
        state.external_fills.append(VOIDED + fill.fill_id)
    else:
        _unfill(state, order, fill)
        order.fill_ids = tuple(VOIDED + i if i == fill.fill_id else i for i in order.fill_ids)
        order.inferred = tuple(one for one in order.inferred if one.fill_id != fill.fill_id)
        parent = state.carried_out(order)
        if parent is not None:
            _unfill(state, parent, fill)
    ledger.book(state, fill, -1)
    entries.follow(state, fill, order, back=True)


def _unfill(state: State, order: Order, fill: Fill) -> None:
    """Take a fill back. An order that still works has so much more to do; an ended one stays ended."""
    left = order.filled_quantity - fill.quantity
    paid = (order.average_price or ZERO) * order.filled_quantity - fill.price * fill.quantity
    order.average_price = paid / left if left > 0 else None
    order.filled_quantity = left
    order.fee -= fill.fee
    if order.status in AT_VENUE:
        _reserve(state, order, min(fill.quantity, order.remaining_quantity))


def _cash_changed(state: State, fact: f.CashChanged) -> None:
    account = state.accounts[fact.account]
    account.balances[fact.currency] = account.balances.get(fact.currency, ZERO) + fact.amount
    if fact.reason in CASH_FLOWS:
        _flow(account, fact.flow)
        if not fact.valued:
            waiting = account.unsettled.pop(fact.currency, ZERO) + fact.amount
            if waiting:
                account.unsettled[fact.currency] = waiting
    if fact.reason == "funding" and fact.instrument:
        for strategy, share in (("", fact.amount), *fact.shares.items()):
            ledger.position(state, fact.account, fact.instrument, strategy).funding -= share


def _flow_settled(state: State, fact: f.FlowSettled) -> None:
    account = state.accounts[fact.account]
    del account.unsettled[fact.currency]
    _flow(account, fact.flow)


def _flow(account: AccountState, flow: float) -> None:
    """Cash that is nobody's profit: what equity is measured against moves with it."""
    account.flows += flow
    if account.high_water is not None:
        account.high_water += flow


def _equity_sampled(state: State, fact: f.EquitySampled) -> None:
    state.accounts[fact.account].samples += 1


def _high_water_mark(state: State, fact: f.HighWaterMark) -> None:
    state.accounts[fact.account].high_water = fact.equity


def _day_started(state: State, fact: f.DayStarted) -> None:
    account = state.accounts[fact.account]
    account.day, account.day_start, account.flows = fact.day, fact.equity, 0.0
    if account.opening is None:
        account.opening = fact.equity
    for strategy, instrument, profit in fact.profits:
        state.day_profits[PositionKey(fact.account, instrument, strategy)] = profit


# --- strategies and timers --------------------------------------------------------------------------------------


def _strategy_saved(state: State, fact: f.StrategySaved) -> None:
    state.saved[fact.strategy] = fact.state


def _bar_state(state: State, fact: f.BarState) -> None:
    state.bars, state.bars_seq = fact.bars, fact.seq


def _strategy_halted(state: State, fact: f.StrategyHalted) -> None:
    state.halted[fact.strategy] = fact.reason


def _strategy_faulted(state: State, fact: f.StrategyFaulted) -> None:
    state.faults[fact.strategy] = fact.count


def _strategy_paused(state: State, fact: f.StrategyPaused) -> None:
    scope = fact.scope or f"strategy:{fact.strategy}"
    if fact.paused:
        state.paused[scope] = fact.why
    else:
        state.paused.pop(scope, None)
        state.halted.pop(fact.strategy, None)


def _timer_set(state: State, fact: f.TimerSet) -> None:
    state.timers[fact.strategy, fact.name] = Timer(
        fact.strategy, fact.name, fact.due_ns, fact.every_ns, fact.function
    )


def _timer_fired(state: State, fact: f.TimerFired) -> None:
    timer = state.timers.get((fact.strategy, fact.name))
    if timer is None:
        return
    if timer.every_ns:
        timer.due_ns = fact.due_ns + timer.every_ns * max(
            1, -(-(fact.now - fact.due_ns + 1) // timer.every_ns)
        )
    else:
        del state.timers[fact.strategy, fact.name]
        state.done[fact.strategy, fact.name] = fact.due_ns
        if len(state.done) > REMEMBERED_ORDERS:
            del state.done[next(iter(state.done))]


def _timer_canceled(state: State, fact: f.TimerCanceled) -> None:
    state.timers.pop((fact.strategy, fact.name), None)


def _asked(state: State, fact: f.Asked) -> None:
    state.asks = fact.ask


# --- breakers ---------------------------------------------------------------------------------------------------


def _breaker_tripped(state: State, fact: f.BreakerTripped) -> None:
    state.tripped[fact.breaker, fact.scope] = Tripped(
        fact.breaker, fact.scope, fact.state, fact.reason, fact.now
    )


def _breaker_half_opened(state: State, fact: f.BreakerHalfOpened) -> None:
    trip = state.tripped[fact.breaker, fact.scope]
    trip.state, trip.until_ns = TradingState.ACTIVE, fact.until_ns


def _breaker_reset(state: State, fact: f.BreakerReset) -> None:
    state.tripped.pop((fact.breaker, fact.scope), None)


def _breaker_saved(state: State, fact: f.BreakerSaved) -> None:
    state.breakers[fact.breaker] = fact.state


def _limit_changed(state: State, fact: f.LimitChanged) -> None:
    state.limits[fact.breaker, fact.limit] = ChangedLimit(fact.breaker, fact.limit, fact.new, fact.configured)


def _state_changed(state: State, fact: f.StateChanged) -> None:
    if fact.state is TradingState.ACTIVE:
        state.lowered.pop(fact.scope, None)
        state.lowered_why.pop(fact.scope, None)
    else:
        state.lowered[fact.scope] = fact.state
        state.lowered_why[fact.scope] = f"{fact.reason} ({fact.who})"


# --- what a person asks for ---------------------------------------------------------------------------------------


def _command_answered(state: State, fact: f.CommandAnswered) -> None:
    state.requests[fact.request] = Handled(fact.command, fact.answer, fact.verb, fact.asked)
    if len(state.requests) > REMEMBERED_REQUESTS:
        del state.requests[next(iter(state.requests))]


def _sweep_started(state: State, fact: f.SweepStarted) -> None:
    state.sweeps[fact.seq] = Sweep(
        fact.seq,
        fact.verb,
        fact.scope,
        fact.who,
        fact.why,
        fact.closes,
        state.intents,
        fact.now,
        fact.until_ns,
        fact.targets,
    )


def _sweep_ended(state: State, fact: f.SweepEnded) -> None:
    state.sweeps.pop(fact.sweep, None)


_HANDLERS: dict[type[f.Fact], Callable[[State, Any], None]] = {
    f.EngineStarted: _engine_started,
    f.StrategiesStarted: _strategies_started,
    f.EngineStopped: _engine_stopped,
    f.AccountDoubted: _account_doubted,
    f.AccountAdopted: _account_adopted,
    f.AccountMoved: _account_moved,
    f.InstrumentDefined: _instrument_defined,
    f.AccountOpened: _account_opened,
    f.StreamChanged: _stream_changed,
    f.DeadManChanged: _dead_man_changed,
    f.DeadManTripped: _dead_man_tripped,
    f.FillsListed: _fills_listed,
    f.AccountRecovered: _account_recovered,
    f.DiscrepancyFound: _discrepancy_found,
    f.DiscrepancyResolved: _discrepancy_resolved,
    f.ResolutionEnded: _resolution_ended,
    f.DiscrepancyGone: _discrepancy_gone,
    f.OrderAdopted: _order_adopted,
    f.OrderDenied: _order_denied,
    f.OrderHeld: _order_held,
    f.OrderSubmitted: _order_submitted,
    f.OrderAccepted: _order_accepted,
    f.OrderRejected: _order_rejected,
    f.OrderUnknown: _order_unknown,
    f.OrderTriggered: _order_triggered,
    f.OrderReleased: _order_released,
    f.TrailMoved: _trail_moved,
    f.HeldResized: _held_resized,
    f.CancelRequested: _cancel_requested,
    f.CancelRefused: _cancel_refused,
    f.ReplaceRequested: _replace_requested,
    f.OrderReplaced: _order_replaced,
    f.ReplaceRefused: _replace_refused,
    f.OrderCanceled: _order_canceled,
    f.OrderExpired: _order_expired,
    f.Filled: _filled,
    f.FillDisowned: _fill_disowned,
    f.FillReversed: _fill_reversed,
    f.CashChanged: _cash_changed,
    f.FlowSettled: _flow_settled,
    f.EquitySampled: _equity_sampled,
    f.HighWaterMark: _high_water_mark,
    f.DayStarted: _day_started,
    f.StrategySaved: _strategy_saved,
    f.BarState: _bar_state,
    f.StrategyHalted: _strategy_halted,
    f.StrategyFaulted: _strategy_faulted,
    f.StrategyPaused: _strategy_paused,
    f.TimerSet: _timer_set,
    f.TimerFired: _timer_fired,
    f.TimerCanceled: _timer_canceled,
    f.Asked: _asked,
    f.BreakerTripped: _breaker_tripped,
    f.BreakerHalfOpened: _breaker_half_opened,
    f.BreakerReset: _breaker_reset,
    f.BreakerSaved: _breaker_saved,
    f.LimitChanged: _limit_changed,
    f.StateChanged: _state_changed,
    f.CommandAnswered: _command_answered,
    f.SweepStarted: _sweep_started,
    f.SweepEnded: _sweep_ended,
}
