"""Putting a kernel together: the same for a backtest and for a live run."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from fairlead._kernel.clock import Agenda
from fairlead._kernel.context import allocation
from fairlead._kernel.kernel import EventLog, FactLog, Kernel
from fairlead._kernel.state import State
from fairlead._models.instrument import Instrument
from fairlead._strategy.strategy import Strategy
from fairlead.errors import ConfigurationError
from fairlead.facts import AccountOpened, EngineStarted, StrategySpec
from fairlead.ports import BrokerAdapter, CircuitBreaker, DataStream, Snapshot, Subscription


def spec(strategy: Strategy) -> StrategySpec:
    """How to build a strategy again. Raises ConfigurationError for arguments that JSON cannot hold."""
    args, kwargs = strategy._arguments
    kind = type(strategy)
    try:
        arguments = json.dumps([args, kwargs], sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"strategy {strategy.name} was made with an argument that JSON cannot hold ({error}): "
            f"pass numbers, strings, lists or dicts, so that it can be built again in a backtest or a shadow"
        ) from None
    return StrategySpec(strategy.name, kind.__module__, kind.__qualname__, arguments)


def fresh(strategy: Strategy) -> Strategy:
    """The same strategy as it was when it was made, with nothing that happened since."""
    args, kwargs = strategy._arguments
    again = type(strategy)(*copy.deepcopy(args), **copy.deepcopy(kwargs))
    again.name, again.allocation = strategy.name, strategy.allocation
    return again


@attrs.define
class Parts:
    """What a run is made of."""

    strategies: Sequence[Strategy]
    brokers: Mapping[str, BrokerAdapter]
    streams: Mapping[str, DataStream]
    breakers: Sequence[CircuitBreaker]


def build(parts: Parts, *, state: State, agenda: Agenda, journal: FactLog, tape: EventLog | None) -> Kernel:
    """A kernel for these parts. Raises ConfigurationError where strategies do not fit together."""
    profiles = {name: broker.profile for name, broker in parts.brokers.items()}
    equivalents = frozenset(frozenset(pair) for profile in profiles.values() for pair in profile.equivalents)
    kernel = Kernel(
        state=state,
        agenda=agenda,
        journal=journal,
        tape=tape,
        profiles=profiles,
        breakers=parts.breakers,
        zones={name: profile.zone for name, profile in profiles.items()},
        equivalents=equivalents,
    )
    account = next(iter(profiles))
    for strategy in parts.strategies:
        kernel.add_strategy(strategy, account)
        if strategy.allocation is not None:
            kernel.allocations[strategy.name] = allocation(strategy.allocation)
    kernel.feeds.offers = lambda instrument: _offers(parts.streams.values(), instrument)
    return kernel


def _offers(streams: Iterable[DataStream], instrument: str) -> tuple[str, ...]:
    for stream in streams:
        offered = stream.offers(instrument)
        if offered:
            return offered
    return ()


def stream_for(streams: Iterable[DataStream], subscription: Subscription) -> DataStream | None:
    """The stream that serves a feed: the first in the user's list that has it."""
    return next((s for s in streams if subscription.kind in s.offers(subscription.instrument)), None)


async def introduce(kernel: Kernel, parts: Parts) -> None:
    """Gather what can be traded. A broker's own rules win; brokers that simulate learn theirs from the streams."""
    offered = [instrument for stream in parts.streams.values() for instrument in await stream.instruments()]
    for broker in parts.brokers.values():
        learn: Callable[[Instrument], Any] | None = getattr(broker, "learn", None)
        for instrument in offered:
            if learn is not None:
                learn(instrument)
    for instrument in offered:
        kernel.catalogue[instrument.id] = instrument
    for broker in parts.brokers.values():
        for instrument in await broker.instruments():
            kernel.catalogue[instrument.id] = instrument


def open_accounts(
    kernel: Kernel, parts: Parts, snapshots: Mapping[str, Snapshot], *, namespace: int, epoch: int
) -> None:
    """Write down the start of a run, and the accounts that are new to the journal."""
    record = kernel.recorder.record
    kernel.recorder.cause = kernel.recorder.seq + 1
    record(
        EngineStarted,
        namespace=namespace,
        epoch=epoch,
        strategies=tuple(spec(strategy) for strategy in parts.strategies),
        accounts=tuple(parts.brokers),
    )
    for name, broker in parts.brokers.items():
        if name in kernel.state.accounts:
            continue
        balances = snapshots[name].balances
        if balances is None:
            raise ConfigurationError(
                f"account {name} gave no balances: nothing can be traded that cannot be valued"
            )
        currency = broker.profile.base_currency or next(iter(balances), "")
        record(AccountOpened, account=name, currency=currency, balances=dict(balances))


def check_composition(strategies: Sequence[Strategy]) -> None:
    """Refuse strategies that cannot run together. Raises ConfigurationError."""
    if not strategies:
        raise ConfigurationError("no strategy: pass one, or a list, as the first argument")
    names = [strategy.name for strategy in strategies]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"two strategies are named {name!r}: give one another name, name='...'")
    if len(strategies) > 1:
        lacking = [s.name for s in strategies if s.allocation is None]
        if lacking:
            raise ConfigurationError(
                f"strategies {', '.join(names)} share an account, and {', '.join(lacking)} has no allocation: "
                f"give each its share, allocation='50%' or allocation='10_000 USDT'"
            )


def kind_of(brokers: Iterable[BrokerAdapter]) -> str:
    """LIVE where any account trades real money, else TESTNET, else PAPER."""
    kinds = {broker.profile.environment.upper() for broker in brokers}
    return next((kind for kind in ("LIVE", "TESTNET") if kind in kinds), "PAPER")
