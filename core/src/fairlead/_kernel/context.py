"""What a strategy's calls do: names into instruments, money into quantities, wishes into intents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from fairlead._kernel.gate import Refused
from fairlead._kernel.market import Lane
from fairlead._kernel.runner import Runner
from fairlead._kernel.state import ZERO
from fairlead._models.accounts import Profit
from fairlead._models.instrument import Instrument
from fairlead._models.market import Bar
from fairlead._models.orders import (
    AT_VENUE,
    STOPS,
    Order,
    OrderIntent,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    Trail,
    Verdict,
)
from fairlead._secrets.scrub import hidden
from fairlead._strategy.styles import Style, describe
from fairlead.errors import ConfigurationError
from fairlead.facts import Noted, StrategyPaused
from fairlead.units import Money, Number, decimal, duration, percent, written_duration
from fairlead.units import share as ratio

if TYPE_CHECKING:
    from fairlead._kernel.kernel import Kernel
    from fairlead.sizing import Sizing

_MARKET, _LIMIT = OrderType.MARKET, OrderType.LIMIT
_LEAST_TIME = 100_000_000_000_000_000
"""In 1973: an integer below is no time in nanoseconds, but seconds, milliseconds or a duration."""
_NOTHING_MORE = (*[None] * 9, "GTC", False, False, "", "")
"""What a plain order says of everything but side, quantity and limit price."""
_LIVES = {lives.value: lives for lives in TimeInForce}


class Context:
    """One strategy's view of the kernel."""

    def __init__(self, kernel: Kernel, runner: Runner, account: str) -> None:
        self._kernel = kernel
        self._runner = runner
        self._state = kernel.state
        self._account = account
        self.name = runner.name
        self.restored = False
        self.watched: dict[str, list[str]] = {}
        """Instruments watched, each with its bar intervals."""
        self._lanes: dict[str | None, Lane] = {}
        self._checking = False

    @property
    def account(self) -> str:
        """The account that it trades on where it names none."""
        return self._account

    @property
    def now(self) -> int:
        return self._kernel.recorder.now

    # --- watching -------------------------------------------------------------------------------------------

    def watch(
        self,
        instrument: str,
        *,
        bars: str | Sequence[str],
        quotes: bool,
        trades: bool,
        book: bool,
        warmup: int,
    ) -> None:
        self._lanes.clear()
        intervals = [bars] if isinstance(bars, str) else list(bars)
        found = self._kernel.resolve(instrument)
        known = self.watched.setdefault(found.id, [])
        known += self._kernel.feeds.watch(self._runner, found, intervals, quotes, trades, book, warmup)

    def unwatch(self, instrument: str) -> None:
        self._lanes.clear()
        found = self._kernel.resolve(instrument)
        if self.watched.pop(found.id, None) is not None:
            self._kernel.feeds.unwatch(self._runner, found)

    def lane(self, symbol: str | None) -> Lane:
        """The market of a short or long name, found once; None is the only one watched."""
        lane = self._lanes.get(symbol)
        if lane is None:
            lane = self._lanes[symbol] = self._kernel.market.lanes[self.instrument(symbol).id]
        return lane

    def instrument(self, symbol: str | None) -> Instrument:
        """The instrument of a short or long name; None is the only one watched."""
        if symbol is not None:
            return self._kernel.resolve(symbol)
        if len(self.watched) != 1:
            many = ", ".join(self.watched) or "none"
            raise ConfigurationError(
                f"strategy {self.name} watches {many}: say which instrument with instrument=, or watch exactly one"
            )
        return self._state.instruments[next(iter(self.watched))]

    def history(self, count: int | None, interval: str, symbol: str | None) -> list[Bar]:
        instrument = self.instrument(symbol)
        watched = self.watched.get(instrument.id, [])
        if not interval:
            if len(watched) != 1:
                raise ConfigurationError(
                    f"strategy {self.name} watches {instrument.id} at {watched or 'no interval'}: say bars="
                )
            interval = watched[0]
        kept = self.lane(symbol).history.get(interval, ())
        bars = list(kept)
        return bars if count is None else bars[-count:] if count else []

    # --- trading --------------------------------------------------------------------------------------------

    def trade(
        self,
        side: Side,
        quantity: Number | None,
        value: str | Number | None,
        percent: str | Number | None,
        instrument: str | None,
        limit_price: Number | None,
        stop_price: Number | None,
        trail: str | Number | None,
        time_in_force: str,
        expires: Any,
        post_only: bool,
        reduce_only: bool,
        take_profit: Number | None,
        stop_loss: Number | None,
        account: str | None,
        style: Style | None,
        venue_options: Mapping[str, str] | None,
        tag: str,
        group: str = "",
    ) -> Order:
        """Place an order. A market or limit order of a quantity, as most are, takes a short way."""
        lane = self._lanes.get(instrument) or self.lane(instrument)
        found = lane.instrument
        if not lane.watched:  # what is traded needs prices, also where nobody watches it
            self._kernel.feeds.follow(lane)
        more = (
            value, percent, stop_price, trail, expires, take_profit, stop_loss, style, venue_options,
            time_in_force, post_only, reduce_only, tag, group,
        )  # fmt: skip
        if quantity is not None and more == _NOTHING_MORE:
            intent = OrderIntent(
                strategy=self.name,
                account=account or self._account,
                instrument=lane.id,
                side=side,
                quantity=found.quantity(quantity),
                type=_MARKET if limit_price is None else _LIMIT,
                limit_price=None if limit_price is None else found.price_for(side, limit_price),
            )
            return self._place(intent)
        limit = None if limit_price is None else found.price_for(side, limit_price)
        stop = None if stop_price is None else found.price_for(side, stop_price)
        intent = OrderIntent(
            strategy=self.name,
            account=account or self._account,
            instrument=lane.id,
            side=side,
            quantity=self._quantity(found, lane, side, quantity, value, percent, limit or stop),
            type=_kind(limit, stop, trail),
            limit_price=limit,
            stop_price=stop,
            trail=None if trail is None else _trail(trail),
            time_in_force=_LIVES.get(time_in_force) or TimeInForce(time_in_force),
            expires_ns=self._when(expires) if expires is not None else 0,
            post_only=post_only,
            reduce_only=reduce_only,
            take_profit=None if take_profit is None else found.price_for(side.opposite, take_profit),
            stop_loss=None if stop_loss is None else found.price_for(side.opposite, stop_loss),
            tag=tag,
            group=group,
            style="" if style is None else describe(style),
            venue_options=venue_options or {},
        )
        return self._place(intent)

    def sized(
        self,
        sizing: Sizing,
        side: Side,
        instrument: str | None,
        limit_price: Number | None,
        stop_price: Number | None,
        take_profit: Number | None,
        stop_loss: Number | None,
        reduce_only: bool,
        account: str | None,
        tag: str,
    ) -> Decimal:
        """The quantity of an order of these terms, worked out by a sizing."""
        from fairlead._kernel.sizes import sized
        from fairlead.sizing import Account

        lane, name = self.lane(instrument), account or self._account
        found, currency = lane.instrument, self._state.accounts[name].currency
        limit = None if limit_price is None else found.price_for(side, limit_price)
        stop = None if stop_price is None else found.price_for(side, stop_price)
        intent = OrderIntent(
            strategy=self.name,
            account=name,
            instrument=lane.id,
            side=side,
            quantity=ZERO,
            type=_kind(limit, stop, None),
            limit_price=limit,
            stop_price=stop,
            reduce_only=reduce_only,
            take_profit=None if take_profit is None else found.price_for(side.opposite, take_profit),
            stop_loss=None if stop_loss is None else found.price_for(side.opposite, stop_loss),
            tag=tag,
        )
        held = self._state.quantity(name, lane.id, self.name)
        view = Account(name, currency, self.equity(), self.cash(), held)
        rate = self._kernel.valuer.rate(found.settle, currency)
        return sized(sizing, intent, view, lane, rate, lambda count, bars: self.history(count, bars, lane.id))

    def check(self, order: Callable[[], Order] | Order) -> Verdict:
        """Judge an order as it stands, or the one that a call would place."""
        if isinstance(order, Order):
            return self._kernel.verdict(order.intent)
        self._checking = True
        try:
            order()
        except _Checked as checked:
            return self._kernel.verdict(checked.intent)
        finally:
            self._checking = False
        raise AssertionError("it places no order")

    def _place(self, intent: OrderIntent, after: tuple[str, ...] = ()) -> Order:
        if self._checking:
            raise _Checked(intent)
        self._runner.placed()
        return self._kernel.place(intent, after)

    def _quantity(
        self,
        instrument: Instrument,
        lane: Lane,
        side: Side,
        quantity: Number | None,
        value: str | Number | None,
        share: str | Number | None,
        own_price: Decimal | None,
    ) -> Decimal:
        if (quantity is None) + (value is None) + (share is None) != 2:
            raise ConfigurationError(
                f"an order for {instrument.id} needs exactly one of quantity=, value=, percent="
            )
        if quantity is not None:
            return instrument.quantity(quantity)
        price = own_price or lane.price(buying=side is Side.BUY)
        if not price:
            return ZERO  # the gate says why: there is no price yet
        money = (
            self._money(value, instrument)
            if value is not None
            else self._share(ratio(share or 0), instrument)
        )
        unit = instrument.notional(Decimal(1), instrument.price(price))
        return instrument.quantity(money / unit)

    def _money(self, value: str | Number, instrument: Instrument) -> Decimal:
        if isinstance(value, str) and " " in value.strip():
            money = Money.parse(value)
            if not self._kernel.valuer.same(money.currency, instrument.settle):
                raise ConfigurationError(
                    f"value {value!r} of an order for {instrument.id} must be in {instrument.settle}"
                )
            return money.amount
        return decimal(value, "value")

    def _share(self, part: Decimal, instrument: Instrument) -> Decimal:
        """A share of equity in the instrument's own money; nothing while equity or the rate is unknown."""
        equity = self.equity()
        rate = self._kernel.valuer.rate(instrument.settle, self._state.accounts[self._account].currency)
        return ZERO if equity is None or not rate else Decimal(equity / rate) * part

    def _when(self, when: Any) -> int:
        if isinstance(when, datetime):
            if when.tzinfo is None:
                raise ConfigurationError(f"{when} has no time zone: pass an aware datetime")
            return int(when.timestamp() * 1_000_000) * 1000
        return self.now + duration(when) if isinstance(when, str) else int(when)

    def cancel(self, order: Order) -> None:
        self._kernel.desk.cancel(order, "canceled by its strategy")

    def replace(
        self, order: Order, quantity: Number | None, limit: Number | None, stop: Number | None
    ) -> Order:
        if order.intent.style:
            raise ConfigurationError(
                f"an order with a style cannot be replaced ({order.instrument}): cancel it and place a new one"
            )
        found = self._state.instruments[order.instrument]
        self._runner.placed()
        return self._kernel.desk.replace(
            order,
            order.quantity if quantity is None else found.quantity(quantity),
            order.limit_price if limit is None else found.price_for(order.side, limit),
            order.stop_price if stop is None else found.price_for(order.side, stop),
        )

    def close(self, symbol: str | None, account: str | None, tag: str) -> Order | None:
        found = self.instrument(symbol)
        account = account or self._account
        held = self._state.quantity(account, found.id, self.name)
        working = {o.client_order_id: o for o in self.orders(found.id) if o.account == account}
        if not held:
            self._give_way(working.values())
            return None
        intent = OrderIntent(
            strategy=self.name,
            account=account,
            instrument=found.id,
            side=Side.SELL if held > 0 else Side.BUY,
            quantity=found.quantity(abs(held)),
            reduce_only=True,
            closes=True,
            tag=tag,
        )
        if working:  # what protects the position is not given up for an order that may not be sent
            if self._state.tripped:
                self._kernel.board.refresh()
            verdict = self._kernel.gate.review(intent, gone=working)
            if isinstance(verdict, Refused):
                self._runner.placed()
                return self._kernel.desk.refuse(hidden(intent, "tag"), verdict.reasons)
        order = self._place(intent, tuple(working))
        self._give_way(working.values())
        return order

    def _give_way(self, working: Iterable[Order]) -> None:
        for order in working:
            self._kernel.desk.cancel(order, "the position is being closed")

    def target(
        self,
        quantity: Number | None,
        value: str | Number | None,
        share: str | Number | None,
        symbol: str | None,
        account: str | None,
        tag: str,
    ) -> Order | None:
        found = self.instrument(symbol)
        account = account or self._account
        wanted = self._signed(found, quantity, value, share)
        if wanted is None:
            return None
        return self._trade_to(found, wanted, account, tag, ())

    def _signed(self, found: Instrument, quantity: Number | None, value: Any, share: Any) -> Decimal | None:
        """A wanted position in base units, signed; None while there is no price to work it out."""
        given = quantity if quantity is not None else value if value is not None else share
        text = str(given).strip()
        short = text.startswith("-")
        if short:
            given = text[1:]
        lane = self._kernel.market.lane(found)
        side = Side.SELL if short else Side.BUY
        amounts = [given if one is not None else None for one in (quantity, value, share)]
        if quantity is None and not lane.mark:
            return None
        size = self._quantity(found, lane, side, amounts[0], amounts[1], amounts[2], None)
        return -size if short else size

    def _trade_to(
        self, found: Instrument, wanted: Decimal, account: str, tag: str, after: tuple[str, ...]
    ) -> Order | None:
        """Trade the difference; what works in the other direction is taken back first, the newest first."""
        have = self._state.quantity(account, found.id, self.name)
        working = [o for o in self.orders(found.id) if o.account == account and self._counts(o)]
        have += sum((_coming(order) for order in working), ZERO)
        change = found.quantity(wanted - have)
        opposite = Side.SELL if change > 0 else Side.BUY
        for order in [o for o in reversed(working) if o.side is opposite]:
            if not change or (change < 0) != (opposite is Side.BUY):
                break
            ending = (order, *self._kernel.desk.children(order))
            have -= _coming(order)
            change = found.quantity(wanted - have)
            if order.status is not OrderStatus.PENDING_CANCEL:
                self._kernel.desk.cancel(order, "another position is wanted")
            after += tuple(o.client_order_id for o in ending if not o.closed)
        if not change:
            return None
        intent = OrderIntent(
            strategy=self.name,
            account=account,
            instrument=found.id,
            side=Side.BUY if change > 0 else Side.SELL,
            quantity=abs(change),
            tag=tag,
        )
        if not found.spot and self._kernel.gate.reduces(intent):
            intent = msgspec.structs.replace(intent, reduce_only=True)
        return self._place(intent, after)

    def _counts(self, order: Order) -> bool:
        """Whether an order is on its way to a wanted position: no exit, no stop, and each part once."""
        if order.intent.style:
            return True
        if order.intent.exits or order.type in STOPS or self._state.carried_out(order) is not None:
            return False
        return order.status in AT_VENUE or bool(order.after)

    def rebalance(
        self, weights: Mapping[str, Number], band: str | Number, account: str | None
    ) -> list[Order]:
        account = account or self._account
        equity = self.equity()
        if equity is None:
            return []
        wanted = {self._kernel.resolve(symbol).id: ratio(weight) for symbol, weight in weights.items()}
        for key, position in self._state.positions.items():
            if key.account == account and key.strategy == self.name and position.quantity:
                wanted.setdefault(key.instrument, ZERO)
        reductions: list[tuple[Instrument, Decimal]] = []
        increases: list[tuple[Instrument, Decimal]] = []
        for name, weight in wanted.items():
            found = self._state.instruments[name]
            lane = self._kernel.market.lane(found)
            if not lane.mark:
                continue
            unit = found.notional(Decimal(1), found.price(lane.mark))
            have = self._state.quantity(account, name, self.name)
            goal = found.quantity(self._share(weight, found) / unit)
            apart = abs(goal - have) * unit
            if apart < self._share(ratio(band), found) and (weight or not have):
                continue
            (reductions if abs(goal) < abs(have) else increases).append((found, goal))
        first = [self._trade_to(found, goal, account, "rebalance", ()) for found, goal in reductions]
        placed = [order for order in first if order is not None]
        after = tuple(o.client_order_id for o in placed if not o.closed)
        second = [self._trade_to(found, goal, account, "rebalance", after) for found, goal in increases]
        return placed + [order for order in second if order is not None]

    def oco(
        self,
        side: Side,
        quantity: Number | None,
        *,
        value: Any,
        percent: Any,
        limit_price: Number,
        stop_price: Number,
        instrument: str | None,
        reduce_only: bool,
        account: str | None,
        tag: str,
    ) -> tuple[Order, Order]:
        common: dict[str, Any] = {
            "trail": None,
            "time_in_force": "GTC",
            "expires": None,
            "post_only": False,
            "take_profit": None,
            "stop_loss": None,
            "style": None,
            "venue_options": None,
            "instrument": instrument,
            "reduce_only": reduce_only,
            "account": account,
            "tag": tag,
            "group": f"oco:{self.name}:{self._state.intents + 1}",
        }
        limit = self.trade(
            side, quantity, value=value, percent=percent, limit_price=limit_price, stop_price=None, **common
        )
        stop = self.trade(
            side, limit.quantity, value=None, percent=None, limit_price=None, stop_price=stop_price, **common
        )
        if stop.denied and not limit.closed:
            self._kernel.desk.cancel(limit, "its linked stop was denied")
        if limit.denied and not stop.closed:
            self._kernel.desk.cancel(stop, "its linked limit was denied")
        return limit, stop

    # --- looking --------------------------------------------------------------------------------------------

    def position(self, symbol: str | None, account: str | None) -> Decimal:
        return self._state.quantity(account or self._account, self.instrument(symbol).id, self.name)

    def entry(self, symbol: str | None, account: str | None) -> Decimal | None:
        position = self._state.position(account or self._account, self.instrument(symbol).id, self.name)
        return position.average_price if position is not None and position.quantity else None

    def orders(self, symbol: str | None) -> list[Order]:
        wanted = None if symbol is None else self._kernel.resolve(symbol).id
        return [
            o
            for o in self._state.open.values()
            if o.strategy == self.name and (wanted is None or o.instrument == wanted)
        ]

    def pnl(self, symbol: str | None) -> Profit:
        name = "" if symbol is None else self._kernel.resolve(symbol).id
        currency = self._state.accounts[self._account].currency
        return self._kernel.books.profit(
            strategy=self.name, instrument=name, currency="" if name else currency
        )

    def equity(self) -> float | None:
        base = self._kernel.allocations.get(self.name)
        if base is None:
            return self._kernel.valuer.equity(self._account)
        account = self._state.accounts[self._account]
        amount = base(account)
        earned = self._kernel.books.earned(self.name, account.currency)
        return None if amount is None or earned is None else amount + earned

    def cash(self) -> float | None:
        equity = self.equity()
        if equity is None:
            return None
        used = 0.0
        for key, position in self._state.positions.items():
            if key.strategy != self.name or not position.quantity:
                continue
            lane = self._kernel.market.lanes[key.instrument]
            part = lane.instrument.notional(abs(position.quantity), position.average_price)
            margin = Decimal(1) if lane.instrument.spot else lane.instrument.initial_margin
            rate = self._kernel.valuer.rate(
                lane.instrument.settle, self._state.accounts[self._account].currency
            )
            if rate is None:
                return None
            used += float(part * margin) * rate
        return equity - used

    # --- time and the rest ----------------------------------------------------------------------------------

    def every(self, interval: str, function: Callable[[], Any] | None, name: str) -> None:
        self._kernel.timers.every(self._runner, written_duration(interval), function, name)

    def at(self, when: Any, function: Callable[[], Any] | None, name: str) -> None:
        whole = isinstance(when, int) and not isinstance(when, bool)
        if not isinstance(when, str | datetime) and (not whole or when < _LEAST_TIME):
            raise ConfigurationError(
                f"{when!r} is no time: write a duration from now such as '900s', an aware datetime, or nanoseconds "
                f"since 1970 in UTC"
            )
        self._kernel.timers.at(self._runner, self._when(when), function, name)

    def cancel_timer(self, name: str) -> None:
        self._kernel.timers.cancel(self.name, name)

    def sleep(self, text: str) -> Awaitable[None]:
        return self._runner.sleep(written_duration(text))

    def wait(self, order: Order, within: str) -> Awaitable[Order]:
        return self._runner.wait(order, written_duration(within))

    def ask(
        self, function: Callable[..., Any], args: tuple[Any, ...], then: Callable[[Any], Any] | None
    ) -> Awaitable[Any]:
        return self._runner.ask(function, args, then)

    def pause(self, why: str) -> None:
        self._kernel.recorder.record(StrategyPaused, strategy=self.name, paused=True, who=self.name, why=why)

    def note(self, text: str) -> None:
        self._kernel.recorder.record(Noted, source=self.name, text=text)


