"""After a restart, and whenever a venue says something odd: what is believed, what is noted, what is asked again."""

import os
import subprocess
import sys
from decimal import Decimal

import attrs
import msgspec
import pytest

from fairlead import InvariantViolation, OrderStatus, Side, TradingState
from fairlead._kernel.apply import apply
from fairlead._kernel.state import REMEMBERED_ORDERS, fingerprint
from fairlead._models.orders import Fill
from fairlead.facts import (
    AccountAdopted,
    AccountDoubted,
    AccountOpened,
    CashChanged,
    Filled,
    InstrumentDefined,
    Noted,
    OrderCanceled,
    OrderUnknown,
    StateChanged,
)
from fairlead.ports import (
    UNKNOWN_ORDER,
    AccountChanged,
    CancelRejected,
    FillReport,
    NotSent,
    OutcomeUnknown,
)
from fairlead.testing import (
    MARKET_AND_LIMIT,
    Bench,
    FakeBroker,
    lose,
    make_instrument,
    silence,
)
from fairlead.testing.time import ManualClock

D = Decimal
LIVE = attrs.evolve(MARKET_AND_LIMIT, environment="live", exact=False, watch_ns=0)


def working(profile=MARKET_AND_LIMIT):
    """A bench with an accepted order, and that order."""
    bench = Bench(broker=FakeBroker(profile=profile))
    bench.price(100)
    return bench, bench.do(lambda s: s.buy(1, limit_price=99))


def here(bench, order):
    """The order of the same name after a restart."""
    return bench.state.orders[order.client_order_id]


def held(bench, strategy=""):
    return bench.state.quantity("fake", bench.instrument, strategy)


def stranger(instrument, fill_id="x1", name=""):
    return FillReport(
        client_order_id=name,
        fill_id=fill_id,
        instrument=instrument,
        side=Side.BUY,
        quantity=D(1),
        price=D(100),
        fee=D(0),
        fee_currency="USDT",
    )


def notes(bench, source="reports"):
    return [fact.text for fact in bench.of(Noted) if fact.source == source]


# --- fills ------------------------------------------------------------------------------------------------------


def test_a_fill_in_an_instrument_of_the_catalogue_defines_it():
    """Somebody trades by hand what no strategy here does: it is booked, followed and valued."""
    bench = Bench(broker=FakeBroker(make_instrument(), make_instrument("ETH/USDT:USDT")))
    bench.price(100)
    eth = "ETH/USDT:USDT@fake"
    bench.broker.emit(stranger(eth))
    assert bench.state.quantity("fake", eth, "EXTERNAL") == 1
    assert [fact.instrument.id for fact in bench.of(InstrumentDefined)][-1] == eth
    assert any(wanted.instrument == eth for wanted in bench.subscribed)
    bench.price(110, instrument=eth)
    assert bench.kernel.view.equity("fake") == 100_010
    bench.restart()
    bench.check()


def test_a_strangers_fill_under_two_ids_is_booked_once():
    """A stream and a list may number one execution differently; what its order had filled with it tells."""
    bench = Bench()
    bench.price(100)
    told = [stranger(bench.instrument, name, "theirs") for name in ("ws-7", "7", "8")]
    totals = [D("1.0"), D("1.00"), D(2)]
    for report, total in zip(told, totals, strict=True):
        bench.broker.emit(msgspec.structs.replace(report, cumulative_quantity=total))
        bench.restart()
    assert bench.state.quantity("fake", bench.instrument, "EXTERNAL") == 2
    bench.check()


def test_a_fill_in_an_instrument_that_nobody_knows_leaves_the_account_to_reduce_only():
    """It cannot be booked, and it prevents no restart; whoever looked at it lifts the state again."""
    bench = Bench()
    bench.price(100)
    bench.do(lambda s: s.buy(1))
    before = dict(bench.state.accounts["fake"].balances)
    bench.broker.emit(stranger("DOGE/USDT:USDT@fake"))
    bench.broker.emit(stranger("DOGE/USDT:USDT@fake"))
    assert bench.state.accounts["fake"].balances == before
    assert [fact.state for fact in bench.of(StateChanged)] == [TradingState.REDUCE_ONLY]
    assert "DOGE" in notes(bench)[0]
    assert bench.do(lambda s: s.buy(1)).denied
    bench.restart()
    bench.price(100)
    assert not bench.do(lambda s: s.sell(1)).denied
    bench.kernel.command("resume", "me", "booked by hand", scope="account:fake")
    assert not bench.do(lambda s: s.buy(1)).denied
    bench.check()


