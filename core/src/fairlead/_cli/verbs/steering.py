"""The verbs that steer a running engine."""

from __future__ import annotations

from typing import Any

import click

from fairlead._cli import completing
from fairlead._cli.verbs.options import (
    MANNER,
    RUN_OPTION,
    chosen,
    manner_of,
    need_reason,
    one_run,
    settings_options,
    with_options,
)

_ACCOUNT = click.option(
    "--account", metavar="NAME", shell_complete=completing.accounts, help="One account only."
)
_SCOPE = (
    click.option(
        "--strategy", metavar="NAME", shell_complete=completing.strategies, help="One strategy only."
    ),
    click.option("--symbol", metavar="ID", shell_complete=completing.symbols, help="One instrument only."),
    _ACCOUNT,
)


def _steer(
    verb: str,
    does: str,
    options: dict[str, Any],
    *,
    asks: bool = True,
    grave: bool = False,
    **arguments: str,
) -> None:
    """Carry out a command with a scope."""
    from fairlead._cli.steering import Deed, command, scope_of

    scope = scope_of(options["account"], options.get("strategy"), options.get("symbol"))
    run = chosen(options.get("run"), options["run_option"])
    given = {"scope": scope, **{name: value for name, value in arguments.items() if value}}
    command(Deed(verb=verb, arguments=given, does=does, asks=asks, grave=grave), manner_of(run, options))


@click.command()
@one_run
@with_options(*_SCOPE, *MANNER)
def pause(**options: Any) -> None:
    """Have strategies open nothing new.

    Their positions stay managed. Does not ask: it can only make less happen.
    """
    _steer("pause", "strategies open nothing new, their positions stay managed", options, asks=False)


@click.command()
@one_run
@with_options(*_SCOPE, *MANNER)
def resume(**options: Any) -> None:
    """Lift a pause or a halt; needs --why.

    Tripped breakers stay tripped.
    """
    need_reason("resume", options)
    _steer("resume", "what was paused or halted by hand trades again", options)


@click.command()
@one_run
@with_options(*_SCOPE, *MANNER)
def halt(**options: Any) -> None:
    """Have nothing added to what is held.

    Only what protects an open position gets through. Does not ask: it can only make less happen.
    """
    _steer("halt", "nothing is added, only what protects a position gets through", options, asks=False)


@click.command()
@one_run
@click.option("--flatten", is_flag=True, help="Close every position, too.")
@click.option(
    "--standalone", is_flag=True, help="From a process of its own; RUN is then FILE.py or FILE.toml."
)
@click.option(
    "--when-silent",
    metavar="D",
    help="With --standalone: once the engine was silent for so long, such as 5s.",
)
@click.option(
    "--within", metavar="D", default="60s", show_default=True, help="With --standalone: how long to try."
)
@settings_options
@with_options(_ACCOUNT, *MANNER)
def kill(
    flatten: bool,
    standalone: bool,
    when_silent: str | None,
    within: str,
    profile: str | None,
    settings: tuple[str, ...],
    **options: Any,
) -> None:
    """Cancel every order and trade no more.

    It holds through restarts, until `fairlead reset kill`. With --standalone it asks no engine, which may hang: it
    connects to the venues of FILE itself.
    """
    if standalone:
        from fairlead._cli.killing import Means, kill_standalone

        means = Means(
            file=options["run"],
            profile=profile,
            settings=settings,
            run=options["run_option"],
            account=options["account"],
            flatten=flatten,
            when_silent=when_silent,
            within=within,
        )
        kill_standalone(means, manner_of(None, options))
        return
    if when_silent is not None or profile is not None or settings:
        raise click.UsageError(
            "--when-silent, --profile and --set are for --standalone: add it, or leave them out."
        )
    does = "every order is canceled, and nothing is traded until `fairlead reset kill`"
    if flatten:
        does = f"every position is closed at the market, {does}"
    _steer("kill", does, options, grave=True, flatten="true" if flatten else "")


@click.command()
@one_run
@with_options(*_SCOPE, *MANNER)
def flatten(**options: Any) -> None:
    """Pause, cancel the orders, and close every position.

    Positions are closed at the market. `fairlead resume` of the same scope lifts the pause.
    """
    does = "strategies are paused, orders canceled, every position closed at the market; `resume` lifts the pause"
    _steer("flatten", does, options, grave=True)


@click.command("cancel-all")
@one_run
@with_options(*_SCOPE, *MANNER)
def cancel_all(**options: Any) -> None:
    """Cancel every order, protective ones too."""
    _steer("cancel_all", "every order is canceled, stops that protect positions among them", options)


@click.command()
@one_run
@click.option(
    "--when",
    type=click.Choice(["now", "flat"]),
    default="now",
    show_default=True,
    help="Or once nothing is held.",
)
@click.option(
    "--within", metavar="D", default="", help="With --when flat: how long to wait at most, such as 10m."
)
@with_options(*MANNER)
def stop(run: str | None, run_option: str | None, when: str, within: str, **options: Any) -> None:
    """End a running engine in good order; what it holds is kept."""
    from fairlead._cli.steering import Deed, command

    does = "the engine ends in good order; positions and orders at the venue stay"
    if when == "flat":
        does = "nothing new is opened, and the engine ends once nothing is held"
    arguments = {"when": when} | ({"within": within} if within else {})
    command(Deed(verb="stop", arguments=arguments, does=does), manner_of(chosen(run, run_option), options))


@click.command()
@click.argument("breaker", shell_complete=completing.tripped)
@RUN_OPTION
@with_options(*_SCOPE, *MANNER)
def reset(breaker: str, **options: Any) -> None:
    """Close a tripped BREAKER; `kill` lifts a kill; needs --why.

    Without a scope wherever it has tripped.
    """
    need_reason("reset", options)
    from fairlead._cli.steering import Deed, command, scope_of

    scope = scope_of(options["account"], options["strategy"], options["symbol"])
    arguments = {"breaker": breaker} | ({} if scope == "engine" else {"scope": scope})
    deed = Deed(
        verb="reset",
        arguments=arguments,
        does=f"{breaker} is closed, and may trip again",
        grave=breaker == "kill",
    )
    command(deed, manner_of(options["run_option"], options))


@click.command()
@click.argument("name")
@click.argument("value")
@RUN_OPTION
@click.option("--breaker", metavar="NAME", default="", help="Whose limit it is, where several have one.")
@click.option("--confirm", is_flag=True, help="Loosen it beyond 1.5 times in one step.")
@with_options(*MANNER)
def limit(name: str, value: str, breaker: str, confirm: bool, **options: Any) -> None:
    """Change the limit NAME to VALUE, from the next order on.

    It holds after a restart, and needs --why where it is looser. `fairlead risk` lists the limits by name.
    """
    from fairlead._cli.steering import Deed, command

    arguments = {"name": name, "value": value} | ({"breaker": breaker} if breaker else {})
    arguments |= {"confirm": "true"} if confirm else {}
    deed = Deed(verb="limit", arguments=arguments, does=f"{name} becomes {value}, also after restarts")
    command(deed, manner_of(options["run_option"], options))


VERBS = (pause, resume, halt, cancel_all, flatten, kill, reset, limit, stop)
