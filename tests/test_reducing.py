"""A trip that reduces to a share, in every mode of run, from a script and from a file."""

import asyncio
from decimal import Decimal

import pytest

from fairlead import Bar, ConfigurationError, LiveTradingEngine, Strategy
from fairlead._storage.journal import read_facts
from fairlead.facts import BreakerTripped, Filled, SweepEnded, SweepStarted
from fairlead.testing import FakeStream, make_instrument
from fairlead.testing.time import START_NS
from fairlead.units import MINUTE
from fairlead_breakers import Drawdown
from fairlead_paper import PaperBroker
from fairlead_streams import ReplayStream

BTC = make_instrument("BTC/USDT:USDT")


class Holder(Strategy):
    """Buys two with the first bar, and tries to buy more with each one after."""

    def on_start(self):
        self.watch(BTC.symbol, bars="1m")

    def on_bar(self, bar):
        self.buy(2 if not self.position() else 1)


def bars():
    closes = [100.0, 100.0, 40.0, 40.0, 40.0, 40.0]
    for number, close in enumerate(closes):
        begin = START_NS // MINUTE * MINUTE + number * MINUTE
        end = begin + MINUTE
        yield Bar(BTC.id, "1m", close, close, close, close, 100.0, begin, end, end)


def engine_of(tmp_path, *plugins):
    breaker = Drawdown("10%", action="reduce to 50%")
    broker = PaperBroker(cash="1_000 USDT", fees=0)
    return LiveTradingEngine(Holder(), [broker, breaker, *plugins], run=tmp_path / "run")


def judge(facts):
    (trip,) = [fact for fact in facts if isinstance(fact, BreakerTripped)]
    assert trip.action == "reduce to 50%"
    (sweep,) = [fact for fact in facts if isinstance(fact, SweepStarted)]
    (target,) = sweep.targets
    fills = [fact.fill for fact in facts if isinstance(fact, Filled)]
    bought = sum(fill.quantity for fill in fills if fill.side == "buy")
    sold = [fill for fill in fills if fill.side == "sell"]
    assert sum(fill.quantity for fill in sold) == Decimal(bought) / 2
    assert target.quantity == Decimal(bought) / 2
    assert [fact.reason for fact in facts if isinstance(fact, SweepEnded)] == ["reduced"]


def test_in_a_backtest(tmp_path):
    """The trip closes half of what is held at its prices, and nothing is opened after it."""
    result = engine_of(tmp_path, FakeStream(BTC)).backtest(ReplayStream.of(bars(), instrument=BTC))
    judge(list(read_facts(result.folder.journal)))


def test_on_paper(tmp_path):
    """The same in a run, on data that come from a file."""
    file = tmp_path / "bars.csv"
    rows = [f"{bar.open_ns // 10**9},{bar.open},{bar.high},{bar.low},{bar.close},100" for bar in bars()]
    file.write_text("\n".join(["time,open,high,low,close,volume", *rows]))
    stream = ReplayStream(
        file, symbol=BTC.symbol, instrument=BTC, interval="1m", bar_label="open", volume_unit="base", tz="UTC"
    )
    engine = engine_of(tmp_path, stream)
    asyncio.run(engine.run())
    judge(list(read_facts(engine.folder.journal)))


def test_from_a_file_it_is_a_word_like_the_others(tmp_path):
    """What is no share is refused with the place where it stands."""
    (tmp_path / "holding.py").write_text("from fairlead import Strategy\nclass Holder(Strategy):\n    pass\n")
    text = (
        '[strategy.one]\nuse = "holding.py:Holder"\n[broker.paper]\n[stream.synthetic]\n'
        '[breaker.drawdown]\nlimit = "10%"\naction = "{}"\n'
    )
    file = tmp_path / "desk.toml"
    file.write_text(text.format("reduce to 25%"))
    assert LiveTradingEngine.from_file(file).wiring.breakers["drawdown"]._action == "reduce to 25%"
    for wrong in ("reduce to 250%", "reduce", "redcue to 5%"):
        file.write_text(text.format(wrong))
        with pytest.raises(ConfigurationError, match=r"breaker.drawdown.action.*reduce to 50%"):
            LiveTradingEngine.from_file(file)
