"""The hooks: pluggy finds and wires, ports do the work.

Two families. *Registration* hooks are called once, while an engine is constructed; each is handed a `register`
callable and gives it objects that fill a port. *Observation* hooks are told of facts, never of market events;
they are synchronous, must not block, decide nothing, and run after a turn's commands are sent. One that raises
is logged once by its plugin's name and called no more.

A plugin implements a hook with `@fairlead.hookspecs.hookimpl` and names only the arguments it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from fairlead.facts import Fact
    from fairlead.ports import BrokerAdapter, CircuitBreaker, DataStream, Reconciler

hookspec = pluggy.HookspecMarker("fairlead")
hookimpl = pluggy.HookimplMarker("fairlead")


@hookspec
def fairlead_register_broker(register: Callable[[BrokerAdapter], None]) -> None:
    """Offer broker adapters: call `register(broker)` for each.

    When: once per engine, during construction. Task: the constructor's thread. May it block: no; open nothing,
    connecting comes later. If it raises: the engine refuses to start and names the plugin. Since 0.1.

    :param register: takes a `fairlead.ports.BrokerAdapter`; refuses a second one of the same name.
    """


@hookspec
def fairlead_register_stream(register: Callable[[DataStream], None]) -> None:
    """Offer data streams: call `register(stream)` for each.

    When: once per engine, during construction. Task: the constructor's thread. May it block: no. If it raises:
    the engine refuses to start and names the plugin. Since 0.1.

    :param register: takes a `fairlead.ports.DataStream`; refuses a second one of the same name.
    """


@hookspec
def fairlead_register_breaker(register: Callable[[CircuitBreaker], None]) -> None:
    """Offer circuit breakers: call `register(breaker)` for each, in the order in which they shall judge.

    When: once per engine, during construction. Task: the constructor's thread. May it block: no. If it raises:
    the engine refuses to start and names the plugin. Since 0.1.

    :param register: takes a `fairlead.ports.CircuitBreaker`; refuses a second one of the same name.
    """


@hookspec
def fairlead_register_reconciler(register: Callable[[Reconciler], None]) -> None:
    """Offer reconcilers: call `register(reconciler)` for each, in the order in which they shall decide.

    When: once per engine, during construction. Task: the constructor's thread. May it block: no. If it raises:
    the engine refuses to start and names the plugin. Since 0.1.

    :param register: takes a `fairlead.ports.Reconciler`; refuses a second one of the same name.
    """


@hookspec
def fairlead_register_command(register: Callable[[click.Command], None]) -> None:
    """Offer verbs of the command line: call `register(command)` for each.

    The entry point names an object that is called `verbs` (`venue = "fairlead_venue:verbs"`); no other is imported
    for the command line's sake, and this one should import little before it is called.

    When: once per command line, when a verb of that name is called or verbs are listed. Task: the command line's.
    May it block: no; open nothing before the verb runs. If it raises: the verb is refused and the plugin is named.
    Since 0.1.

    :param register: takes a `click.Command`; a verb that fairlead itself has is kept, and the plugin's refused.
    """


@hookspec
def fairlead_started(engine: Any) -> None:
    """An engine is about to hand its first market event to strategies.

    When: once per run, after brokers and streams are connected. Task: the engine's. May it block: no. If it
    raises: logged once, the plugin observes no more, trading goes on. Since 0.1.

    :param engine: the `fairlead.LiveTradingEngine`; ask it, do not steer it.
    """


@hookspec
def fairlead_fact(fact: Fact) -> None:
    """A fact is in the journal.

    When: for every fact, in order, after the turn's commands are sent. Task: the engine's. May it block: no. If
    it raises: logged once, the plugin observes no more, trading goes on. Since 0.1.

    :param fact: what happened; frozen.
    """


@hookspec
def fairlead_stopped(reason: str) -> None:
    """An engine has ended.

    When: once per run, after brokers and streams are closed. Task: the engine's. May it block: no. If it
    raises: logged once. Since 0.1.

    :param reason: why it ended, in words.
    """
