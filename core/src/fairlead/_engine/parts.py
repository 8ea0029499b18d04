"""What a run is made of, before anything runs."""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from fairlead._models.accounts import EXTERNAL
from fairlead._secrets.scrub import scrub
from fairlead._secrets.secret import secrets_in
from fairlead._strategy.strategy import Strategy
from fairlead.errors import ConfigurationError

if TYPE_CHECKING:
    from fairlead.facts import StrategySpec
    from fairlead.ports import BrokerAdapter, CircuitBreaker, DataStream, Reconciler


POLICIES = ("leave", "cancel", "flatten")
"""What a strategy's `on_exit` may say."""


@attrs.define
class Parts:
    """What a run is made of.

    `waived` is what it does without that real money needs; `dead_man` are the accounts that use their venue's switch,
    with its time in ns.
    """

    strategies: Sequence[Strategy]
    brokers: Mapping[str, BrokerAdapter]
    streams: Mapping[str, DataStream]
    breakers: Sequence[CircuitBreaker]
    reconcilers: Sequence[Reconciler] = ()
    waived: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    dead_man: Mapping[str, int] = attrs.field(factory=dict, kw_only=True)


def spec(strategy: Strategy) -> StrategySpec:
    """How to build a strategy again. Raises ConfigurationError for arguments that JSON cannot hold."""
    from fairlead.facts import StrategySpec

    args, kwargs = strategy._arguments
    kind = type(strategy)
    try:
        arguments = json.dumps([args, kwargs], sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"strategy {strategy.name} was made with an argument that JSON cannot hold ({error}): "
            f"pass numbers, strings, lists or dicts, so that it can be built again in a backtest or a shadow"
        ) from None
    if scrub(arguments) != arguments:
        raise ConfigurationError(
            f"strategy {strategy.name} was made with the text of a secret, and its arguments are kept in the journal: "
            f"have the strategy make Secret('NAME') itself"
        )
    return StrategySpec(strategy.name, kind.__module__, kind.__qualname__, arguments)


def fresh(strategy: Strategy) -> Strategy:
    """The same strategy as it was when it was made, with nothing that happened since."""
    args, kwargs = strategy._arguments
    again = type(strategy)(*copy.deepcopy(args), **copy.deepcopy(kwargs))
    again.name, again.allocation = strategy.name, strategy.allocation
    if "on_exit" in vars(strategy):
        again.on_exit = strategy.on_exit
    return again


def strategies_of(given: Strategy | Sequence[Strategy]) -> list[Strategy]:
    """What was passed, as a list. Raises ConfigurationError where these are none, or cannot run together."""
    strategies: list[Any]
    if isinstance(given, Strategy) or not isinstance(given, Iterable):
        strategies = [given]
    else:
        strategies = list(given)
    if not strategies:
        raise ConfigurationError("no strategy: pass one, or a list, as the first argument")
    for strategy in strategies:
        if isinstance(strategy, type):
            kind = strategy.__name__
            raise ConfigurationError(f"strategy {kind} is a class: pass an object, {kind}(...)")
        if not isinstance(strategy, Strategy):
            raise ConfigurationError(
                f"{strategy!r} is no strategy: derive its class from fairlead.Strategy; plugins go to plugins=[...]"
            )
    for strategy in strategies:
        _check_handlers(type(strategy))
        _check_arguments(strategy)
        if strategy.on_exit not in POLICIES:
            raise ConfigurationError(
                f"strategy {strategy.name} has on_exit={strategy.on_exit!r}: write one of {', '.join(POLICIES)}"
            )
    names = [strategy.name for strategy in strategies]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"two strategies are named {name!r}: give one another name, name='...'")
    if EXTERNAL in names:
        raise ConfigurationError(
            f"no strategy can be named {EXTERNAL}: what nobody here ordered stands under it"
        )
    if len(strategies) > 1:
        lacking = [s.name for s in strategies if s.allocation is None]
        if lacking:
            raise ConfigurationError(
                f"strategies {', '.join(names)} share an account, and {', '.join(lacking)} has no allocation: "
                f"give each its share, allocation='50%' or allocation='10_000 USDT'"
            )
    return strategies


def _check_arguments(strategy: Strategy) -> None:
    """Refuse secrets: the arguments are kept in the journal, so that the strategy can be built again."""
    if secrets_in(strategy._arguments):
        raise ConfigurationError(
            f"strategy {strategy.name} was made with a Secret, and its arguments are kept in the journal: give it to a "
            f"broker or a stream, or have the strategy make Secret('NAME') itself"
        )


def _check_handlers(kind: type[Strategy]) -> None:
    """Refuse a method that looks like a handler and would never be called."""
    handlers = [name for name, value in vars(Strategy).items() if name.startswith("on_") and callable(value)]
    for name in dir(kind):
        if name.startswith("on_") and name not in handlers and callable(getattr(kind, name)):
            close = difflib.get_close_matches(name[3:], [handler[3:] for handler in handlers], 1)
            remedy = f"did you mean on_{close[0]}?" if close else f"the handlers are {', '.join(handlers)}"
            raise ConfigurationError(
                f"{kind.__name__}.{name} is no handler: {remedy} (a method of your own has a name without on_)"
            )


def kind_of(brokers: Iterable[BrokerAdapter]) -> str:
    """LIVE where any account trades real money, else TESTNET, else PAPER."""
    kinds = {broker.profile.environment.upper() for broker in brokers}
    return next((kind for kind in ("LIVE", "TESTNET") if kind in kinds), "PAPER")
