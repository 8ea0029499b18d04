"""The gate: every order of every kind passes it, all checks run, all reasons are recorded, it fails closed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from typing import final

import msgspec

from fairlead._kernel.budget import Budgets
from fairlead._kernel.market import Lane, Market
from fairlead._kernel.reducing import REDUCE
from fairlead._kernel.state import ZERO, State, Sweep, scopes_of
from fairlead._kernel.valuation import Valuer
from fairlead._models.accounts import TradingState
from fairlead._models.instrument import Instrument
from fairlead._models.orders import AT_VENUE, STOPS, Order, OrderIntent, OrderType, Side, TimeInForce
from fairlead._models.venue import VenueProfile
from fairlead._secrets.scrub import said

_ENGINE_ENDS = frozenset({TimeInForce.GTC, TimeInForce.DAY, TimeInForce.GTD})
"""Times in force that the engine keeps itself where the venue does not know them."""

_BUY, _SELL = Side.BUY, Side.SELL
_GTC, _GTD = TimeInForce.GTC, TimeInForce.GTD

_AMPLE = 1.05
"""A spot buy worth less than this part of the cash there is needs no exact sum: no fee comes near 5 %."""


@final
class Approved(msgspec.Struct, frozen=True):
    """An intent that passed: only the gate makes one, and only an approved intent can be sent.

    `reduce_only` is what goes on the wire: an order that shrinks its strategy's position may grow the
    account's, where another strategy stands on the other side.
    """

    intent: OrderIntent
    reduce_only: bool


@final
class Refused(msgspec.Struct, frozen=True):
    """An intent that did not pass, with every reason."""

    reasons: tuple[str, ...]


class Gate:
    """Judges intents against the instrument's rules, the account's funds, the trading state and every breaker.

    `breakers` returns the reasons for which breakers refuse an intent. `blocked` is a reason for which
    nothing may be sent at all (the journal cannot be written, the lease is lost), "" while there is none.
    `lapse`, where dead-man switches are used, returns why an account may only reduce since its own is not armed.
    """

    def __init__(
        self,
        state: State,
        market: Market,
        valuer: Valuer,
        profiles: dict[str, VenueProfile],
        budgets: Budgets,
        breakers: Callable[[OrderIntent], Sequence[str]],
    ) -> None:
        self._state = state
        self._market = market
        self._valuer = valuer
        self._profiles = profiles
        self._budgets = budgets
        self._breakers = breakers
        self._gone: Collection[str] = ()
        self.blocked = ""
        self.lapse: Callable[[str], str] | None = None

    def review(
        self, intent: OrderIntent, *, protects: bool = False, gone: Collection[str] = ()
    ) -> Approved | Refused:
        """Judge an intent; whatever goes wrong in judging refuses it.

        `protects` says that it carries out a stop, which it does not look like any more. `gone` are orders that
        will have ended before it is sent.
        """
        self._gone, breakers = gone, self._breakers
        try:
            reasons = self._reasons(intent, protects)
            if intent.account in self._state.accounts:  # of another one breakers know nothing
                reasons += breakers(intent)
        except Exception as error:  # fails closed: an order nobody could judge is not sent
            reasons = [f"the gate failed: {said(error)}"]
        finally:
            self._gone = ()
        if reasons:
            return Refused(tuple(reasons))
        if not intent.reduce_only:
            return Approved(intent, False)
        return Approved(intent, self._profiles[intent.account].reduce_only and self._shrinks(intent, ""))

    def _reasons(self, intent: OrderIntent, protects: bool) -> list[str]:
        """Every reason against an intent but the breakers'. Each check appends what it finds."""
        state = self._state
        reasons = [self.blocked] if self.blocked else []
        lane = self._market.lanes.get(intent.instrument)
        profile = self._profiles.get(intent.account)
        if lane is None or profile is None or intent.account not in state.accounts:
            reasons.append(f"{intent.instrument} on account {intent.account!r} is not traded here")
            return reasons
        instrument = lane.instrument
        lowered = state.lowered or state.tripped or state.uncertain
        if lowered or state.paused or state.halted or state.sweeps:
            self._permission(intent, protects, reasons)
        _grid(intent, instrument, reasons)
        if intent.post_only or intent.time_in_force is not _GTC or intent.venue_options:
            _ability(intent, profile, state.now, reasons)
        if self.lapse is not None:
            lapse = self.lapse(intent.account)
            if lapse and not self._shrinks(intent, intent.strategy):
                reasons.append(lapse)
        if profile.rate_limits:
            reasons += self._budgets.refusals(intent.account)
        sure = (intent.group != "" and intent.exits) or (protects and intent.reduce_only) or intent.sweep != 0
        if not lane.mark and not sure:
            reasons.append(f"no price of {intent.instrument} yet")
            return reasons
        if intent.wants_exits:
            _bracket(intent, lane, reasons)
        if instrument.min_notional or intent.reduce_only:
            self._size(intent, lane, reasons)
        if state.open:
            self._crossing(intent, lane, sure, reasons)
        if not intent.reduce_only:
            if lane.spot:
                self._spot_funds(intent, lane, reasons)
            else:
                self._margin(intent, lane, reasons)
        return reasons

    def _permission(self, intent: OrderIntent, protects: bool, reasons: list[str]) -> None:
        state, name = self._state, intent.strategy
        if state.lowered or state.tripped or state.uncertain:
            trading, why = state.trading(intent)
            if trading is not TradingState.ACTIVE and not self._may(intent, trading, protects):
                reasons.append(f"trading is {trading} ({why})")
            self._half_open(intent, reasons)
        paused = state.why_paused(intent)
        if paused and not self._shrinks(intent, name):
            reasons.append(f"{paused} is paused")
        for sweep in state.sweeps.values():
            if not intent.sweep and sweep.covers(intent.account, intent.instrument, name):
                self._swept(intent, sweep, reasons)
        halted = name in state.halted and not intent.exits
        if halted and not self._may(intent, TradingState.HALTED, protects):
            reasons.append(f"strategy {name} is halted: {state.halted[name]}")

    def _half_open(self, intent: OrderIntent, reasons: list[str]) -> None:
        """Where a breaker is half-open, one order that adds may work at a time."""
        for trip in self._state.tripped.values():
            if not trip.until_ns or trip.scope not in scopes_of(
                intent.account, intent.instrument, intent.strategy
            ):
                continue
            working = any(
                order.status in AT_VENUE
                and trip.scope in scopes_of(order.account, order.instrument, order.strategy)
                and not (intent.parent and order.intent.parent == intent.parent)
                and not (order.intent.reduce_only or order.intent.exits)
                and order.client_order_id not in self._gone
                for order in self._state.open.values()
            )
            if working and not self._shrinks(intent, intent.strategy):
                reasons.append(f"{trip.breaker} is half-open: one order that adds at a time")

    def _may(self, intent: OrderIntent, trading: TradingState, protects: bool) -> bool:
        """What a lowered state lets through: reductions that it allows."""
        return _allowed(intent, trading, protects) and self._shrinks(intent, intent.strategy)

    def _swept(self, intent: OrderIntent, sweep: Sweep, reasons: list[str]) -> None:
        """While a position is being closed its strategy must not close it too; before a stop nothing is opened."""
        if sweep.verb == "stop":
            if not self._shrinks(intent, intent.strategy):
                reasons.append(f"the engine stops as soon as it is flat ({sweep.who}: {sweep.why})")
        elif sweep.verb == REDUCE:
            own = (intent.account, intent.instrument, intent.strategy)
            in_work = any(
                order.intent.sweep == sweep.number
                and (order.account, order.instrument, order.strategy) == own
                for order in self._state.open.values()
            )
            if not intent.exits and (in_work or not self._shrinks(intent, intent.strategy)):
                reasons.append(f"{sweep.scope} is being reduced ({sweep.who}: {sweep.why})")
        elif sweep.closes and not intent.exits:
            reasons.append(f"{sweep.scope} is being flattened ({sweep.who}: {sweep.why})")

    def still(self, intent: OrderIntent) -> bool:
        """Whether an approved order may still be sent: its trading state may have fallen since, in the same turn."""
        trading, _ = self._state.trading(intent)
        if trading is TradingState.ACTIVE:
            return True
        held = self._state.quantity(intent.account, intent.instrument, intent.strategy)
        if held == 0 or (held > 0) == (intent.side is _BUY):
            return False
        shrinks = self._leaving(intent, intent.strategy) <= abs(held)  # it counts among them itself
        return shrinks and _allowed(intent, trading, protects=False)

    def reduces(self, intent: OrderIntent) -> bool:
        """Whether an order only reduces its strategy's position, whatever else of it that may still fill does."""
        return self._shrinks(intent, intent.strategy)

    def _shrinks(self, intent: OrderIntent, strategy: str) -> bool:
        """Whether the order only reduces a position, whatever else of it that may still fill does."""
        held = self._state.quantity(intent.account, intent.instrument, strategy)
        if held == 0 or (held > 0) == (intent.side is _BUY):
            return False
        return intent.quantity + self._leaving(intent, strategy) <= abs(held)

    def _leaving(self, intent: OrderIntent, strategy: str) -> Decimal:
        """What working orders on the same side may still take, grouped ones once."""
        total, groups = ZERO, dict[str, Decimal]()
        for order in self._state.open.values():
            other = order.intent
            if other.instrument != intent.instrument or other.account != intent.account:
                continue
            if other.side is not intent.side or order.status not in AT_VENUE:
                continue
            if order.client_order_id in self._gone:
                continue
            if strategy and other.strategy != strategy:
                continue
            if not other.group:
                total += order.remaining_quantity
            elif other.group != intent.group:
                groups[other.group] = max(groups.get(other.group, ZERO), order.remaining_quantity)
        return total + sum(groups.values(), ZERO)

    def _size(self, intent: OrderIntent, lane: Lane, reasons: list[str]) -> None:
        if intent.reduce_only and not self._shrinks(intent, intent.strategy):
            held = self._state.quantity(intent.account, intent.instrument, intent.strategy)
            reasons.append(f"reduce-only {intent.side} of {intent.quantity} would do more than reduce {held}")
        least = lane.instrument.min_notional
        price = lane.instrument.price(self._valuer.price(intent, lane, least=True))
        if least and not intent.reduce_only and lane.instrument.notional(intent.quantity, price) < least:
            reasons.append(f"value below the minimum of {least} {lane.instrument.quote}")

    def _crossing(self, intent: OrderIntent, lane: Lane, sure: bool, reasons: list[str]) -> None:
        """Crossing one's own resting order would be a trade with oneself.

        What is `sure` to protect a position goes out all the same where that order is another strategy's.
        """
        if intent.type in STOPS:
            return
        buying = intent.side is _BUY
        limit = intent.limit_price
        mine = lane.price(buying=buying) if limit is None else float(limit)
        if not mine:
            return
        for order in self._state.open.values():
            other = order.intent
            if (
                other.instrument != intent.instrument
                or other.side is intent.side
                or other.account != intent.account
            ):
                continue
            if order.status not in AT_VENUE or order.client_order_id in self._gone:
                continue
            if sure and order.strategy != intent.strategy:
                continue
            theirs = rests_at(order)
            if not theirs:
                continue
            if mine >= theirs if buying else mine <= theirs:
                reasons.append(
                    f"would cross your own {other.side} of {order.remaining_quantity} at {order.limit_price}"
                )
                return

    def _margin(self, intent: OrderIntent, lane: Lane, reasons: list[str]) -> None:
        equity = self._valuer.equity(intent.account)
        need = self._valuer.margin_with(intent)
        if self._shrinks(intent, ""):
            return
        if equity is None or need is None:
            reasons.append(f"equity of {intent.account} is unknown: {self._valuer.unknown(intent.account)}")
        elif need > equity:
            reasons.append(f"margin of {need:,.2f} is more than the equity of {equity:,.2f}")

    def _spot_funds(self, intent: OrderIntent, lane: Lane, reasons: list[str]) -> None:
        instrument = lane.instrument
        account = self._state.accounts[intent.account]
        if intent.side is _SELL:
            have = account.balances.get(instrument.base, ZERO)
            need = self._state.working(intent.account, intent.instrument, _SELL, intent)
            need *= instrument.contract_size
            currency = instrument.base
        else:
            have = account.balances.get(instrument.quote, ZERO)
            roughly = self._valuer.price(intent, lane) * float(intent.quantity) * lane.size * _AMPLE
            if roughly < float(have) and not self._state.open:
                return  # plainly enough, so that cents need not be counted
            price = instrument.price(self._valuer.price(intent, lane))
            cost = instrument.notional(intent.quantity, price) * (1 + max(instrument.taker_fee, ZERO))
            need = cost + self._committed(intent, instrument)
            currency = instrument.quote
        if need > have:
            reasons.append(f"needs {need:,f} {currency}, and {have:,f} is there")

    def _committed(self, intent: OrderIntent, instrument: Instrument) -> Decimal:
        """Money that working buys against the same currency may still take, of linked ones the dearest."""
        total, groups = ZERO, dict[str, Decimal]()
        for order in self._state.open.values():
            if order.side is not _BUY or order.status not in AT_VENUE or order.account != intent.account:
                continue
            other = self._state.instruments[order.instrument]
            group = order.intent.group
            if order.client_order_id in self._gone:
                continue
            if not other.spot or other.quote != instrument.quote or (group and group == intent.group):
                continue
            lane = self._market.lanes[order.instrument]
            price = _boldest(order) or other.price(self._valuer.price(order.intent, lane))
            cost = other.notional(order.remaining_quantity, price) * (1 + max(other.taker_fee, ZERO))
            if group:
                groups[group] = max(groups.get(group, ZERO), cost)
            else:
                total += cost
        return total + sum(groups.values(), ZERO)


