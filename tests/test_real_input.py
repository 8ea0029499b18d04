"""Recorded data of a real market: a month of bars, quotes and trades, and money worked out by another way."""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead import Fill, LiveTradingEngine, Quote, Strategy, Trade
from fairlead._storage.journal import read_facts
from fairlead.facts import Filled, OrderSubmitted
from fairlead_paper import PaperBroker
from fairlead_streams import ReplayStream

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("FAIRLEAD_DATA", ROOT.parent / "shared" / "data"))
EXAMPLE = ROOT / "examples" / "02_moving_average.py"
BTC = "BTC/USDT:USDT"

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        not DATA.is_dir(), reason="no recorded data: FAIRLEAD_DATA names the folder that has them"
    ),
]


def recount(fills: Iterable[Fill], cash: Decimal) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """Cash, position, realised profit and fees of one linear instrument, from its fills alone, at average cost."""
    held = cost = realised = fees = Decimal(0)
    for fill in fills:
        quantity = fill.quantity if fill.side == "buy" else -fill.quantity
        fees += fill.fee
        closing = min(abs(quantity), abs(held)) if held * quantity < 0 else Decimal(0)
        if closing:
            realised += closing * (fill.price - cost) * (1 if held > 0 else -1)
        opening = abs(quantity) - closing
        if opening:
            left = abs(held) - closing
            cost = (cost * left + fill.price * opening) / (left + opening)
        held += quantity
    return cash + realised - fees, held, realised, fees


def command(tmp_path: Path, seed: str) -> tuple[bytes, Path]:
    """The backtest as a user runs it, in a process of its own; its output and its run's folder."""
    folder = tmp_path / f"seed{seed}"
    folder.mkdir()
    words = (
        f"backtest {EXAMPLE} --data {DATA / 'btc-perp-1m.csv'} --symbol {BTC} --tz UTC --volume-unit quote"
    )
    done = subprocess.run(
        [sys.executable, "-m", "fairlead", *words.split(), "--bar-label", "close", "--json"],
        cwd=folder, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout, folder / "runs" / "moving-average" / "backtests" / "0001"


def test_a_month_of_bars(tmp_path: Path) -> None:
    """Two runs under two hash seeds print the same bytes, write the same journal, and the money adds up exactly."""
    (one, folder), (other, again) = command(tmp_path, "1"), command(tmp_path, "4242")
    assert one == other
    assert [p.read_bytes() for p in sorted((folder / "journal").iterdir())] == [
        p.read_bytes() for p in sorted((again / "journal").iterdir())
    ]
    said = json.loads(one)
    assert said["events"] == 45_031
    fills = [fact.fill for fact in read_facts(folder / "journal") if isinstance(fact, Filled)]
    assert len(fills) == said["fills"] > 300
    cash, held, realised, fees = recount(fills, Decimal(100_000))
    [account] = said["accounts"]
    assert Decimal(account["balances"]["USDT"]) == cash
    assert {name: Decimal(quantity) for name, quantity in account["positions"].items()} == (
        {fills[0].instrument: held} if held else {}
    )
    assert abs(Decimal(said["realised"]) - realised) < Decimal("1e-15")
    assert Decimal(said["fees"]) == fees
    assert all(fill.fee == fill.price * fill.quantity * Decimal("0.0005") for fill in fills)
    assert len(said["journal_hash"]) == 32


def test_fills_are_at_prices_that_were_there(tmp_path: Path) -> None:
    """Each fill of the month is at the open of the bar after the one that was decided on."""
    made = runpy.run_path(str(EXAMPLE))
    engine: LiveTradingEngine = made["engine"]
    engine.folder = type(engine.folder)(tmp_path / "run")
    stream = ReplayStream(
        DATA / "btc-perp-1m.csv", symbol=BTC, tz="UTC", volume_unit="quote", bar_label="close"
    )
    result = engine.backtest(stream)
    opens = {bar.received_ns: bar.open for bar in stream.replay()}
    sent = {fact.client_order_id: fact.now for fact in result.facts() if isinstance(fact, OrderSubmitted)}
    for fill in result.fills():
        assert fill.event_ns == sent[fill.client_order_id] + 60_000_000_000
        assert float(fill.price) == pytest.approx(opens[fill.event_ns], abs=0.01)


class Scalper(Strategy):
    """Buys and sells in turn at every tenth event, of quotes or of trades."""

    def __init__(self, symbol: str, kind: str) -> None:
        self.symbol, self.kind = symbol, kind
        self.seen = 0

    def on_start(self) -> None:
        self.watch(self.symbol, quotes=self.kind == "quotes", trades=self.kind == "trades")

    def on_quote(self, quote: Quote) -> None:
        self.see(quote.ask if self.seen % 20 else quote.bid)

    def on_trade(self, trade: Trade) -> None:
        self.see(trade.price)

    def see(self, price: float) -> None:
        self.seen += 1
        if self.seen % 20 == 10:
            self.buy("0.01")
        elif self.seen % 20 == 0:
            self.sell("0.01", limit_price=price)


@pytest.mark.parametrize(("kind", "events"), [("quotes", 451), ("trades", 2001)])
def test_quotes_and_trades(tmp_path: Path, kind: str, events: int) -> None:
    """A strategy trades on recorded quotes, and on recorded trades; both runs of it are the same and add up."""
    results: list[Any] = []
    for _ in range(2):
        stream = ReplayStream(DATA / f"btcusdt-{kind}.parquet", symbol=BTC)
        engine = LiveTradingEngine(
            Scalper(BTC, kind),
            plugins=[PaperBroker("10_000 USDT"), stream],
            run=tmp_path / kind,
            breakers="none",
        )
        results.append(engine.backtest())
    one, other = results
    assert one.events == events
    assert one.journal_hash == other.journal_hash
    fills = list(one.fills())
    assert len(fills) > events // 20
    cash, held, realised, fees = recount(fills, Decimal(10_000))
    [account] = one.accounts
    assert account.balances == {"USDT": cash}
    assert sum(account.positions.values(), Decimal(0)) == held
    assert (account.realised, account.fees) == (realised, fees)