def test_funding_of_an_instrument_that_nobody_knows_is_money_all_the_same():
    """The cash is booked, the doubt noted."""
    bench = Bench()
    bench.price(100)
    report = AccountChanged(cause="funding", currency="USDT", amount=D(-3), instrument="DOGE/USDT:USDT@fake")
    bench.broker.emit(report)
    assert bench.of(CashChanged)[0].instrument == ""
    assert bench.kernel.view.equity("fake") == 99_997
    assert bench.state.lowered == {"account:fake": TradingState.REDUCE_ONLY}
    bench.restart()
    bench.check()


@pytest.mark.parametrize("wrong", ["instrument", "account", "order"])
def test_a_fact_that_cannot_take_effect_takes_none(wrong):
    """A fill is refused before anything of it is booked."""
    bench = Bench()
    bench.price(100)
    denied = bench.do(lambda s: s.buy(0))
    resting = bench.do(lambda s: s.buy(1, limit_price=99))
    fill = {
        "fill_id": "x",
        "client_order_id": (denied if wrong == "order" else resting).client_order_id,
        "strategy": "Puppet",
        "account": "nobody" if wrong == "account" else "fake",
        "instrument": "DOGE@fake" if wrong == "instrument" else bench.instrument,
        "side": Side.BUY,
        "quantity": D(1),
        "price": D(99),
        "fee": D(0),
        "fee_currency": "USDT",
    }
    before = fingerprint(bench.state)
    with pytest.raises(InvariantViolation):
        apply(bench.state, Filled(seq=99, now=1, cause=1, fill=Fill(**fill)))
    assert fingerprint(bench.state) == before


@pytest.mark.full
def test_a_fill_told_again_after_its_order_was_forgotten_is_not_booked():
    """It is ours by its name, and so old that all its fills are in: noted; a stranger's is booked as ever."""
    bench = Bench()
    bench.price(100)
    bench.do(lambda s: s.buy(1))
    again = bench.broker.executions[0]
    bench.restart()
    bench.price(100)
    for _ in range(REMEMBERED_ORDERS):
        bench.do(lambda s: s.buy("0.001"))
    before = held(bench)
    bench.broker.emit(again)
    assert (held(bench), held(bench, "EXTERNAL")) == (before, 0)
    assert "told again" in notes(bench)[-1]
    ahead = f"00010001{bench.state.intents + 1:022x}01"
    for name in (ahead, "0002" + again.client_order_id[4:], "z" * 32):
        bench.broker.emit(stranger(bench.instrument, f"f-{name}", name))
    assert held(bench, "EXTERNAL") == 3
    count = len(notes(bench))
    bench.restart()
    assert held(bench) == before + 3
    assert len(notes(bench)) == count, "recovery does not tell again what is known to be booked"
    bench.check()


def test_a_fill_that_was_lost_long_ago_is_found_after_a_restart():
    """Fills are asked for since the oldest order that is still at the venue was placed."""
    bench, order = working()
    bench.broker.executed(order.client_order_id)  # and nobody hears of it
    for _ in range(10):
        bench.advance("1m")
        bench.price(100)
    bench.do(lambda s: s.buy(1, limit_price=90))
    bench.restart()
    assert held(bench) == 1
    assert here(bench, order).status is OrderStatus.FILLED
    bench.check()


def test_a_fill_from_just_before_the_last_fact_is_found_after_a_restart():
    """Clocks differ, and reports overtake each other: a minute more is asked for than is needed."""
    bench, order = working()
    report = bench.broker.executed(order.client_order_id)
    bench.broker.executions[0] = msgspec.structs.replace(report, event_ns=bench.clock.now() - 59_000_000_000)
    bench.restart()
    assert held(bench) == 1
    bench.check()


# --- orders that the venue does not know ------------------------------------------------------------------------


def test_an_accepted_order_that_paper_does_not_know_has_ended():
    """Its books are exact: nothing is kept reserved for an order that is not there."""
    bench, order = working()
    bench.broker.working.clear()
    bench.broker._orders.clear()
    bench.restart()
    assert here(bench, order).status is OrderStatus.CANCELED
    assert bench.of(OrderCanceled)[0].reason == "the venue does not know it any more"
    assert not bench.state.open
    bench.check()


def test_an_accepted_order_that_a_real_venue_does_not_find_is_unknown():
    """It may be there all the same: it stays reserved, and is noted; evidence resolves it."""
    bench, order = working(LIVE)
    standing = bench.broker._orders.pop(order.client_order_id)
    bench.restart()
    bench.price(100)
    assert here(bench, order).status is OrderStatus.UNKNOWN
    assert bench.of(OrderUnknown)[0].reason == "its venue does not know it any more"
    assert "does not know it any more" in notes(bench)[0]
    assert bench.kernel.view.exposure("fake") == 100
    bench.restart()
    assert here(bench, order).status is OrderStatus.UNKNOWN, "what was accepted is never taken for not sent"
    bench.broker._orders[order.client_order_id] = standing
    bench.restart()
    assert here(bench, order).status is OrderStatus.ACCEPTED
    bench.check()