class _Checked(Exception):
    """An order is only checked: this is what would have been placed."""

    def __init__(self, intent: OrderIntent) -> None:
        super().__init__()
        self.intent = intent


def _coming(order: Order) -> Decimal:
    """What an order may still add to a position, signed."""
    return order.remaining_quantity if order.side is Side.BUY else -order.remaining_quantity


def _kind(limit: Decimal | None, stop: Decimal | None, trail: str | Number | None) -> OrderType:
    if trail is not None:
        if limit is not None or stop is not None:
            raise ConfigurationError("a trailing stop has no limit_price or stop_price: give trail= alone")
        return OrderType.TRAILING_STOP
    if stop is not None:
        return OrderType.STOP if limit is None else OrderType.STOP_LIMIT
    return OrderType.MARKET if limit is None else OrderType.LIMIT


def _trail(trail: str | Number) -> Trail:
    if isinstance(trail, str) and trail.strip().endswith("%"):
        return Trail(percent(trail), percent=True)
    return Trail(decimal(trail, "trail"))


def allocation(text: str | Money) -> Callable[[Any], float | None]:
    """A strategy's share of its account: a function of the account's state."""
    if isinstance(text, str) and text.strip().endswith("%"):
        share = float(percent(text))
        return lambda account: None if account.opening is None else account.opening * share
    amount = float(Money.parse(text).amount)
    return lambda _: amount
