"""The verbs that look at a running engine: its status, and what it holds, works and watches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from fairlead._cli.engines import connected, folder_of_run, glance
from fairlead._cli.faults import DEGRADED, HALTED, OK
from fairlead._cli.tables import paint, print_json, print_sentence, print_table
from fairlead._cli.words import age, clock, figure, gain, money, number, price, share
from fairlead._control.registry import Engine, engines
from fairlead._report.phrases import printable, short

_CODES = {"ok": OK, "degraded": DEGRADED, "halted": HALTED}
_ID_LENGTH = 6
_COLOURS = {"ok": "green", "degraded": "yellow", "halted": "red"}


def status(run: str | None, as_json: bool) -> int:
    """Show how an engine stands; gives the exit code that says it again."""
    with connected(run) as client:
        found = client.look("status")
    if as_json:
        print_json(found)
    else:
        _show_status(found)
    return _CODES.get(found["level"], DEGRADED)


def _show_status(found: dict[str, Any]) -> None:
    level = paint(found["level"].upper(), fg=_COLOURS.get(found["level"]), bold=True)
    word = "" if found["phase"] == "running" else f"  {found['phase']}"
    click.echo(
        f"{paint(printable(found['run']), bold=True)}  {found['kind']}  {level}{word}  "
        f"{found['state'].replace('_', ' ')}, up {age(found['uptime_ns'])}, process {found['pid']}"
    )
    for text in found["problems"]:
        print_sentence(f"! {printable(text)}")
    if found["waived"]:
        print_sentence(f"waived: {', '.join(found['waived'])}")
    for row in found["paused"]:
        print_sentence(printable(f"{row['scope']} is paused: {row['why']}"))
    for row in found["sweeps"]:
        verb = row["verb"].replace("_", "-")
        print_sentence(printable(f"{verb} of {row['scope']} is under way, by {row['who']}: {row['why']}"))
        for text in row["left"][:3]:
            print_sentence(f"  {printable(text)}")
    for row in found["accounts"]:
        switch = row["dead_man"]
        if switch is not None and switch["armed"]:
            until, name = clock(switch["until_ns"]), row["account"]
            print_sentence(
                printable(f"dead-man switch of {name}: all orders are canceled at {until} UTC unless told")
            )
    fault = found["last_fault"]
    if fault and not any(fault["text"] in text for text in found["problems"]):
        print_sentence(f"last fault, at {clock(fault['now_ns'])} UTC: {printable(fault['text'])}")
    if found["lag_ns"] > 100_000_000:
        click.echo(f"  late by {age(found['lag_ns'])}")
    _section(
        [
            [
                row["account"],
                row["environment"],
                "up" if row["stream_up"] else "DOWN",
                money(number(row["equity"]), row["currency"]),
                gain(number(row["profit_today"])),
                share(row["drawdown"]),
            ]
            for row in found["accounts"]
        ],
        ("account", "kind", "stream", "equity", "today", "drawdown"),
        right="equity today drawdown",
        cut="account",
    )
    _section(
        [
            [row["strategy"], row["state"], gain(number(row["profit"])), gain(number(row["profit_today"]))]
            for row in found["strategies"]
        ],
        ("strategy", "state", "profit", "today"),
        right="profit today",
        cut="strategy",
    )
    _section(
        [
            [row["instrument"], price(row["mark"]), price(row["bid"]), price(row["ask"]), _since(row)]
            for row in found["feeds"]
        ],
        ("feed", "mark", "bid", "ask", "last"),
        right="mark bid ask last",
        cut="feed",
    )
    if found["positions"]:
        click.echo()
        _show_positions(found["positions"])
    waiting = f", {len(found['unknown_orders'])} unknown" if found["unknown_orders"] else ""
    click.echo(f"\nopen orders {found['open_orders']}{waiting}")


def _section(rows: list[list[str]], headings: Sequence[str], **layout: str) -> None:
    if rows:
        click.echo()
        print_table([[printable(cell) for cell in row] for row in rows], headings, **layout)


def _since(row: dict[str, Any]) -> str:
    return "never" if row["age_ns"] is None else f"{age(row['age_ns'])} ago{' STALE' if row['stale'] else ''}"


def positions(run: str | None, as_json: bool) -> None:
    """What is held."""
    _list(run, "positions", as_json, _show_positions, "flat: no position is open")


def _show_positions(rows: list[dict[str, Any]]) -> None:
    print_table(
        [
            [
                printable(row["strategy"]),
                short(printable(row["instrument"])),
                figure(row["quantity"]),
                price(row["average_price"]),
                price(row["mark"]),
                gain(number(row["unrealised"])),
                row["currency"],
            ]
            for row in rows
        ],
        ("strategy", "position", "quantity", "entry", "mark", "profit", "in"),
        right="quantity entry mark profit",
        cut="strategy position",
    )


def orders(run: str | None, as_json: bool) -> None:
    """What works."""
    _list(run, "orders", as_json, _show_orders, "no order is open")


def _show_orders(rows: list[dict[str, Any]]) -> None:
    ids = short_ids([row["order"] for row in rows])
    print_table(
        [
            [
                ids[row["order"]],
                printable(row["strategy"]),
                row["side"],
                figure(row["quantity"]),
                figure(row["filled_quantity"]),
                short(printable(row["instrument"])),
                f"{row['type'].replace('_', ' ')} {price(row['limit_price'] or row['stop_price'])}".removesuffix(
                    " -"
                ),
                row["status"].replace("_", " "),
            ]
            for row in rows
        ],
        ("order", "strategy", "side", "quantity", "filled", "instrument", "type", "status"),
        right="quantity filled",
        cut="strategy instrument",
    )


def short_ids(ids: Sequence[str]) -> dict[str, str]:
    """The shortest ends that tell these ids from each other; `order cancel` takes any end that does."""
    length = _ID_LENGTH
    while len({name[-length:] for name in ids}) < len(set(ids)):
        length += 1
    return {name: name[-length:] for name in ids}


def balance(run: str | None, as_json: bool) -> None:
    """What the accounts hold."""
    _list(run, "balance", as_json, _show_balance, "no account holds anything")


def _show_balance(rows: list[dict[str, Any]]) -> None:
    print_table(
        [
            [row["account"], row["currency"], figure(row["total"]), money(number(row["value"])), row["value_currency"]]
            for row in rows
        ],
        ("account", "currency", "total", "worth", "in"),
        right="total worth",
        cut="account",
    )  # fmt: skip


def breakers(run: str | None, as_json: bool) -> None:
    """How far the circuit breakers are from their limits, and which have tripped."""
    _list(run, "breakers", as_json, _show_breakers, "this engine has no circuit breaker")


def _show_breakers(rows: list[dict[str, Any]]) -> None:
    print_table(
        [
            [
                printable(row["breaker"]),
                "TRIPPED" if row["tripped"] else "half-open" if row["half_open_until_ns"] else "closed",
                share(row["used"]),
                printable(row["limit"]) or "-",
                printable(f"{row['scope']} {row['state']}: {row['reason']}") if row["reason"] else "",
            ]
            for row in rows
        ],
        ("breaker", "state", "used", "limit", "why"),
        right="used",
        cut="why limit breaker",
    )


def _list(run: str | None, what: str, as_json: bool, show: Any, nothing: str) -> None:
    with connected(run) as client:
        rows = client.look(what)
    if as_json:
        print_json(rows)
    elif rows:
        show(rows)
    else:
        click.echo(nothing)


def fills(run: str | None, last: int, as_json: bool) -> None:
    """The last fills of a run, read from its journal: it need not run."""
    from fairlead._cli.reading import last_fills

    found = last_fills(folder_of_run(run), last)
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("nothing was filled")
        return
    print_table(
        [
            [
                clock(row["event_ns"]),
                printable(row["strategy"]),
                row["side"],
                figure(row["quantity"]),
                short(printable(row["instrument"])),
                price(row["price"]),
                f"{figure(row['fee'])} {row['fee_currency']}",
            ]
            for row in found
        ],
        ("time", "strategy", "side", "quantity", "instrument", "price", "fee"),
        right="quantity price fee",
        cut="strategy instrument",
    )


def ps(as_json: bool) -> None:
    """The engines of this user on this host."""
    found = [(engine, glance(engine)) for engine in engines()]
    if as_json:
        print_json([_listed(engine, status) for engine, status in found])
        return
    if not found:
        click.echo("no engine of yours runs on this host")
        return
    rows = []
    for engine, status in found:
        level = status["level"] if status else "no answer"
        up = age(status["uptime_ns"]) if status else "-"
        what = ", ".join(engine.strategies)
        rows.append(
            [printable(engine.name), engine.kind, level, str(engine.pid), up, printable(what), engine.run]
        )
    headings = ("run", "kind", "state", "pid", "up", "strategies", "folder")
    print_table(rows, headings, right="pid up", cut="folder strategies run")


def _listed(engine: Engine, status: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "run": engine.name,
        "path": engine.run,
        "kind": engine.kind,
        "pid": engine.pid,
        "socket": engine.socket or None,
        "version": engine.version,
        "strategies": list(engine.strategies),
        "accounts": list(engine.accounts),
        "level": status["level"] if status else None,
        "state": status["state"] if status else None,
        "uptime_ns": status["uptime_ns"] if status else None,
    }


def top(run: str | None, *, attached: bool = False) -> None:
    """The live view of a run."""
    from fairlead._cli.reading import folder_of
    from fairlead._cli.screen import watch

    watch(folder_of(folder_of_run(run)), attached=attached)
