"""The verbs that steer a running engine: what will happen is said, asked for where it matters, and done once."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Mapping
from typing import Any

import attrs
import click

from fairlead._cli.engines import connected
from fairlead._cli.faults import FAULT, USAGE, CommandFailed
from fairlead._cli.tables import paint, print_json
from fairlead._cli.words import price
from fairlead._control.client import Client
from fairlead._report.phrases import printable


@attrs.frozen(kw_only=True)
class Deed:
    """A command: its verb and arguments, what it does in words, and whether a person is asked before.

    `grave` has the account's name typed where the run is LIVE.
    """

    verb: str
    arguments: Mapping[str, str]
    does: str
    asks: bool = True
    grave: bool = False


@attrs.frozen(kw_only=True)
class Manner:
    """How a command is given: to which run, why, under which name, without asking, and how its answer is printed."""

    run: str | None
    why: str
    request: str
    yes: bool
    as_json: bool


def scope_of(account: str | None, strategy: str | None, symbol: str | None) -> str:
    """The scope that options name. Raises CommandFailed where they name more than one."""
    given = [
        f"{kind}:{name}"
        for kind, name in (("account", account), ("strategy", strategy), ("instrument", symbol))
        if name is not None
    ]
    if len(given) > 1:
        raise CommandFailed("--account, --strategy and --symbol are three scopes: give one of them", USAGE)
    return given[0] if given else "engine"


def command(deed: Deed, manner: Manner) -> dict[str, Any]:
    """Say what a command will do, ask where it matters, and have it done. Gives the engine's answer."""
    with connected(manner.run) as client:
        asks = deed.asks and not manner.yes
        if asks and not sys.stdin.isatty():
            raise CommandFailed(
                f"{_said(deed.verb)} asks before it acts, and here is no terminal: add --yes", USAGE
            )
        arguments = dict(deed.arguments)
        if "order" in arguments:
            arguments["order"] = _whole_id(client, arguments["order"])
        if asks or arguments.get("scope", "").startswith("instrument:"):
            status = client.look("status")
            arguments = _long_scope(arguments, status)
            if asks:
                _confirm(client, deed, arguments, status)
        found = client.command(deed.verb, manner.why or _why(), arguments, manner.request)
    answer = dict(found) if isinstance(found, Mapping) else {}
    if manner.as_json:
        print_json(answer)
    else:
        _show(deed, arguments, answer)
    return answer


def _why() -> str:
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = str(os.geteuid())
    return f"asked by {user} at the command line"


def _whole_id(client: Client, ending: str) -> str:
    """The id of the open order that ends like this; the engine decides about one that none does."""
    found = [row["order"] for row in client.look("orders") if row["order"].endswith(ending)]
    if len(found) > 1 and ending not in found:
        raise CommandFailed(f"{len(found)} orders end in {ending}: write more of the id", USAGE)
    return found[0] if len(found) == 1 else ending


def _long_scope(arguments: dict[str, str], status: Mapping[str, Any]) -> dict[str, str]:
    """An instrument's scope has its long form; a short one that is clear is completed."""
    kind, _, name = arguments.get("scope", "").partition(":")
    if kind != "instrument" or "@" in name:
        return arguments
    known = {row["instrument"] for row in (*status["feeds"], *status["positions"])}
    found = sorted(one for one in known if one.rpartition("@")[0] == name)
    if len(found) > 1:
        raise CommandFailed(f"{name} could be {' or '.join(found)}: write one of them", USAGE)
    return arguments | {"scope": f"instrument:{found[0]}"} if found else arguments


# --- asking -------------------------------------------------------------------------------------------------


