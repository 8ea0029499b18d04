"""A paper account: what it is made of, and what outlives the process."""

import itertools
import os
import signal
import subprocess
import sys
import tempfile
from decimal import Decimal
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import ConfigurationError, Funding, JournalDamaged, JournalError, OrderType, TimeInForce, Trail
from fairlead.ports import BrokerAdapter
from fairlead_paper import PaperBroker
from fairlead_sim import SimulatedBroker

LIMIT, STOP, TRAILING = OrderType.LIMIT, OrderType.STOP, OrderType.TRAILING_STOP


def test_it_is_a_broker():
    """It fills the broker port, is found by its name, and says what it can do."""
    broker = PaperBroker(["5 EUR", "1 BTC"], fees=("0", "0.001"))
    assert isinstance(broker, BrokerAdapter)
    assert (broker.name, broker.profile.environment, broker.profile.base_currency) == (
        "paper",
        "paper",
        "EUR",
    )
    assert broker.profile.order_types == frozenset(OrderType)
    assert (broker.profile.oco, broker.profile.post_only, broker.profile.reduce_only) == (True, True, True)
    (entry,) = entry_points(group="fairlead", name="paper")
    assert entry.value == "fairlead_paper:PaperBroker"


def test_a_backtest_keeps_its_conditions():
    """The simulated broker of a backtest is made like it."""
    broker = PaperBroker("7 EUR", name="mine", fees="0.002", slippage="1 tick", fill_at="close")
    again = SimulatedBroker.like(broker)
    assert (again.name, again.cash, again.fees) == ("mine", {"EUR": Decimal(7)}, "0.002")
    assert (again.slippage, again.fill_at, again.profile) == ("1 tick", "close", broker.profile)


def test_a_stream_brings_the_instruments(desk, settled):
    """An instrument is known under its long form once a stream serves it, with the broker's fees."""
    on = desk(fees=("0.0001", "0.0004"), learn=False)
    on.quote(100.0, 100.1)
    on.order("a", "buy", "1")
    assert on.reports[-1].code == "unknown_instrument"
    on.broker.learn(on.instrument)
    on.order("b", "buy", "1")
    assert on.fills[0].fee == Decimal("0.04004")
    (known,) = settled(on.broker.instruments())
    assert (known.id, known.taker_fee, known.maker_fee) == (
        on.instrument.id,
        Decimal("0.0004"),
        Decimal("0.0001"),
    )


def test_books_survive(desk, tmp_path):
    """Balances, positions, open orders, fills and look-ups are the same after a restart, and ids stay used."""
    on = desk(tmp_path)
    on.quote(100.0, 100.1)
    on.order("a", "buy", "3")
    on.order("profit", "sell", "3", kind=LIMIT, limit="110", group="g", reduce_only=True)
    on.order("loss", "sell", "3", kind=STOP, stop="90", group="g", reduce_only=True)
    on.order("trail", "sell", "1", kind=TRAILING, trail=Trail(Decimal(5)))
    on.order("gone", "buy", "1", kind=LIMIT, limit="80")
    on.cancel("gone")
    on.order("never", "buy", "0.00001")
    on.quote(104.0, 104.1)
    on.broker.market(Funding(on.instrument.id, 0.01, 0, 0))
    again = desk(tmp_path, cash="1 USDT", clock=on.clock)
    assert again.state() == on.state()
    assert again.reports == []
    again.order("a", "buy", "1")
    again.order("never", "buy", "1")
    assert [report.code for report in again.reports] == ["duplicate_id", "duplicate_id"]
    again.quote(99.0, 99.1)
    assert [fill.client_order_id for fill in again.fills] == ["trail"]
    again.quote(110.0, 110.1)
    assert [(fill.fill_id, str(fill.side)) for fill in again.fills] == [("F2", "sell"), ("F3", "sell")]
    assert again.ledger.positions() == {}


