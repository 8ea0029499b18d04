"""How much is at risk: for the command line, pages and programs, each figure beside the limits there are for it.

The keys are a schema that stays, as those of `looking`: money and quantities are strings, ratios too, what is unknown
is None. Figures are of what is held; worst cases count what works or is in doubt as filled.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from itertools import combinations, pairwise
from math import sqrt
from pathlib import Path
from typing import Any, Self

from fairlead._kernel.kernel import Kernel
from fairlead._kernel.market import Lane
from fairlead.units import exact

SCHEMA = 1
EVERY_SECONDS = 30.0
MOST_BYTES = 8 * 1024 * 1024
"""A file of snapshots that is longer becomes the old one, and the old one before it goes."""

_LEAST_BARS, _MOST_BARS = 20, 200

log = logging.getLogger("fairlead.engine")


def risk(kernel: Kernel) -> dict[str, Any]:
    """Every account, now."""
    return {
        "schema": SCHEMA,
        "now_ns": max(kernel.agenda.now(), kernel.recorder.now),
        "accounts": [_account(kernel, name) for name in kernel.state.accounts],
    }


def _account(kernel: Kernel, name: str) -> dict[str, Any]:
    view, account = kernel.view, kernel.state.accounts[name]
    equity = kernel.valuer.equity(name) if name in kernel.valuer.accounts else None
    exposure, margin = view.exposure(name), view.margin(name)
    held = _held(kernel, name)
    values = [row["value"] for row in held]
    known = None not in values
    gross = sum(abs(value) for value in values) if known else None
    needed = sum(abs(row["value"]) * row["maintenance"] for row in held) if known else None
    spot = sum(abs(row["value"]) for row in held if row["lane"].spot) if known else None
    rows = [_position(row, equity, gross, needed) for row in held]
    distances = [row["liquidation_distance"] for row in rows if row["liquidation_distance"] is not None]
    largest = max(rows, key=lambda row: float(row["share_of_exposure"] or 0), default=None)
    free = None if None in (equity, margin, spot) else equity - margin - spot  # type: ignore[operator]
    return {
        "account": name,
        "currency": account.currency,
        "equity": exact(equity),
        "exposure": exact(gross),
        "net_exposure": exact(float(sum(values)) if known else None),
        "worst_exposure": exact(exposure),
        "leverage": exact(_over(gross, equity)),
        "worst_leverage": exact(_over(exposure, equity)),
        "margin": exact(margin),
        "margin_used": exact(_over(margin, equity)),
        "maintenance_margin": exact(needed),
        "margin_ratio": exact(_over(needed, equity)),
        "free": exact(free),
        "liquidation_distance": min(distances, key=float, default=None),
        "largest": largest["instrument"] if largest else "",
        "concentration": largest["share_of_exposure"] if largest else None,
        "positions": rows,
        "correlations": _correlations(held),
        "limits": _limits(kernel, name),
    }


def _held(kernel: Kernel, account: str) -> list[dict[str, Any]]:
    """The account's net positions with their values as floats."""
    rows = []
    for key, position in kernel.state.positions.items():
        if key.account != account or key.strategy or not position.quantity:
            continue
        instrument = kernel.state.instruments[key.instrument]
        maintenance = 0.0 if instrument.spot else float(instrument.maintenance_margin)
        value = kernel.view.market_value(account, key.instrument, position.quantity)
        lane = kernel.market.lanes[key.instrument]
        rows.append({"lane": lane, "quantity": position.quantity, "value": value, "maintenance": maintenance})
    return rows


def _position(
    row: dict[str, Any], equity: float | None, gross: float | None, needed: float | None
) -> dict[str, Any]:
    lane: Lane = row["lane"]
    value, quote = row["value"], lane.quote
    touch = None if quote is None else quote.bid_size if row["quantity"] > 0 else quote.ask_size
    return {
        "instrument": lane.id,
        "quantity": exact(row["quantity"]),
        "value": exact(value),
        "share_of_equity": exact(_over(None if value is None else abs(value), equity)),
        "share_of_exposure": exact(_over(None if value is None else abs(value), gross)),
        "liquidation_distance": exact(_distance(row, equity, needed)),
        "spread": exact(None if quote is None else (quote.ask - quote.bid) / quote.mid),
        "times_the_touch": exact(abs(float(row["quantity"])) / touch if touch else None),
    }


