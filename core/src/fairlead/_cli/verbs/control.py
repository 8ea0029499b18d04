"""The verbs that look at a running engine and steer it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from fairlead._cli import completing
from fairlead._cli.verbs.options import JSON, RUN_OPTION, F, chosen, one_run

_MANNER = (
    click.option("--why", default="", metavar="TEXT", help="The reason; it is written into the journal."),
    click.option("--yes", "-y", is_flag=True, help="Do not ask."),
    click.option(
        "--request", default="", metavar="ID", help="Sent again under the same ID, it is done once."
    ),
    JSON,
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


def _with(*options: Callable[[F], F]) -> Callable[[F], F]:
    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def _manner(run: str | None, options: dict[str, Any]) -> Any:
    from fairlead._cli.steering import Manner

    return Manner(
        run=run,
        why=options["why"],
        request=options["request"],
        yes=options["yes"],
        as_json=options["as_json"],
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
    command(Deed(verb=verb, arguments=given, does=does, asks=asks, grave=grave), _manner(run, options))


# --- looking ------------------------------------------------------------------------------------------------


@click.command()
@one_run
@click.option("--live", is_flag=True, help="Stay, and follow it: the same as top.")
@JSON
@click.pass_context
def status(ctx: click.Context, run: str | None, run_option: str | None, live: bool, as_json: bool) -> None:
    """Show how a running engine stands.

    Exit codes: 0 ok, 3 degraded (something is down, stale, unknown, tripped or halted), 4 the engine or an
    account is halted or killed.
    """
    from fairlead._cli import showing

    which = chosen(run, run_option)
    if live:
        showing.top(which)
    else:
        ctx.exit(showing.status(which, as_json))


@click.command()
@one_run
@JSON
def positions(run: str | None, run_option: str | None, as_json: bool) -> None:
    """List the open positions of a running engine."""
    from fairlead._cli import showing

    showing.positions(chosen(run, run_option), as_json)


@click.command()
@one_run
@JSON
def orders(run: str | None, run_option: str | None, as_json: bool) -> None:
    """List the open orders of a running engine."""
    from fairlead._cli import showing

    showing.orders(chosen(run, run_option), as_json)


@click.command()
@one_run
@click.option(
    "--last", type=click.IntRange(min=0), default=50, show_default=True, help="How many; 0 for all."
)
@JSON
def fills(run: str | None, run_option: str | None, last: int, as_json: bool) -> None:
    """List the last fills of a run, whether it runs or not."""
    from fairlead._cli import showing

    showing.fills(chosen(run, run_option), last, as_json)


@click.command()
@one_run
@JSON
def balance(run: str | None, run_option: str | None, as_json: bool) -> None:
    """List what the accounts of a running engine hold."""
    from fairlead._cli import showing

    showing.balance(chosen(run, run_option), as_json)


@click.command()
@one_run
@JSON
def breakers(run: str | None, run_option: str | None, as_json: bool) -> None:
    """List the breakers of a running engine."""
    from fairlead._cli import showing

    showing.breakers(chosen(run, run_option), as_json)


@click.command()
@JSON
def ps(as_json: bool) -> None:
    """List the engines that run on this host."""
    from fairlead._cli import showing

    showing.ps(as_json)


@click.command()
@one_run
@click.option("--attached", is_flag=True, hidden=True, help="End when standard input is closed.")
def top(run: str | None, run_option: str | None, attached: bool) -> None:
    """Watch a run in this terminal.

    Ctrl-C leaves it, and the engine goes on.
    """
    from fairlead._cli import showing

    showing.top(chosen(run, run_option), attached=attached)


@click.command()
@one_run
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option(
    "--level",
    type=click.Choice(["debug", "info", "warning", "error", "critical"]),
    help="Only what is at least so grave.",
)
@click.option("--grep", metavar="PATTERN", help="Only lines with this in them; a regular expression.")
@click.option(
    "--last", type=click.IntRange(min=0), default=200, show_default=True, help="How many; 0 for all."
)
def logs(
    run: str | None, run_option: str | None, follow: bool, level: str | None, grep: str | None, last: int
) -> None:
    """Print the log of a run, whether it runs or not."""
    from fairlead._cli.logs import logs as print_logs

    print_logs(chosen(run, run_option), follow, level, grep, last)


# --- steering -----------------------------------------------------------------------------------------------


@click.command()
@one_run
@_with(*_SCOPE, *_MANNER)
def pause(**options: Any) -> None:
    """Have strategies open nothing new.

    Their positions stay managed. Does not ask: it can only make less happen.
    """
    _steer("pause", "strategies open nothing new, their positions stay managed", options, asks=False)


@click.command()
@one_run
@_with(*_SCOPE, *_MANNER)
def resume(**options: Any) -> None:
    """Lift a pause or a halt. Tripped breakers stay tripped."""
    _steer("resume", "what was paused or halted by hand trades again", options)


@click.command()
@one_run
@_with(*_SCOPE, *_MANNER)
def halt(**options: Any) -> None:
    """Have nothing added to what is held.

    Only what protects an open position gets through. Does not ask: it can only make less happen.
    """
    _steer("halt", "nothing is added, only what protects a position gets through", options, asks=False)


@click.command()
@one_run
@click.option("--flatten", is_flag=True, help="Close every position, too.")
@_with(_ACCOUNT, *_MANNER)
def kill(flatten: bool, **options: Any) -> None:
    """Cancel every order and trade no more.

    It holds through restarts, until `fairlead reset kill`.
    """
    does = "every order is canceled, and nothing is traded until `fairlead reset kill`"
    if flatten:
        does = f"every position is closed at the market, {does}"
    _steer("kill", does, options, grave=True, flatten="true" if flatten else "")


@click.command()
@one_run
@_with(*_SCOPE, *_MANNER)
def flatten(**options: Any) -> None:
    """Pause, cancel the orders, and close every position.

    Positions are closed at the market. `fairlead resume` of the same scope lifts the pause.
    """
    does = "strategies are paused, orders canceled, every position closed at the market; `resume` lifts the pause"
    _steer("flatten", does, options, grave=True)


@click.command("cancel-all")
@one_run
@_with(*_SCOPE, *_MANNER)
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
@_with(*_MANNER)
def stop(run: str | None, run_option: str | None, when: str, within: str, **options: Any) -> None:
    """End a running engine in good order; what it holds is kept."""
    from fairlead._cli.steering import Deed, command

    does = "the engine ends in good order; positions and orders at the venue stay"
    if when == "flat":
        does = "nothing new is opened, and the engine ends once nothing is held"
    arguments = {"when": when} | ({"within": within} if within else {})
    command(Deed(verb="stop", arguments=arguments, does=does), _manner(chosen(run, run_option), options))


@click.command()
@click.argument("breaker", shell_complete=completing.tripped)
@RUN_OPTION
@_with(*_SCOPE, *_MANNER)
def reset(breaker: str, **options: Any) -> None:
    """Close a tripped BREAKER; `kill` lifts a kill.

    Without a scope wherever it has tripped.
    """
    from fairlead._cli.steering import Deed, command, scope_of

    scope = scope_of(options["account"], options["strategy"], options["symbol"])
    arguments = {"breaker": breaker} | ({} if scope == "engine" else {"scope": scope})
    deed = Deed(
        verb="reset",
        arguments=arguments,
        does=f"{breaker} is closed, and may trip again",
        grave=breaker == "kill",
    )
    command(deed, _manner(options["run_option"], options))


# --- orders -------------------------------------------------------------------------------------------------


@click.group()
def order() -> None:
    """Orders by hand, through the same gate as a strategy's."""


