"""What a running engine shows of itself: plain data for the command line, pages and programs.

The keys are a schema that stays: money, prices and quantities are strings, times integer nanoseconds (`…_ns`), what
is unknown is None. Every function reads a kernel between turns and gives copies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from fairlead._kernel.clock import NEVER
from fairlead._kernel.kernel import Kernel
from fairlead._kernel.market import Lane
from fairlead._kernel.remedies import to_lift, to_resume
from fairlead._kernel.state import Tripped
from fairlead._models.accounts import EXTERNAL, Position, TradingState
from fairlead._models.orders import Order, OrderStatus
from fairlead._models.reconciliation import Action
from fairlead.ports import CircuitBreaker
from fairlead.units import MINUTE, exact

SCHEMA = 1

STALE_NS = MINUTE
"""What strategies watch is stale when nothing came for so long, and for three times its own cadence."""

OK, DEGRADED, HALTED = "ok", "degraded", "halted"
"""Levels of a status: trading as it should; something is wrong; nothing new is traded on some account."""


@attrs.frozen
class About:
    """What is known of a run before its kernel turns."""

    run: str
    path: str
    kind: str
    pid: int
    version: str
    started_ns: int
    streams: Mapping[str, str]
    environments: Mapping[str, str]
    waived: tuple[str, ...] = ()


def status(
    kernel: Kernel,
    about: About,
    *,
    phase: str,
    fault: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """How a run stands, as a whole. `level` is the worst of it, `problems` says why in sentences.

    `fault` is the last one that is remembered.
    """
    now = max(kernel.agenda.now(), kernel.recorder.now)
    found = {
        "schema": SCHEMA,
        "run": about.run,
        "path": about.path,
        "kind": about.kind,
        "pid": about.pid,
        "version": about.version,
        "phase": phase,
        "seq": kernel.recorder.seq,
        "now_ns": now,
        "started_ns": about.started_ns,
        "uptime_ns": max(0, now - about.started_ns),
        "lag_ns": lag(kernel),
        "state": str(trading_state(kernel)),
        "scopes": scopes(kernel),
        "waived": list(about.waived),
        "paused": [{"scope": scope, "why": why} for scope, why in kernel.state.paused.items()],
        "sweeps": sweeps(kernel),
        "strategies": strategies(kernel),
        "accounts": accounts(kernel, about.environments),
        "streams": [{"stream": name, "label": label} for name, label in about.streams.items()],
        "feeds": feeds(kernel, now),
        "positions": positions(kernel),
        "open_orders": len(kernel.state.open),
        "unknown_orders": unknown_orders(kernel),
        "tripped": [row for row in breakers(kernel) if row["tripped"]],
        "last_fault": None if fault is None else dict(fault),
    }
    problems, halted = _problems(kernel, found)
    return found | {"level": HALTED if halted else DEGRADED if problems else OK, "problems": problems}


def _problems(kernel: Kernel, found: Mapping[str, Any]) -> tuple[list[str], bool]:
    said, halted = [], bool(kernel.fatal)
    if kernel.fatal:
        said.append(kernel.fatal)
    for row in found["scopes"]:
        said.append(f"{row['scope']} is {row['state']}: {row['reason']}; {row['remedy']}")
        severe = TradingState(row["state"]).severity >= TradingState.HALTED.severity
        halted |= severe and row["scope"].partition(":")[0] in ("engine", "account")
    said += [
        f"strategy {row['strategy']} is halted: {row['why']}; {to_resume('strategy:' + row['strategy'])}"
        for row in found["strategies"]
        if row["state"] == "halted"
    ]
    for row in found["accounts"]:
        if not row["stream_up"]:
            said.append(f"account {row['account']} is away: its private stream is down")
        if row["dead_man"] is not None and row["dead_man"]["lapse"]:
            said.append(row["dead_man"]["lapse"])
        said += [f"the equity of account {row['account']} is unknown: {text}" for text in row["missing"]]
    for one in kernel.reconciliation.standing(set(kernel.state.accounts)):
        decided = kernel.state.decided.get(one.id)
        if decided is None or decided.action is not Action.IGNORE:
            said.append(f"books and venue differ: {one}")
    said += [f"the answer to order {name} was lost: it may be working" for name in found["unknown_orders"]]
    said += [
        f"data of {row['instrument']} are stale: nothing came for {row['age_ns'] / 1e9:.0f} s"
        if row["age_ns"] is not None
        else f"data of {row['instrument']} have not begun"
        for row in found["feeds"]
        if row["stale"]
    ]
    return said, halted


def lag(kernel: Kernel) -> int:
    """How late the engine is for what is due, in nanoseconds of real time."""
    agenda = kernel.agenda
    return 0 if agenda.due >= NEVER else max(0, int(-agenda.time.delay(agenda.due) * 1e9))


def trading_state(kernel: Kernel) -> TradingState:
    """The most severe state of any scope."""
    state = kernel.state
    states = [*state.lowered.values(), *(trip.state for trip in state.tripped.values())]
    return max(states, key=lambda one: one.severity, default=TradingState.ACTIVE)


def scopes(kernel: Kernel) -> list[dict[str, Any]]:
    """The scopes where less than everything is allowed, why, and what lifts it."""
    by_hand = [
        {
            "scope": scope,
            "state": str(state),
            "reason": kernel.state.lowered_why.get(scope, "by hand"),
            "breaker": "",
            "remedy": to_resume(scope),
        }
        for scope, state in kernel.state.lowered.items()
    ]
    tripped = [
        {
            "scope": trip.scope,
            "state": str(trip.state),
            "reason": trip.reason,
            "breaker": trip.breaker,
            "remedy": to_lift(trip.breaker),
        }
        for trip in kernel.state.tripped.values()
        if not trip.until_ns
    ]
    return by_hand + tripped


def sweeps(kernel: Kernel) -> list[dict[str, Any]]:
    """What is under way until it is done: orders that are withdrawn, positions that are closed, an end once flat.

    What has nothing `left` to do is left out: it only sees whether it stays so.
    """
    standing = [(sweep, kernel.sweeps.left(sweep)) for sweep in kernel.state.sweeps.values()]
    return [
        {
            "verb": sweep.verb,
            "scope": sweep.scope,
            "who": sweep.who,
            "why": sweep.why,
            "since_ns": sweep.since_ns,
            "until_ns": sweep.until_ns,
            "left": left,
        }
        for sweep, left in standing
        if left
    ]


def strategies(kernel: Kernel) -> list[dict[str, Any]]:
    """The strategies: running, paused or halted, and what they earned."""
    state = kernel.state
    rows = []
    for name in kernel.runners:
        word = "halted" if name in state.halted else "paused" if state.is_paused(name) else "running"
        profit = kernel.books.profit(strategy=name)
        rows.append(
            {
                "strategy": name,
                "state": word,
                "why": state.halted.get(name) or state.paused.get(f"strategy:{name}") or "",
                "profit": exact(profit.total),
                "profit_today": exact(profit.today),
                "currency": profit.currency,
            }
        )
    return rows


def accounts(kernel: Kernel, environments: Mapping[str, str]) -> list[dict[str, Any]]:
    """The accounts and what they are worth; `drawdown` is a ratio of the highest equity that there was."""
    rows = []
    for name, account in kernel.state.accounts.items():
        value = kernel.valuer.accounts.get(name)
        equity = None if value is None else kernel.valuer.equity(name)
        start, mark = account.day_start, account.high_water
        rows.append(
            {
                "account": name,
                "venue": kernel.profiles[name].venue if name in kernel.profiles else "",
                "environment": environments.get(name, ""),
                "currency": account.currency,
                "equity": exact(equity),
                "opening_equity": exact(account.opening),
                "profit_today": exact(
                    None if equity is None or start is None else equity - start - account.flows
                ),
                "drawdown": exact(None if equity is None or not mark else max(0.0, 1 - equity / mark)),
                "stream_up": account.stream_up,
                "missing": [] if value is None else list(value.missing),
                "dead_man": _dead_man(kernel, name),
            }
        )
    return rows


def _dead_man(kernel: Kernel, account: str) -> dict[str, Any] | None:
    """How an account's dead-man switch stands; None where none is used."""
    men, until = kernel.dead_men, kernel.state.accounts[account].dead_man_ns
    if account not in men.timeouts:
        return None
    armed = until > kernel.recorder.now
    lapse = "" if armed else men.lapse(account)
    return {"armed": armed, "until_ns": until or None, "timeout_ns": men.timeouts[account], "lapse": lapse}


