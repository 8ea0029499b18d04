"""ib_insync, unmodified, at the same venue; its environment is its own, since both SDKs overwrite each other."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import asyncio, sys

async def main():
    import ib_insync
    ib = ib_insync.IB()
    await ib.connectAsync("127.0.0.1", int(sys.argv[1]), clientId=3, timeout=5)
    stock = ib_insync.Stock("AAPL", "SMART", "USD")
    await ib.qualifyContractsAsync(stock)
    done, far = asyncio.Event(), asyncio.Event()
    order = ib_insync.LimitOrder("BUY", 10, 190.0, orderRef="far")
    trade = ib.placeOrder(stock, order)
    trade.statusEvent += lambda trade: far.set() if trade.orderStatus.status == "Submitted" else None
    await asyncio.wait_for(far.wait(), 5)
    market = ib.placeOrder(stock, ib_insync.MarketOrder("BUY", 10, orderRef="near"))
    market.commissionReportEvent += lambda *_: done.set()
    await asyncio.wait_for(done.wait(), 5)
    ib.disconnect()
    await ib.connectAsync("127.0.0.1", int(sys.argv[1]), clientId=3, timeout=5)
    [open_trade] = ib.openTrades()
    [fill] = ib.fills()
    print(ib.client.serverVersion(), open_trade.order.orderRef, open_trade.order.lmtPrice, fill.execution.orderRef)
    print(fill.execution.cumQty, [position.position for position in ib.positions()])
    ib.disconnect()

asyncio.run(main())
"""


def local_index(python: Path) -> list[str]:
    """The switches for an index on this machine, as pip is configured here: nothing else may be asked."""
    asked = [str(python), "-m", "pip", "config", "list"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    found = re.findall(r"file:///[^\s']+", said)
    if not found:
        pytest.skip("pip knows no index on this machine to install ib_insync from")
    return ["--index-url", found[-1], *(word for more in found[:-1] for word in ("--extra-index-url", more))]


def environment(folder: Path) -> Path:
    """A Python with ib_insync: the one that FAIRLEAD_IB_INSYNC names, or a new one from the local index; or skips."""
    if named := os.environ.get("FAIRLEAD_IB_INSYNC"):
        return Path(named)
    made = subprocess.run(
        [sys.executable, "-m", "venv", str(folder)], capture_output=True, text=True, check=False
    )
    python = folder / "bin" / "python"
    if made.returncode:
        pytest.skip("no environment can be made here")
    command = [str(python), "-m", "pip", "install", "-q", *local_index(python), "ib_insync==0.9.86"]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90, env=clean)
    if done.returncode:
        pytest.skip("the local index has no ib_insync: name a Python that has it by FAIRLEAD_IB_INSYNC")
    return python


@pytest.mark.prove
@pytest.mark.timeout(150)
def test_ib_insync_trades_at_the_venue(venue, tmp_path):
    """It agrees upon version 176, trades, and finds its orders and fills again."""
    python = environment(tmp_path / "insync")
    port = venue.addresses["tws"].rpartition(":")[2]
    done = subprocess.run(
        [str(python), "-c", SCRIPT, port], capture_output=True, text=True, check=False, timeout=50
    )
    assert done.stdout.splitlines() == ["176 far 190.0 near", "10.0 [10.0]"], done.stderr[-2000:]