_ORDER = (
    click.argument("side", type=click.Choice(["buy", "sell"])),
    click.argument("symbol", shell_complete=completing.symbols),
    RUN_OPTION,
    click.option("--quantity", "-q", default="", help="In base units or contracts."),
    click.option("--value", "-v", default="", metavar="MONEY", help="Instead of a quantity: '500 USDT'."),
    click.option(
        "--limit-price", "--limit", default="", metavar="PRICE", help="The worst price to trade at."
    ),
    click.option("--stop-price", "--stop", default="", metavar="PRICE", help="The price that sets it off."),
    click.option("--trail", default="", metavar="D", help="A trailing stop's distance: 150, or 2%."),
    click.option(
        "--time-in-force",
        "--tif",
        default="",
        metavar="TIF",
        help="GTC, DAY, IOC, FOK or GTD; GTC without it.",
    ),
    click.option("--expires", default="", metavar="TIME", help="With GTD: a duration, or a time with zone."),
    click.option("--post-only", is_flag=True, help="Only as a maker."),
    click.option("--reduce-only", is_flag=True, help="Only as far as it closes something."),
    click.option("--account", default="", metavar="NAME", shell_complete=completing.accounts),
    click.option(
        "--strategy", default="", metavar="NAME", shell_complete=completing.strategies, help="In whose name."
    ),
    click.option("--tag", default="", help="Your own word for it."),
)


