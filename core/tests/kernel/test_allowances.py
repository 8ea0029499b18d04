"""What breakers have allowed beforehand is not shown to them; all else is, and the verdicts are the same."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import Side
from fairlead._kernel.exposure import Exposures
from fairlead.ports import EQUITY, Allowance, Trip
from fairlead.testing import MARKET_AND_LIMIT, Bench, FakeBroker, make_instrument
from fairlead_breakers import DailyLoss, Drawdown, Limits, StaleData

PERPETUAL = "BTC/USDT:USDT@fake"


class Sparing:
    """A breaker that allows small orders on fresh data, and counts what it is shown."""

    name = "Sparing"
    wants = ()

    def __init__(self):
        self.seen = 0

    def allows(self, account, instrument, view):
        return Allowance(value=1_000.0, leverage=0.02, age_ns=5_000_000_000)

    def check(self, intent, view):
        self.seen += 1

    def watch(self, item, view):
        return None


class Stricter(Sparing):
    """One that inherits what is allowed, and refuses all the same."""

    def check(self, intent, view):
        return Trip("no")


class Restless(Sparing):
    """One that wants to hear of every move of equity."""

    wants = (EQUITY,)


def quiet(breaker, **more):
    """A bench that holds one at 100, on which equity has moved since and no order was shown yet."""
    bench = Bench(breakers=[breaker], **more)
    bench.price(100)
    bench.do(lambda s: s.buy(1))
    bench.price(99)
    bench.price(100)
    breaker.seen = 0
    return bench


@pytest.mark.parametrize(
    ("quantity", "wait", "seen"),
    [(10, "1ms", 0), ("10.001", "1ms", 1), (10, "5s", 0), (10, "5001ms", 1)],
)
def test_a_breaker_is_shown_only_what_it_has_not_allowed(quantity, wait, seen):
    """At a bound an order passes unseen, beyond it the breaker is asked."""
    breaker = Sparing()
    bench = quiet(breaker)
    bench.advance(wait)
    assert not bench.do(lambda s: s.buy(quantity)).denied
    assert breaker.seen == seen


def test_the_worst_case_of_the_account_counts_against_what_is_allowed():
    """One is held: a second small order may come to 2,000 with the first, and a third is beyond the leverage."""
    breaker = Sparing()
    bench = quiet(breaker)
    for seen in (0, 0, 1):
        bench.do(lambda s: s.buy("9.4"))
        bench.price(99.9 if seen else 100.1)
        assert breaker.seen == seen


def test_a_check_of_ones_own_is_always_asked():
    """What a base class allows says nothing about the check of a class made from it."""
    bench = quiet(Stricter())
    assert bench.do(lambda s: s.buy(1)).reasons == ("Sparing: no",)


def test_while_equity_is_not_quiet_everybody_is_asked():
    """A breaker without a band has no quiet, and so no order passes it unseen."""
    breaker = Restless()
    bench = quiet(breaker)
    bench.do(lambda s: s.buy(1))
    assert breaker.seen == 1


class AskedLimits(Limits):
    """`Limits` that are shown every order."""

    def check(self, intent, view):
        return super().check(intent, view)


class AskedStaleData(StaleData):
    """`StaleData` that are shown every order."""

    def check(self, intent, view):
        return super().check(intent, view)


def bench_with(limits, stale):
    broker = FakeBroker(make_instrument("BTC/USDT:USDT"), profile=MARKET_AND_LIMIT)
    breakers = [limits("3_000 USDT", "0.04", "Limits"), DailyLoss("500 USDT"), Drawdown("1%"), stale("5s")]
    return Bench(broker=broker, breakers=breakers)


steps = st.lists(
    st.tuples(
        st.sampled_from(["price", "buy", "sell", "bid", "fill", "wait"]),
        st.integers(1, 60),
    ),
    max_size=25,
)


def take(bench, step):
    what, number = step
    if what == "price":
        bench.price(70 + number)
    elif what == "wait":
        bench.advance(f"{number * 100}ms")
    elif what == "bid":
        bench.do(lambda s: s.buy(number, limit_price=60 + number))
    elif what == "fill":
        working = [o for o in bench.kernel.state.open.values() if o.remaining_quantity > 0]
        if working:
            bench.broker.fill(working[number % len(working)])
    else:
        bench.do(lambda s: getattr(s, what)(number))


@settings(max_examples=80, deadline=None)
@given(steps)
def test_sparing_checks_changes_no_verdict(script):
    """Every order ends as it does with breakers that are shown all, for the same reasons; exposure is what it is."""
    spared, asked = bench_with(Limits, StaleData), bench_with(AskedLimits, AskedStaleData)
    for step in [("price", 30), ("buy", 1), ("price", 29), *script]:
        for bench in (spared, asked):
            take(bench, step)
        told = [[(o.status, o.reasons) for o in b.kernel.state.orders.values()] for b in (spared, asked)]
        assert told[0] == told[1]
        assert spared.kernel.state.tripped.keys() == asked.kernel.state.tripped.keys()
        assert exposure_by_hand(spared) == pytest.approx(spared.kernel.view.exposure("fake"))
    kernel = spared.kernel
    fresh = Exposures(kernel.state, kernel.market, kernel.valuer.rate)
    assert fresh.worst(kernel.state.accounts["fake"], None)[0] == kernel.view.exposure("fake")


def exposure_by_hand(bench):
    state, mark = bench.kernel.state, bench.kernel.view.mark(PERPETUAL)
    held = state.quantity("fake", PERPETUAL)
    buys, sells = (state.working("fake", PERPETUAL, side) for side in Side)
    return float(max(held + buys, sells - held, Decimal(0))) * mark
