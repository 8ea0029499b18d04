"""What the shell offers when a name is being typed: it asks the list of engines, and engines that answer at once."""

from __future__ import annotations

from collections.abc import Callable

import click

GLANCE_SECONDS = 0.3

Completion = Callable[[click.Context, click.Parameter, str], list[str]]


def _offers(names: Callable[[], list[str]]) -> Completion:
    """Offer those names that begin with what has been typed."""

    def complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
        return sorted({name for name in names() if name.startswith(incomplete)})

    complete.__doc__ = names.__doc__
    return complete


@_offers
def runs() -> list[str]:
    """The names of the engines that run."""
    from fairlead._control.registry import engines

    return [engine.name for engine in engines()]


@_offers
def strategies() -> list[str]:
    """The strategies of the engines that run."""
    from fairlead._control.registry import engines

    return [name for engine in engines() for name in engine.strategies]


@_offers
def accounts() -> list[str]:
    """The accounts of the engines that run."""
    from fairlead._control.registry import engines

    return [name for engine in engines() for name in engine.accounts]


@_offers
def symbols() -> list[str]:
    """The instruments that the engines follow."""
    return _seen("feeds", "instrument")


@_offers
def tripped() -> list[str]:
    """The breakers that have tripped."""
    return _seen("tripped", "breaker")


def _seen(what: str, name: str) -> list[str]:
    from fairlead._cli.engines import glance
    from fairlead._control.registry import engines

    found = (glance(engine, GLANCE_SECONDS) for engine in engines())
    return [str(row[name]) for status in found if status for row in status[what]]


def script(shell: str) -> str:
    """The completion script of a shell: bash, zsh or fish."""
    from click.shell_completion import get_completion_class

    from fairlead._cli.app import cli

    kind = get_completion_class(shell)
    assert kind is not None
    made = kind(cli, {}, "fairlead", "_FAIRLEAD_COMPLETE")
    return made.source_template % made.source_vars()
