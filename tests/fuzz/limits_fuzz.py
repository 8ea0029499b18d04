"""Throws strategies, limits and faults together by dice, and has every order that was sent checked again.

    ./dev fuzz-limits --orders 10000 [--seed 1]

Each round is a kernel on a bench with limits drawn by dice. Strategies buy, sell, bracket, cancel, replace and burst,
at sizes up to a thousand times too large; answers get lost, come twice, in the wrong order or not at all, fills come
in parts; engines restart, and people change limits, flatten and reset. Ends with 1 where an order passed a limit.
"""

import argparse
import random
import re
import sys
from collections import Counter
from typing import Any

import attrs

from fairlead import ConfigurationError, OrderType
from fairlead.facts import OrderDenied
from fairlead.testing import (
    EVERYTHING,
    MARKET_AND_LIMIT,
    Bench,
    FakeBroker,
    Puppet,
    accept,
    duplicated,
    fill,
    lose,
    make_instrument,
    reject,
    reordered,
    silence,
)
from fairlead.testing.broker import change
from fairlead_breakers import Limits
from fuzz.limits_checker import Checker

SYMBOLS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "XRP/USDT:USDT")
IDS = tuple(f"{symbol}@fake" for symbol in SYMBOLS)
CASH = 1_000_000
STEPS = 150

LIMITS: dict[str, tuple[Any, ...]] = {
    "max_order_value": ("10_000 USDT", "1%", "50_000 USDT"),
    "max_order_quantity": (20, 200),
    "price_collar": ("0.05%", "1%", "5%"),
    "max_position_quantity": (50, 500),
    "max_position_value": ("20_000 USDT", "5%", "200_000 USDT"),
    "max_positions": (1, 2),
    "max_exposure": ("50_000 USDT", "20%", "500_000 USDT"),
    "max_net_exposure": ("30_000 USDT", "10%"),
    "max_leverage": ("0.05", "0.5", "2"),
    "max_margin": ("1%", "10%"),
    "max_open_orders": (2, 10),
    "max_order_rate": ("3/1s", "20/1m"),
    "max_identical": ("1/1s", "3/1m"),
    "max_executions": (5, 30),
    "restricted": ((IDS[2],),),
    "long_only": (True,),
    "require_stop": (True,),
    "max_stop": ("3%",),
    "max_risk": ("500 USDT", "0.2%"),
    "min_free": ("980_000 USDT", "99%"),
    "max_cancel_rate": ("1/10s", "3/1m"),
    "max_unknown_orders": (1, 2),
    "allowed": (IDS[:2], IDS[1:]),
    "hours": ("00:00-00:20 UTC", "00:02-00:40 UTC"),
    "min_stop": ("2%",),
    "max_correlation": ("0.3", "0.8"),
}
OF_INSTRUMENTS = ("max_order_value", "max_order_quantity", "max_position_value", "max_position_quantity")
OF_GROUPS = (
    "max_exposure", "max_net_exposure", "max_positions", "max_order_rate", "max_open_orders", "max_identical",
    "max_unknown_orders", "max_correlation",
)  # fmt: skip
GROUPS: dict[str, dict[str, Any]] = {
    "base:BTC": {},
    "venue:fake": {},
    "majors": {"members": IDS[:2]},
    "tag:fast": {},
}
OF_TAGS = ("max_order_rate", "max_open_orders", "max_identical", "max_order_value", "max_unknown_orders")
OF_STRATEGIES = ("max_exposure", "max_position_value", "max_order_rate", "max_open_orders", "max_order_value")


WORDS = {
    "max_order_value": "order value", "max_order_quantity": "order quantity", "price_collar": "price_collar|collar",
    "max_position_quantity": "position of|position quantity", "max_position_value": "position value",
    "max_exposure": "(^|[^t] )exposure", "max_net_exposure": "net exposure", "max_leverage": "leverage",
    "max_margin": "margin", "restricted": "is restricted", "allowed": "among what is allowed",
    "hours": "not traded now", "long_only": "long_only|short", "require_stop": "require_stop",
    "min_stop": "nearer than", "max_stop": "farther than", "max_risk": "risk", "min_free": "free",
    "max_correlation": "correlation",
} | {name: name for name in (
    "max_positions", "max_open_orders", "max_order_rate", "max_cancel_rate", "max_unknown_orders", "max_identical",
    "max_executions",
)}  # fmt: skip
"""By which words of a reason its limit is known."""


