"""Orders by hand."""

from __future__ import annotations

from typing import Any

import click

from fairlead._cli import completing
from fairlead._cli.verbs.options import JSON, MANNER, RUN_OPTION, manner_of, need_reason, with_options


@click.group()
def order() -> None:
    """Orders by hand, through the same gate as a strategy's."""


_ORDER = (
    click.argument("side", type=click.Choice(["buy", "sell"])),
    click.argument("symbol", shell_complete=completing.symbols),
    RUN_OPTION,
    click.option("--quantity", "-q", default="", help="In base units or contracts."),
    click.option(
        "--value",
        "-v",
        default="",
        metavar="MONEY",
        help="Instead of a quantity: '500 USDT'; a bare number is in the currency that SYMBOL settles in.",
    ),
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
@with_options(*_ORDER, *MANNER)
def submit(**options: Any) -> None:
    """Submit an order: SIDE is buy or sell, SYMBOL what to trade."""
    from fairlead._cli.steering import Deed, command, refuse_denied

    deed = Deed(verb="submit", arguments=_order_arguments(options), does="an order is sent", grave=True)
    refuse_denied(command(deed, manner_of(options["run_option"], options)))


@order.command()
@with_options(*_ORDER, JSON)
def check(as_json: bool, **options: Any) -> None:
    """Show what would become of an order; nothing is sent."""
    from fairlead._cli.steering import Deed, Manner, command, refuse_denied

    manner = Manner(run=options["run_option"], why="", request="", yes=True, as_json=as_json)
    refuse_denied(command(Deed(verb="check", arguments=_order_arguments(options), does=""), manner))


@order.command()
@click.argument("order_id", metavar="ORDER")
@RUN_OPTION
@with_options(*MANNER)
def cancel(order_id: str, run_option: str | None, **options: Any) -> None:
    """Cancel one order. Does not ask."""
    from fairlead._cli.steering import Deed, command

    deed = Deed(verb="cancel", arguments={"order": order_id}, does="an order is canceled", asks=False)
    command(deed, manner_of(run_option, options))


@order.command()
@click.argument("order_id", metavar="ORDER")
@RUN_OPTION
@click.option("--quantity", "-q", default="", help="The new quantity, filled parts included.")
@click.option("--limit-price", "--limit", default="", metavar="PRICE", help="The new limit.")
@click.option("--stop-price", "--stop", default="", metavar="PRICE", help="The new stop.")
@with_options(*MANNER)
def replace(order_id: str, run_option: str | None, **options: Any) -> None:
    """Give one order another quantity or price."""
    from fairlead._cli.steering import Deed, command

    changes = {name: options[name] for name in ("quantity", "limit_price", "stop_price") if options[name]}
    if not changes:
        raise click.UsageError("nothing changes: give --quantity, --limit-price or --stop-price.")
    deed = Deed(verb="replace", arguments={"order": order_id, **changes}, does="an order is changed")
    command(deed, manner_of(run_option, options))


@order.command()
@click.argument("order_id", metavar="ORDER")
@RUN_OPTION
@with_options(*MANNER)
def resolve(order_id: str, run_option: str | None, **options: Any) -> None:
    """Say that an order in doubt is not at its venue.

    For venues whose silence never proves it. Look there first; needs --why.
    """
    need_reason("your word", options)
    from fairlead._cli.steering import Deed, command

    does = "the order counts as not there, and what was reserved for it is free; should it appear, it is canceled"
    deed = Deed(verb="resolve", arguments={"order": order_id}, does=does, grave=True)
    command(deed, manner_of(run_option, options))


VERBS = (order,)
