"""What is held back in a calm changes nothing: the same trips, resets and refusals as when every event is shown."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import fairlead_breakers as shipped
from fairlead.facts import BreakerReset, BreakerTripped, OrderDenied
from fairlead.ports import Bar, Mark, Quote, Trade
from fairlead.testing import Bench, FakeBroker, make_instrument
from fairlead.units import MILLISECOND, MINUTE

SETTINGS = {
    "BadTick": {"limit": "3%", "clean": 2},
    "ClockSkew": {"limit": "300ms", "clean": 1},
    "DailyLoss": {"limit": "30 USDT"},
    "DataGap": {"after": "20s", "clean": 1},
    "Drawdown": {"limit": "0.1%"},
    "Latency": {"event": "1s", "clean": 2},
    "Limits": {"max_order_value": "10_000 USDT", "max_leverage": 2, "max_order_rate": "3/1s"},
    "LossPerTrade": {"limit": "2%", "action": "reduce_only", "reset": "10s"},
    "PriceJump": {"limit": "2%", "window": "1m"},
    "RollingLoss": {"limit": "0.1%"},
    "Spread": {"limit": "0.5%", "clean": 2},
    "Volatility": {"limit": "1%", "samples": 2},
}
WATCHING = ("BadTick", "ClockSkew", "DataGap", "Latency", "LossPerTrade", "PriceJump", "Spread")

CALM = st.tuples(
    st.just("quote"), st.sampled_from([50, 200, 500]), st.integers(-90, 90), st.integers(0, 20), st.just(0)
)
STEP = st.one_of(
    CALM,
    CALM,
    CALM,
    st.tuples(
        st.sampled_from(["quote", "quote", "trade", "mark", "bar", "buy", "sell"]),
        st.sampled_from([0, 100, 1000, 7000, 19_000, 21_000, 61_000]),
        st.integers(-450, 450),
        st.sampled_from([0, 10, 40, 60]),
        st.sampled_from([0, 0, 250, 900, 1100, -250, -350]),
    ),
)
PATHS = st.lists(STEP, max_size=120)


def quote(wait, move, late=0):
    """A step that is a quote without a spread."""
    return ("quote", wait, move, 0, late)


def warm(breakers):
    """An engine with these breakers that has seen enough for all of them."""
    perpetual = make_instrument("BTC/USDT:USDT", initial_margin="0.1")
    bench = Bench(broker=FakeBroker(perpetual, cash="10_000 USDT"), breakers=breakers)
    for _ in range(5):
        bench.quote(99.9, 100.1)
        bench.advance("15s")
    for _ in range(40):  # so slow a market was not worth a calm; this one is
        bench.quote(99.9, 100.1)
        bench.advance("10ms")
    return bench


def bench_of(names, *, shown):
    """A warm bench with these breakers; `shown` every event, or only what they ask for."""
    breakers = [getattr(shipped, name)(**SETTINGS.get(name, {})) for name in names]
    if shown:
        for breaker in breakers:
            breaker.calm = lambda instrument, view: None
    return warm(breakers)


def walk(bench, path):
    """Take a bench along a path of moves in basis points, spreads in basis points and delays in milliseconds."""
    price, name = 100.0, bench.instrument
    for kind, wait, move, spread, late in path:
        bench.advance(wait * MILLISECOND)
        now, price = bench.clock.now(), price * (1 + move / 10_000)
        then, half = now - late * MILLISECOND, price * spread / 20_000
        if kind == "quote":
            bench.take(Quote(name, price - half, price + half, 1.0, 1.0, then, now))
        elif kind == "trade":
            bench.take(Trade(name, price, 1.0, then, now))
        elif kind == "mark":
            bench.take(Mark(name, price, then, now))
        elif kind == "bar":
            bench.take(Bar(name, "1m", price, price, price, price, 1.0, then - MINUTE, then, now))
        else:
            bench.do(lambda s, kind=kind: getattr(s, kind)(1))


def story(bench):
    """All that breakers have done, with the number of the event at which they did it."""
    told = [
        *(
            (fact.cause, "tripped", fact.breaker, fact.scope, fact.reason)
            for fact in bench.of(BreakerTripped)
        ),
        *((fact.cause, "reset", fact.breaker, fact.scope, fact.now) for fact in bench.of(BreakerReset)),
        *((fact.cause, "denied", *fact.reasons) for fact in bench.of(OrderDenied)),
    ]
    return told, [type(fact).__name__ for fact in bench.journal.facts]


EACH = [(name,) for name in shipped.__all__]


@pytest.mark.parametrize("names", [*EACH, WATCHING, tuple(shipped.__all__)], ids="+".join)
@given(path=PATHS)
@example(path=[quote(100, -150), quote(100, 305)])  # between the two ends of what was calm
@example(path=[quote(100, 0, late=-350)])
@example(path=[("buy", 100, 0, 0, 0), *[quote(100, -90)] * 4])
@example(
    path=[quote(100, 97), quote(30_000, -2), quote(21_000, -95), quote(21_000, -112)]
)  # the highest is too old
@settings(max_examples=25, deadline=None)
def test_a_calm_changes_nothing(names, path):
    """Any path of quotes, trades, marks, bars and orders: all trips, resets and refusals are the same at each event."""
    calm, shown = bench_of(names, shown=False), bench_of(names, shown=True)
    walk(calm, path)
    walk(shown, path)
    assert story(calm) == story(shown)
    calm.check()


def test_a_calm_market_costs_next_to_nothing():
    """Of ten thousand quotes of a market that moves a little, breakers of prices are shown a few, and orders fewer."""
    breakers = [counting(getattr(shipped, name)) for name in WATCHING]
    bench = warm(breakers)
    bench.do(lambda s: s.buy(1))
    for breaker in breakers:
        breaker.seen = breaker.checked = 0
    for number in range(10_000):
        bench.advance("10ms")
        price = 100 + (number * 7 % 11) / 20
        bench.quote(price - 0.05, price + 0.05)
        if number % 100 == 50:
            assert not bench.do(lambda s: s.buy("0.01")).denied
    for breaker in breakers:
        assert breaker.seen < 900, breaker.name
        assert breaker.checked < 30, breaker.name


def counting(kind):
    """A breaker of a kind that counts what it is shown."""

    class Counting(kind):
        seen = checked = 0

        def watch(self, item, view):
            self.seen += isinstance(item, Quote)
            return super().watch(item, view)

        def check(self, intent, view):
            self.checked += 1
            return super().check(intent, view)

        calm, allows = kind.calm, kind.allows

    return Counting(name=kind.__name__, **({"window": "1m"} if kind is shipped.PriceJump else {}))