def _allowed(intent: OrderIntent, trading: TradingState, protects: bool) -> bool:
    """Which reductions a lowered state lets through: halted what protects or a person wants, killed a flatten."""
    if trading is TradingState.REDUCE_ONLY:
        return True
    if trading is TradingState.HALTED:
        return protects or intent.exits or intent.type in STOPS or intent.who != ""
    return trading is TradingState.KILLED and intent.sweep != 0


def rests_at(order: Order) -> float:
    """The price at which an order stands in the book: 0.0 for a market order, and for a stop that waits."""
    limit = _boldest(order)
    if limit is None or (order.type is not OrderType.LIMIT and not order.triggered):
        return 0.0
    return float(limit)


def _boldest(order: Order) -> Decimal | None:
    """An order's limit: while it is being changed the one that goes further into the other side."""
    limit, asked = order.limit_price, order.replacing
    if limit is None or asked is None or asked.limit_price is None:
        return limit
    return (max if order.side is _BUY else min)(limit, asked.limit_price)


def _grid(intent: OrderIntent, instrument: Instrument, reasons: list[str]) -> None:
    quantity = intent.quantity
    if quantity <= 0:
        reasons.append(f"quantity {quantity} is not above 0 (lot {instrument.lot})")
    elif quantity % instrument.lot:
        reasons.append(f"quantity {quantity} is not a multiple of the lot {instrument.lot}")
    elif quantity < instrument.min_quantity and not intent.reduce_only:
        reasons.append(f"quantity {quantity} is below the minimum of {instrument.min_quantity}")
    if instrument.max_quantity is not None and quantity > instrument.max_quantity:
        reasons.append(f"quantity {quantity} is above the maximum of {instrument.max_quantity}")
    if intent.limit_price is not None:
        _price("limit price", intent.limit_price, instrument, reasons)
    if intent.stop_price is not None:
        _price("stop price", intent.stop_price, instrument, reasons)
    if intent.stop_loss is not None:
        _price("stop loss", intent.stop_loss, instrument, reasons)
    if intent.take_profit is not None:
        _price("take profit", intent.take_profit, instrument, reasons)
    if intent.trail is not None and intent.trail.distance <= 0:
        reasons.append(f"trail {intent.trail.distance} is not above 0")


