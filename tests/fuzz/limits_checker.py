"""Works every limit out again, from nothing but a journal's facts and a tape's quotes, and by other means.

It shares no code with the gate, the view or the limits: it folds the facts into books of its own, and for every order
that was sent compares what it finds with what was configured.
"""

from collections import Counter, defaultdict
from collections.abc import Collection
from decimal import Decimal
from itertools import pairwise
from statistics import StatisticsError, correlation
from typing import Any, NamedTuple

from fairlead import facts as f

NEAR = 1 + 1e-9
MINUTE = 60_000_000_000


class Where(NamedTuple):
    """What a limit counts: of one strategy, of some instruments, with one tag; of all where nothing is said."""

    owner: str = ""
    members: Collection[str] | None = None
    tag: str = ""

    def has(self, intent: Any) -> bool:
        """Whether an order is in it."""
        mine = self.owner in ("", intent.strategy) and self.tag in ("", intent.tag)
        return mine and (self.members is None or intent.instrument in self.members)


class Sent:
    """An order as the facts tell of it."""

    def __init__(self, intent: Any, quantity: Decimal) -> None:
        self.intent = intent
        self.quantity = quantity
        self.filled = Decimal(0)
        self.before = quantity
        self.there = False
        self.held = False
        self.unknown = False

    def stand(self, quantity: Decimal) -> None:
        """It is known what it is to fill in all."""
        self.quantity = quantity
        self.there = self.there and self.left > 0

    @property
    def left(self) -> Decimal:
        return max(self.quantity - self.filled, Decimal(0))


