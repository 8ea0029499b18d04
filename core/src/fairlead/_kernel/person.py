"""Orders that a person places, checks, cancels and replaces: through the same gate, journal and outbox as any."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from fairlead._kernel.context import _kind, _trail
from fairlead._kernel.gate import Refused
from fairlead._kernel.words import choice, flag, moment, needed, number, only
from fairlead._models.accounts import EXTERNAL
from fairlead._models.instrument import Instrument
from fairlead._models.orders import Order, OrderIntent, Side, TimeInForce
from fairlead.errors import ConfigurationError
from fairlead.units import Money, decimal, exact

if TYPE_CHECKING:
    from fairlead._kernel.kernel import Kernel

Arguments = Mapping[str, str]
Answer = dict[str, Any]

_ORDER = (
    "instrument",
    "side",
    "quantity",
    "value",
    "account",
    "strategy",
    "limit_price",
    "stop_price",
    "trail",
    "time_in_force",
    "expires",
    "post_only",
    "reduce_only",
    "tag",
)


class Person:
    """An order belongs to the strategy that is named, whose position it changes, else to EXTERNAL."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._state = kernel.state

    def submit(self, who: str, why: str, arguments: Arguments) -> Callable[[], Answer]:
        """Place an order; the answer has its id, how it stands, and all reasons where it was denied."""
        instrument, intent = self._intent("submit", who, arguments)

        def act() -> Answer:
            lane = self._kernel.define(instrument)
            self._kernel.feeds.follow(lane)
            return told(self._kernel.place(intent))

        return act

    def check(self, who: str, arguments: Arguments) -> Answer:
        """What the gate says to an order, and the order as it would be placed."""
        instrument, intent = self._intent("check", who, arguments)
        reasons: tuple[str, ...] = ()
        if instrument.id not in self._kernel.market.lanes:
            reasons = (f"no price of {instrument.id} yet: nothing here watches it",)
        else:
            reasons = self._kernel.verdict(intent).reasons
        return {
            "status": "denied" if reasons else "approved",
            "reasons": list(reasons),
            "held": not reasons and self._kernel.desk.keeps(intent),
            "value": exact(self._kernel.valuer.value(intent)),
            "currency": self._state.accounts[intent.account].currency,
            "intent": shown(intent),
        }

    def cancel(self, who: str, why: str, arguments: Arguments) -> Callable[[], Answer]:
        """Take one order back, named by our id or the venue's."""
        only("cancel", arguments, "order")
        order = self._order("cancel", arguments)

        def act() -> Answer:
            self._kernel.desk.cancel(order, f"canceled by {who}: {why}" if why else f"canceled by {who}")
            return told(order)

        return act

    def replace(self, who: str, why: str, arguments: Arguments) -> Callable[[], Answer]:
        """Cancel, confirm, submit the rest on new terms. What the gate would refuse leaves the old order be."""
        only("replace", arguments, "order", "quantity", "limit_price", "stop_price")
        order = self._order("replace", arguments)
        if order.intent.style:
            raise ConfigurationError(
                "an order with a style cannot be replaced: cancel it and submit a new one"
            )
        found, side = self._state.instruments[order.instrument], order.side
        quantity, limit, stop = (
            number(name, arguments) for name in ("quantity", "limit_price", "stop_price")
        )
        if quantity is None and limit is None and stop is None:
            raise ConfigurationError("replace changes nothing: give quantity, limit_price or stop_price")
        for name, given, has in (
            ("limit_price", limit, order.limit_price),
            ("stop_price", stop, order.stop_price),
        ):
            if given is not None and has is None:
                raise ConfigurationError(
                    f"a {order.type} order has no {name} to replace: cancel {order.client_order_id} and submit another"
                )
        total = order.quantity if quantity is None else found.quantity(quantity)
        new_limit = order.limit_price if limit is None else found.price_for(side, limit)
        new_stop = order.stop_price if stop is None else found.price_for(side, stop)

        def act() -> Answer:
            intent = self._kernel.desk.replacement(order, total, new_limit, new_stop)
            with self._kernel.board.rehearsal():
                verdict = self._kernel.gate.review(intent, gone=(order.client_order_id,))
            if isinstance(verdict, Refused):
                new = self._kernel.desk.refuse(intent, verdict.reasons)
            else:
                new = self._kernel.desk.replace(order, total, new_limit, new_stop)
            return {**told(new), "replaces": order.client_order_id}

        return act

    # --- from text to an intent -----------------------------------------------------------------------------

    def _intent(self, verb: str, who: str, arguments: Arguments) -> tuple[Instrument, OrderIntent]:
        only(verb, arguments, *_ORDER)
        found = self._kernel.find(needed(verb, arguments, "instrument"))
        side = Side(choice("side", needed(verb, arguments, "side"), Side))
        limit, stop = number("limit_price", arguments), number("stop_price", arguments)
        limit = None if limit is None else found.price_for(side, limit)
        stop = None if stop is None else found.price_for(side, stop)
        trail = arguments.get("trail")
        strategy = self._strategy(verb, arguments)
        expires = arguments.get("expires")
        wanted = choice("time_in_force", arguments.get("time_in_force", "GTC"), TimeInForce)
        return found, OrderIntent(
            strategy=strategy,
            account=self._account(verb, strategy, arguments),
            instrument=found.id,
            side=side,
            quantity=self._quantity(verb, found, side, limit or stop, arguments),
            type=_kind(limit, stop, trail),
            limit_price=limit,
            stop_price=stop,
            trail=None if trail is None else _trail(trail),
            time_in_force=TimeInForce(wanted),
            expires_ns=0 if expires is None else moment("expires", expires, self._kernel.recorder.now),
            post_only=flag("post_only", arguments),
            reduce_only=flag("reduce_only", arguments),
            tag=arguments.get("tag", ""),
            who=who,
        )

    def _strategy(self, verb: str, arguments: Arguments) -> str:
        name = arguments.get("strategy", EXTERNAL)
        if name != EXTERNAL and name not in self._kernel.runners:
            there = ", ".join(sorted(self._kernel.runners))
            raise ConfigurationError(f"{verb}: there is no strategy {name!r} here (there are: {there})")
        return name

    def _account(self, verb: str, strategy: str, arguments: Arguments) -> str:
        """The account that is named, else the strategy's own, else the only one."""
        accounts = list(self._state.accounts)
        name = arguments.get("account")
        if name is None and strategy in self._kernel.runners:
            context = self._kernel.runners[strategy].strategy._context
            assert context is not None
            return context.account
        if name is None and len(accounts) == 1:
            return accounts[0]
        if name not in accounts:
            what = "say account=" if name is None else f"there is no account {name!r} here"
            raise ConfigurationError(f"{verb}: {what} (there are: {', '.join(accounts) or 'none'})")
        return name

    def _quantity(
        self, verb: str, found: Instrument, side: Side, own_price: Decimal | None, arguments: Arguments
    ) -> Decimal:
        """The quantity on the lot grid: as given, or what a value buys at the order's price or the market's."""
        if ("quantity" in arguments) == ("value" in arguments):
            raise ConfigurationError(f"{verb} needs exactly one of quantity and value")
        given = number("quantity", arguments)
        if given is None:
            lane = self._kernel.market.lanes.get(found.id)
            price = own_price or (lane.price(buying=side is Side.BUY) if lane is not None else 0.0)
            if not price:
                raise ConfigurationError(
                    f"{verb}: no price of {found.id} yet: give quantity instead of value"
                )
            given = self._worth(found, arguments["value"]) / found.notional(Decimal(1), found.price(price))
        quantity = found.quantity(given)
        if not quantity:
            raise ConfigurationError(f"{verb}: {given:f} is less than one lot of {found.id} ({found.lot:f})")
        return quantity

    def _worth(self, found: Instrument, text: str) -> Decimal:
        if " " not in text.strip():
            return decimal(text.strip(), "value")
        money = Money.parse(text)
        if not self._kernel.valuer.same(money.currency, found.settle):
            raise ConfigurationError(f"value {text!r} of an order for {found.id} must be in {found.settle}")
        return money.amount

    def _order(self, verb: str, arguments: Arguments) -> Order:
        name = needed(verb, arguments, "order")
        found = self._state.orders.get(name)
        if found is None:
            theirs = [order for order in self._state.open.values() if order.broker_order_id == name]
            found = theirs[0] if len(theirs) == 1 else None
        if found is None:
            raise ConfigurationError(
                f"{verb}: there is no open order {name!r} here: fairlead orders lists them"
            )
        if found.closed:
            raise ConfigurationError(f"{verb}: order {name} is {found.status} already")
        return found


def told(order: Order) -> Answer:
    """How an order stands."""
    return {"order": order.client_order_id, "status": order.status.value, "reasons": list(order.reasons)}


def shown(intent: OrderIntent) -> Answer:
    """An order as it would be placed: quantities and prices as text, what is not set left out."""
    prices = {"limit_price": intent.limit_price, "stop_price": intent.stop_price}
    trail = intent.trail
    if trail is not None:
        prices["trail"] = trail.distance
    flags = {"post_only": intent.post_only, "reduce_only": intent.reduce_only}
    return {
        "strategy": intent.strategy,
        "account": intent.account,
        "instrument": intent.instrument,
        "side": intent.side.value,
        "type": intent.type.value,
        "quantity": f"{intent.quantity:f}",
        **{name: f"{price:f}" for name, price in prices.items() if price is not None},
        "time_in_force": intent.time_in_force.value,
        **({"expires_ns": intent.expires_ns} if intent.expires_ns else {}),
        **{name: True for name, value in flags.items() if value},
        **({"tag": intent.tag} if intent.tag else {}),
    }