def _price(name: str, price: Decimal, instrument: Instrument, reasons: list[str]) -> None:
    if price <= 0:
        reasons.append(f"{name} {price} is not above 0")
    elif price % instrument.tick:
        reasons.append(f"{name} {price} is not a multiple of the tick {instrument.tick}")


def _bracket(intent: OrderIntent, lane: Lane, reasons: list[str]) -> None:
    """Exits stand on their own sides of the price that the order is entered at, or they would end it at once."""
    buys = intent.side is _BUY
    entry = lane.price(buying=buys)
    if intent.stop_price is not None:
        entry = float(intent.stop_price)
    elif intent.limit_price is not None:  # no worse than the limit, and better where the market is
        entry = min(entry, float(intent.limit_price)) if buys else max(entry, float(intent.limit_price))
    lower, upper = ("stop_loss", "take_profit") if buys else ("take_profit", "stop_loss")
    below, above = getattr(intent, lower), getattr(intent, upper)
    if below is not None and float(below) >= entry:
        reasons.append(f"{lower} {below} of a {intent.side} is not below its entry price of {entry:.15g}")
    if above is not None and float(above) <= entry:
        reasons.append(f"{upper} {above} of a {intent.side} is not above its entry price of {entry:.15g}")


def _ability(intent: OrderIntent, profile: VenueProfile, now: int, reasons: list[str]) -> None:
    if intent.post_only and not profile.post_only:
        reasons.append(f"{profile.venue} has no post-only orders")
    if intent.post_only and intent.type is not OrderType.LIMIT:
        reasons.append("only a limit order can be post-only")
    wanted = intent.time_in_force
    if wanted not in profile.time_in_force and wanted not in _ENGINE_ENDS:
        reasons.append(f"{profile.venue} has no {wanted} orders")
    if wanted is _GTD and intent.expires_ns <= now:
        reasons.append("a GTD order needs an expires= that is still to come")
    for option in intent.venue_options:
        if option not in profile.venue_options:
            there = ", ".join(sorted(profile.venue_options)) or "none"
            reasons.append(f"{profile.venue} has no option {option!r} (it has: {there})")
