"""One simulated day: an engine, a venue, and what goes wrong between them, on one loop of virtual time.

A day is compressed: ten minutes hold what a day has of orders, quotes, kills and faults, midnight included. Then
the faults stop, and whatever is unknown has `QUIET` seconds to be resolved.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs

from fairlead import ConnectivityError, LiveTradingEngine
from fairlead._kernel.apply import apply
from fairlead._kernel.state import State, fingerprint
from fairlead._storage.journal import SYNC_EVERY_SECONDS, read_facts
from fairlead.errors import FairleadError, JournalError
from fairlead.testing import VirtualLoop
from fairlead_breakers import DailyLoss, Limits
from fairlead_reconcile import (
    AutoAdjust,
    ExternalOrders,
    FlattenUnknown,
    HaltOnMismatch,
    ManualApproval,
    SyncToLocal,
    WarnOnly,
)
from simulation.adapter import PLAIN, RICH, SimexBroker, plain, replacing
from simulation.exchange import Exchange
from simulation.faults import Weather
from simulation.feed import SimexStream, Tape, listed
from simulation.host import Host, HostClock, Killed, Machine
from simulation.network import Network
from simulation.traders import Gambler

LENGTH = 600.0
QUIET = 120.0
SETTLED = 3.0
"""Seconds after which a request has arrived, or never will, and look-ups show it."""

BTC, ETH = "BTC/USDT:USDT@simex", "ETH/USDT@simex"
PEERS = ("run", "other")
"""Folders in which a second engine tries to trade the same account."""

POLICIES: dict[str, tuple[int, Callable[[], list[Any]]]] = {
    "adjust": (12, lambda: [AutoAdjust()]),
    "adjust, orders ignored": (2, lambda: [ExternalOrders("ignore"), AutoAdjust(every="5s")]),
    "flatten, adjust": (2, lambda: [FlattenUnknown(), AutoAdjust()]),
    "sync": (2, lambda: [SyncToLocal()]),
    "warn": (2, lambda: [WarnOnly(every="10s")]),
    "halt": (1, lambda: [HaltOnMismatch(least="minor")]),
    "ask": (1, lambda: [ManualApproval()]),
    "none": (2, list),
}
"""What is done about differences, with how often a day has it: adjusting, as most do, most of all."""

CROWD = (1_001, 1_400)
"""How many fills of others a crowd makes: more than an engine remembers of its own orders."""

LABELS = ("append", "appended", "send", "sent", "report", "lookup", "fills")
STARTING = ("open", "instruments", "connect", "hello", "fills", "snapshot", "lookup", "append", "appended")


@attrs.define
class Life:
    """One process: why it ended, what its adapter told it, how far it got."""

    began: float
    epoch: int = 0
    end: str = ""
    started: bool = False
    reports: list[dict[str, Any]] = attrs.Factory(list)


@attrs.define
class Outcome:
    """What is left of a day. The checker needs no more than this and the folder."""

    seed: int
    folder: Path
    fired: Counter[str]
    ledger: list[tuple[Any, ...]]
    opening: dict[str, Decimal]
    venue: dict[str, Any]
    engine: dict[str, Any]
    lives: list[Life]
    folds: list[tuple[str, str, str]]
    crashes: list[str]
    oco: bool
    plan: list[str]
    policy: str
    durability: str

    @property
    def kills(self) -> int:
        """How many processes were killed."""
        return sum(life.end.startswith("killed") for life in self.lives)

    @property
    def orders(self) -> int:
        """How many orders the venue accepted."""
        return sum(entry[0] == "accept" for entry in self.ledger)

    @property
    def fills(self) -> int:
        """How many fills the venue has booked."""
        return sum(entry[0] == "fill" for entry in self.ledger)

    def trace(self) -> str:
        """A hash of all that happened: two runs of one seed have the same."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(repr(self.ledger).encode())
        for life in self.lives:
            digest.update(repr((life.began, life.end, life.reports)).encode())
        for path in sorted((self.folder / "run" / "journal").glob("*.seg")):
            digest.update(path.read_bytes())
        return digest.hexdigest()


