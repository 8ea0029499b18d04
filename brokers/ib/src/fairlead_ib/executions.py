"""Executions as fills: each once, with what it cost, corrections as the old one taken back and a new one.

The id of an execution ends with a number that counts its corrections: `0000e0d5.6553ae13.01.01`, then `….01.02`. What
an execution cost is told apart from it, usually at once, sometimes late and sometimes never. It is waited for, but not
long: then the fill is told without a fee, and the fee, when it comes, as one of the account.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs

from fairlead import Liquidity, Side
from fairlead.ports import AccountChanged, Clock, FillReport, FillVoided, Handle, Report
from fairlead_ib.instruments import Known, Listing, exact

log = logging.getLogger("fairlead.ib")

ZERO = Decimal(0)
_UNSET = 1e300
_KEPT = 100_000
_LIQUIDITY = {1: Liquidity.MAKER, 2: Liquidity.TAKER, 3: Liquidity.TAKER}


Row = tuple[Any, Any]
"""A contract and an execution."""


@attrs.define(eq=False)
class Waiting:
    """An execution that is not told yet, and what is to happen after it."""

    execution: Any
    known: Known
    timer: Handle
    then: list[Callable[[], None]] = attrs.Factory(list)


class Executions:
    """Makes fills of executions and commissions, in whatever order they come."""

    def __init__(self, listing: Listing, emit: Callable[[Report], None], clock: Clock, wait_ns: int) -> None:
        self._listing = listing
        self._emit = emit
        self._clock = clock
        self._wait_ns = wait_ns
        self._latest: dict[str, tuple[int, FillReport]] = {}
        self._waiting: dict[str, Waiting] = {}
        self._fees: dict[str, tuple[Decimal, str]] = {}
        self._owed: dict[str, str] = {}
        self._charged = asyncio.Event()

    # --- live ---------------------------------------------------------------------------------------------------

    def executed(self, contract: Any, execution: Any) -> None:
        """An execution, told again or not."""
        known = self._listing.numbered(contract)
        stem, revision = parts(execution.execId)
        told = self._latest.get(stem)
        if known is None or execution.execId in self._waiting or (told is not None and told[0] >= revision):
            return
        if execution.execId in self._fees:
            self._tell(execution, known)
            return
        until = self._clock.now() + self._wait_ns
        timer = self._clock.call_at(until, lambda: self._give_up(execution.execId))
        self._waiting[execution.execId] = Waiting(execution, known, timer)

    def charged(self, report: Any) -> None:
        """What an execution cost."""
        if abs(report.commission) > _UNSET:
            return
        name = report.execId
        fee = self._fees[name] = (exact(report.commission), report.currency)
        self._charged.set()
        _trim(self._fees)
        if (waiting := self._waiting.pop(name, None)) is not None:
            waiting.timer.cancel()
            self._tell(waiting.execution, waiting.known)
            _run(waiting.then)
        elif (instrument := self._owed.pop(name, None)) is not None and fee[0]:
            self._emit(AccountChanged(cause="fee", currency=fee[1], amount=-fee[0], instrument=instrument))

    def after(self, order_id: int, work: Callable[[], None]) -> None:
        """Do something when no execution of an order is waiting any more."""
        for waiting in reversed(self._waiting.values()):
            if waiting.execution.orderId == order_id:
                waiting.then.append(work)
                return
        work()

    def lost(self) -> None:
        """The connection is gone: who connects again lists what waits, with what it cost."""
        waiting = list(self._waiting.values())
        self.forget()
        for one in waiting:
            _run(one.then)

    def forget(self) -> None:
        """Tell of nothing that waits."""
        for waiting in self._waiting.values():
            waiting.timer.cancel()
        self._waiting.clear()

    def _give_up(self, name: str) -> None:
        waiting = self._waiting.pop(name, None)
        if waiting is not None:
            waiting.timer.cancel()
            log.warning("what execution %s cost was not told in time: its fee is booked when it is", name)
            self._owed[name] = waiting.known.instrument.id
            self._tell(waiting.execution, waiting.known)
            _run(waiting.then)

    def _tell(self, execution: Any, known: Known) -> None:
        for report in self._news(execution, known):
            self._emit(report)

    # --- lists --------------------------------------------------------------------------------------------------

    def listed(self, rows: list[Row], since_ns: int) -> tuple[list[FillVoided], list[FillReport]]:
        """What is to be taken back, and the executions that stand, of a list of the venue's; oldest first.

        What waits for its cost is left out: it is told in a moment.
        """
        standing: dict[str, tuple[int, FillReport]] = {}
        taken_back: list[FillVoided] = []
        for contract, execution in sorted(rows, key=lambda row: (row[1].time, row[1].execId)):
            known = self._listing.numbered(contract)
            if known is None or execution.execId in self._waiting:
                continue
            stem, revision = parts(execution.execId)
            before = standing.get(stem)
            if before is not None and before[1].quantity:
                taken_back.append(voided(before[1]))
            standing[stem] = (revision, self._fill(execution, known))
            if execution.execId not in self._fees:
                log.warning(
                    "what execution %s cost is not listed: its fee is not in the books", execution.execId
                )
        for stem, found in standing.items():
            if found[0] >= self._latest.get(stem, found)[0]:
                self._latest[stem] = found
        second = 10**9
        fills = [fill for _, fill in standing.values() if fill.quantity]
        return taken_back, [fill for fill in fills if fill.event_ns >= since_ns // second * second]

    async def costs(self, rows: list[Row]) -> None:
        """Wait until it is known what each of these cost, but not long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._wait_ns / 1e9):
                while not all(execution.execId in self._fees for _, execution in rows):
                    self._charged.clear()
                    await self._charged.wait()

    # --- fills --------------------------------------------------------------------------------------------------

    def _news(self, execution: Any, known: Known) -> list[Report]:
        stem, revision = parts(execution.execId)
        before = self._latest.get(stem)
        fill = self._fill(execution, known)
        self._latest[stem] = (revision, fill)
        _trim(self._latest)
        reports: list[Report] = [voided(before[1])] if before is not None and before[1].quantity else []
        return [*reports, fill] if fill.quantity else reports

    def _fill(self, execution: Any, known: Known) -> FillReport:
        stem, revision = parts(execution.execId)
        fee, currency = self._fees.get(execution.execId, (ZERO, known.instrument.settle))
        return FillReport(
            client_order_id=execution.orderRef, event_ns=int(execution.time.timestamp()) * 10**9,
            fill_id=stem if revision == 1 else execution.execId, instrument=known.instrument.id,
            side=Side.BUY if execution.side == "BOT" else Side.SELL, quantity=exact(execution.shares),
            price=exact(execution.price), fee=fee, fee_currency=currency,
            liquidity=_LIQUIDITY.get(execution.lastLiquidity, Liquidity.UNKNOWN),
            cumulative_quantity=exact(execution.cumQty) if revision == 1 else None,
        )  # fmt: skip


def parts(exec_id: str) -> tuple[str, int]:
    """The id of an execution without its last part, and that part as a number."""
    stem, _, revision = exec_id.rpartition(".")
    return (stem, int(revision)) if stem and revision.isdigit() else (exec_id, 1)


def voided(fill: FillReport) -> FillVoided:
    """An execution taken back."""
    return FillVoided(
        client_order_id=fill.client_order_id, event_ns=fill.event_ns, fill_id=fill.fill_id,
        instrument=fill.instrument, side=fill.side, quantity=fill.quantity, price=fill.price, fee=fill.fee,
        fee_currency=fill.fee_currency,
    )  # fmt: skip


def _trim(memory: dict[str, Any]) -> None:
    """Let go of the oldest: they are of days that nobody lists any more."""
    if len(memory) > _KEPT:
        del memory[next(iter(memory))]


def _run(work: list[Callable[[], None]]) -> None:
    for one in work:
        one()
