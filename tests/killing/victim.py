"""The engine that is killed: victim.py FOLDER ADDRESS [--plain] [--quiet] [--die LABEL --pass N].

It dies by its own SIGKILL at the Nth passing of a labelled moment; whoever started it may kill it at any other. The
labels are put around methods from here: nothing that is shipped knows of them.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import random
import signal
import threading
from pathlib import Path
from typing import Any

import attrs
import unsafe

from fairlead import ConfigurationError, LiveTradingEngine, Order, OrderType, Strategy, TimeInForce
from fairlead._engine import keeping
from fairlead._engine.keeping import SnapshotKeeper
from fairlead._engine.live import Session
from fairlead._kernel.reports import Reports
from fairlead._kernel.state import fingerprint
from fairlead._storage.journal import Journal
from fairlead._storage.segments import SegmentWriter
from fairlead.hookspecs import hookimpl
from fairlead.ports import Submit, VenueProfile
from fairlead_breakers import Limits
from fairlead_sim import RemoteBroker
from fairlead_sim.profile import full_profile
from fairlead_streams import SyntheticStream

BTC = "BTC/USDT:USDT"
MARKET = {"seed": 5, "volatility": "150%", "every": "20ms"}
"""One market, which this process and the one that moves the venue make for themselves."""

MS = 1_000_000


class Doom:
    """Ends this process at the Nth passing of one labelled moment."""

    def __init__(self, label: str, passes: int) -> None:
        self.label, self._left = label, passes

    def at(self, label: str) -> None:
        if self.due(label):
            self.now()

    def due(self, label: str) -> bool:
        if label == self.label:
            self._left -= 1
        return label == self.label and self._left == 0

    def now(self) -> None:
        os.write(1, b"label\n")
        os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()


class Stubborn(Strategy):
    """Its orders follow from a number alone: had the journal lost one, the next life would place it again."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.step = 0

    def on_start(self) -> None:
        self.watch(BTC, quotes=True)
        self.every("40ms", self.act)

    def act(self) -> None:
        price = self.price()
        if price is None:
            return
        self.step += 1
        tag, kind, turn = f"step {self.step}", self.step % 8, self.step // 8 % 2
        side, way = (self.buy, 1) if turn else (self.sell, -1)
        match kind:
            case 0:
                side(0.3, tag=tag)
            case 1:
                side(0.4, limit_price=price * (1 - way * 0.0002), tag=tag)
            case 2:
                side(0.2, stop_price=price * (1 + way * 0.0003), tag=tag)
            case 3:
                side(
                    0.2,
                    take_profit=price * (1 + way * 0.0005),
                    stop_loss=price * (1 - way * 0.0005),
                    tag=tag,
                )
            case 4:
                self.withdraw()
            case 5:
                self.change(price)
            case 6:
                side(0.2, limit_price=price * (1 - way * 0.002), tag=tag)
            case 7:
                self.withdraw(but=3)

    def _own(self, *kinds: OrderType) -> list[Order]:
        return [o for o in self.orders() if o.type in kinds and not o.intent.exits and o.status != "held"]

    def withdraw(self, but: int = 0) -> None:
        for order in self._own(OrderType.LIMIT, OrderType.STOP)[: -but or 1]:
            self.cancel(order)

    def change(self, price: float) -> None:
        for order in self._own(OrderType.LIMIT)[-1:]:
            way = 1 if order.side == "buy" else -1
            self.replace(order, limit_price=price * (1 - way * 0.0001))

    def save(self) -> Any:
        return {"step": self.step}

    def load(self, saved: Any) -> None:
        self.step = saved["step"]


class Broker(RemoteBroker):
    """The venue has a market of its own, so none is passed on; every step of the conversation is a labelled moment."""

    doom: Doom

    def market(self, event: Any) -> None:
        """The venue sees its own."""

    async def connect(self, emit: Any, clock: Any) -> None:
        self.doom.at("before connect")
        await super().connect(emit, clock)
        self.doom.at("after connect")

    def send(self, command: Any) -> None:
        kind = type(command).__name__
        if isinstance(command, Submit) and command.intent.sweep:
            kind = "closing Submit"
        self.doom.at(f"before send {kind}")
        super().send(command)
        self.doom.at(f"after send {kind}")

    async def lookup(self, client_order_ids: Any) -> Any:
        return await self._asked("lookup", super().lookup(client_order_ids))

    async def fills(self, since_ns: int) -> Any:
        return await self._asked("fills", super().fills(since_ns))

    async def snapshot(self) -> Any:
        return await self._asked("snapshot", super().snapshot())

    async def _asked(self, what: str, question: Any) -> Any:
        self.doom.at(f"before {what}")
        answer = await question
        self.doom.at(f"after {what}")
        return answer


