"""`fairlead demo`: two strategies on paper under breakers, in a market that runs much faster than the clock."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click

from fairlead._cli.data import in_options, replay_options
from fairlead._cli.demo_strategies import Reversion, Trend
from fairlead._cli.faults import CommandFailed
from fairlead._cli.running import can_draw, names_of, trade
from fairlead._cli.watching import Lines, Screen, print_summary, refuse_halted, written_or_said
from fairlead._engine.distributions import plugin_class
from fairlead._engine.engine import LiveTradingEngine
from fairlead._report import write_report


def demo(
    seconds: float,
    speed: float,
    seed: int,
    data: Path | None,
    run: Path | None,
    symbol: str | None,
    **said: Any,
) -> None:
    """Run it, sum it up, write the report."""
    settings = {
        "seconds": seconds,
        "speed": speed,
        "seed": seed,
        "data": str(data) if data else "",
        "symbol": symbol or "",
        "said": {name: value for name, value in said.items() if value is not None},
    }
    folder = run if run is not None else _fresh()
    engine = make_engine(settings, folder)
    shown = can_draw()
    click.echo(
        f"{seconds:g} seconds at {speed:g} times real time; Ctrl-C ends it earlier. No money is at risk."
    )
    viewer = Screen(engine.folder) if shown else Lines(engine.folder, names_of(engine), every=3.0)
    try:
        reason = trade(engine, f"{int(seconds * speed)}s", viewer, quiet=shown)
    except CommandFailed as error:
        raise CommandFailed(in_options(str(error)), error.code) from error
    click.echo()
    found = print_summary(engine.folder, reason)
    written = written_or_said(lambda: write_report(engine.folder))
    click.echo(f"\nreport   {written or '-'}\njournal  {engine.folder.journal}")
    refuse_halted(found)


def make_engine(settings: dict[str, Any], run: Path) -> LiveTradingEngine:
    """The demo's engine."""
    speed = settings["speed"]
    if settings["data"]:
        symbol = settings["symbol"] or "BTC/USDT:USDT"
        symbols = (symbol, symbol)
        stream = plugin_class("replay")(
            settings["data"], symbol=symbol, speed=speed, **replay_options(settings["said"])
        )
    else:
        symbols = ("BTC/USDT:USDT", "ETH/USDT:USDT")
        stream = plugin_class("synthetic")(
            list(symbols), seed=settings["seed"], speed=speed, volatility="6%", faults=["gap"]
        )
    return LiveTradingEngine(
        [Trend(symbols[0]), Reversion(symbols[1])],
        plugins=[plugin_class("paper")(cash="100_000 USDT"), stream, *_breakers()],
        run=run,
    )


def _breakers() -> list[Any]:
    return [
        plugin_class("limits")(max_order_value="60_000 USDT", max_leverage=1.5),
        plugin_class("daily_loss")("2_000 USDT"),
        plugin_class("drawdown")("5%"),
        plugin_class("stale_data")(after="20s"),
    ]


def _fresh() -> Path:
    """A folder that no run has used: `runs/demo-<n>` here, or a temporary one where nothing can be written."""
    runs = Path("runs")
    try:
        runs.mkdir(exist_ok=True)
        number = 1
        while True:
            try:
                (runs / f"demo-{number}").mkdir()
            except FileExistsError:
                number += 1
            else:
                return runs / f"demo-{number}"
    except OSError:
        return Path(tempfile.mkdtemp(prefix="fairlead-demo-"))


__all__ = ["demo", "make_engine"]