def balance(kernel: Kernel) -> list[dict[str, Any]]:
    """What each account holds by currency, and what that is worth in the account's own."""
    rows = []
    for name, account in kernel.state.accounts.items():
        for currency, total in account.balances.items():
            rate = kernel.valuer.rate(currency, account.currency)
            rows.append(
                {
                    "account": name,
                    "currency": currency,
                    "total": exact(total),
                    "value": exact(None if rate is None else float(total) * rate),
                    "value_currency": account.currency,
                }
            )
    return rows


def feeds(kernel: Kernel, now: int) -> list[dict[str, Any]]:
    """The instruments that are followed, their prices and how old these are."""
    return [_feed(lane, now) for lane in kernel.market.lanes.values() if lane.watched or lane.marked_ns]


def _feed(lane: Lane, now: int) -> dict[str, Any]:
    age = max(0, now - lane.marked_ns) if lane.marked_ns else None
    stale = bool(lane.watched) and age is not None and age > max(STALE_NS, 3 * lane.cadence)
    quote = lane.quote
    return {
        "instrument": lane.id,
        "watched": bool(lane.watched),
        "mark": exact(lane.mark or None),
        "bid": exact(None if quote is None else quote.bid),
        "ask": exact(None if quote is None else quote.ask),
        "age_ns": age,
        "stale": stale,
        "late_prints": lane.late,
        "refused_events": lane.refused,
    }


