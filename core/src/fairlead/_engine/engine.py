"""`LiveTradingEngine`: a strategy, a list of plugins, and what can be done with them.

What runs an engine is imported when one is made or run: a program that only names fairlead starts at once.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from fairlead._engine import steering
from fairlead._engine.guard import refuse_while_read
from fairlead._engine.moments import crash_limit_of, moment
from fairlead._engine.needs import require, waived, waivers
from fairlead._engine.parts import Parts, fresh, strategies_of
from fairlead._engine.references import refuse_unknown
from fairlead._models.accounts import KILL, Position, Profit
from fairlead._models.orders import Order
from fairlead._storage.run import RunFolder
from fairlead._strategy.strategy import Strategy
from fairlead.errors import ConfigurationError
from fairlead.units import Number, duration

if TYPE_CHECKING:
    from fairlead._engine.background import Background
    from fairlead._engine.live import Session
    from fairlead._engine.result import Result
    from fairlead.facts import AnyFact
    from fairlead.ports import DataStream


class LiveTradingEngine:
    """Trades strategies through the plugins it was given, live, on paper or as a backtest.

    `plugins` reads as an inventory: an object that fills a port, an object with hook implementations, or an
    entry point's name; its order is its effect, and what is not in it does not run. `run` is the folder of this
    run (default `runs/<first strategy's name>`). `live=True` allows brokers that trade real money. `durability`
    is "process" (what is decided survives the death of the process) or "full" (a power cut too).
    `breakers="none"` says aloud that no circuit breaker is wanted. `busy_poll` spends a core on latency. A start that
    follows as many that did not end in good order as `crash_limit` says, within its time, is HALTED until a person
    resumes; "none" lets it crash for ever.
    `stop_within` is how long, at the end of a run, orders that are on their way and what strategies' `on_exit` asks for
    may take to settle; what has not by then is named, and taken up by the next start.
    Real money, and a testnet with `live=True`, needs a daily-loss breaker, a stale-data breaker, a reconciler and an
    `on_exit` that each strategy says; `waive` names what is done without: "daily_loss", "stale_data", "reconciler",
    "stop_policy". What is missing and not waived refuses the start, never a backtest.
    `dead_man` is the time after which a venue that has a dead-man switch cancels every order unless it hears of the
    engine, or "off", for all accounts or by broker: `{"binance": "60s"}`. Where nothing is said a switch is used that
    cannot take the stops away that protect positions. A stop in good order calls it off.

    Making an engine opens no file, socket or lock. Raises ConfigurationError or PluginError, in one sentence,
    where something is missing, doubled or does not fit.
    """

    def __init__(
        self,
        strategy: Strategy | Sequence[Strategy],
        plugins: Iterable[Any],
        *,
        run: str | Path | None = None,
        live: bool = False,
        durability: Literal["process", "full"] = "process",
        breakers: Literal["none"] | None = None,
        busy_poll: bool = False,
        crash_limit: str | None = "3/10m",
        stop_within: str = "10s",
        waive: Sequence[str] = (),
        dead_man: str | Mapping[str, str] | None = None,
    ) -> None:
        self.strategies = strategies_of(strategy)
        from fairlead._engine.deadman import timeouts
        from fairlead._engine.wiring import wire

        self.wiring = wire(plugins)
        self.live = live
        self.durability = durability
        self.busy_poll = busy_poll
        self.crash_limit = crash_limit
        self.waive = waivers(waive)
        self.stop_within_ns = duration(stop_within)
        self.folder = RunFolder(run if run is not None else Path("runs") / self.strategies[0].name)
        self._session: Session | None = None
        self._ran = False
        self._check(breakers)
        self.dead_man = timeouts(dead_man, {name: one.profile for name, one in self.wiring.brokers.items()})

    @classmethod
    def from_file(
        cls, file: str | Path, profile: str | None = None, settings: Sequence[str] = (), *, live: bool = False
    ) -> LiveTradingEngine:
        """The engine that a TOML file composes, with one of its profiles.

        `settings` (`"breaker.limits.max_leverage=2"`) come over the environment (`FAIRLEAD__SECTION__NAME__KEY`), which
        comes over the profile, which comes over the rest of the file; `live` is as in the constructor. Raises
        ConfigurationError with all faults at once, each with its path.
        """
        from fairlead._config.loading import configure

        return configure(Path(file), profile, settings, live=live).engine()

    def _check(self, breakers: str | None) -> None:
        wiring = self.wiring
        if not wiring.brokers:
            raise ConfigurationError(
                "no broker: add one to plugins=[...], such as PaperBroker(cash='100_000 USDT')"
            )
        if not wiring.streams:
            raise ConfigurationError(
                "no data stream: add one to plugins=[...], such as SyntheticStream(seed=42)"
            )
        if breakers not in (None, "none"):
            raise ConfigurationError(
                f"breakers={breakers!r}: leave it out, or say 'none' to trade without any"
            )
        if not wiring.breakers and breakers != "none":
            raise ConfigurationError(
                "no circuit breaker: add one to plugins=[...], such as DailyLoss('2_000 USDT'), or say breakers='none'"
            )
        if KILL in wiring.breakers:
            raise ConfigurationError(
                f"no breaker can be named {KILL!r}: a person's kill stands under it; give yours another name"
            )
        if self.durability not in ("process", "full"):
            raise ConfigurationError(f"durability={self.durability!r}: write 'process' or 'full'")
        crash_limit_of(self.crash_limit)
        for name, broker in wiring.brokers.items():
            if broker.profile.environment == "live" and not self.live:
                raise ConfigurationError(
                    f"broker {name} trades real money: say live=True to allow it, or use its testnet or paper form"
                )

        currencies = {broker.profile.base_currency for broker in wiring.brokers.values()}
        refuse_unknown(
            wiring.breakers.values(),
            strategies={strategy.name for strategy in self.strategies},
            currencies=() if "" in currencies else currencies,
        )

    def describe(self) -> str:
        """The wiring table: what serves each port and hook, from which distribution and version."""
        origins = self.wiring.origins
        rows = [("strategy", s.name, type(s).__qualname__, str(origins.of(s))) for s in self.strategies]
        rows += [(wire.port, wire.name, wire.plugin, str(wire.origin)) for wire in self.wiring.table]
        from fairlead._engine.wiring import table_text

        return table_text(rows, ("port or hook", "name", "plugin", "from"))

    # --- running --------------------------------------------------------------------------------------------

    async def run(self, until: str | datetime | None = None) -> str:
        """Trade until stopped, until `until` (a duration of engine time or an aware datetime), or the data's end.

        Returns why it ended. Raises ConfigurationError where the run's folder or an account is in use.
        """
        session = self.session()
        try:
            return await session.run(until)
        finally:
            self._session = None

    def session(self) -> Session:
        """The run in hand, made if there is none. One at a time."""
        refuse_while_read()
        require(self)
        if self._session is not None:
            raise ConfigurationError("this engine is running already: stop it first, or make another engine")
        if self._ran:  # a second run begins as one in a new process would: with nothing but what was saved
            self.strategies = [fresh(strategy) for strategy in self.strategies]
        self._ran = True
        parts = Parts(
            self.strategies,
            self.wiring.brokers,
            self.wiring.streams,
            list(self.wiring.breakers.values()),
            list(self.wiring.reconcilers.values()),
            waived=waived(self),
            dead_man=self.dead_man,
        )
        from fairlead._engine.live import Session

        self._session = Session(self, parts)
        return self._session

    def background(self, until: str | datetime | None = None) -> Background:
        """Run in a thread and loop of its own; the handle's `stop()` waits for the end. `until` is as in `run`."""
        from fairlead._engine.background import Background

        return Background(self, until)

    def stop(
        self, reason: str = "stopped", *, when: str = "now", within: str | None = None, who: str = "script"
    ) -> None:
        """Ask a running engine to end; harmless when it does not run. May be called from any thread.

        `when="flat"` opens nothing new, withdraws what would, and ends once nothing is held: after `within`, a
        duration such as "1h", all the same, and the reason says what was left. Raises ConfigurationError.
        """
        if self._session is None:
            return
        if when == "now" and within is None:
            self._session.stop(reason)
        else:
            self._session.command("stop", who, reason, steering.texts(when=when, within=within))

    def backtest(
        self,
        data: Any = None,
        start: datetime | int | str | None = None,
        end: datetime | int | str | None = None,
        *,
        progress: Callable[[int], None] | None = None,
    ) -> Result:
        """Run over data from nothing, in a fresh folder under `<run>/backtests/`.

        `data` replaces every stream: a path, a stream that can be replayed, or a list of them; None replays the
        engine's own streams. The simulated venue replaces every broker and keeps its cash, fees and profile.
        Raises ConfigurationError.
        """
        refuse_while_read()
        streams = self.wiring.streams if data is None else _streams(data)
        parts = Parts(self.strategies, self.wiring.brokers, streams, self.wiring.fresh_breakers())
        within = self.stop_within_ns
        from fairlead._engine.backtest import backtest

        first, last = moment(start, "start"), moment(end, "end")
        folder = self.folder.new_backtest()
        try:
            return backtest(parts, folder, start=first, end=last, progress=progress, stop_within_ns=within)
        except ConfigurationError:
            _discard_unstarted(folder)
            raise

    # --- looking --------------------------------------------------------------------------------------------

    def positions(self) -> list[Position]:
        """The open positions of all strategies: a copy, good in any thread."""
        return [] if self._session is None else self._session.query(_positions)

    def orders(self) -> list[Order]:
        """The orders that are not closed: a copy, good in any thread."""
        return [] if self._session is None else self._session.query(_orders)

    def pnl(self, *, account: str = "", strategy: str = "", instrument: str = "") -> Profit:
        """Profit and loss, over all or by account, strategy and instrument (its long form).

        Raises ConfigurationError while the engine does not run.
        """
        if self._session is None:
            raise ConfigurationError("pnl() is of a running engine: a backtest's is in its Result")
        return self._session.query(
            lambda kernel: kernel.books.profit(account=account, strategy=strategy, instrument=instrument)
        )

    def health(self) -> dict[str, Any]:
        """How the engine is: running, trading states, what is unknown, data ages in seconds."""
        from fairlead._engine.looking import health

        return {"running": False} if self._session is None else self._session.query(health)

    def discrepancies(self) -> dict[str, Any]:
        """Where books and venues differ, what was decided, and what each reconciler would do; compares nothing."""
        if self._session is None:
            raise ConfigurationError("discrepancies needs a running engine")
        from fairlead._engine.differing import discrepancies

        return self._session.query(discrepancies)

    async def events(self, since: int = 0) -> AsyncIterator[AnyFact]:
        """The facts after a sequence number, then those that come, for as long as one listens."""
        from fairlead._engine.tailing import tail_facts

        async for fact in tail_facts(self.folder.journal, since):
            yield fact

    # --- steering -------------------------------------------------------------------------------------------

    def pause(self, why: str, who: str = "script", scope: str = "engine") -> dict[str, Any]:
        """Let the strategies of a scope open nothing new; their positions stay managed.

        A scope is "engine", "account:NAME", "strategy:NAME" or "instrument:ID", here and below. Each of these
        calls is a fact with who and why, and returns `seq`, its number, with what the call adds. Raises
        ConfigurationError for what is not there, and while the engine does not run, and ConnectivityError where it
        is too busy to answer another thread: its message says whether the request was withdrawn. What may be given a
        `request` id of your choice is carried out once under it, and answers the same when asked again.
        """
        return self._command("pause", who, why, scope=scope)

    def resume(self, why: str, who: str = "script", scope: str = "engine") -> dict[str, Any]:
        """Undo a pause, a halt, a flatten or a reduction under way or a stop once flat of this very scope.

        A strategy that was halted by its own fault goes on with `scope="strategy:NAME"`. Tripped breakers stay
        tripped; `standing` of the answer says what still holds trading down.
        """
        return self._command("resume", who, why, scope=scope)

    def halt(self, why: str, who: str = "script", scope: str = "engine") -> dict[str, Any]:
        """Stop adding: only protection of what is held, and a person's reductions, get through."""
        return self._command("halt", who, why, scope=scope)

    def cancel_all(self, why: str, who: str = "script", scope: str = "engine") -> dict[str, Any]:
        """Take back every order of a scope, what protects last; then, but for a strategy, what the venue has besides.

        `orders` of the answer are the ids.
        """
        return self._command("cancel_all", who, why, scope=scope)

    def flatten(
        self, why: str, who: str = "script", scope: str = "engine", *, request: str = ""
    ) -> dict[str, Any]:
        """Pause the strategies of a scope, withdraw its orders, and close what it holds, EXTERNAL included.

        The pause comes first, so that nothing is opened again, and stays until `resume`. Positions are closed by
        reduce-only market orders, sent when nothing else can shrink them any more, in parts where the gate takes
        no whole, tried again until all is flat. It works while trading is halted or killed. `orders` of the answer
        are the closing orders placed at once; `note` says so where nothing is held.
        """
        return self._command("flatten", who, why, request, scope=scope)

    def kill(
        self,
        why: str,
        who: str = "script",
        scope: str = "engine",
        *,
        flatten: bool = False,
        request: str = "",
    ) -> dict[str, Any]:
        """Withdraw everything on the engine or an account, stops that protect too, and send nothing more.

        With `flatten` what is held is closed as well. KILLED survives restarts: only `reset("kill", why)` lifts it.
        """
        return self._command("kill", who, why, request, scope=scope, flatten=flatten)

    def reset(self, breaker: str, why: str, who: str = "script", scope: str = "") -> dict[str, Any]:
        """Close a tripped breaker again, in one scope or all; "kill" lifts a kill."""
        return self._command("reset", who, why, breaker=breaker, scope=scope)

    def limit(
        self,
        name: str,
        value: str | Number,
        why: str = "",
        who: str = "script",
        *,
        breaker: str = "",
        confirm: bool = False,
    ) -> dict[str, Any]:
        """Change a limit, such as `limit("max_order_value", "5_000 USDT", why)`: from the next order on, for good.

        It holds after a restart too, unless the configuration says something tighter by then. Loosening it needs a
        reason, and letting more than 1.5 times as much through in one step needs `confirm`. The answer has the `old`
        and the `new` one.
        """
        arguments = {"name": name, "value": value, "breaker": breaker, "confirm": confirm}
        return self._command("limit", who, why, **arguments)

    def reconcile(self, why: str, who: str = "script", account: str = "") -> dict[str, Any]:
        """Compare books and venue now; the answer's `standing` are the differences known already, by id."""
        return self._command("reconcile", who, why, account=account)

    def approve(
        self, discrepancy: str, why: str, who: str = "script", *, action: str = "adopt", cause: str = ""
    ) -> dict[str, Any]:
        """Decide about a difference by its id: `action` is adopt, ignore, trade_back, flatten, cancel or halt."""
        return self._command("approve", who, why, discrepancy=discrepancy, action=action, cause=cause)

    def resolve(self, order_id: str, why: str, who: str = "script") -> dict[str, Any]:
        """Say that an order in doubt is not at its venue: for venues whose silence never proves it."""
        return self._command("resolve", who, why, order=order_id)

    def submit(
        self, *, who: str = "script", why: str = "", request: str = "", **order: Unpack[steering.OrderTerms]
    ) -> dict[str, Any]:
        """Place a person's order, through the gate and the journal as any other.

        It belongs to the strategy named, else to EXTERNAL. The answer has its id as `order`, its `status` as it was
        written down, and every reason where it was denied. Give it a `request` id to be able to ask again safely.
        """
        return self._command("submit", who, why, request, **order)

    def check(self, *, who: str = "script", **order: Unpack[steering.OrderTerms]) -> dict[str, Any]:
        """What the gate would say to an order of `submit`: `status` approved or denied, `reasons`, and the `intent`.

        Nothing is written down or reserved.
        """
        return self._command("check", who, "", **order)

    def cancel(self, order: str, why: str = "", who: str = "script") -> dict[str, Any]:
        """Take one open order back, by our id or the venue's."""
        return self._command("cancel", who, why, order=order)

    def replace(
        self,
        order: str,
        *,
        quantity: Number | None = None,
        limit_price: Number | None = None,
        stop_price: Number | None = None,
        why: str = "",
        who: str = "script",
        request: str = "",
    ) -> dict[str, Any]:
        """Cancel an order, and submit what is left of it on new terms when its end is certain.

        `quantity` is the new total, what has filled included. Where the gate refuses the new one, the old one stays.
        """
        terms = {"quantity": quantity, "limit_price": limit_price, "stop_price": stop_price}
        return self._command("replace", who, why, request, order=order, **terms)

    def _command(
        self, verb: str, who: str, why: str, request: str = "", /, **arguments: Any
    ) -> dict[str, Any]:
        if self._session is None:
            raise ConfigurationError(f"{verb} needs a running engine")
        return self._session.command(verb, who, why, steering.texts(**arguments), request)


def _discard_unstarted(folder: RunFolder) -> None:
    """Leave no numbered folder behind for data that were refused before anything ran."""
    from fairlead._storage.journal import read_facts
    from fairlead.facts import EngineStarted

    if not any(isinstance(fact, EngineStarted) for fact in read_facts(folder.journal)):
        folder.discard()


def _streams(data: Any) -> dict[str, DataStream]:
    sources = data if isinstance(data, list | tuple) and not _is_events(data) else [data]
    from fairlead._engine.sources import stream_of

    streams = [stream_of(source) for source in sources]
    return {f"{stream.name}{index or ''}": stream for index, stream in enumerate(streams)}


def _is_events(data: Sequence[Any]) -> bool:
    return bool(data) and hasattr(data[0], "received_ns")


def _positions(kernel: Any) -> list[Position]:
    held = kernel.state.positions.items()
    return [copy.copy(position) for key, position in held if key.strategy and position.quantity]


def _orders(kernel: Any) -> list[Order]:
    return [copy.copy(order) for order in kernel.state.open.values()]
