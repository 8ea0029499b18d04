"""The verbs that steer a running engine: what will happen is said, asked for where it matters, and done once."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import click

from fairlead._cli.engines import connected
from fairlead._cli.faults import FAULT, USAGE, CommandFailed
from fairlead._cli.tables import paint, print_json, print_sentence
from fairlead._cli.words import count, money, number, price
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
        if asks and not on_terminal():
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
        found = client.command(deed.verb, _reason(deed, manner), arguments, manner.request)
    answer = dict(found) if isinstance(found, Mapping) else {}
    if manner.as_json:
        print_json(answer)
    else:
        _show(deed, arguments, answer)
    return answer


def on_terminal() -> bool:
    """Whether there is a person who can be asked."""
    return sys.stdin.isatty()


def _reason(deed: Deed, manner: Manner) -> str:
    """What was said; a limit is never given a reason that nobody said, since to loosen it needs one."""
    return manner.why or ("" if deed.verb == "limit" else asked_by())


def asked_by() -> str:
    """The reason of a command that was given none."""
    return f"asked by {user_name()} at the command line"


def user_name() -> str:
    """Who is at the command line."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


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
    print_sentence(f"{_said(deed.verb)}: {deed.does}", indent="")
    click.echo(f"  run      {printable(status['run'])} ({kind}, {status['level']})")
    if deed.verb == "submit":
        accounts = [_show_order(client, arguments, status)]
    else:
        for name, value in arguments.items():
            click.echo(f"  {name:<8} {printable(value)}")
    click.echo(f"  account  {', '.join(accounts)}")
    if "scope" in arguments:
        held = _within(arguments["scope"], status["positions"])
        working = _within(arguments["scope"], client.look("orders"))
        click.echo(f"  touches  {count(held, 'open position')}, {count(working, 'open order')}")
    if live and deed.grave:
        what, name = ("account", accounts[0]) if len(accounts) == 1 else ("run", status["run"])
        typed = click.prompt(f"Real money. Type the name of the {what}", default="", show_default=False)
        if typed == name:
            return
    elif click.confirm("Go on?"):
        return
    raise CommandFailed(f"{_said(deed.verb)} was not confirmed: nothing was done", FAULT)


def _within(scope: str, rows: Sequence[Mapping[str, Any]]) -> int:
    """How many of these rows a scope takes in."""
    kind, _, name = scope.partition(":")
    return sum(kind == "engine" or row[kind] == name for row in rows)


def _show_order(client: Client, arguments: Mapping[str, str], status: Mapping[str, Any]) -> str:
    """The order as the gate would let it through, and the market beside it; gives its account.

    Raises CommandFailed where the gate would deny it.
    """
    found = client.command("check", "", arguments)
    order = found["intent"]
    if found["status"] == "denied":
        raise CommandFailed(f"the order would be denied: {'; '.join(found['reasons'])}", FAULT)
    prices = ((name, order.get(name)) for name in ("stop_price", "limit_price", "trail"))
    terms = [f"{name.removesuffix('_price')} {value}" for name, value in prices if value]
    flags = [name.replace("_", " ") for name in ("post_only", "reduce_only") if order.get(name)]
    words = [order["side"], order["quantity"], order["instrument"], *(terms or ["at the market"])]
    click.echo(f"  order    {paint(printable(' '.join(words)), bold=True)}")
    click.echo(f"  terms    {', '.join([order['time_in_force'], *flags])}")
    click.echo(f"  for      {printable(order['strategy'])}")
    for row in status["feeds"]:
        if row["instrument"] == order["instrument"]:
            bid, ask, mark = (price(row[name]) for name in ("bid", "ask", "mark"))
            click.echo(f"  market   bid {bid}, ask {ask}, mark {mark}")
    worth = money(number(found.get("value")), found.get("currency", ""))
    click.echo(f"  value    {worth}, as limits count it")
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
        if answer["status"] != "denied":
            click.echo(f"the order would be approved{', and kept by the engine' if answer['held'] else ''}")
    elif answer.get("repeated"):
        click.echo(f"{_said(deed.verb)} had been asked for under this request before: nothing was done again")
    elif "status" in answer:
        click.echo(f"order {answer['order']}: {str(answer['status']).replace('_', ' ')}")
    else:
        click.echo(f"{_said(deed.verb)}{where}: done")
    closing = answer.get("orders" if deed.verb == "flatten" else "closing", ())
    taken = answer.get("withdrawn" if deed.verb == "flatten" else "orders", ())
    if taken:
        click.echo(f"  {count(len(taken), 'order')} taken back")
    if closing:
        click.echo(f"  {count(len(closing), 'closing order')} sent")
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
    """Raise CommandFailed, with all reasons, where the order that an answer tells of does not trade."""
    if answer.get("status") in ("denied", "rejected"):
        was = "was" if "order" in answer else "would be"
        raise CommandFailed(
            f"the order {was} {answer['status']}: {'; '.join(answer.get('reasons', ()))}", FAULT
        )
