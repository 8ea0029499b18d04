"""`fairlead risk`: what is at risk, of a running engine or as a run has left it."""

from __future__ import annotations

from typing import Any

import click

from fairlead._cli.engines import connected, folder_of_run
from fairlead._cli.faults import CommandFailed
from fairlead._cli.tables import paint, print_json, print_table
from fairlead._cli.words import clock, figure, limit, money, number, share
from fairlead._report.phrases import printable, short


def risk(run: str | None, as_json: bool) -> None:
    """Show it."""
    found, running = _found(run)
    if as_json:
        print_json({**found, "running": running})
        return
    if not running:
        click.echo(f"as it was at {clock(found['now_ns'])} UTC; the engine does not run")
    for row in found["accounts"]:
        _show(row)


def _found(run: str | None) -> tuple[dict[str, Any], bool]:
    try:
        with connected(run) as client:
            return client.look("risk"), True
    except CommandFailed:
        from fairlead._engine.risk import last_risk

        left = last_risk(folder_of_run(run))
        if left is None:
            raise
        return left, False


def _show(row: dict[str, Any]) -> None:
    currency = row["currency"]
    click.echo(
        f"{paint(printable(row['account']), bold=True)}  equity {money(number(row['equity']), currency)}"
    )
    limits = {one["limit"]: limit(printable(one["value"])) for one in row["limits"]}
    figures = [
        ("exposure", money(number(row["exposure"]), currency), ""),
        ("net exposure", money(number(row["net_exposure"]), currency), "max_net_exposure"),
        ("exposure, worst case", money(number(row["worst_exposure"]), currency), "max_exposure"),
        ("leverage", _times(row["leverage"]), ""),
        ("leverage, worst case", _times(row["worst_leverage"]), "max_leverage"),
        ("margin used", share(row["margin_used"]), "max_margin"),
        ("margin ratio", share(row["margin_ratio"]), ""),
        ("free", money(number(row["free"]), currency), "min_free"),
        ("to liquidation", share(row["liquidation_distance"]), ""),
        (
            "concentration",
            f"{share(row['concentration'])} {short(printable(row['largest']))}".strip(),
            "max_position_value",
        ),
        ("correlation, highest", _highest(row["correlations"]), "max_correlation"),
    ]
    print_table(
        [[name, now, limits.get(limit, "")] for name, now, limit in figures],
        ("figure", "now", "limit"),
        right="now limit",
        cut="figure",
    )
    if row["positions"]:
        click.echo()
        print_table(
            [
                [
                    short(printable(one["instrument"])),
                    figure(one["quantity"]),
                    money(number(one["value"])),
                    share(one["share_of_equity"]),
                    share(one["liquidation_distance"]),
                    share(one["spread"]),
                    _times(one["times_the_touch"]),
                ]
                for one in row["positions"]
            ],
            ("position", "quantity", "value", "equity", "to liq.", "spread", "touch"),
            right="quantity value equity spread touch",
            cut="position",
        )
    if row["correlations"]:
        click.echo()
        print_table(
            [
                [short(printable(one["one"])), short(printable(one["other"])), figure(one["correlation"])]
                for one in row["correlations"]
            ],
            ("one", "other", "correlation"),
            right="correlation",
            cut="one other",
        )
    if row["limits"]:
        click.echo()
        print_table(
            [
                [
                    printable(one["breaker"]),
                    printable(one["limit"]),
                    limit(printable(one["value"])),
                    share(one["used"]),
                ]
                for one in row["limits"]
            ],
            ("breaker", "limit", "value", "used"),
            right="value used",
            cut="limit breaker",
        )


def _highest(correlations: list[dict[str, Any]]) -> str:
    found = [float(one["correlation"]) for one in correlations if one["correlation"] is not None]
    return f"{max(found):.2f}" if found else "-"


def _times(ratio: str | None) -> str:
    return "-" if ratio is None else f"{float(ratio):.3g}x"