def positions(kernel: Kernel) -> list[dict[str, Any]]:
    """The open positions by strategy; what nobody here ordered is EXTERNAL's."""
    held = kernel.state.positions.items()
    return [_position(kernel, position) for key, position in held if key.strategy and position.quantity]


def _position(kernel: Kernel, position: Position) -> dict[str, Any]:
    key = position.key
    lane = kernel.market.lanes.get(key.instrument)
    mark = lane.mark if lane is not None and lane.mark else None
    return {
        "account": key.account,
        "strategy": key.strategy,
        "instrument": key.instrument,
        "external": key.strategy == EXTERNAL,
        "quantity": exact(position.quantity),
        "average_price": exact(position.average_price),
        "mark": exact(mark),
        "unrealised": exact(None if mark is None else kernel.books.unrealised(position)),
        "realised": exact(position.realised),
        "fees": exact(position.fees),
        "funding": exact(position.funding),
        "currency": kernel.state.instruments[key.instrument].settle,
        "opened_ns": position.opened_ns,
    }


def orders(kernel: Kernel) -> list[dict[str, Any]]:
    """The orders that are not closed, the newest first."""
    return [order_row(order) for order in sorted(kernel.state.open.values(), key=lambda o: -o.created_ns)]


def order_row(order: Order) -> dict[str, Any]:
    """One order."""
    intent = order.intent
    return {
        "order": order.client_order_id,
        "broker_order": order.broker_order_id,
        "account": order.account,
        "strategy": order.strategy,
        "instrument": order.instrument,
        "side": str(order.side),
        "type": str(order.type),
        "status": str(order.status),
        "quantity": exact(order.quantity),
        "filled_quantity": exact(order.filled_quantity),
        "limit_price": exact(order.limit_price),
        "stop_price": exact(order.stop_price),
        "average_price": exact(order.average_price),
        "time_in_force": str(intent.time_in_force),
        "post_only": intent.post_only,
        "reduce_only": intent.reduce_only,
        "parent": intent.parent,
        "group": intent.group,
        "tag": order.tag,
        "reasons": list(order.reasons),
        "created_ns": order.created_ns,
        "updated_ns": order.updated_ns,
    }


def unknown_orders(kernel: Kernel) -> list[str]:
    """The ids of the orders whose answer was lost."""
    return [o.client_order_id for o in kernel.state.open.values() if o.status is OrderStatus.UNKNOWN]


def breakers(kernel: Kernel) -> list[dict[str, Any]]:
    """What has tripped, by scope, a kill too; then the breakers that have not. `used` is the part of a limit."""
    trips = kernel.state.tripped.values()
    board = {breaker.name: breaker for breaker in kernel.board.breakers}
    quiet = [name for name in board if name not in {trip.breaker for trip in trips}]
    return [_breaker(kernel, trip.breaker, board.get(trip.breaker), trip) for trip in trips] + [
        _breaker(kernel, name, board[name], None) for name in quiet
    ]


def _breaker(
    kernel: Kernel, name: str, breaker: CircuitBreaker | None, trip: Tripped | None
) -> dict[str, Any]:
    used, limit = _gauge(breaker, kernel)
    return {
        "breaker": name,
        "used": exact(used),
        "limit": limit,
        "tripped": trip is not None and not trip.until_ns,
        "half_open_until_ns": trip.until_ns if trip else 0,
        "scope": trip.scope if trip else "",
        "state": str(trip.state) if trip else "",
        "reason": trip.reason if trip else "",
        "since_ns": trip.since_ns if trip else 0,
    }


def _gauge(breaker: CircuitBreaker | None, kernel: Kernel) -> tuple[float | None, str]:
    gauge = getattr(breaker, "gauge", None)
    if gauge is None:
        return None, ""
    try:
        used, limit = gauge(kernel.view)
        return None if used is None else float(used), str(limit)
    except Exception as error:  # a breaker's own display must not hide the others
        return None, type(error).__name__


def health(kernel: Kernel) -> dict[str, Any]:
    """How the engine is: running, trading states, what is unknown, data ages in seconds."""
    now = kernel.agenda.now()
    lanes = kernel.market.lanes
    return {
        "running": True,
        "fatal": kernel.fatal,
        "tripped": [
            f"{t.breaker} on {t.scope}: {t.reason}" for t in kernel.state.tripped.values() if not t.until_ns
        ],
        "states": {scope: state.value for scope, state in kernel.state.lowered.items()},
        "paused": dict(kernel.state.paused),
        "halted": dict(kernel.state.halted),
        "streams_down": [name for name, account in kernel.state.accounts.items() if not account.stream_up],
        "late_prints": {name: lane.late for name, lane in lanes.items() if lane.late},
        "refused_events": {name: lane.refused for name, lane in lanes.items() if lane.refused},
        "unknown_orders": unknown_orders(kernel),
        "data_age": {name: (now - lane.marked_ns) / 1e9 for name, lane in lanes.items() if lane.marked_ns},
    }