def test_nothing_fills_while_away(desk, tmp_path):
    """Orders rest while the process is away; one whose time ended meanwhile expires at the start."""
    on = desk(tmp_path)
    on.quote(100.0, 100.1)
    on.order("day", "buy", "1", kind=LIMIT, limit="90", time_in_force=TimeInForce.DAY)
    on.order("gtc", "buy", "1", kind=LIMIT, limit="90")
    again = desk(tmp_path)
    again.clock.advance(10**15)
    assert again.kinds == ["Expired"]
    again.quote(89.0, 89.1)
    assert [fill.client_order_id for fill in again.fills] == ["gtc"]
    assert again.fills[0].price == 90


def test_a_market_order_on_bars_survives(desk, tmp_path):
    """A market order that waits for the next bar's open still does after a restart."""
    on = desk(tmp_path)
    on.bar(100, 100, 100, 100)
    on.order("a", "buy", "1")
    again = desk(tmp_path, clock=on.clock)
    again.bar(101, 102, 100, 101)
    assert [fill.price for fill in again.fills] == [Decimal(101)]


def test_margin_survives(desk, tmp_path):
    """A position from before a restart is liquidated like any other."""
    on = desk(tmp_path, cash="100 USDT")
    on.quote(100.0, 100.1)
    on.order("a", "buy", "9")
    again = desk(tmp_path, cash="100 USDT")
    again.quote(95.0, 95.1)
    assert again.fills == []
    again.quote(85.0, 85.1)
    assert [fill.cause for fill in again.fills] == ["liquidation"]


def test_it_closes_and_opens_again(desk, settled, tmp_path):
    """Connecting again after closing goes on in the same books."""
    on = desk(tmp_path)
    on.quote(100.0, 100.1)
    settled(on.broker.close())
    settled(on.broker.close())
    settled(on.broker.connect(on.reports.append, on.clock))
    on.order("a", "buy", "1")
    assert desk(tmp_path).ledger.positions() == {on.instrument.id: 1}


@pytest.mark.parametrize("torn", [b"{", b'{"t":"Ended","client_order_id":"b"', b"\x00\xff"])
def test_a_torn_last_line_is_cut(desk, tmp_path, torn):
    """What was being written when the process died is cut off."""
    on = desk(tmp_path)
    on.quote(100.0, 100.1)
    on.order("b", "buy", "1", kind=LIMIT, limit="90")
    with (tmp_path / "paper.jsonl").open("ab") as file:
        file.write(torn)
    assert desk(tmp_path).state() == on.state()


def test_damage_is_refused(desk, tmp_path):
    """A line in the middle that cannot be read is never skipped."""
    desk(tmp_path)
    file = tmp_path / "paper.jsonl"
    file.write_bytes(b"{]\n" + file.read_bytes())
    with pytest.raises(JournalDamaged, match="line 1"):
        desk(tmp_path)


def test_another_currency_is_refused(desk, tmp_path):
    """Books of an account in one currency are not taken up by an account in another."""
    desk(tmp_path)
    with pytest.raises(ConfigurationError, match="in USDT, and its cash now begins with EUR"):
        desk(tmp_path, cash="1 EUR")


def test_a_folder_that_cannot_be_written(tmp_path):
    """Books that cannot be kept are refused at once."""
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match=r"paper\.jsonl"):
        PaperBroker().persist(tmp_path / "file")


def test_the_books_are_compacted(desk, tmp_path):
    """Opening writes the file anew, as one line."""
    on = desk(tmp_path)
    on.quote(100.0, 100.1)
    for number in range(50):
        on.order(f"c{number}", "buy", "1", kind=LIMIT, limit="90")
        on.cancel(f"c{number}")
    file = tmp_path / "paper.jsonl"
    assert len(file.read_bytes().splitlines()) > 100
    desk(tmp_path)
    assert len(file.read_bytes().splitlines()) <= 2


