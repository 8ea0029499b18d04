"""Works every limit out again, from nothing but a journal's facts and a tape's quotes, and by other means.

It shares no code with the gate, the view or the limits: it folds the facts into books of its own, and for every order
that was sent compares what it finds with what was configured.
"""

from collections import defaultdict
from decimal import Decimal
from typing import Any

from fairlead import facts as f

NEAR = 1 + 1e-9
MINUTE = 60_000_000_000


class Sent:
    """An order as the facts tell of it."""

    def __init__(self, intent: Any, quantity: Decimal) -> None:
        self.intent = intent
        self.quantity = quantity
        self.filled = Decimal(0)
        self.there = False
        self.held = False

    @property
    def left(self) -> Decimal:
        return max(self.quantity - self.filled, Decimal(0))


class Checker:
    """Takes facts and quotes in the order of their numbers. `wrong` are the orders past a limit, in words."""

    def __init__(self, limits: dict[str, Any], cash: float) -> None:
        self.defaults = {name: value for name, value in limits.items() if not isinstance(value, dict)}
        self.instruments = limits.get("instruments", {})
        self.strategies = limits.get("strategies", {})
        self.orders: dict[str, Sent] = {}
        self.held: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self.quotes: dict[str, tuple[float, float, int]] = {}
        self.cash = cash
        self.sent_ns: list[tuple[int, Any]] = []
        self.executed: dict[str, set[str]] = defaultdict(set)
        self.halted: set[str] = set()
        self.checked = self.denied = 0
        self.wrong: list[str] = []

    # --- folding --------------------------------------------------------------------------------------------

    def quote(self, event: Any) -> None:
        self.quotes[event.instrument] = (event.bid, event.ask, event.received_ns)

    def fact(self, fact: Any) -> None:
        match fact:
            case f.EngineStarted():
                self.quotes.clear()
            case f.OrderHeld():
                order = self.orders[fact.client_order_id] = Sent(fact.intent, fact.intent.quantity)
                order.held = True
            case f.HeldResized():
                self.orders[fact.client_order_id].quantity = fact.quantity
            case f.OrderSubmitted():
                self.submitted(fact)
            case f.OrderAccepted():
                order = self.orders[fact.client_order_id]
                order.there = order.left > 0
            case f.OrderRejected() | f.OrderCanceled() | f.OrderExpired() | f.OrderDenied():
                if fact.client_order_id in self.orders:
                    order = self.orders[fact.client_order_id]
                    order.there = order.held = False
            case f.Filled():
                self.filled(fact.fill, fact.reason)
            case f.BreakerTripped(breaker="Limits"):
                self.halted.add(fact.scope.partition(":")[2])
            case f.BreakerReset(breaker="Limits"):
                name = fact.scope.partition(":")[2]
                self.halted.discard(name)
                self.executed[name].clear()
            case f.LimitChanged():
                self.defaults[fact.limit] = fact.new

    def filled(self, fill: Any, reason: str) -> None:
        signed = fill.quantity if fill.side == "buy" else -fill.quantity
        self.held[fill.strategy, fill.instrument] += signed
        self.held["", fill.instrument] += signed
        self.cash -= float(signed * fill.price) + float(fill.fee)
        order = self.orders.get(fill.client_order_id)
        if order is not None:
            order.filled += fill.quantity
            order.there = order.there and order.left > 0
            if not reason and not protects(order.intent):
                self.executed[fill.strategy].add(fill.client_order_id)

    # --- figures --------------------------------------------------------------------------------------------

    def mark(self, instrument: str) -> float:
        bid, ask, _ = self.quotes[instrument]
        return (bid + ask) / 2

    def equity(self) -> float:
        held = {key: quantity for key, quantity in self.held.items() if not key[0] and quantity}
        return self.cash + sum(float(quantity) * self.mark(name) for (_, name), quantity in held.items())

    def coming(self, instrument: str, owner: str, side: str, more: Any = None) -> Decimal:
        """What may still fill on a side, of linked orders the largest."""
        total, groups = Decimal(0), defaultdict[str, Decimal](Decimal)
        pairs = [(order.intent, order.left) for order in self.orders.values() if order.there]
        for intent, left in pairs + ([(more, more.quantity)] if more is not None else []):
            if intent.instrument != instrument or intent.side != side or (owner and intent.strategy != owner):
                continue
            if intent.group:
                groups[intent.group] = max(groups[intent.group], left)
            else:
                total += left
        return total + sum(groups.values(), Decimal(0))

    def sides(self, instrument: str, owner: str, more: Any = None) -> tuple[Decimal, Decimal]:
        held = self.held[owner, instrument]
        return (
            held + self.coming(instrument, owner, "buy", more),
            self.coming(instrument, owner, "sell", more) - held,
        )

    def known(self) -> set[str]:
        return {name for _, name in self.held} | {
            o.intent.instrument for o in self.orders.values() if o.there
        }

    def gross(self, owner: str, more: Any = None) -> float:
        total = 0.0
        for name in self.known() | ({more.instrument} if more is not None else set()):
            worst = max(
                self.sides(name, owner, more if more is not None and more.instrument == name else None)
            )
            total += float(worst) * self.mark(name) if worst else 0.0
        return total

    def net(self, intent: Any, owner: str) -> float:
        index, total = int(intent.side == "sell"), 0.0
        for name in self.known() | {intent.instrument}:
            side = self.sides(name, owner, intent if name == intent.instrument else None)[index]
            total += float(side) * self.mark(name) if side else 0.0
        return total

    def shrinks(self, intent: Any, owner: str) -> bool:
        held = self.held[owner, intent.instrument]
        if not held or (held > 0) == (intent.side == "buy"):
            return False
        return self.coming(intent.instrument, owner, str(intent.side), intent) <= abs(held)

    def lessens(self, intent: Any, owner: str) -> bool:
        held = self.held[owner, intent.instrument]
        if not held or (held > 0) == (intent.side == "buy"):
            return False
        return self.sides(intent.instrument, owner, intent)[int(intent.side == "sell")] < abs(held)

    # --- judging --------------------------------------------------------------------------------------------

    def submitted(self, fact: Any) -> None:
        name, intent = fact.client_order_id, fact.intent
        order = self.orders.get(name)
        if order is None:
            order = self.orders[name] = Sent(intent, fact.quantity)
        order.there = order.held = False
        self.judge(name, intent, fact.now)
        order.intent, order.quantity = intent, order.filled + fact.quantity if order.filled else fact.quantity
        order.there = True
        self.sent_ns.append((fact.now, intent))
        self.checked += 1

    def judge(self, name: str, intent: Any, now: int) -> None:
        own = self.instruments.get(intent.instrument, {})
        for key, value in (self.defaults | own).items():
            self.compare(name, key, value, intent, now, "")
        for key, value in self.strategies.get(intent.strategy, {}).items():
            self.compare(name, key, value, intent, now, intent.strategy)

    def compare(self, name: str, key: str, value: Any, intent: Any, now: int, owner: str) -> None:
        if value in (None, (), False):
            return
        try:
            why = getattr(self, f"_{key}")(value, intent, now, owner)
        except KeyError as unknown:  # without a price only reductions pass
            may = intent.reduce_only or self.shrinks(intent, owner) or self.shrinks(intent, intent.strategy)
            why = "" if may else f"no price of {unknown}"
        if why:
            self.wrong.append(f"{name} at {now}: {key}={value} {owner}: {why} ({intent})")

    def amount(self, value: str) -> float:
        if value.endswith("%"):
            return float(value[:-1]) / 100 * self.equity()
        return float(value.split(maxsplit=1)[0].replace("_", ""))

    def above(self, have: float, value: str) -> str:
        most = self.amount(value)
        return f"{have} > {most}" if have > most + abs(most) * 1e-9 else ""

    def touch(self, intent: Any) -> float:
        bid, ask, _ = self.quotes[intent.instrument]
        return ask if intent.side == "buy" else bid

    def worth(self, intent: Any) -> float:
        own = intent.limit_price or intent.stop_price
        return float(intent.quantity) * max(float(own or 0), self.touch(intent))

    def _max_order_value(self, value: Any, intent: Any, now: int, owner: str) -> str:
        return "" if intent.parent and intent.reduce_only else self.above(self.worth(intent), value)

    def _max_order_quantity(self, value: Any, intent: Any, now: int, owner: str) -> str:
        large = intent.quantity > Decimal(value) and not (intent.parent and intent.reduce_only)
        return str(intent.quantity) if large else ""

    def _price_collar(self, value: Any, intent: Any, now: int, owner: str) -> str:
        if protects(intent) or intent.type == "stop":
            return ""
        mark, age = self.mark(intent.instrument), now - self.quotes[intent.instrument][2]
        price = float(intent.limit_price) if intent.limit_price is not None else self.touch(intent)
        through = (price - mark if intent.side == "buy" else mark - price) / mark
        most = float(str(value).rstrip("%")) / 100
        return f"{through} through, {age} ns old" if through > most * NEAR or age > MINUTE else ""

    def _max_position_quantity(self, value: Any, intent: Any, now: int, owner: str) -> str:
        worst = self.sides(intent.instrument, owner, intent)[int(intent.side == "sell")]
        return str(worst) if worst > Decimal(value) and not self.shrinks(intent, owner) else ""

    def _max_position_value(self, value: Any, intent: Any, now: int, owner: str) -> str:
        worst = self.sides(intent.instrument, owner, intent)[int(intent.side == "sell")]
        if worst <= 0 or self.shrinks(intent, owner):
            return ""
        return self.above(float(worst) * self.mark(intent.instrument), value)

    def _max_exposure(self, value: Any, intent: Any, now: int, owner: str) -> str:
        after = self.gross(owner, intent)
        why = self.above(after, value)
        if not why or self.shrinks(intent, owner):
            return ""
        return "" if after <= self.gross(owner) * NEAR and self.lessens(intent, owner) else why

    def _max_net_exposure(self, value: Any, intent: Any, now: int, owner: str) -> str:
        return "" if self.shrinks(intent, owner) else self.above(self.net(intent, owner), value)

    def _max_leverage(self, value: Any, intent: Any, now: int, owner: str) -> str:
        after = self.gross("", intent)
        if after <= self.equity() * float(value) * NEAR or self.shrinks(intent, ""):
            return ""
        lessens = after <= self.gross("") * NEAR and self.lessens(intent, "")
        return "" if lessens else f"{after} over {self.equity()}"

    def _max_margin(self, value: Any, intent: Any, now: int, owner: str) -> str:
        return self._max_leverage(float(value.rstrip("%")) / 100 * 10, intent, now, owner)

    def _max_positions(self, value: Any, intent: Any, now: int, owner: str) -> str:
        there = {name for name in self.known() if max(self.sides(name, owner)) > 0} | {intent.instrument}
        reduces = intent.reduce_only or self.shrinks(intent, intent.strategy)
        before = any(side > 0 for side in self.sides(intent.instrument, owner))
        return str(there) if len(there) > int(value) and not reduces and not before else ""

    def _max_open_orders(self, value: Any, intent: Any, now: int, owner: str) -> str:
        there = [o for o in self.orders.values() if o.there and not protects(o.intent)]
        mine = [o for o in there if not owner or o.intent.strategy == owner]
        return str(len(mine)) if len(mine) >= int(value) and not excused(intent) else ""

    def _rate(self, value: str, now: int, intents: list[tuple[int, Any]]) -> str:
        count, _, period = value.partition("/")
        window = int(float(period[:-1]) * {"s": 1_000_000_000, "m": MINUTE}[period[-1]])
        recent = sum(when > now - window for when, _ in intents)
        return f"{recent} before" if recent >= int(count) else ""

    def _max_order_rate(self, value: Any, intent: Any, now: int, owner: str) -> str:
        mine = [pair for pair in self.sent_ns if not owner or pair[1].strategy == owner]
        return "" if excused(intent) else self._rate(value, now, mine)

    def _max_identical(self, value: Any, intent: Any, now: int, owner: str) -> str:
        same = [pair for pair in self.sent_ns if terms(pair[1]) == terms(intent)]
        return "" if excused(intent) else self._rate(value, now, same)

    def _max_executions(self, value: Any, intent: Any, now: int, owner: str) -> str:
        if excused(intent) or intent.strategy == "EXTERNAL":
            return ""
        if intent.strategy in self.halted and not self.shrinks(intent, intent.strategy):
            return "the strategy is halted"
        done = len(self.executed[intent.strategy])
        return f"{done} executed" if done >= int(value) and not intent.reduce_only else ""

    def _restricted(self, value: Any, intent: Any, now: int, owner: str) -> str:
        reduces = intent.reduce_only or self.shrinks(intent, intent.strategy)
        return "restricted" if intent.instrument in value and not reduces else ""

    def _long_only(self, value: Any, intent: Any, now: int, owner: str) -> str:
        short = self.sides(intent.instrument, owner, intent)[1]
        wrong = intent.side == "sell" and short > 0 and not self.shrinks(intent, owner)
        return f"{short} short" if wrong else ""

    def enters(self, intent: Any) -> bool:
        reduces = intent.reduce_only or self.shrinks(intent, intent.strategy)
        return not (intent.parent or intent.sweep or reduces)

    def away(self, intent: Any) -> float | None:
        if intent.stop_loss is None:
            return None
        price = float(intent.limit_price or intent.stop_price or self.touch(intent))
        return abs(price - float(intent.stop_loss)) / price

    def _require_stop(self, value: Any, intent: Any, now: int, owner: str) -> str:
        return "no stop" if intent.stop_loss is None and self.enters(intent) else ""

    def _max_stop(self, value: Any, intent: Any, now: int, owner: str) -> str:
        away = self.away(intent)
        far = away is not None and away > float(value.rstrip("%")) / 100 * NEAR
        return f"{away} away" if far and self.enters(intent) else ""

    def _max_risk(self, value: Any, intent: Any, now: int, owner: str) -> str:
        if not self.enters(intent):
            return ""
        away = self.away(intent)
        return self.above(self.worth(intent) * (1.0 if away is None else away), value)


def protects(intent: Any) -> bool:
    return bool(intent.reduce_only and (intent.parent or intent.sweep))


def excused(intent: Any) -> bool:
    return protects(intent) or bool(intent.reduce_only and intent.who)


def terms(intent: Any) -> tuple[Any, ...]:
    names = ["account", "strategy", "instrument", "side", "type", "quantity", "limit_price", "stop_price"]
    return tuple(getattr(intent, name) for name in names)