def _distance(row: dict[str, Any], equity: float | None, needed: float | None) -> float | None:
    """By what part its price alone must move against it until equity is the maintenance margin; None where it cannot.

    Cross margin: all of the account's equity stands behind each position.
    """
    value, maintenance = row["value"], row["maintenance"]
    if row["lane"].spot or not value or equity is None or needed is None:
        return None
    slope = 1 - maintenance if value > 0 else 1 + maintenance
    away = max(0.0, (equity - needed) / (abs(value) * slope))
    return None if value > 0 and away >= 1 else away


def _over(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole or whole <= 0 else part / whole


def _correlations(held: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of the returns of each two positions, by the bars that both have; None where these are fewer than twenty."""
    rows = []
    for one, other in combinations([row["lane"] for row in held], 2):
        rows.append({"one": one.id, "other": other.id, "correlation": exact(_correlation(one, other))})
    return rows


def _correlation(one: Lane, other: Lane) -> float | None:
    found: list[tuple[float, float]] = []
    for interval in one.history.keys() & other.history.keys():
        closes = {bar.event_ns: bar.close for bar in list(one.history[interval])[-_MOST_BARS:]}
        both = [(closes[b.event_ns], b.close) for b in other.history[interval] if b.event_ns in closes]
        moves = [(a / c - 1, b / d - 1) for (c, d), (a, b) in pairwise(both)]
        found = max(found, moves, key=len)
    if len(found) < _LEAST_BARS:
        return None
    mean_a, mean_b = (sum(column) / len(found) for column in zip(*found, strict=True))
    square_a, square_b = (
        sum((a - mean_a) ** 2 for a, _ in found),
        sum((b - mean_b) ** 2 for _, b in found),
    )
    both_sum = sum((a - mean_a) * (b - mean_b) for a, b in found)
    return both_sum / sqrt(square_a * square_b) if square_a and square_b else None


def _limits(kernel: Kernel, account: str) -> list[dict[str, Any]]:
    """What breakers say of their limits: each as it would be written, and the part of it that is used."""
    rows = []
    for breaker in kernel.board.breakers:
        if not hasattr(breaker, "limits"):
            continue
        try:
            used = breaker.used(account, kernel.view) if hasattr(breaker, "used") else {}
            limits = dict(breaker.limits())
        except Exception as error:  # a breaker's own figures must not hide the others
            used, limits = {}, {"": type(error).__name__}
        for name, text in limits.items():
            part = used.get(name)
            rows.append({"breaker": breaker.name, "limit": name, "value": text, "used": exact(part)})
    return rows


class RiskKeeper:
    """A context manager around a run: writes a snapshot into its folder every 30 s, and one at the end.

    `risk.jsonl` has one a line; `risk.old.jsonl` what came before. Where it cannot be written that is logged once, and
    trading goes on.
    """

    def __init__(self, kernel: Kernel, folder: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._kernel = kernel
        self._path = folder / "risk.jsonl"
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None
        self._failed = False

    def __enter__(self) -> Self:
        self._handle = self._loop.call_later(EVERY_SECONDS, self._look)
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._write()

    def _look(self) -> None:
        self._write()
        self._handle = self._loop.call_later(EVERY_SECONDS, self._look)

    def _write(self) -> None:
        try:
            line = json.dumps(risk(self._kernel), separators=(",", ":"))
            with contextlib.suppress(FileNotFoundError):
                if self._path.stat().st_size > MOST_BYTES:
                    self._path.replace(self._path.with_name("risk.old.jsonl"))
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
        except Exception as error:  # a figure that cannot be kept is no reason to stop trading
            if not self._failed:
                self._failed = True
                log.warning("no snapshot of the risk can be kept in %s: %s", self._path, error)


def last_risk(folder: Path) -> dict[str, Any] | None:
    """The last snapshot that a run has left; None where there is none."""
    try:
        data = (folder / "risk.jsonl").read_bytes()
    except OSError:
        return None
    for line in reversed(data.splitlines()):
        try:
            found = json.loads(line)
        except ValueError:  # cut off by the end of its process
            continue
        return found if isinstance(found, dict) and "accounts" in found else None
    return None