steps = st.lists(
    st.one_of(
        st.tuples(st.just("quote"), st.integers(950, 1050), st.integers(1, 9)),
        st.tuples(st.just("market"), st.sampled_from(["buy", "sell"]), st.booleans()),
        st.tuples(st.just("limit"), st.sampled_from(["buy", "sell"]), st.integers(950, 1050)),
        st.tuples(st.just("stop"), st.sampled_from(["buy", "sell"]), st.integers(950, 1050)),
        st.tuples(st.just("trail"), st.sampled_from(["buy", "sell"]), st.integers(1, 20)),
        st.tuples(st.just("cancel"), st.integers(0, 9), st.just(0)),
    ),
    min_size=8,
    max_size=30,
)


def act(on, number, step):
    name, group = f"c{number}", "g" if number % 3 else ""
    match step:
        case ("quote", price, size):
            on.quote(price / 10, price / 10 + 0.1, size)
        case ("market", side, reduce_only):
            on.order(name, side, "4", reduce_only=reduce_only)
        case ("limit", side, price):
            on.order(name, side, "4", kind=LIMIT, limit=str(price / 10), group=group)
        case ("stop", side, price):
            on.order(name, side, "4", kind=STOP, stop=str(price / 10), group=group)
        case ("trail", side, distance):
            on.order(name, side, "4", kind=TRAILING, trail=Trail(Decimal(distance) / 10))
        case ("cancel", which, _):
            on.cancel(f"c{which}")


@given(story=steps, when=st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_a_restart_at_any_point_changes_nothing(desk, story, when):
    """Whatever happened and whenever it is restarted, the books are equal, and stay so."""
    with tempfile.TemporaryDirectory() as folder:
        on = desk(Path(folder))
        on.quote(100.0, 100.1)
        clean = desk(None)
        clean.quote(100.0, 100.1)
        for number, step in enumerate(story):
            if number == when:
                before = on.state()
                on = desk(Path(folder))
                assert on.state() == before
            # Both see the market as it stands: a restart forgets quotes, as the real one does.
            for one in (on, clean):
                one.quote(100.0, 100.1)
                act(one, number, step)
        assert on.state() == clean.state()


CHILD = """
import os, signal, sys
from decimal import Decimal
from pathlib import Path
from fairlead import OrderIntent, OrderType, Quote, Side, default_instrument
from fairlead.ports import Submit
from fairlead_paper import PaperBroker

class Clock:
    def now(self): return 0

broker = PaperBroker("1_000_000 USDT")
broker.persist(Path(sys.argv[1]))
instrument = default_instrument("BTC/USDT:USDT", "x", tick="0.1")
broker.learn(instrument)

def emit(report):
    os.write(1, f"{type(report).__name__} {report.client_order_id}\\n".encode())

try:
    broker.connect(emit, Clock()).send(None)
except StopIteration:
    pass
broker.market(Quote(instrument.id, 100.0, 100.1, 1e9, 1e9, 0, 0))
number = 0
while True:
    number += 1
    one = Decimal("0.001")
    intent = OrderIntent(strategy="s", account="paper", instrument=instrument.id, side=Side.BUY, quantity=one)
    broker.send(Submit(f"c{number}", intent, one, False, 10**19))
"""


def test_kill_nine(desk, tmp_path):
    """Whatever was told before kill -9 is in the books after it."""
    with subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE) as child:
        told = list(itertools.islice(child.stdout, 200))
        os.kill(child.pid, signal.SIGKILL)
        told += [line for line in child.stdout.readlines() if line.endswith(b"\n")]
    filled = [line.split()[1].decode() for line in told if line.startswith(b"FillReport")]
    on = desk(tmp_path, cash="1_000_000 USDT")
    known = on.broker.venue.lookup(filled)
    assert len(filled) >= 100
    assert {report.status for report in known.values()} == {"filled"}
    count = len(on.broker.venue.fills(0))
    assert len(filled) <= count <= len(filled) + 1
    assert on.ledger.positions() == {on.instrument.id: Decimal("0.001") * count}
