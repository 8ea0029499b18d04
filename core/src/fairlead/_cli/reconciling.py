"""`fairlead reconcile`: books against venue, what each reconciler would do, and a person's word about a difference."""

from __future__ import annotations

import time
from typing import Any

import click

from fairlead._cli.engines import connected
from fairlead._cli.faults import DEGRADED, OK, USAGE, CommandFailed
from fairlead._cli.steering import Deed, Manner, asked_by, command
from fairlead._cli.tables import print_json, print_sentence, print_table
from fairlead._cli.words import age, count, figure
from fairlead._control.client import Client
from fairlead._report.phrases import printable, short

COMPARING_SECONDS = 60.0
"""How long a comparison may take: two snapshots at least, and the venue's lag between them."""

_LOOK_SECONDS = 0.05
_BEHIND = {"trade_back", "flatten", "cancel"}


def reconcile(account: str | None, manner: Manner, *, dry_run: bool) -> int:
    """Compare, unless `dry_run`, and show what stands; gives 3 while anything does that nobody chose to ignore."""
    with connected(manner.run) as client:
        found = client.look("discrepancies")
        accounts = [row["account"] for row in found["accounts"]]
        if account is not None and account not in accounts:
            raise CommandFailed(
                f"there is no account {account!r} here (there are: {', '.join(accounts)})", USAGE
            )
        chosen = accounts if account is None else [account]
        if not dry_run:
            arguments = {} if account is None else {"account": account}
            asked = client.command("reconcile", manner.why or asked_by(), arguments, manner.request)
            found = _compared(client, chosen, asked["now_ns"])
    rows = [row for row in found["discrepancies"] if row["account"] in chosen]
    found = {**found, "discrepancies": rows}
    found["accounts"] = [row for row in found["accounts"] if row["account"] in chosen]
    if manner.as_json:
        print_json(found)
    else:
        _show(found, proposals=dry_run)
    return DEGRADED if any(row["decided"] != "ignore" for row in rows) else OK


def _compared(client: Client, accounts: list[str], since_ns: int) -> Any:
    """What stands once every account was compared after `since_ns`. Raises CommandFailed where a venue is silent."""
    deadline = time.monotonic() + COMPARING_SECONDS
    while True:
        found = client.look("discrepancies")
        late = [
            row["account"]
            for row in found["accounts"]
            if row["account"] in accounts and row["compared_ns"] < since_ns
        ]
        if not late:
            return found
        if time.monotonic() > deadline:
            raise CommandFailed(
                f"account {', '.join(late)} could not be compared within {COMPARING_SECONDS:g} s: its venue does not "
                f"answer, or its figures do not come to rest; `fairlead logs` says which"
            )
        time.sleep(_LOOK_SECONDS)


def approve(discrepancy: str, action: str | None, cause: str, manner: Manner) -> None:
    """A person's decision about one difference."""
    given = {"discrepancy": discrepancy, "action": action or "", "cause": cause}
    does = "the venue's truth is taken over, as an adjustment that has your name and reason"
    if action == "halt":
        does = "the account is halted"
    elif action == "ignore":
        does = "the difference stays, and is told no more while it is the same"
    elif action in _BEHIND:
        does = f"{action.replace('_', ' ')}: the books take the venue's truth over, and an order or a cancel is sent"
    deed = Deed(
        verb="approve",
        arguments={name: value for name, value in given.items() if value},
        does=does,
        grave=action in _BEHIND,
    )
    command(deed, manner)


def _show(found: dict[str, Any], *, proposals: bool) -> None:
    rows = found["discrepancies"]
    for row in found["accounts"]:
        when = f"{age(found['now_ns'] - row['compared_ns'])} ago" if row["compared_ns"] else "never"
        stand = sum(one["account"] == row["account"] for one in rows)
        how = count(stand, "difference") if stand else "nothing stands"
        click.echo(f"{printable(row['account'])}: {how}, compared {when}")
    if rows:
        click.echo()
        print_table(
            [
                [
                    row["discrepancy"],
                    printable(row["account"]),
                    row["kind"].replace("_", " "),
                    printable(short(row["subject"])),
                    _value(row["ours"]),
                    _value(row["theirs"]),
                    row["severity"],
                    printable(f"{row['decided'] or 'waits'} {row['who']}".strip()),
                ]
                for row in rows
            ],
            ("id", "account", "what", "subject", "here", "there", "severity", "decided"),
            right="here there",
            cut="subject account decided",
        )
    for row in rows:
        if row["obstacle"]:
            print_sentence(f"{row['discrepancy']}: {printable(row['obstacle'])}")
        if proposals:
            _show_proposals(row)
    for row in found["owed"]:
        print_sentence(f"still to be sent: {row['action'].replace('_', ' ')} of {printable(row['what'])}")


def _show_proposals(row: dict[str, Any]) -> None:
    for one in row["proposals"]:
        action = f"would {one['action'].replace('_', ' ')}" if one["action"] else "leaves it to the next"
        would = one["fault"] or action
        why = f" ({one['cause']})" if one["cause"] else ""
        print_sentence(printable(f"{row['discrepancy']}: {one['reconciler']} {would}{why}"))
    if not row["proposals"]:
        print_sentence(f"{row['discrepancy']}: there is no reconciler: it is told, and nothing else")


def _value(text: str) -> str:
    try:
        return figure(text)
    except ArithmeticError:  # a setting's value is no figure
        return printable(text)