class Day:
    """Runs one day. `kinds` may strike; `restart_at_end` starts the engine anew when the faults are over."""

    def __init__(
        self,
        seed: int,
        kinds: Iterable[str],
        *,
        folder: Path,
        all_of_them: bool = False,
        strength: float = 0.0,
        restart_at_end: bool = False,
    ) -> None:
        self.seed = seed
        self.dice = random.Random(f"day {seed}")
        self.weather = Weather(seed, kinds, all_of_them=all_of_them, strength=strength)
        self.machine = Machine(folder)
        self.restart_at_end = restart_at_end
        self.profile = replacing(self.dice.choice((PLAIN, RICH)), seed)
        self.durability = "full" if "power.full" in self.weather.kinds else "process"
        habits = random.Random(f"habits {seed}")
        weights = [weight for weight, _ in POLICIES.values()]
        self.policy = habits.choices(list(POLICIES), weights)[0]
        if "power" in self.weather.kinds:  # the thread that syncs may be slow: more is lost then
            self.machine.sync_every = habits.choice((SYNC_EVERY_SECONDS, 1.0, 10.0))
        self.pace = self.dice.uniform(0.09, 0.2)
        self.lives: list[Life] = []
        self.folds: list[tuple[str, str, str]] = []
        self.crashes: list[str] = []
        self.plan: list[str] = []
        self.host: Host | None = None
        self.peer: Host | None = None
        self.final: dict[str, Any] = {}
        self._deadly: tuple[tuple[str, ...], int] | None = None
        self._in_start = 0
        self._torn = False
        self._cut_next = False
        self._ending = False
        self._next_start: asyncio.TimerHandle | None = None
        self._failed_starts = 0
        self._told_to_halt = False

    # --- from start to end ----------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Play the day."""
        loop = VirtualLoop()
        asyncio.set_event_loop(None)
        loop.set_exception_handler(self._unexpected)
        with self.machine.seams():
            try:
                loop.call_soon(self._begin)
                self._drive(loop)
            finally:
                self._clear(loop)
        return Outcome(
            self.seed, self.machine.folder, self.weather.fired, self.exchange.ledger, self.exchange.opening,
            self._venue(), self.final, self.lives, self.folds, self.crashes, self.profile.oco, self.plan,
            self.policy, self.durability,
        )  # fmt: skip

    def _drive(self, loop: VirtualLoop) -> None:
        """Run until somebody stops the loop; a kill only leaves the call in hand."""
        self._stopped = False
        while not self._stopped:
            try:
                loop.run_forever()
                self._stopped = True
            except Killed:
                continue

    def _clear(self, loop: VirtualLoop) -> None:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        for _ in range(50):
            if not asyncio.all_tasks(loop):
                break
            try:
                loop.call_soon(loop.stop)
                loop.run_forever()
            except Killed:
                continue
        loop.close()

    def _unexpected(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, Killed) and (self.host is None or not self.host.dead):
            self.crashes.append(f"at {loop.time():.3f}: {context.get('message')}: {error!r}")

    def _begin(self) -> None:
        loop, weather = asyncio.get_running_loop(), self.weather
        cash = {"USDT": Decimal(100_000), "ETH": Decimal(50), "BNB": Decimal(100)}
        self.exchange = Exchange(weather, listed(), cash)
        self.exchange.venue.desk.renames = self.profile.replace_renames
        self.exchange.certainly = self._told_for_certain
        self.network = Network(self.exchange, weather, self.seed)
        self.tape = Tape(self.exchange, weather, self.seed)
        self.exchange.ids_open_only = "id.open" in weather.kinds
        self.exchange.forgets = "query.forget" in weather.kinds
        self.exchange.tells_totals = "fill.untold" not in weather.kinds
        for variant in sorted({"id.open", "fill.untold"} & weather.kinds):  # a rule of this venue, all day
            weather.fire(variant)
        # The clocks begin at midnight: a day that is to have one in its middle begins before it.
        if "midnight" in weather.kinds:
            loop._now_ns = 86_400_000_000_000 - int(self.dice.uniform(0.2, 0.8) * LENGTH * 1e9)
            weather.fire("midnight")
        self.zero = loop.time()
        self.tape.start()
        loop.call_later(1.0, self.start)
        loop.call_later(30.0, self._look_after)
        self._schedule(loop)
        loop.call_later(LENGTH, self._calm)

    # --- processes ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start a process on the run's folder."""
        self._next_start = None
        self.host = host = self._make(self.machine.run)
        self.lives.append(Life(asyncio.get_running_loop().time()))
        host.start(self._engine(host, self.machine.run), self._ended)

    def _make(self, run: Path) -> Host:
        off = 0
        if "clock.skew" in self.weather.kinds:
            off = int(self.dice.uniform(-3, 3) * 1e9)
            self.weather.fire("clock.skew")
        host = Host(HostClock(off), self._passed)
        host.broker = SimexBroker(host, self.network, self.profile)
        return host

    def _engine(self, host: Host, run: Path) -> LiveTradingEngine:
        traders = [
            Gambler("BTC/USDT:USDT", self.seed, self.pace, 0.2, name="alpha", allocation="40%"),
            Gambler("ETH/USDT", self.seed + 1, self.pace / 2, 0.5, name="beta", allocation="20%"),
            Gambler("BTC/USDT:USDT", self.seed + 2, self.pace / 2, 0.2, name="gamma", allocation="40%"),
        ]
        for trader in traders:
            trader.quiet = self._ending
            trader.shifts = bool(self.profile.replaces)
        return LiveTradingEngine(
            traders,
            plugins=[
                host.broker,
                SimexStream(host, self.tape),
                Limits(max_leverage=5),
                DailyLoss("50_000 USDT"),
                *POLICIES[self.policy][1](),
                host.clock,
            ],
            run=run,
            durability=self.durability,
            crash_limit="none",  # a day has more kills than an engine should be given
        )

    def _ended(self, host: Host) -> None:
        """A process is over: killed, stopped, or with an error. Another is started a little later."""
        task = host.task
        assert task is not None
        if host is not self.host:
            self._collect(task)
            return
        life, loop = self.lives[-1], asyncio.get_running_loop()
        life.started = life.started or host.session.started.is_set()
        life.reports = [plain(report) for report in host.broker.emitted]
        life.epoch = host.epoch
        error = self._collect(task)
        if host.dead:
            life.end = life.end or "killed"
        elif error is None:
            life.end = "stopped"
        else:
            life.end = f"failed: {type(error).__name__}: {error}"
            wanted = isinstance(error, ConnectivityError) or (
                isinstance(error, JournalError) and (host.failing or "disk" in str(error))
            )
            if not wanted:
                self.crashes.append(f"at {loop.time() - self.zero:.3f} s the engine ended: {life.end}")
            host.die()
        host.failing = ""
        self._failed_starts = 0 if life.started or life.end.startswith("killed") else self._failed_starts + 1
        self._start_later(self.dice.uniform(0.5, 5) * 2 ** min(self._failed_starts, 3))

    def _collect(self, task: asyncio.Task[str]) -> BaseException | None:
        return None if task.cancelled() else task.exception()

    def _start_later(self, wait: float) -> None:
        if self._next_start is None and not self._stopped:
            self._next_start = asyncio.get_running_loop().call_later(wait, self.start)

    def kill(self, why: str) -> None:
        """SIGKILL the process, and look at what it has left."""
        host = self.host
        if host is None or host.dead or host.task is None or host.task.done():
            return
        self.plan.append(f"{asyncio.get_running_loop().time() - self.zero:.3f} s {why}")
        self.lives[-1].end = f"killed: {why}"
        self.lives[-1].started = host.session.started.is_set()
        live = self._living_state(host)
        host.die(torn=self._torn)
        self._compare_fold(live)
        if self._torn:
            self.weather.fire("torn")
            self._torn = False

    def _living_state(self, host: Host) -> str:
        """What lives at this moment; nothing in the middle of a turn, or where the disk has failed."""
        kernel = host.session.kernel
        wanted = len(self.folds) < 2 or self._ending
        if not wanted or not host.session.started.is_set() or kernel._busy or host.failing:
            return ""
        return _digest(fingerprint(kernel.state))

    def _compare_fold(self, live: str) -> None:
        """What lived must be what the journal gives, twice."""
        if live:
            once = _digest(fingerprint(_fold(self.machine.run)))
            twice = _digest(fingerprint(_fold(self.machine.run))) if self._ending else once
            self.folds.append((live, once, twice))

    def _passed(self, host: Host, label: str) -> None:
        """A labelled point: the process may end here, or stand still."""
        if host is not self.host or self._stopped:
            return
        if label == "send" and self._may_leap() and self.weather.strikes("pause"):
            host.clock.leap(self.dice.randint(1, 20))
        if label == "send" and self._cut_next and not {"clock.jump", "pause"} & self.weather.kinds:
            self.network.crawls = self.dice.random() < 0.5
        if label == "sent" and self._cut_next and self._cut():
            self._cut_next = False
            self.weather.fire("power")
            raise Killed
        if self._in_start and not host.session.started.is_set() and label in STARTING:
            self._in_start -= 1
            if not self._in_start:
                self.weather.fire("kill.start")
                self._die_here(host, f"kill at {label} in a start")
        if self._deadly is not None and host.session.started.is_set():
            labels, count = self._deadly
            if label in labels:
                self._deadly = (labels, count - 1) if count > 1 else None
                if count <= 1:
                    self.weather.fire("kill.label")
                    self._die_here(host, f"kill at {label}")

    def _die_here(self, host: Host, why: str) -> None:
        self.kill(why)
        raise Killed

    # --- what is planned --------------------------------------------------------------------------------------

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        acts: dict[str, Callable[[], object]] = {
            "ban": self._ban, "maintenance": self._maintenance, "query.outage": self._outage,
            "ws.lag": self._lag, "ws.close": self._close, "ws.stall": self._stall,
            "ws.blackhole": self._black_hole, "ws.unsub": self._unsubscribe,
            "fill.void": self._void, "void.early": self._void_early,
            "inst.change": self._change_rules, "inst.delist": self._delist,
            "acct.flow": self._flow, "acct.funding": self._funding, "acct.forced": self._forced,
            "acct.manual": self._manual, "acct.away": self._away, "acct.missed": self._missed,
            "acct.crowd": self._crowd, "clock.jump": self._jump,
            "kill": self._kill, "kill.label": self._kill_at_label, "kill.start": self._kill_in_start,
            "stop": self._stop, "peer": self._peer, "disk.full": lambda: self._fail_disk("full"),
            "disk.error": lambda: self._fail_disk("broken"), "power.full": self._cut, "power": self._cut_at_send,
            "torn": self._tear, "px.stale": self._stale, "halt": self._halt,
        }  # fmt: skip
        for name in sorted(acts):
            for _ in range(self.weather.planned(name)):
                loop.call_later(self.dice.uniform(20, LENGTH - 60), self._act, name, acts[name])

    def _act(self, name: str, act: Callable[[], object]) -> None:
        if not self.weather.calm and act() is not False:
            self.weather.fire(name)

    def _later(self, least: float, most: float, act: Callable[[], object]) -> None:
        asyncio.get_running_loop().call_later(self.dice.uniform(least, most), act)

    def _refuse(self, why: str, least: float, most: float) -> None:
        self.network.refusing = why

        def over() -> None:
            self.network.refusing = ""

        self._later(least, most, over)

    def _ban(self) -> None:
        self._refuse("ban", 5, 40)

    def _maintenance(self) -> None:
        self._refuse("maintenance", 10, 40)
        self._close()

    def _outage(self) -> None:
        """Nobody answers questions for a while; the process dies in it, and cannot start."""
        self.network.outage_until = asyncio.get_running_loop().time() + self.dice.uniform(10, 60)
        self.kill("kill before an outage")

    def _lag(self) -> None:
        self.network.lag_until = asyncio.get_running_loop().time() + self.dice.uniform(1, 10)

    def _open_connections(self) -> list[Any]:
        return [c for c in self.network.connections if c.open]

    def _close(self) -> bool:
        found = self._open_connections()
        for connection in found:
            connection.end("closed by the venue")
        return bool(found)

    def _stall(self) -> bool:
        found = self._open_connections()
        for connection in found:
            connection.stall(self.dice.uniform(5, 30))
        return bool(found)

    def _black_hole(self) -> bool:
        found = self._open_connections()
        for connection in found:
            connection.black_hole()
        return bool(found)

    def _unsubscribe(self) -> bool:
        if self.host is None or self.host.dead:
            return False
        self.host.unsubscribed = True
        return self._close()

    def _void(self) -> bool:
        return self._told_for_certain(self.exchange.void)

    def _void_early(self) -> bool:
        self.exchange.void_next = True
        return False  # counted where it happens

    def _change_rules(self) -> None:
        old = self.exchange.listed[0]
        wider = attrs.evolve(
            old, tick=old.tick * 5, lot=old.lot * 5, min_quantity=(old.min_quantity or Decimal(0)) * 20
        )
        self.exchange.change_rules(wider)

    def _delist(self) -> bool:
        self.exchange.delisted.add(ETH)
        return False  # counted where it refuses

    def _listening(self) -> bool:
        """Money that moves is told once: nobody can ask for it later."""
        return self.host is not None and self.host.started and self.network.listening

    def _told_for_certain(self, act: Callable[[], object]) -> bool:
        """Move money where it is heard, and neither a death nor a power cut comes before it is written down."""
        if not self._listening() or (self.host is not None and self.host.failing):
            return False
        deadly, self._deadly = self._deadly, None
        done = act()
        if self.host is not None and self.host.journal is not None and not self.host.dead:
            self.host.journal.sync()
        self._deadly = deadly
        return done is not False

    def _flow(self) -> bool:
        amount = Decimal(self.dice.randint(-500, 2_000))
        return self._told_for_certain(lambda: self.exchange.move_money(amount))

    def _funding(self) -> bool:
        rate = self.dice.uniform(-0.001, 0.001)
        held = bool(self.exchange.venue.desk.ledger.quantity(BTC))
        return held and self._told_for_certain(lambda: self.exchange.pay_funding(BTC, rate))

    def _away(self) -> bool:
        self.kill("kill before money moves")
        if self.dice.random() < 0.5 and self.exchange.venue.desk.ledger.quantity(BTC):
            self.exchange.pay_funding(BTC, self.dice.uniform(-0.001, 0.001))
        else:
            self.exchange.move_money(Decimal(self.dice.randint(1, 2_000)))
        return True

    def _crowd(self) -> bool:
        """Somebody trades by machine on the same account, while the process is up or down."""
        if self.dice.random() > 0.15 or not any(life.started for life in self.lives):
            return False
        left = self.dice.randint(*CROWD)
        if self.dice.random() < 0.5:
            self.kill("kill before a crowd")

        def trade() -> None:
            nonlocal left
            for _ in range(min(left, self.dice.randint(20, 120))):
                left -= 1
                self.exchange.trade_by_hand(BTC, Decimal(self.dice.choice((-1, 1))) * Decimal("0.001"))
            if left and not self._ending:
                self._later(0.1, 1.0, trade)

        trade()
        return True

    def _forced(self) -> bool:
        cause = self.dice.choice(("liquidation", "adl"))
        return self._listening() and self.exchange.reduce_by_force(BTC, cause)

    def _manual(self) -> bool:
        if not any(life.started for life in self.lives) and not self._listening():
            return False  # what an account holds before it is opened is not in its journal
        self.exchange.trade_by_hand(BTC, Decimal(self.dice.choice((-1, 1))) * Decimal("0.05"))
        return True

    def _missed(self) -> bool:
        if not self._listening() or not self._stall():
            return False
        self._manual()
        return True

    def _may_leap(self) -> bool:
        """Whether a clock may leap: with a request under way it would say that more time has passed than has."""
        return asyncio.get_running_loop().time() > self.network.last_request + SETTLED

    def _jump(self) -> bool:
        if self.host is None or self.host.dead or not self._may_leap():
            return False
        self.host.clock.leap(self.dice.randint(1, 20))
        return True

    def _kill(self) -> bool:
        if self.host is None or self.host.dead:
            return False
        self.kill("kill")
        return True

    def _kill_at_label(self) -> bool:
        label = self.dice.choice(LABELS)
        self._deadly = ((label,), self.dice.randint(1, 3))
        return False  # counted where it happens

    def _kill_in_start(self) -> bool:
        self._in_start = self.dice.randint(1, 14)
        self.kill("kill, and again in the start after it")
        return False  # counted where it happens

    def _stop(self) -> bool:
        if self.host is None or not self.host.started:
            return False
        self.lives[-1].started = self.host.stopping = True
        self.host.engine.stop("SIGTERM")
        return True

    def _peer(self) -> bool:
        """A second engine on the same folder, or on another folder with the same account: it must be refused."""
        if self.host is None or not self.host.started or self.host.failing or self.host.stopping:
            return False
        where = self.dice.choice(PEERS)
        run = self.machine.folder / where
        host = self._make(run)
        self.peer = host
        host.start(self._engine(host, run), self._peer_ended)
        return True

    def _peer_ended(self, host: Host) -> None:
        assert host.task is not None
        error = self._collect(host.task)
        host.dead = True
        if not isinstance(error, FairleadError):
            self.crashes.append(f"a second engine on the account was not refused: {error!r}")

    def _fail_disk(self, how: str) -> bool:
        if self.host is None or not self.host.started:
            return False
        self.lives[-1].started = True
        self.host.failing = how
        return True

    def _cut(self) -> bool:
        host = self.host
        if host is None or host.dead or host.journal is None or host.journal.writer._file < 0:
            return False
        path, synced = host.journal.synced
        self.kill("power cut")
        self.machine.cut(path, synced)
        return True

    def _cut_at_send(self) -> bool:
        self._cut_next = True
        return False  # counted where it happens

    def _tear(self) -> bool:
        if self.host is None or not self.host.started:
            return False
        self._torn = True
        self.kill("kill in the middle of a record")
        return False  # counted where it happens

    def _stale(self) -> bool:
        self.tape.stale = True

        def over() -> None:
            self.tape.stale = False

        self._later(5, 60, over)
        return False  # counted where it strikes

    def _halt(self) -> bool:
        if self.host is None or not self.host.started or self.host.failing or self.host.stopping:
            return False
        self.host.engine.halt("the day says so", who="operator")
        self._told_to_halt = True

        def lift() -> None:
            host = self.host
            if host is not None and host.started and not host.failing and not host.stopping:
                host.engine.resume("the day says so", who="operator")
                self._told_to_halt = False
            else:
                self._later(1, 5, lift)

        self._later(10, 60, lift)
        return True

    def _look_after(self) -> None:
        """A person has looked at what the engine lowered trading for, and lifts it: else most days would be idle."""
        host = self.host
        if host is not None and host.started and not host.failing and not host.stopping:
            for scope, state in list(host.kernel.state.lowered.items()):
                if state != "killed" and not (scope == "engine" and self._told_to_halt):
                    host.engine.resume("somebody has looked", who="operator", scope=scope)
        self._later(30, 60, self._look_after)

    # --- the end ------------------------------------------------------------------------------------------------

    def _calm(self) -> None:
        """No more faults. Strategies decide nothing new from here on."""
        loop = asyncio.get_running_loop()
        self.weather.calm = self._ending = True
        self._deadly, self._in_start, self._cut_next = None, 0, False
        self.tape.stale = False
        if self.host is not None and self.host.started:
            for runner in self.host.kernel.runners.values():
                runner.strategy.quiet = True
        if self.restart_at_end:
            loop.call_later(45.0, self._restart)
            loop.call_later(45.0 + QUIET, self._finish)
        else:
            loop.call_later(QUIET, self._finish)

    def _restart(self) -> None:
        if self.host is not None and self.host.started:
            self.lives[-1].started = True
            self.host.engine.stop("the day ends")

    def _finish(self) -> None:
        asyncio.get_running_loop().stop()  # the day ends even where looking at what is left fails
        host = self.host
        assert host is not None
        if host.started:
            self.lives[-1].started = True
            self.final = _look(host)
        self.lives[-1].reports = [plain(report) for report in host.broker.emitted]
        self.lives[-1].epoch = host.epoch
        self.lives[-1].end = self.lives[-1].end or "end of the day"
        self._stopped = True
        live = self._living_state(host) if host.started else ""
        if self.peer is not None:
            self.peer.die()
        host.die()
        self._compare_fold(live)

    def _venue(self) -> dict[str, Any]:
        desk = self.exchange.venue.desk
        return {
            "open": {name: order.filled for name, order in desk.orders.items()},
            "positions": desk.ledger.positions(),
            "balances": dict(desk.ledger.balances),
            "holdings": {
                name: (h.quantity, h.average_price, h.realised, h.fees, h.funding)
                for name, h in desk.ledger.holdings.items()
            },
        }