class Witness:
    """Writes down beside the run what only the living process knows."""

    name = "witness"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @hookimpl
    def fairlead_started(self, engine: LiveTradingEngine) -> None:
        os.write(1, b"active\n")
        self.print_state(engine)

    def print_state(self, engine: LiveTradingEngine) -> None:
        seq, digest = engine._session.query(_fingerprint)  # type: ignore[union-attr]
        file = os.open(self._folder / "prints", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, f"{seq} {digest}\n".encode())
        os.close(file)

    def state_books(self, engine: LiveTradingEngine) -> None:
        books = engine._session.query(_books)  # type: ignore[union-attr]
        new = self._folder / "books.new"
        new.write_text(json.dumps(books))
        new.replace(self._folder / "books.json")


def _fingerprint(kernel: Any) -> tuple[int, str]:
    return kernel.state.seq, hashlib.sha256(fingerprint(kernel.state)).hexdigest()


def _books(kernel: Any) -> dict[str, Any]:
    state = kernel.state
    return {
        "balances": {c: str(v) for c, v in state.accounts["remote"].balances.items()},
        "positions": [
            [k.strategy, k.instrument, str(p.quantity)] for k, p in state.positions.items() if p.quantity
        ],
        "open": {name: str(order.status) for name, order in state.open.items()},
        "sweeps": len(state.sweeps),
        "discrepancies": [str(one) for one in state.discrepancies.values()],
    }


async def operate(
    engine: LiveTradingEngine, witness: Witness, dice: random.Random, words: argparse.Namespace
) -> None:
    """What a person does beside the strategies: now and then withdraws, closes or kills everything, and goes on."""
    parent = os.getppid()
    while os.getppid() == parent:  # nobody is left behind
        await asyncio.sleep(0.05)
        if engine._session is None or not engine._session.started.is_set():
            continue
        if dice.random() < 0.2:
            witness.print_state(engine)
        if words.quiet:
            witness.state_books(engine)
        with contextlib.suppress(ConfigurationError):
            chance = 0.0 if words.quiet else 0.4 if words.drill else 0.03
            _operate_once(engine, chance, dice, quiet=words.quiet)
    engine.stop("its parent is gone")


def _operate_once(engine: LiveTradingEngine, chance: float, dice: random.Random, *, quiet: bool) -> None:
    health = engine.health()
    swept = not engine._session.query(lambda kernel: len(kernel.state.sweeps))  # type: ignore[union-attr]
    if swept and health["tripped"]:
        engine.reset("kill", "go on")
    if quiet and not health["paused"]:
        engine.pause("the end")
    elif swept and not quiet and (health["paused"] or health["states"]):
        engine.resume("go on")
    if dice.random() < chance:
        match dice.randrange(4):
            case 0 | 1 as way:
                engine.kill("a drill", flatten=bool(way))
            case 2:
                engine.flatten("a drill")
            case _:
                engine.cancel_all("a drill")