def test_a_partly_filled_order_that_was_in_doubt_is_partly_filled_again():
    """What it has filled is not forgotten over the doubt."""
    bench, order = working(LIVE)
    bench.broker.fill(order, "0.4")
    standing = bench.broker._orders.pop(order.client_order_id)
    bench.restart()
    assert here(bench, order).status is OrderStatus.UNKNOWN
    bench.broker._orders[order.client_order_id] = standing
    bench.restart()
    assert here(bench, order).status is OrderStatus.PARTIALLY_FILLED
    bench.check()


@pytest.mark.parametrize(
    ("profile", "down", "status"),
    [
        (MARKET_AND_LIMIT, "1s", OrderStatus.REJECTED),
        (LIVE, "1s", OrderStatus.UNKNOWN),
        (LIVE, "6s", OrderStatus.UNKNOWN),
        (LIVE, "11s", OrderStatus.REJECTED),
    ],
)
def test_an_order_that_was_sent_and_is_not_there_may_still_arrive(profile, down, status):
    """On paper it will not; at a venue it may, for as long as it is valid and its look-ups lag behind."""
    bench = Bench(broker=FakeBroker(profile=profile))
    bench.price(100)
    bench.broker.answers.append(silence())
    order = bench.do(lambda s: s.buy(1, limit_price=99))
    bench.broker._orders.clear()
    bench.restart(down=down)
    bench.advance("500ms")
    assert here(bench, order).status is status
    bench.advance("10s")
    assert here(bench, order).status is OrderStatus.REJECTED
    bench.check()


def test_no_answer_says_nothing_against_an_acceptance():
    """The answer to the command may be lost while the private stream told that the order is there."""
    bench, order = working()
    bench.broker.emit(OutcomeUnknown(client_order_id=order.client_order_id, reason="no answer came"))
    assert order.status is OrderStatus.ACCEPTED
    bench.check()


def test_an_order_that_was_accepted_cannot_turn_out_not_sent():
    """Nor one that filled, or whose cancel is out: whoever says so is mistaken."""
    bench, order = working()
    for _ in range(2):
        bench.broker.emit(NotSent(client_order_id=order.client_order_id, reason="no connection"))
        assert not order.closed
        bench.broker.cancels = lambda broker, cancel: ()
        bench.do(lambda s: s.cancel(order))
    assert order.status is OrderStatus.PENDING_CANCEL
    bench.broker.answers.append(lose())
    lost = bench.do(lambda s: s.buy(1, limit_price=98))
    bench.broker.fill(lost, "0.5")
    bench.broker.emit(NotSent(client_order_id=lost.client_order_id, reason="no connection"))
    assert lost.status is OrderStatus.PARTIALLY_FILLED
    bench.check()


@pytest.mark.parametrize(
    ("profile", "status"), [(MARKET_AND_LIMIT, OrderStatus.CANCELED), (LIVE, OrderStatus.PENDING_CANCEL)]
)
def test_a_cancel_of_an_order_that_the_venue_does_not_know_leaves_no_zombie(profile, status):
    """On paper it has ended; elsewhere nobody knows how it stands, and it is leaving until there is evidence."""
    bench, order = working(profile)
    bench.broker.cancels = lambda broker, cancel: [
        CancelRejected(client_order_id=cancel.client_order_id, code=UNKNOWN_ORDER, reason="no such order")
    ]
    bench.do(lambda s: s.cancel(order))
    assert order.status is status
    bench.check()


def test_a_cancel_whose_answer_never_came_is_sent_again():
    """It may not have left: the order would stay for ever."""
    bench, order = working()
    bench.broker.cancels = lambda broker, cancel: ()
    bench.do(lambda s: s.cancel(order))
    sent = len(bench.broker.canceling)
    bench.restart()
    assert len(bench.broker.canceling) == sent + 1
    assert bench.broker.canceling[-1].client_order_id == order.client_order_id
    bench.broker.cancel(order)
    assert here(bench, order).status is OrderStatus.CANCELED
    bench.check()


# --- the first books --------------------------------------------------------------------------------------------


