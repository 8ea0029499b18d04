"""Putting a kernel together: the same for a backtest and for a live run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fairlead._engine.parts import Parts, spec
from fairlead._kernel.clock import Agenda
from fairlead._kernel.context import allocation
from fairlead._kernel.kernel import EventLog, FactLog, Kernel
from fairlead._kernel.state import REMEMBERED_FILLS, State
from fairlead._models.instrument import Instrument
from fairlead.errors import ConfigurationError
from fairlead.facts import AccountOpened, EngineStarted, Fact
from fairlead.ports import BrokerAdapter, DataStream, Snapshot, Subscription
from fairlead.units import duration

Learned = tuple[type[Fact], dict[str, object]]
"""A fact to write down at a start: its kind and its fields."""


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
        reconcilers=parts.reconcilers,
        zones={name: profile.zone for name, profile in profiles.items()},
        equivalents=equivalents,
        dead_man=parts.dead_man,
    )
    account = next(iter(profiles))
    for strategy in parts.strategies:
        kernel.add_strategy(strategy, account)
        if strategy.allocation is not None:
            kernel.allocations[strategy.name] = allocation(strategy.allocation)
    kernel.feeds.offers = lambda instrument: offers_of(parts.streams.values(), instrument)
    kernel.feeds.settle = lambda instrument: settle_of(parts.streams.values(), instrument)
    return kernel


def offers_of(streams: Iterable[DataStream], instrument: str) -> tuple[str, ...]:
    """The feeds of an instrument, of the first stream in the user's list that has any."""
    for stream in streams:
        offered = stream.offers(instrument)
        if offered:
            return offered
    return ()


def settle_of(streams: Iterable[DataStream], instrument: str) -> int:
    """How long, in ns, a time bar waits for late prints."""
    serving = next((stream for stream in streams if stream.offers(instrument)), None)
    return duration(getattr(serving, "settle", 0))


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


def currency_of(broker: BrokerAdapter, snapshot: Snapshot) -> str:
    """What an account is kept in: what its profile says, else the first that it has of anything."""
    return broker.profile.base_currency or next(iter(snapshot.balances or ()), "")


def open_accounts(
    kernel: Kernel,
    parts: Parts,
    snapshots: Mapping[str, Snapshot],
    *,
    namespace: int,
    epoch: int,
    contained: Mapping[str, tuple[str, ...]] = {},
    learned: Sequence[Learned] = (),
    tail_lost: bool = False,
) -> None:
    """Write down the start of a run, what it learned of its journal, and the accounts that are new to that.

    `snapshots` are theirs, `contained` the ids of the fills that these contain; `tail_lost` says that a power cut may
    have taken the journal's last records.
    """
    record = kernel.recorder.record
    kernel.recorder.cause = kernel.recorder.seq + 1
    record(
        EngineStarted,
        namespace=namespace,
        epoch=epoch,
        strategies=tuple(spec(strategy) for strategy in parts.strategies),
        accounts=tuple(parts.brokers),
        tail_lost=tail_lost,
        waived=parts.waived,
    )
    for kind, fields in learned:
        record(kind, **fields)
    for name, broker in parts.brokers.items():
        if name in kernel.state.accounts:
            continue
        balances = snapshots[name].balances
        if balances is None:
            raise ConfigurationError(
                f"account {name} gave no balances: nothing can be traded that cannot be valued"
            )
        currency = currency_of(broker, snapshots[name])
        fills = contained.get(name, ())[-REMEMBERED_FILLS:]
        record(AccountOpened, account=name, currency=currency, balances=dict(balances), contained=fills)