def arm(doom: Doom) -> None:
    """Put the labels around what they name, and have snapshots made more often than a short test would see."""
    keeping.SNAPSHOT_BYTES, keeping._LOOK_SECONDS = 100_000, 0.2
    append, begin, handle = Journal.append, Journal.__init__, Reports.handle
    opened, snapshot = Session._open, SnapshotKeeper._make

    def doomed_append(self: Journal, facts: Any, **words: Any) -> None:
        kinds = _kinds(facts)
        for kind in kinds:
            doom.at(f"before append {kind}")
        _torn.clear()
        _torn.extend(kind for kind in kinds if doom.due(f"within append {kind}"))
        append(self, facts, **words)
        for kind in kinds:
            doom.at(f"after append {kind}")

    def doomed_store(self: SegmentWriter, seq: int, payload: bytes, last_words: bool = False) -> None:
        offset = self._offset
        self.append(seq, payload, last_words)
        if _torn:
            cut = offset + 8 + len(payload) // 2
            self._map[cut : self._offset] = bytes(self._offset - cut)
            doom.now()

    def doomed_handle(self: Reports, account: str, report: Any) -> None:
        kind = type(report).__name__
        doom.at(f"before applying {kind}")
        handle(self, account, report)
        doom.at(f"after applying {kind}")

    def doomed_begin(self: Journal, writer: SegmentWriter, **words: Any) -> None:
        begin(self, writer, **words)
        self._append = lambda *record: doomed_store(writer, *record)

    def doomed_open(self: Session, stack: Any) -> Any:
        doom.at("before restore")
        found = opened(self, stack)
        doom.at("after restore")
        return found

    def doomed_snapshot(self: SnapshotKeeper) -> None:
        doom.at("before snapshot file")
        if doom.due("amid snapshot file"):
            threading.Timer(random.uniform(0.0, 0.8), doom.now).start()
        snapshot(self)
        doom.at("after snapshot file")

    if doom.label.endswith("snapshot file"):
        keeping.SNAPSHOT_BYTES = 20_000
    SnapshotKeeper._make = doomed_snapshot  # type: ignore[method-assign]
    Journal.append = doomed_append  # type: ignore[method-assign]
    Journal.__init__ = doomed_begin  # type: ignore[method-assign]
    Reports.handle = doomed_handle  # type: ignore[method-assign]
    Session._open = doomed_open  # type: ignore[method-assign]


_torn: list[str] = []


def _kinds(facts: Any) -> list[str]:
    found = dict.fromkeys(type(fact).__name__ for fact in facts)
    if any(type(fact).__name__ == "OrderHeld" and fact.intent.replaces for fact in facts):
        found["Replacement"] = None
    return list(found)


def profile(*, plain: bool) -> VenueProfile:
    """Quick to be sure, since the way is short. A plain venue knows market and limit orders only."""
    full = full_profile("remote", "USDT", exact=False)
    full = attrs.evolve(
        full,
        validity_ns=300 * MS,
        query_lag_ns=0,
        answer_ns=300 * MS,
        backfill_ns=3_000 * MS,
        watch_ns=2_000 * MS,
    )
    if not plain:
        return full
    return attrs.evolve(
        full,
        order_types=frozenset({OrderType.MARKET, OrderType.LIMIT}),
        time_in_force=frozenset({TimeInForce.GTC}),
        oco=False,
        post_only=False,
        replaces=frozenset(),
    )


def make(words: argparse.Namespace, doom: Doom) -> LiveTradingEngine:
    """The engine as it is killed; a replay of its journal builds it too."""
    broker = Broker(words.address, profile=profile(plain=words.plain), patience="2s")
    broker.doom = doom
    return LiveTradingEngine(
        [Stubborn(name=name, allocation="40%") for name in ("one", "two")],
        plugins=[broker, SyntheticStream(BTC, **MARKET), Limits(max_order_value="400_000 USDT")],
        run=words.folder / "run",
        crash_limit="none",
    )


async def main(words: argparse.Namespace) -> None:
    doom = Doom(words.die, words.passes)
    arm(doom)
    if words.without:
        unsafe.leave_out(words.without)
    witness = Witness(words.folder)
    engine = make(words, doom)
    engine.wiring.manager.register(witness)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, lambda: engine.flatten("the last drill"))
    operator = asyncio.create_task(operate(engine, witness, random.Random(os.getpid()), words))
    await engine.run()
    operator.cancel()


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser()
    words.add_argument("folder", type=Path)
    words.add_argument("address")
    words.add_argument("--plain", action="store_true")
    words.add_argument("--quiet", action="store_true")
    words.add_argument("--drill", action="store_true")
    words.add_argument("--die", default="")
    words.add_argument("--without", default="", choices=["", *unsafe.SAFEGUARDS])
    words.add_argument("--pass", dest="passes", type=int, default=1)
    return words


if __name__ == "__main__":
    asyncio.run(main(parser().parse_args()))
