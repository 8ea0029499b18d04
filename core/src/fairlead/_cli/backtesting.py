"""`fairlead backtest`."""

from __future__ import annotations

import itertools
import json
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from fairlead._cli.data import in_options, no_rows, streams_of, time_of
from fairlead._cli.faults import FAULT, USAGE, CommandFailed
from fairlead._cli.loading import load_engine
from fairlead._cli.progress import Say, progress
from fairlead._cli.watching import written_or_said
from fairlead._cli.words import gain, moment, money, plain, ratio
from fairlead._engine.result import Result
from fairlead.errors import ConfigurationError
from fairlead.units import exact, percent

SCHEMA = 1


def backtest(
    file: Path,
    profile: str | None,
    settings: Sequence[str],
    data: Sequence[Path],
    symbol: Sequence[str],
    start: str | None,
    end: str | None,
    as_json: bool,
    html: Path | None,
    **said: Any,
) -> None:
    """Run it, print it, and write the report."""
    engine = load_engine(file, profile, settings, live=True, secrets=False)
    zone = said["tz"]
    first, last = time_of(start, "--start", zone), time_of(end, "--end", zone)
    with _warnings():
        try:
            streams = streams_of(data, symbol, said, timed=start is not None or end is not None)
            with progress("reading the data") as say:
                result = engine.backtest(streams, start=first, end=last, progress=_told(say))
        except ConfigurationError as error:
            text = in_options(str(error)) if data else f"{error}; or give recorded data: --data FILE"
            raise CommandFailed(text, USAGE) from error
    _refuse_other_symbol(result, symbol)
    if not result.events and not result.halted:
        result.folder.discard()
        raise CommandFailed(
            no_rows(streams, first, last)
            if streams is not None
            else "no event reached a strategy: have it watch what its streams hold, within --start and --end",
            USAGE,
        )
    if as_json:
        click.echo(json.dumps(summary(result), indent=2, sort_keys=True, ensure_ascii=False))
    else:
        _show(result)
    if html is not None or not as_json:
        written = written_or_said(lambda: result.report(html))
        if not as_json:
            click.echo(f"\nreport   {written or '-'}\njournal  {result.folder.journal}")
    if result.halted:
        raise CommandFailed(
            "; ".join(f"strategy {name} was halted: {why}" for name, why in result.halted.items()), FAULT
        )


def _refuse_other_symbol(result: Result, symbols: Sequence[str]) -> None:
    """A strategy that watches what the data do not hold never saw an event: say what to write instead."""
    for name, why in result.halted.items():
        wanted = re.search(r"(?:nobody trades|no stream serves) '?([^'@\s]+)", why)
        if wanted is None or result.events or not symbols:
            continue
        result.folder.discard()
        raise CommandFailed(
            f"strategy {name} trades {wanted[1]}, and the data are {', '.join(symbols)}: "
            f"pass --symbol {wanted[1]}, or change the symbol in the script",
            USAGE,
        )


@contextmanager
def _warnings() -> Iterator[None]:
    """What the engine and its streams warn of, a line each. That a strategy was halted is said at the end, once."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("fairlead: %(message)s"))
    handler.addFilter(
        lambda record: not (record.name == "fairlead.facts" and " halted: " in record.getMessage())
    )
    logger = logging.getLogger("fairlead")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


_EVENTS_A_STEP = 10_000
"""How often a backtest says how far it is."""


def _told(say: Say | None) -> Callable[[int], None] | None:
    """What a backtest calls with its time, for a terminal that shows progress."""
    if say is None:
        return None
    seen = itertools.count(_EVENTS_A_STEP, _EVENTS_A_STEP)
    return lambda now: say(f"{moment(now)}  {next(seen):,} events", 0)


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


def _show(result: Result) -> None:
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


def percent_text(text: str) -> str:
    """A ratio's text in percent: 0.0005 gives 0.05 %."""
    return f"{plain(percent(text) * 100)} %"