def _order_arguments(options: dict[str, Any]) -> dict[str, str]:
    names = ("side", "quantity", "value", "limit_price", "stop_price", "trail", "time_in_force", "expires")
    given = {name: options[name] for name in (*names, "account", "strategy", "tag") if options[name]}
    flags = {name: "true" for name in ("post_only", "reduce_only") if options[name]}
    return {"instrument": options["symbol"], **given, **flags}


@order.command()
@_with(*_ORDER, *_MANNER)
def submit(**options: Any) -> None:
    """Submit an order: SIDE is buy or sell, SYMBOL what to trade."""
    from fairlead._cli.steering import Deed, command, refuse_denied

    deed = Deed(verb="submit", arguments=_order_arguments(options), does="an order is sent", grave=True)
    refuse_denied(command(deed, _manner(options["run_option"], options)))


@order.command()
@_with(*_ORDER, JSON)
def check(as_json: bool, **options: Any) -> None:
    """Show what would become of an order; nothing is sent."""
    from fairlead._cli.steering import Deed, Manner, command, refuse_denied

    manner = Manner(run=options["run_option"], why="", request="", yes=True, as_json=as_json)
    refuse_denied(command(Deed(verb="check", arguments=_order_arguments(options), does=""), manner))


@order.command()
@click.argument("order_id", metavar="ORDER")
@RUN_OPTION
@_with(*_MANNER)
def cancel(order_id: str, run_option: str | None, **options: Any) -> None:
    """Cancel one order. Does not ask."""
    from fairlead._cli.steering import Deed, command

    deed = Deed(verb="cancel", arguments={"order": order_id}, does="an order is canceled", asks=False)
    command(deed, _manner(run_option, options))


@order.command()
@click.argument("order_id", metavar="ORDER")
@RUN_OPTION
@click.option("--quantity", "-q", default="", help="The new quantity, filled parts included.")
@click.option("--limit-price", "--limit", default="", metavar="PRICE", help="The new limit.")
@click.option("--stop-price", "--stop", default="", metavar="PRICE", help="The new stop.")
@_with(*_MANNER)
def replace(order_id: str, run_option: str | None, **options: Any) -> None:
    """Give one order another quantity or price."""
    from fairlead._cli.steering import Deed, command

    changes = {name: options[name] for name in ("quantity", "limit_price", "stop_price") if options[name]}
    if not changes:
        raise click.UsageError("nothing changes: give --quantity, --limit-price or --stop-price.")
    deed = Deed(verb="replace", arguments={"order": order_id, **changes}, does="an order is changed")
    command(deed, _manner(run_option, options))


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes a shell complete verbs and names.

    For bash put `eval "$(fairlead completion bash)"` into ~/.bashrc; for zsh the same with zsh into ~/.zshrc; for
    fish `fairlead completion fish | source` into ~/.config/fish/config.fish.
    """
    click.echo(completing.script(shell))


VERBS = (
    status, positions, orders, fills, balance, breakers, ps, top, logs,
    pause, resume, halt, cancel_all, flatten, kill, reset, stop, order, completion,
)  # fmt: skip