class Tape:
    """Keeps the quotes with their numbers."""

    def __init__(self) -> None:
        self.events: list[tuple[int, Any]] = []

    def append(self, seq: int, event: Any) -> None:
        self.events.append((seq, event))


def drawn(dice: random.Random) -> dict[str, Any]:
    """Limits by dice."""
    names = dice.sample(sorted(LIMITS), dice.randint(1, 5))
    limits = {name: dice.choice(LIMITS[name]) for name in names}
    if dice.random() < 0.3:
        name = dice.choice(OF_INSTRUMENTS)
        limits["instruments"] = {IDS[0]: {name: dice.choice(LIMITS[name])}}
    if dice.random() < 0.3:
        name = dice.choice(OF_STRATEGIES)
        limits["strategies"] = {"one": {name: dice.choice(LIMITS[name])}}
    if dice.random() < 0.5:
        group = dice.choice(sorted(GROUPS))
        name = dice.choice(OF_TAGS if group.startswith("tag:") else OF_GROUPS)
        limits["groups"] = {group: {**GROUPS[group], name: dice.choice(LIMITS[name])}}
    return limits


class Round:
    """One kernel, its limits and what is thrown at it."""

    def __init__(self, seed: int) -> None:
        self.dice = dice = random.Random(seed)
        self.limits = drawn(dice)
        broker = FakeBroker(
            *[make_instrument(symbol, tick="0.01") for symbol in SYMBOLS],
            cash=f"{CASH} USDT",
            profile=attrs.evolve(
                dice.choice([EVERYTHING, MARKET_AND_LIMIT]),
                replaces=dice.choice([frozenset(), frozenset({OrderType.LIMIT, OrderType.STOP})]),
            ),
        )
        broker.fee = 0
        strategies = [Puppet(*SYMBOLS, name=name, allocation="50%") for name in ("one", "two")]
        self.bench = Bench(*strategies, broker=broker, breakers=[Limits(**self.limits)])
        self.tape = Tape()
        self.prices = dict.fromkeys(IDS, 100.0)
        self._attach()

    def _attach(self) -> None:
        self.bench.kernel._tape = self.tape
        for name in IDS:
            self._quote(name)

    def _quote(self, name: str) -> None:
        price, spread = self.prices[name], self.dice.choice([0.0, 0.0002, 0.004])
        bid, ask = round(price * (1 - spread), 2), round(price * (1 + spread), 2)
        self.bench.quote(bid, ask, instrument=name)

    def run(self) -> Checker:
        """Throw, then check."""
        for _ in range(STEPS):
            self.step()
        return self.checked()

    def step(self) -> None:
        """One thing, drawn by dice."""
        happen = self.dice.choices(
            (
                self._move,
                self._trade,
                self._burst,
                self._wait,
                self._fill,
                self._take_back,
                self._person,
                self._die,
            ),
            (30, 40, 3, 12, 8, 8, 2, 1),
        )[0]
        happen()

    def _move(self) -> None:
        name = self.dice.choice(IDS)
        jump = 0.2 if self.dice.random() < 0.03 else 0.01
        self.prices[name] = max(1.0, self.prices[name] * (1 + self.dice.uniform(-jump, jump)))
        self._quote(name)

    def _trade(self) -> None:
        dice = self.dice
        broker = self.bench.broker
        if dice.random() < 0.3:
            scripts = (
                lose(), lose(arrived=False), silence(), reject(), duplicated(fill()), reordered(fill()), accept(),
            )  # fmt: skip
            broker.answers.append(dice.choice(scripts))
        name, buys = dice.choice(IDS), dice.random() < 0.5
        price = self.prices[name]
        size = round(10 ** dice.uniform(-1, 2.2), 3) * (1_000 if dice.random() < 0.02 else 1)
        more: dict[str, Any] = {"instrument": name, "tag": dice.choice(("", "fast"))}
        kind = dice.choice(("market", "market", "limit", "bracket", "stop", "reduce", "close"))
        away = 1 - dice.uniform(0.001, 0.06) if buys else 1 + dice.uniform(0.001, 0.06)
        if kind == "limit":
            more["limit_price"] = round(price * dice.uniform(0.93, 1.07), 2)
        elif kind == "bracket":
            more["stop_loss"] = round(price * away, 2)
            if dice.random() < 0.5:
                more["take_profit"] = round(price * (2 - away), 2)
        elif kind == "stop":
            more["stop_price"] = round(price * (2 - away), 2)
        more["reduce_only"] = kind == "reduce"
        strategy = dice.randrange(2)

        def act(one: Any) -> None:
            if kind == "close":
                one.close(name)
            else:
                (one.buy if buys else one.sell)(size, **more)

        self.bench.do(act, strategy)

    def _burst(self) -> None:
        name, count, size = (
            self.dice.choice(IDS),
            self.dice.randint(5, 60),
            self.dice.choice(["0.5", "3", "20"]),
        )
        side = self.dice.choice(("buy", "sell"))
        self.bench.do(
            lambda one: [getattr(one, side)(size, instrument=name) for _ in range(count)],
            self.dice.randrange(2),
        )

    def _wait(self) -> None:
        self.bench.advance(self.dice.choice(("1ms", "100ms", "1s", "7s", "90s", "5m")))

    def _fill(self) -> None:
        broker = self.bench.broker
        if broker.working:
            name = self.dice.choice(sorted(broker.working))
            left = broker.working[name].left
            part = round(left * self.dice.choice((1, 1, 2)) / 2, 3)
            broker.fill(
                name, part or left, round(self.prices[broker.working[name].submit.intent.instrument], 2)
            )

    def _take_back(self) -> None:
        strategy = self.dice.randrange(2)
        orders = [o for o in self.bench.strategies[strategy].orders() if not o.intent.exits]
        if not orders:
            return
        order = self.dice.choice(orders)
        if self.dice.random() < 0.5:
            self.bench.do(lambda one: one.cancel(order), strategy)
        else:
            broker = self.bench.broker
            broker.replaces = self.dice.choice((change, change, silence(), lose()))
            terms: dict[str, float] = {"quantity": float(order.quantity) * self.dice.choice((0.5, 3))}
            if order.limit_price is not None and self.dice.random() < 0.5:
                terms["limit_price"] = round(float(order.limit_price) * self.dice.uniform(0.95, 1.05), 2)
            self.bench.do(lambda one: one.replace(order, **terms), strategy)

    def _person(self) -> None:
        command, limits = self.bench.kernel.command, self.bench.breakers[0].limits()
        what = self.dice.choice(("flatten", "reset", "limit", "limit", "submit", "submit"))
        try:
            if what == "submit":
                self._order_by_hand()
                return
            if what == "flatten":
                scope = f"strategy:{self.dice.choice(('one', 'two'))}"
                command("flatten", "eve", "to see", scope=scope)
                command("resume", "eve", "seen", scope=scope)
            elif what == "reset":
                command("reset", "eve", "go on", breaker="Limits")
            elif names := sorted(set(limits) & set(LIMITS)):
                name = self.dice.choice(names)
                command(
                    "limit",
                    "eve",
                    "to see",
                    name=name,
                    value=str(self.dice.choice(LIMITS[name])),
                    confirm="true",
                )
        except ConfigurationError:
            pass  # amounts that cannot be compared

    def _order_by_hand(self) -> None:
        """A person's order, for a strategy or for nobody."""
        dice = self.dice
        name = dice.choice(IDS)
        terms = {
            "instrument": name,
            "side": dice.choice(("buy", "sell")),
            "quantity": str(round(10 ** dice.uniform(-1, 2.5), 3)),
        }
        terms |= (
            {"limit_price": str(round(self.prices[name] * dice.uniform(0.95, 1.05), 2))}
            if dice.random() < 0.5
            else {}
        )
        terms |= {"reduce_only": "true"} if dice.random() < 0.3 else {}
        terms |= {"strategy": dice.choice(("one", "two"))} if dice.random() < 0.5 else {}
        self.bench.kernel.command("submit", "eve", "by hand", **terms)

    def _die(self) -> None:
        self.bench.breakers = [Limits(**self.limits)]
        self.bench.restart(down=self.dice.choice(("1s", "30s")), power_cut=self.dice.random() < 0.2)
        self._attach()

    def refusals(self) -> Counter[str]:
        """How often each limit that stands alone has spoken."""
        found: Counter[str] = Counter()
        for fact in self.bench.of(OrderDenied):
            for reason in fact.reasons:
                if reason.startswith("Limits: "):
                    found.update(name for name, words in WORDS.items() if re.search(words, reason))
        return found

    def checked(self) -> Checker:
        """Read journal and tape in their one order."""
        checker = Checker(self.limits, CASH, IDS)
        facts = [(fact.seq, 1, fact) for fact in self.bench.journal.facts]
        quotes = [(seq, 0, event) for seq, event in self.tape.events]
        for _, is_fact, item in sorted(facts + quotes, key=lambda row: row[:2]):
            (checker.fact if is_fact else checker.quote)(item)
        checker.denied = len(self.bench.of(OrderDenied))
        return checker


