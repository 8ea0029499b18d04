"""`fairlead backtest`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from fairlead._cli.faults import FAULT, USAGE, CommandFailed
from fairlead._cli.loading import load_engine
from fairlead._cli.words import count, exact, gain, moment, money, plain, ratio
from fairlead._engine.result import Result
from fairlead.errors import ConfigurationError
from fairlead.units import percent

SCHEMA = 1


def backtest(
    file: Path,
    data: Sequence[Path],
    symbol: Sequence[str],
    start: str | None,
    end: str | None,
    as_json: bool,
    html: Path | None,
    **said: Any,
) -> None:
    """Run it, print it, and write the report."""
    engine = load_engine(file)
    zone = said["tz"]
    try:
        streams = _streams(data, symbol, said)
        with _progress() as progress:
            result = engine.backtest(
                streams, start=_time(start, zone), end=_time(end, zone), progress=progress
            )
    except ConfigurationError as error:
        remedy = "" if data else "; or give recorded data: --data FILE"
        raise CommandFailed(_with_options(str(error)) + remedy, USAGE) from error
    _refuse_other_symbol(result, symbol)
    if html is not None or not as_json:
        html = html or result.folder.reports / "report.html"
        result.report(html)
    if as_json:
        click.echo(json.dumps(summary(result), indent=2, sort_keys=True, ensure_ascii=False))
    else:
        _show(result, html)
    if result.halted:
        raise CommandFailed(
            "; ".join(f"strategy {name} was halted: {why}" for name, why in result.halted.items()), FAULT
        )


# --- what goes in -----------------------------------------------------------------------------------------------


def _streams(data: Sequence[Path], symbols: Sequence[str], said: dict[str, Any]) -> list[Any] | None:
    """The data as streams: all files one instrument, or as many instruments as files; None where none is given."""
    from fairlead._engine.distributions import plugin_class

    options = {name: value for name, value in said.items() if value is not None}
    if not data:
        given = ["--symbol"] * bool(symbols) + [f"--{name.replace('_', '-')}" for name in options]
        if given:
            raise CommandFailed(
                f"{', '.join(given)} describes data, and there is none: add --data FILE", USAGE
            )
        return None
    for path in data:
        if not path.is_file():
            raise CommandFailed(f"--data {path} is no file", USAGE)
    if "fee" in options:
        options["fee"] = str(percent(options["fee"]))
    replay = plugin_class("replay")
    if len(symbols) > 1:
        if len(symbols) != len(data):
            raise CommandFailed(
                f"{count(len(symbols), '--symbol')} for {count(len(data), '--data')}: give one for all files, "
                f"or one for each",
                USAGE,
            )
        return [replay(str(path), symbol=name, **options) for path, name in zip(data, symbols, strict=True)]
    return [replay([str(path) for path in data], symbol=symbols[0] if symbols else None, **options)]


def _time(text: str | None, zone: str | None) -> str | datetime | None:
    """A time in the zone of the data, where it names none itself and `--tz` is given."""
    if text is None or zone is None:
        return text
    try:
        parsed = datetime.fromisoformat(text)
        return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=ZoneInfo(zone))
    except (ValueError, ZoneInfoNotFoundError):
        return text


def _with_options(message: str) -> str:
    """A message of a stream names its arguments: say how they are written here."""
    named = dict.fromkeys(re.findall(r"\b(symbol|tz|volume_unit|bar_label|interval|tick|fee)=", message))
    options = ", ".join(f"--{name.replace('_', '-')}" for name in named)
    return f"{message} (here {options})" if options else message


def _refuse_other_symbol(result: Result, symbols: Sequence[str]) -> None:
    """A strategy that watches what the data do not hold never saw an event: say what to write instead."""
    for name, why in result.halted.items():
        wanted = re.search(r"(?:nobody trades|no stream serves) '?([^'@\s]+)", why)
        if wanted is None or result.events or not symbols:
            continue
        raise CommandFailed(
            f"strategy {name} trades {wanted[1]}, and the data are {', '.join(symbols)}: "
            f"pass --symbol {wanted[1]}, or change the symbol in the script",
            USAGE,
        )


@contextmanager
def _progress() -> Iterator[Callable[[int], None] | None]:
    """A line that moves, on a terminal, for work that takes long enough to wonder."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=4) as bar:
        task = bar.add_task("reading the data")
        seen = 0

        def progress(now: int) -> None:
            nonlocal seen
            seen += 10_000
            bar.update(task, description=f"{moment(now)}  {seen:,} events")

        yield progress