def _fold(run: Path) -> State:
    """The state that a journal gives."""
    state = State()
    for fact in read_facts(run / "journal"):
        apply(state, fact)
    return state


def _look(host: Host) -> dict[str, Any]:
    """The engine's own view at the end of a day, in plain values."""
    state = host.kernel.state
    return {
        "orders": {
            name: (str(o.status), o.filled_quantity, o.quantity, o.broker_order_id)
            for name, o in state.open.items()
        },
        "positions": {
            (key.account, key.instrument, key.strategy): p.quantity
            for key, p in state.positions.items()
            if p.quantity
        },
        "net": {
            key.instrument: (p.quantity, p.average_price, p.realised, p.fees, p.funding)
            for key, p in state.positions.items()
            if not key.strategy
        },
        "balances": dict(state.accounts["simex"].balances),
        "working": {
            name: (w.buy, w.sell, {g: list(m) for g, m in w.groups.items()})
            for name, w in state.accounts["simex"].working.items()
        },
        "tripped": [list(key) for key in state.tripped],
        "lowered": {scope: str(what) for scope, what in state.lowered.items()},
        "halted": dict(state.halted),
        "fatal": host.kernel.fatal,
        "stream_up": state.accounts["simex"].stream_up,
    }


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def fast_folder() -> Path:
    """A new folder, in memory where the system has such a place."""
    memory = Path("/dev/shm")
    place = str(memory) if memory.is_dir() and os.access(memory, os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="fairlead-day-", dir=place))


def play(
    seed: int,
    kinds: Iterable[str],
    look: Callable[[Outcome], Any],
    *,
    all_of_them: bool = False,
    strength: float = 0.0,
    restart_at_end: bool = False,
) -> Any:
    """Run a day in a folder of its own, and give what `look` makes of it."""
    folder = fast_folder()
    level = logging.getLogger("fairlead").level
    logging.getLogger("fairlead").setLevel(logging.CRITICAL + 1)
    try:
        day = Day(
            seed,
            kinds,
            folder=folder,
            all_of_them=all_of_them,
            strength=strength,
            restart_at_end=restart_at_end,
        )
        return look(day.run())
    finally:
        logging.getLogger("fairlead").setLevel(level)
        shutil.rmtree(folder, ignore_errors=True)
