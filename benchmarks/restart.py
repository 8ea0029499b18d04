"""Restart: how long a journal takes to become a state again, from its snapshot and from its first record; and an
engine, killed and started again, to trade on.

The journal is one of orders that were sent, accepted and filled, five facts each, written as an engine writes them.
The snapshot stands 50,000 facts before its end. A start is a fresh process, from its beginning until the state is
there, every byte of the journal verified. A restart is that of a whole engine after `kill -9`, from the beginning of
its process until the account is recovered from a venue in another process and its strategies run; it is what
`tests/killing` measures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal

from benchmarks.rig import (
    AT_MOST,
    ROOT,
    ChildFailed,
    Report,
    Say,
    Size,
    Table,
    Target,
    arguments,
    child,
    number,
    quantile,
    reply,
)

BEHIND = 50_000


def run(size: Size, say: Say) -> Report:
    report = Report("restart")
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder:
        say(f"writing {size.restart_facts:,} facts")
        made = child("benchmarks.restart", {"write": folder, "facts": size.restart_facts})
        whole: list[float] = []
        snapshot: list[float] = []
        for turn in range(size.starts):
            say(f"start {turn + 1} of {size.starts}")
            snapshot.append(_start(folder, keep=True))
            if turn < 2:
                whole.append(_start(folder, keep=False))
    rows = [
        ("from a snapshot", number(min(snapshot)), number(max(snapshot)), str(len(snapshot))),
        ("from the first record", number(min(whole)), number(max(whole)), str(len(whole))),
    ]
    title = f"{size.restart_facts:,} facts, {made['bytes'] / 1e6:,.0f} MB, to a verified state, s"
    report.tables.append(Table(title, ("", "best", "worst", "starts"), rows))
    say(f"{size.restarts} restarts of an engine")
    restarts = _restarts(size)
    report.tables.append(_restart_table(size, restarts))
    report.targets = [
        Target("start from a snapshot, worst", max(snapshot), AT_MOST, 5, " s"),
        Target("killed engine to strategies that run, p99", quantile(restarts, 0.99), AT_MOST, 5, " s"),
    ]
    report.figures = {"bytes": made["bytes"], "snapshot": snapshot, "whole": whole, "restarts": restarts}
    return report


def _restarts(size: Size) -> list[float]:
    """Seconds of each, in order."""
    words = ["tests/killing/long_journal.py", "--json"]
    words += ["--facts", str(size.restart_facts), "--starts", str(size.restarts)]
    try:
        done = subprocess.run(
            [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=900
        )
    except subprocess.TimeoutExpired as error:
        raise ChildFailed(f"restarts were given up after {error.timeout:.0f} s") from None
    if done.returncode:
        raise ChildFailed("\n".join((done.stderr or done.stdout).strip().splitlines()[-12:]))
    found: list[float] = json.loads(done.stdout)
    return sorted(found)


def _restart_table(size: Size, restarts: list[float]) -> Table:
    values = [quantile(restarts, q) for q in (0.5, 0.9, 0.99)]
    row = ("killed, to strategies that run", *map(number, (*values, restarts[-1])), str(len(restarts)))
    title = f"an engine on {size.restart_facts:,} facts, s; load average {os.getloadavg()[0]:.1f}"
    return Table(title, ("", "p50", "p90", "p99", "worst", "starts"), [row])


def _start(folder: str, *, keep: bool) -> float:
    begun = time.perf_counter()
    child("benchmarks.restart", {"fold": folder, "snapshot": keep})
    return time.perf_counter() - begun


def main() -> None:
    from fairlead._storage.run import RunFolder

    wanted = arguments()
    if "write" in wanted:
        _write(RunFolder(wanted["write"]), wanted["facts"])
        return
    from fairlead._engine.folding import fold

    folder = RunFolder(wanted["fold"])
    if not wanted["snapshot"]:
        folder.snapshots = folder.path / "none"
    folded = fold(folder)
    if (folded.snapshot is not None) is not wanted["snapshot"]:
        raise SystemExit(f"the snapshot was not used as it should be: {folded.refused}")
    reply({"seq": folded.at.seq})


def _write(folder: object, count: int) -> None:
    from fairlead._engine.folding import take_snapshot
    from fairlead._storage.journal import Journal
    from fairlead._storage.run import RunFolder

    assert isinstance(folder, RunFolder)
    journal = Journal.open(folder.journal, boot_id="", sync_behind=False)
    seq, taken = 0, False
    for turn in _turns(count):
        journal.append(turn)
        seq = turn[-1].seq
        if not taken and seq >= count - BEHIND:
            taken = take_snapshot(folder) is not None
    journal.close()
    reply({"bytes": sum(path.stat().st_size for path in folder.journal.glob("*.seg"))})


def _turns(count: int) -> Iterator[list]:  # type: ignore[type-arg]
    """Turns of one order each: sent in one record; its report, acceptance, fill and equity in another."""
    from fairlead import facts as f
    from fairlead._models.orders import Fill, OrderIntent, Side
    from fairlead.ports import FillReport
    from fairlead.testing import make_instrument

    name, now = make_instrument(), 1_704_067_200_000_000_000
    one = Decimal(1)
    yield [
        f.EngineStarted(seq=1, now=now, cause=1, namespace=1, epoch=1),
        f.AccountOpened(
            seq=2, now=now, cause=1, account="a", currency="USDT", balances={"USDT": Decimal(100_000)}
        ),
        f.InstrumentDefined(seq=3, now=now, cause=1, instrument=name),
    ]
    for seq in range(4, count, 5):
        now += 1_000_000
        side = Side.BUY if seq % 2 else Side.SELL
        intent = OrderIntent(strategy="Cross", account="a", instrument=name.id, side=side, quantity=one)
        order = f"{seq:032x}"
        price = Decimal(100 + seq % 17)
        common = {
            "instrument": name.id,
            "side": side,
            "quantity": one,
            "price": price,
            "fee_currency": "USDT",
        }
        fill = Fill(fill_id=order, client_order_id=order, strategy="Cross", account="a", fee=one, **common)
        report = FillReport(client_order_id=order, fill_id=order, fee=one, event_ns=now, **common)
        yield [
            f.OrderSubmitted(
                seq=seq,
                now=now,
                cause=seq,
                client_order_id=order,
                intent=intent,
                quantity=one,
                deadline_ns=now,
            )
        ]
        head = {"now": now, "cause": seq + 1}
        yield [
            f.ReportReceived(seq=seq + 1, account="a", report=report, **head),
            f.OrderAccepted(seq=seq + 2, client_order_id=order, broker_order_id=str(seq), **head),
            f.Filled(seq=seq + 3, fill=fill, **head),
            f.EquitySampled(seq=seq + 4, account="a", equity=100_000.0, drawdown=0.0, **head),
        ]


if __name__ == "__main__":
    main()