# --- what comes out ---------------------------------------------------------------------------------------------


def summary(result: Result) -> dict[str, Any]:
    """A result as plain values: amounts and ratios as strings, times as ns, nothing of this machine or moment."""
    accounts = [
        {
            "account": account.account,
            "currency": account.currency,
            "equity_start": exact(account.equity_start),
            "equity_end": exact(account.equity_end),
            "realised": exact(account.realised),
            "unrealised": exact(account.unrealised),
            "fees": exact(account.fees),
            "funding": exact(account.funding),
            "max_drawdown": exact(account.max_drawdown),
            "balances": {name: exact(amount) for name, amount in account.balances.items()},
            "positions": {name: exact(amount) for name, amount in account.positions.items()},
        }
        for account in result.accounts
    ]
    first = accounts[0] if len(accounts) == 1 else dict.fromkeys(("currency", *_FIGURES))
    return {
        "schema": SCHEMA,
        "accounts": accounts,
        "denied": result.denied,
        "end_ns": result.end_ns,
        "events": result.events,
        "fills": result.fills_count,
        "halted": dict(result.halted),
        "instruments": {name: dict(rules) for name, rules in result.instruments.items()},
        "journal_hash": result.journal_hash,
        "label": result.label,
        "orders": result.orders,
        "start_ns": result.start_ns,
        "trades": result.trades,
        "tripped": list(result.tripped),
        **{name: first[name] for name in ("currency", *_FIGURES)},
    }


_FIGURES = ("equity_start", "equity_end", "realised", "unrealised", "fees", "funding", "max_drawdown")


def _show(result: Result, html: Path | None) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(title=f"BACKTEST  {result.label}", title_justify="left", show_header=False, box=None)
    table.add_column(style="dim")
    table.add_column(justify="right")
    trips = result.round_trips()
    won = sum(trip.profit > 0 for trip in trips)
    table.add_row("from", moment(result.start_ns))
    table.add_row("to", moment(result.end_ns))
    table.add_row("events", f"{result.events:,}")
    table.add_row("orders", f"{result.orders:,}" + (f" ({result.denied:,} denied)" if result.denied else ""))
    table.add_row("fills", f"{result.fills_count:,}")
    table.add_row("trades", f"{result.trades:,}" + (f" ({won / len(trips):.0%} won)" if trips else ""))
    for account in result.accounts:
        unit = account.currency
        if len(result.accounts) > 1:
            table.add_section()
            table.add_row("account", account.account)
        table.add_row("equity at start", money(account.equity_start, unit))
        table.add_row("equity at end", money(account.equity_end, unit))
        if account.equity_start and account.equity_end is not None:
            table.add_row("return", f"{account.equity_end / account.equity_start - 1:+.2%}")
        table.add_row("realised", gain(account.realised, unit))
        table.add_row("unrealised", gain(account.unrealised, unit))
        table.add_row("fees", money(account.fees, unit))
        if account.funding:
            table.add_row("funding", money(account.funding, unit))
        table.add_row("max drawdown", ratio(account.max_drawdown))
        for name, quantity in account.positions.items():
            table.add_row("still open", f"{plain(quantity)} {name}")
    for name, rules in result.instruments.items():
        table.add_row(name, f"tick {rules['tick']}, fee {percent_text(rules['taker_fee'])}")
    for text in result.tripped:
        table.add_row("breaker tripped", text)
    table.add_row("journal hash", result.journal_hash)
    console.print(table)
    console.print(f"\nreport   {html}\njournal  {result.folder.journal}", soft_wrap=True)


def percent_text(text: str) -> str:
    """A ratio's text in percent: 0.0005 gives 0.05 %."""
    return f"{plain(percent(text) * 100)} %"