class Checker:
    """Takes facts and quotes in the order of their numbers. `wrong` are the orders past a limit, in words."""

    def __init__(self, limits: dict[str, Any], cash: float, names: Collection[str]) -> None:
        self.names = names
        self.defaults = {name: value for name, value in limits.items() if not isinstance(value, dict)}
        self.instruments = limits.get("instruments", {})
        self.strategies = limits.get("strategies", {})
        self.groups = limits.get("groups", {})
        self.orders: dict[str, Sent] = {}
        self.held: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self.quotes: dict[str, tuple[float, float, int]] = {}
        self.cash = cash
        self.sent_ns: list[tuple[int, Any]] = []
        self.canceled_ns: list[tuple[int, Any]] = []
        self.minutes: dict[str, list[float]] = defaultdict(list)
        self.next_minute = 0
        self.seen: Counter[str] = Counter()
        """What there was to see: which kinds of orders and happenings."""
        self.executed: dict[str, set[str]] = defaultdict(set)
        self.before: dict[str, set[str]] = defaultdict(set)
        """What was executed before a person reset the count: more of it counts no more."""
        self.halted: set[str] = set()
        self.checked = self.denied = 0
        self.wrong: list[str] = []

    # --- folding --------------------------------------------------------------------------------------------

    def quote(self, event: Any) -> None:
        self.sample(event.received_ns)
        self.quotes[event.instrument] = (event.bid, event.ask, event.received_ns)

    def sample(self, now: int) -> None:
        """Keep the mark of each instrument at every full minute that has passed since the start."""
        while self.next_minute and self.next_minute <= now:
            for name in self.names:
                self.minutes[name].append(self.mark(name) if name in self.quotes else 0.0)
            self.next_minute += MINUTE

    def fact(self, fact: Any) -> None:
        self.sample(fact.now)
        self.see(fact)
        match fact:
            case f.EngineStarted():
                self.quotes.clear()
                self.canceled_ns.clear()
                self.minutes.clear()
                self.next_minute = fact.now - fact.now % MINUTE + MINUTE
            case f.CancelRequested() if fact.client_order_id in self.orders:
                self.canceled_ns.append((fact.now, self.orders[fact.client_order_id].intent))
            case f.OrderUnknown() if fact.client_order_id in self.orders:
                self.orders[fact.client_order_id].unknown = True
            case f.OrderHeld():
                order = self.orders[fact.client_order_id] = Sent(fact.intent, fact.intent.quantity)
                order.held = True
            case f.HeldResized():
                self.orders[fact.client_order_id].quantity = fact.quantity
            case f.OrderSubmitted():
                self.submitted(fact)
            case f.ReplaceRequested():
                self.replaced(fact)
            case f.OrderReplaced():
                self.orders[fact.client_order_id].stand(fact.quantity)
            case f.ReplaceRefused():
                order = self.orders[fact.client_order_id]
                order.stand(order.before)
            case f.OrderAccepted():
                order = self.orders[fact.client_order_id]
                order.there, order.unknown = order.left > 0, False
            case f.OrderRejected() | f.OrderCanceled() | f.OrderExpired() | f.OrderDenied():
                if fact.client_order_id in self.orders:
                    order = self.orders[fact.client_order_id]
                    order.there = order.held = order.unknown = False
            case f.Filled():
                self.filled(fact.fill, fact.reason)
            case f.BreakerTripped(breaker="Limits"):
                self.halted.add(fact.scope.partition(":")[2])
            case f.BreakerReset(breaker="Limits"):
                name = fact.scope.partition(":")[2]
                self.halted.discard(name)
                self.before[name] |= self.executed[name]
                self.executed[name].clear()
            case f.LimitChanged(limit="max_cancel_rate"):  # of a lower one so many were remembered
                self.canceled_ns = self.canceled_ns[-int(fact.old.partition("/")[0]) :]
                self.defaults[fact.limit] = fact.new
            case f.LimitChanged():
                self.defaults[fact.limit] = fact.new

    def see(self, fact: Any) -> None:
        """Count what tells how far the dice have come."""
        match fact:
            case f.EngineStarted(epoch=epoch) if epoch > 1:
                self.seen["restarts"] += 1
            case f.OrderTriggered():
                self.seen["held orders triggered"] += 1
            case f.OrderUnknown():
                self.seen["orders in doubt"] += 1
            case f.Commanded():
                self.seen[f"{fact.verb} by a person"] += 1
            case f.OrderSubmitted():
                intent = fact.intent
                self.seen["sent by a person"] += bool(intent.who and not intent.sweep)
                self.seen["sent by a flatten"] += bool(intent.sweep)
                self.seen["sent as a bracket's exit"] += bool(intent.exits)
                self.seen["sent in the place of another"] += bool(intent.replaces)
                self.seen["sent while others work"] += any(o.there for o in self.orders.values())
                self.seen["sent while others are in doubt"] += any(o.unknown for o in self.orders.values())
            case f.Filled(fill=fill) if fill.client_order_id in self.orders:
                self.seen["fills in parts"] += fill.quantity < self.orders[fill.client_order_id].left
            case f.FillReversed():
                self.seen["fills taken back"] += 1
            case f.OrderDenied():
                for reason in fact.reasons:
                    if reason.startswith("Limits: "):
                        self.seen["orders refused by a limit"] += 1

    def filled(self, fill: Any, reason: str) -> None:
        signed = fill.quantity if fill.side == "buy" else -fill.quantity
        self.held[fill.strategy, fill.instrument] += signed
        self.held["", fill.instrument] += signed
        self.cash -= float(signed * fill.price) + float(fill.fee)
        order = self.orders.get(fill.client_order_id)
        if order is not None:
            order.filled += fill.quantity
            order.there = order.there and order.left > 0
            order.unknown = False
            if (
                not reason
                and not protects(order.intent)
                and fill.client_order_id not in self.before[fill.strategy]
            ):
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

    def within(self, where: Where, names: set[str]) -> set[str]:
        return names if where.members is None else names & set(where.members)

    def gross(self, where: Where, more: Any = None) -> float:
        total = 0.0
        for name in self.within(where, self.known() | ({more.instrument} if more is not None else set())):
            worst = max(
                self.sides(name, where.owner, more if more is not None and more.instrument == name else None)
            )
            total += float(worst) * self.mark(name) if worst else 0.0
        return total

    def net(self, intent: Any, where: Where) -> float:
        index, total = int(intent.side == "sell"), 0.0
        for name in self.within(where, self.known() | {intent.instrument}):
            side = self.sides(name, where.owner, intent if name == intent.instrument else None)[index]
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

    def replaced(self, fact: Any) -> None:
        """New terms of an order are judged as if it were gone; until they are confirmed the larger quantity counts."""
        order = self.orders[fact.client_order_id]
        fields = {name: getattr(order.intent, name) for name in order.intent.__struct_fields__}
        fields |= {
            "quantity": fact.quantity - order.filled,
            "limit_price": fact.limit_price,
            "stop_price": fact.stop_price,
        }
        intent = type(order.intent)(**fields)
        order.there = False
        self.judge(fact.client_order_id, intent, fact.now)
        order.there, order.before = True, order.quantity
        order.intent, order.quantity = intent, max(order.quantity, fact.quantity)
        self.sent_ns.append((fact.now, intent))
        self.seen["replaced in place"] += 1
        self.checked += 1

    def judge(self, name: str, intent: Any, now: int) -> None:
        own = self.instruments.get(intent.instrument, {})
        for key, value in (self.defaults | own).items():
            self.compare(name, key, value, intent, now, Where())
        for owner, table in self.strategies.items():
            self.compare_all(name, table, intent, now, Where(owner))
        for group, table in self.groups.items():
            self.compare_all(name, table, intent, now, self.group(group, table))

    def group(self, name: str, table: dict[str, Any]) -> Where:
        kind, _, value = name.partition(":")
        if table.get("members"):
            return Where(members=table["members"])
        if kind == "tag":
            return Where(tag=value)
        return Where(members=[i for i in self.names if kind == "venue" or i.startswith(f"{value}/")])

    def compare_all(self, name: str, table: dict[str, Any], intent: Any, now: int, where: Where) -> None:
        for key, value in table.items():
            if key != "members" and where.has(intent):
                self.compare(name, key, value, intent, now, where)

    def compare(self, name: str, key: str, value: Any, intent: Any, now: int, where: Where) -> None:
        if value in (None, (), False):
            return
        try:
            why = getattr(self, f"_{key}")(value, intent, now, where)
        except KeyError as unknown:  # without a price only reductions pass
            mine = self.shrinks(intent, where.owner) or self.shrinks(intent, intent.strategy)
            why = "" if intent.reduce_only or mine else f"no price of {unknown}"
        if why:
            self.wrong.append(f"{name} at {now}: {key}={value} {where}: {why} ({intent})")

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

    def _max_order_value(self, value: Any, intent: Any, now: int, where: Where) -> str:
        return "" if intent.parent and intent.reduce_only else self.above(self.worth(intent), value)

    def _max_order_quantity(self, value: Any, intent: Any, now: int, where: Where) -> str:
        large = intent.quantity > Decimal(value) and not (intent.parent and intent.reduce_only)
        return str(intent.quantity) if large else ""

    def _price_collar(self, value: Any, intent: Any, now: int, where: Where) -> str:
        if protects(intent) or intent.type == "stop":
            return ""
        mark, age = self.mark(intent.instrument), now - self.quotes[intent.instrument][2]
        price = float(intent.limit_price) if intent.limit_price is not None else self.touch(intent)
        through = (price - mark if intent.side == "buy" else mark - price) / mark
        most = float(str(value).rstrip("%")) / 100
        return f"{through} through, {age} ns old" if through > most * NEAR or age > MINUTE else ""

    def _max_position_quantity(self, value: Any, intent: Any, now: int, where: Where) -> str:
        worst = self.sides(intent.instrument, where.owner, intent)[int(intent.side == "sell")]
        return str(worst) if worst > Decimal(value) and not self.shrinks(intent, where.owner) else ""

    def _max_position_value(self, value: Any, intent: Any, now: int, where: Where) -> str:
        worst = self.sides(intent.instrument, where.owner, intent)[int(intent.side == "sell")]
        if worst <= 0 or self.shrinks(intent, where.owner):
            return ""
        return self.above(float(worst) * self.mark(intent.instrument), value)

    def _max_exposure(self, value: Any, intent: Any, now: int, where: Where) -> str:
        after = self.gross(where, intent)
        why = self.above(after, value)
        if not why or self.shrinks(intent, where.owner):
            return ""
        return "" if after <= self.gross(where) * NEAR and self.lessens(intent, where.owner) else why

    def _max_net_exposure(self, value: Any, intent: Any, now: int, where: Where) -> str:
        return "" if self.shrinks(intent, where.owner) else self.above(self.net(intent, where), value)

    def _max_leverage(self, value: Any, intent: Any, now: int, where: Where) -> str:
        after = self.gross(Where(), intent)
        if after <= self.equity() * float(value) * NEAR or self.shrinks(intent, ""):
            return ""
        lessens = after <= self.gross(Where()) * NEAR and self.lessens(intent, "")
        return "" if lessens else f"{after} over {self.equity()}"

    def _max_margin(self, value: Any, intent: Any, now: int, where: Where) -> str:
        return self._max_leverage(float(value.rstrip("%")) / 100 * 10, intent, now, where)

    def _max_positions(self, value: Any, intent: Any, now: int, where: Where) -> str:
        known = self.within(where, self.known())
        there = {name for name in known if max(self.sides(name, where.owner)) > 0} | {intent.instrument}
        reduces = intent.reduce_only or self.shrinks(intent, intent.strategy)
        before = any(side > 0 for side in self.sides(intent.instrument, where.owner))
        return str(there) if len(there) > int(value) and not reduces and not before else ""

    def _max_open_orders(self, value: Any, intent: Any, now: int, where: Where) -> str:
        there = [o for o in self.orders.values() if o.there and not protects(o.intent)]
        mine = [o for o in there if where.has(o.intent)]
        return str(len(mine)) if len(mine) >= int(value) and not excused(intent) else ""

    def _rate(self, value: str, now: int, intents: list[tuple[int, Any]]) -> str:
        count, _, period = value.partition("/")
        window = int(float(period[:-1]) * {"s": 1_000_000_000, "m": MINUTE}[period[-1]])
        recent = sum(when > now - window for when, _ in intents)
        return f"{recent} before" if recent >= int(count) else ""

    def _max_order_rate(self, value: Any, intent: Any, now: int, where: Where) -> str:
        mine = [pair for pair in self.sent_ns if where.has(pair[1])]
        return "" if excused(intent) else self._rate(value, now, mine)

    def _max_identical(self, value: Any, intent: Any, now: int, where: Where) -> str:
        same = [pair for pair in self.sent_ns if terms(pair[1]) == terms(intent) and where.has(pair[1])]
        return "" if excused(intent) else self._rate(value, now, same)

    def _max_cancel_rate(self, value: Any, intent: Any, now: int, where: Where) -> str:
        mine = [pair for pair in self.canceled_ns if where.has(pair[1])]
        return "" if excused(intent) else self._rate(value, now, mine)

    def _max_unknown_orders(self, value: Any, intent: Any, now: int, where: Where) -> str:
        doubtful = [o for o in self.orders.values() if o.there and o.unknown and where.has(o.intent)]
        return str(len(doubtful)) if len(doubtful) >= int(value) and not excused(intent) else ""

    def _min_free(self, value: Any, intent: Any, now: int, where: Where) -> str:
        if intent.reduce_only or self.shrinks(intent, "") or self.shrinks(intent, intent.strategy):
            return ""
        free, least = self.equity() - self.gross(Where(), intent) / 10, self.amount(value)
        return f"{free} < {least}" if free < least - abs(least) * 1e-9 else ""

    def _max_correlation(self, value: Any, intent: Any, now: int, where: Where) -> str:
        if intent.reduce_only or self.shrinks(intent, intent.strategy):
            return ""
        sign = 1 if intent.side == "buy" else -1
        for name in self.within(where, self.known()) - {intent.instrument}:
            held = self.held[where.owner, name]
            if held:
                both = self.alike(intent.instrument, name)
                if both is None or both * sign * (1 if held > 0 else -1) > float(value) * NEAR:
                    return f"{both} with {name}"
        return ""

    def alike(self, one: str, other: str) -> float | None:
        """Pearson's, of the returns by the minute over two hours; None where there are fewer than twenty."""
        pairs = list(zip(self.minutes[one][-121:], self.minutes[other][-121:], strict=True))
        moves = [(b[0] / a[0], b[1] / a[1]) for a, b in pairwise(pairs) if all((*a, *b))]
        try:
            return correlation(*zip(*moves, strict=True)) if len(moves) >= 20 else None
        except StatisticsError:
            return 0.0

    def _max_executions(self, value: Any, intent: Any, now: int, where: Where) -> str:
        if excused(intent) or intent.strategy == "EXTERNAL":
            return ""
        if intent.strategy in self.halted and not self.shrinks(intent, intent.strategy):
            return "the strategy is halted"
        done = len(self.executed[intent.strategy])
        return f"{done} executed" if done >= int(value) and not intent.reduce_only else ""

    def _restricted(self, value: Any, intent: Any, now: int, where: Where) -> str:
        reduces = intent.reduce_only or self.shrinks(intent, intent.strategy)
        return "restricted" if intent.instrument in value and not reduces else ""

    def _allowed(self, value: Any, intent: Any, now: int, where: Where) -> str:
        reduces = intent.reduce_only or self.shrinks(intent, intent.strategy)
        return "not allowed" if intent.instrument not in value and not reduces else ""

    def _hours(self, value: Any, intent: Any, now: int, where: Where) -> str:
        begin, end = (int(part[:2]) * 60 + int(part[3:]) for part in value.split()[0].split("-"))
        minute = now // MINUTE % (24 * 60)
        return f"minute {minute}" if not begin <= minute < end and not protects(intent) else ""

    def _long_only(self, value: Any, intent: Any, now: int, where: Where) -> str:
        short = self.sides(intent.instrument, where.owner, intent)[1]
        wrong = intent.side == "sell" and short > 0 and not self.shrinks(intent, where.owner)
        return f"{short} short" if wrong else ""

    def enters(self, intent: Any) -> bool:
        reduces = intent.reduce_only or self.shrinks(intent, intent.strategy)
        return not (intent.parent or intent.sweep or reduces)

    def away(self, intent: Any) -> float | None:
        if intent.stop_loss is None:
            return None
        price = float(intent.limit_price or intent.stop_price or self.touch(intent))
        return abs(price - float(intent.stop_loss)) / price

    def _require_stop(self, value: Any, intent: Any, now: int, where: Where) -> str:
        return "no stop" if intent.stop_loss is None and self.enters(intent) else ""

    def _min_stop(self, value: Any, intent: Any, now: int, where: Where) -> str:
        away = self.away(intent)
        near = away is not None and away * NEAR < float(value.rstrip("%")) / 100
        return f"{away} away" if near and self.enters(intent) else ""

    def _max_stop(self, value: Any, intent: Any, now: int, where: Where) -> str:
        away = self.away(intent)
        far = away is not None and away > float(value.rstrip("%")) / 100 * NEAR
        return f"{away} away" if far and self.enters(intent) else ""

    def _max_risk(self, value: Any, intent: Any, now: int, where: Where) -> str:
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