class Busy(FakeBroker):
    """An account that somebody else trades while its books are opened, `rounds` times."""

    def __init__(self, rounds=1):
        super().__init__()
        self.rounds = rounds

    async def snapshot(self):
        found = await super().snapshot()
        if self.rounds > 0:
            self.rounds -= 1
            self.hand(f"h{self.rounds}")
        return found

    def hand(self, fill_id):
        """A fill by hand that costs its fee: known to the list, and in the totals from now on."""
        now = self._clock.now()
        self.executions.append(
            msgspec.structs.replace(stranger(self.listed[0].id, fill_id), fee=D(1), event_ns=now)
        )
        self.balances["USDT"] -= 1


def test_what_first_books_contain_is_not_booked_on_top_of_them():
    """A fill from before the snapshot may be told after it; one from after it is news."""
    broker = Busy(rounds=3)
    bench = Bench(broker=broker)
    opened = bench.of(AccountOpened)[0]
    assert opened.balances == {"USDT": 99_997}
    assert opened.contained == ("h2", "h1", "h0")
    for report in list(broker.executions):
        broker.emit(report)
    assert held(bench) == 0
    assert bench.kernel.view.equity("fake") == 99_997
    bench.advance("1s")
    broker.hand("new")
    broker.emit(broker.executions[-1])
    assert held(bench, "EXTERNAL") == 1
    bench.restart()
    assert held(bench) == 1
    bench.check()


def test_books_that_never_come_to_rest_are_not_opened():
    """Rather no start than a balance that nobody can rely on."""
    with pytest.raises(Exception, match="cannot be opened: begin when it is quiet"):
        Bench(broker=Busy(rounds=1_000))


def test_a_second_account_does_not_book_what_it_had_before():
    """Its books begin with this start, whatever the engine's journal goes back to."""
    one, two = FakeBroker(name="one"), Busy(rounds=0)
    bench = Bench(broker=[one])
    bench.price(100)
    two._clock = bench.clock
    two.hand("long before")
    bench.brokers.append(two)
    bench.restart(down="1h")
    assert bench.of(AccountOpened)[-1].contained == ()
    assert held(bench) == 0
    assert bench.kernel.view.equity("fake") == 99_999
    bench.check()


# --- the order of things ----------------------------------------------------------------------------------------

RESETS = """
from fairlead import TradingState
from fairlead.facts import BreakerReset
from fairlead.ports import Trip
from fairlead.testing import Bench

class Fuse:
    wants = ()
    def __init__(self, name):
        self.name, self.dirty = name, True
    def check(self, intent, view):
        return Trip("dirty", TradingState.REDUCE_ONLY, "engine") if self.dirty else None
    def watch(self, item, view):
        return None
    def clean(self, scope, view):
        return not self.dirty

fuses = [Fuse(name) for name in ("alpha", "beta", "gamma", "delta", "epsilon")]
bench = Bench(breakers=fuses)
bench.price(100)
bench.do(lambda s: s.buy(1))
for fuse in fuses:
    fuse.dirty = False
bench.do(lambda s: s.buy(1))
print(*[fact.breaker for fact in bench.of(BreakerReset)])
"""


@pytest.mark.full
def test_breakers_are_reset_in_the_same_order_in_every_process():
    """The order is that of their trips, whatever seed Python hashes names with."""
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", RESETS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert done.stdout.split() == ["alpha", "beta", "gamma", "delta", "epsilon"]


def test_an_order_that_was_open_when_its_account_was_adopted_has_its_fills_booked():
    """Nobody's, since the books begin anew; but they are no fills of an order that ended long ago."""
    bench, order = working(LIVE)
    last = bench.journal.facts[-1]
    at = {"now": last.now, "cause": last.seq + 1, "account": "fake"}
    doubted = AccountDoubted(seq=last.seq + 1, reason="its end is gone", **at)
    bench.journal.append([doubted, AccountAdopted(seq=last.seq + 2, who="ann", why="it is so", **at)])
    bench.restart()
    bench.price(100)
    assert order.client_order_id not in bench.state.orders
    report = bench.broker.fill(order.client_order_id)
    bench.broker.emit(report)
    assert held(bench, "EXTERNAL") == 1
    bench.check()


@pytest.mark.parametrize("age", ["59s", "61s", "63s"])
def test_what_was_done_just_before_an_account_was_opened_is_in_its_books(age):
    """Lists of fills go further back than a minute, by as long as they may lag: so does the first one."""
    clock, broker = ManualClock(), FakeBroker(profile=LIVE)
    broker.executions.append(
        FillReport(
            client_order_id="",
            fill_id="by hand",
            instrument=broker.listed[0].id,
            side=Side.BUY,
            quantity=D(1),
            price=D(100),
            fee=D(1),
            fee_currency="USDT",
            event_ns=clock.now(),
        )
    )
    clock.advance(age)
    bench = Bench(broker=broker, clock=clock)
    bench.advance("100s")
    assert bench.state.accounts["fake"].balances["USDT"] == 100_000