def _confirm(client: Client, deed: Deed, arguments: Mapping[str, str], status: Mapping[str, Any]) -> None:
    """Show what it is about; nothing happens without an answer that means yes."""
    accounts = _accounts(arguments, status)
    live = status["kind"] == "LIVE"
    kind = paint(status["kind"], fg="red" if live else None, bold=live)
    click.echo(f"{paint(_said(deed.verb), bold=True)}: {deed.does}")
    click.echo(f"  run      {printable(status['run'])} ({kind}, {status['level']})")
    if deed.verb == "submit":
        accounts = [_show_order(client, arguments, status)]
    else:
        for name, value in arguments.items():
            click.echo(f"  {name:<8} {printable(value)}")
    click.echo(f"  account  {', '.join(accounts)}")
    if deed.verb != "submit":
        held = len(status["positions"])
        what = f"{held} open position{'' if held == 1 else 's'}, {status['open_orders']} open orders"
        click.echo(f"  in all   {what}")
    if live and deed.grave:
        what, name = ("account", accounts[0]) if len(accounts) == 1 else ("run", status["run"])
        typed = click.prompt(f"Real money. Type the name of the {what}", default="", show_default=False)
        if typed == name:
            return
    elif click.confirm("Go on?"):
        return
    raise CommandFailed(f"{_said(deed.verb)} was not confirmed: nothing was done", FAULT)


def _show_order(client: Client, arguments: Mapping[str, str], status: Mapping[str, Any]) -> str:
    """The order as the gate would let it through, and the market beside it; gives its account.

    Raises CommandFailed where the gate would deny it.
    """
    found = client.command("check", "", arguments)
    order = found["intent"]
    if found["status"] == "denied":
        raise CommandFailed(f"the order would be denied: {'; '.join(found['reasons'])}", FAULT)
    prices = [
        f"{name.replace('_price', '')} {order[name]}"
        for name in ("limit_price", "stop_price")
        if name in order
    ]
    flags = [name.replace("_", " ") for name in ("post_only", "reduce_only") if order.get(name)]
    words = [order["side"], order["quantity"], order["instrument"], order["type"].replace("_", " "), *prices]
    click.echo(f"  order    {paint(printable(' '.join(words)), bold=True)}")
    click.echo(
        f"           {', '.join([order['time_in_force'], *flags, 'for ' + printable(order['strategy'])])}"
    )
    for row in status["feeds"]:
        if row["instrument"] == order["instrument"] and row["mark"] is not None:
            worth = float(order["quantity"]) * float(row["mark"])
            click.echo(
                f"  market   bid {price(row['bid'])}, ask {price(row['ask'])}, mark {price(row['mark'])}"
            )
            click.echo(f"  value    about {worth:,.2f} at the mark, for contracts of 1")
    return str(order["account"])


def _accounts(arguments: Mapping[str, str], status: Mapping[str, Any]) -> list[str]:
    """The accounts that a command may touch."""
    kind, _, name = arguments.get("scope", "").partition(":")
    chosen = arguments.get("account") or (name if kind == "account" else "")
    return [chosen] if chosen else [row["account"] for row in status["accounts"]]


# --- answering ----------------------------------------------------------------------------------------------


def _show(deed: Deed, arguments: Mapping[str, str], answer: Mapping[str, Any]) -> None:
    scope = arguments.get("scope", "engine")
    where = "" if scope == "engine" else f" for {scope}"
    if deed.verb == "check":
        click.echo(
            f"the order would be {answer['status']}{', and kept by the engine' if answer['held'] else ''}"
        )
    elif answer.get("repeated"):
        click.echo(f"{_said(deed.verb)} had been asked for under this request before: nothing was done again")
    elif "status" in answer:
        click.echo(f"order {answer['order']}: {str(answer['status']).replace('_', ' ')}")
    else:
        click.echo(f"{_said(deed.verb)}{where}: done")
    for name, words in (
        ("withdrawn", "orders taken back"),
        ("closing", "orders that close"),
        ("orders", "orders"),
    ):
        if answer.get(name):
            click.echo(f"  {len(answer[name])} {words}")
    if answer.get("note"):
        click.echo(f"  {printable(answer['note'])}")
    for text in answer.get("standing", ()):
        click.echo(f"  still {printable(text)}")
    if deed.verb == "check":
        for name, value in answer["intent"].items():
            click.echo(f"  {name.replace('_', ' '):<14} {printable(str(value))}")


def _said(verb: str) -> str:
    """A verb as it is written on the command line."""
    return verb.replace("_", "-")


def refuse_denied(answer: Mapping[str, Any]) -> None:
    """Raise CommandFailed where the order that an answer tells of will not trade: its reasons stand above."""
    if answer.get("status") in ("denied", "rejected"):
        raise CommandFailed(
            f"the order was {answer['status']}: {'; '.join(answer.get('reasons', ()))}", FAULT
        )