def names_of(limits: dict[str, Any]) -> set[str]:
    """The limits that were drawn, with their table where they stand in one."""
    names = {name for name in limits if name in LIMITS}
    for table in ("instruments", "strategies", "groups"):
        for rows in limits.get(table, {}).values():
            names |= {f"{name} ({table})" for name in rows if name in LIMITS}
    return names


class Tally:
    """What a number of rounds came to."""

    def __init__(self) -> None:
        self.sent = self.denied = self.rounds = 0
        self.wrong: list[str] = []
        self.seen: Counter[str] = Counter()
        self.drawn: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def add(self, one: Round) -> None:
        """Run a round and count it."""
        checker = one.run()
        self.rounds += 1
        self.sent, self.denied = self.sent + checker.checked, self.denied + checker.denied
        self.seen += checker.seen
        self.drawn.update(names_of(one.limits))
        self.refused.update(one.refusals())
        self.wrong += checker.wrong

    def table(self) -> str:
        """How often each limit was there, and each thing happened."""
        lines = [f"{'limit':<36}{'rounds':>9}{'refusals':>10}"]
        for name in sorted(self.drawn):
            plain = name.partition(" ")[0]
            lines.append(
                f"{name:<36}{self.drawn[name]:>9,}{self.refused[plain] if plain == name else '':>10}"
            )
        lines += ["", f"{'what happened':<36}{'times':>9}"]
        lines += [f"{name:<36}{self.seen[name]:>9,}" for name in sorted(self.seen)]
        return "\n".join(lines)


def fuzz(orders: int, seed: int = 0) -> Tally:
    """Rounds until so many orders were sent: how many were sent and denied, what was seen, and what was wrong."""
    tally = Tally()
    while tally.sent < orders:
        before = len(tally.wrong)
        tally.add(Round(seed))
        tally.wrong[before:] = [f"seed {seed}: {text}" for text in tally.wrong[before:]]
        seed += 1
    return tally


def main() -> int:
    """Fuzz, and say what came of it."""
    parser = argparse.ArgumentParser(prog="dev fuzz-limits", description=__doc__.partition("\n")[0])
    parser.add_argument("--orders", type=int, default=10_000, help="how many are to be sent")
    parser.add_argument("--seed", type=int, default=0, help="the first round's dice")
    given = parser.parse_args()
    found = fuzz(given.orders, given.seed)
    print(*found.wrong, sep="\n", end="\n" if found.wrong else "")
    print(found.table(), end="\n\n")
    print(f"{found.sent:,} orders sent, {found.denied:,} denied, {len(found.wrong)} past a limit")
    return bool(found.wrong)


if __name__ == "__main__":
    sys.exit(main())
