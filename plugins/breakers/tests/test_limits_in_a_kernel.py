"""Each limit, judged in a running kernel: what passes at it, what is refused beyond it, and with which words."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import ConfigurationError
from fairlead import facts as f
from fairlead.testing import Bench, FakeBroker, Puppet, lose, make_instrument, silence
from fairlead_breakers import Limits
from fairlead_breakers.limits import TradingHours

BTC, ETH = "BTC/USDT:USDT@fake", "ETH/USDT:USDT@fake"


def bench_with(*strategies, **limits):
    """Two perpetuals at 100 and an account of a million."""
    broker = FakeBroker(
        make_instrument("BTC/USDT:USDT"), make_instrument("ETH/USDT:USDT"), cash="1_000_000 USDT"
    )
    strategies = strategies or (Puppet("BTC/USDT:USDT", "ETH/USDT:USDT", name="one"),)
    bench = Bench(*strategies, broker=broker, breakers=[Limits(**limits)])
    for name in (BTC, ETH):
        bench.price(100, instrument=name)
    return bench


def buy(bench, quantity, instrument=BTC, strategy=0, **more):
    return bench.do(lambda s: s.buy(quantity, instrument=instrument, **more), strategy)


def sell(bench, quantity, instrument=BTC, strategy=0, **more):
    return bench.do(lambda s: s.sell(quantity, instrument=instrument, **more), strategy)


@pytest.mark.parametrize(
    ("limits", "fine", "wrong", "words"),
    [
        (
            {"max_order_value": "1%"},
            {"quantity": 99},
            {"quantity": 101},
            "above 10,000.00 USDT, 1% of equity",
        ),
        (
            {"max_order_quantity": 5},
            {"quantity": 5},
            {"quantity": "5.001"},
            "order quantity 5.001 is above 5",
        ),
        (
            {"price_collar": "5%"},
            {"quantity": 1, "limit_price": 105},
            {"quantity": 1, "limit_price": "105.1"},
            "price 105.1 is 5.1000% through the mark of 100, more than 5%",
        ),
        (
            {"max_position_quantity": 10},
            {"quantity": 10},
            {"quantity": 11},
            f"position of 11 {BTC} would be above 10",
        ),
        (
            {"max_position_value": "1_000 USDT"},
            {"quantity": 10},
            {"quantity": 11},
            "position value 1,100.00 is",
        ),
        ({"max_position_value": "1%"}, {"quantity": 99}, {"quantity": 101}, "position value 10,100.00 is"),
        ({"max_exposure": "1_000 USDT"}, {"quantity": 10}, {"quantity": 11}, "exposure 1,100.00 is above"),
        ({"max_net_exposure": "1_000 USDT"}, {"quantity": 10}, {"quantity": 11}, "net exposure 1,100.00 is"),
        ({"max_leverage": "0.1"}, {"quantity": 1_000}, {"quantity": 1_001}, "leverage 0.1001 is above 0.1"),
        ({"max_margin": "1%"}, {"quantity": 1_000}, {"quantity": 1_001}, "margin 10,010.00 is above 1% of"),
        ({"min_free": "999_000 USDT"}, {"quantity": 90}, {"quantity": 101}, "would be below 999,000.00 USDT"),
        (
            {"restricted": ["ETH/USDT:USDT"]},
            {"quantity": 1},
            {"quantity": 1, "instrument": ETH},
            "is restricted",
        ),
        (
            {"allowed": [BTC]},
            {"quantity": 1},
            {"quantity": 1, "instrument": ETH},
            "not among what is allowed",
        ),
        ({"require_stop": True}, {"quantity": 1, "stop_loss": 90}, {"quantity": 1}, "needs a stop_loss"),
        (
            {"min_stop": "1%"},
            {"quantity": 1, "stop_loss": 99},
            {"quantity": 1, "stop_loss": "99.1"},
            "nearer than min_stop=1%",
        ),
        (
            {"max_stop": "5%"},
            {"quantity": 1, "stop_loss": 95},
            {"quantity": 1, "stop_loss": 94},
            "the stop is 6.0000% away, farther than max_stop=5%",
        ),
        (
            {"max_risk": "100 USDT"},
            {"quantity": 10, "stop_loss": 90},
            {"quantity": 11, "stop_loss": 90},
            "risk by the stop 110.00 is above 100.00 USDT",
        ),
        ({"max_risk": "1%"}, {"quantity": 90}, {"quantity": 101}, "risk without a stop 10,100.00 is above"),
        ({"hours": "mon-sun 00:00-24:00 UTC"}, {"quantity": 1}, None, ""),
        ({"max_positions": 1}, {"quantity": 1}, None, ""),
        ({"max_correlation": "0.9"}, {"quantity": 1}, None, ""),
    ],
)
def test_at_a_limit_an_order_passes_and_beyond_it_none(limits, fine, wrong, words):
    """The reason has the limit and the order's own figure."""
    assert buy(bench_with(**limits), **fine).reasons == ()
    if wrong is not None:
        order = buy(bench_with(**limits), **wrong)
        assert order.denied
        assert words in order.reasons[0]


def test_all_reasons_are_told():
    """Whoever breaks four rules hears of four."""
    bench = bench_with(
        max_order_quantity=1, max_position_value="100 USDT", max_exposure="100 USDT", require_stop=True
    )
    (reason,) = buy(bench, 2).reasons
    assert reason.count(";") == 3


def test_what_works_or_is_in_doubt_counts_as_filled():
    """A working order, and one whose answer was lost, are reserved for."""
    bench = bench_with(max_position_quantity=10)
    buy(bench, 6, limit_price=90)
    assert buy(bench, 5, limit_price=90).denied
    bench.broker.script = silence()
    buy(bench, 4)
    bench.advance("6s")
    assert buy(bench, 1).denied


def test_both_directions_are_bounded_and_reductions_pass():
    """A position beyond a limit that was tightened may shrink, and not grow."""
    bench = bench_with(max_position_quantity=10, max_exposure="1_000 USDT", long_only=True)
    bench.broker.fill(buy(bench, 10))
    bench.kernel.command("limit", "eve", "calmer", name="max_position_quantity", value="2")
    bench.kernel.command("limit", "eve", "calmer", name="max_exposure", value="200 USDT")
    assert buy(bench, 1).denied
    assert "long_only" in sell(bench, 11).reasons[0]
    assert not sell(bench, 5).denied


def test_tables_replace_or_add():
    """An instrument's own entry takes the default's place; a group's and a strategy's hold besides."""
    bench = bench_with(
        Puppet("BTC/USDT:USDT", "ETH/USDT:USDT", name="one", allocation="50%"),
        Puppet("BTC/USDT:USDT", "ETH/USDT:USDT", name="two", allocation="50%"),
        max_order_value="1_000 USDT",
        instruments={"BTC/USDT:USDT": {"max_order_value": "5_000 USDT"}},
        groups={
            "majors": {"members": ["BTC/USDT:USDT", ETH], "max_exposure": "6_000 USDT"},
            "tag:wild": {"max_order_quantity": 1},
            "base:ETH": {"max_position_quantity": 8},
        },
        strategies={"one": {"max_exposure": "4_000 USDT"}},
    )
    assert "(instrument BTC/USDT:USDT)" in buy(bench, 51).reasons[0]
    assert "above 1,000.00 USDT" in buy(bench, 11, ETH).reasons[0]
    assert "(strategy one)" in buy(bench, 41).reasons[0]
    assert not buy(bench, 40).denied
    assert "(group majors)" in buy(bench, 21, strategy=1).reasons[0]
    assert "(group tag:wild)" in buy(bench, 2, strategy=1, tag="wild").reasons[0]
    assert "(group base:ETH)" in buy(bench, 9, ETH, strategy=1).reasons[0]
    assert not buy(bench, 8, ETH, strategy=1).denied


def test_a_strategys_budget_counts_its_own_positions_only():
    """Two strategies on opposite sides are flat together, and each has its own exposure."""
    bench = bench_with(
        Puppet("BTC/USDT:USDT", name="one", allocation="50%"),
        Puppet("BTC/USDT:USDT", name="two", allocation="50%"),
        strategies={"one": {"max_exposure": "1_000 USDT"}},
        max_leverage=1,
    )
    bench.broker.fill(buy(bench, 10))
    bench.broker.fill(sell(bench, 10, strategy=1))
    assert "(strategy one)" in buy(bench, 1).reasons[0]


def test_orders_of_one_turn_are_counted_at_once():
    """A loop that places a thousand orders in one handler is stopped at the tenth."""
    bench = bench_with(max_order_rate="10/1s")
    orders = bench.do(lambda s: [s.buy("0.1", instrument=BTC) for _ in range(1_000)])
    assert [order.denied for order in orders].index(True) == 10
    assert all(order.denied for order in orders[10:])
    assert "max_order_rate: 10 orders were sent within 1s" in orders[-1].reasons[0]
    bench.advance("1s")
    assert not buy(bench, "0.1").denied


def test_a_rate_goes_on_over_a_restart():
    """What was sent before counts, as it does at the venue."""
    bench = bench_with(max_order_rate="3/1h")
    for _ in range(3):
        buy(bench, "0.1")
    bench.restart()
    bench.price(100)
    assert buy(bench, "0.1").denied


def test_the_same_order_again_and_again():
    """Orders of the very same terms are bounded by themselves."""
    bench = bench_with(max_identical="2/1m")
    assert [buy(bench, 1, limit_price=90).denied for _ in range(3)] == [False, False, True]
    assert not buy(bench, 1, limit_price=91).denied


def test_cancels_pass_and_are_followed_by_no_new_orders():
    """A strategy that cancels too much may cancel on, and send nothing."""
    bench = bench_with(max_cancel_rate="2/1m")
    orders = [buy(bench, 1, limit_price=90 + number) for number in range(4)]
    for order in orders[:3]:
        bench.do(lambda s, order=order: s.cancel(order))
    assert len(bench.of(f.CancelRequested)) == 3
    assert "max_cancel_rate" in buy(bench, 1).reasons[0]


def test_a_cancel_takes_nothing_from_a_doubt():
    """An order whose answer was lost is in doubt until the venue has said something, whatever is asked of it since."""
    bench = Bench(breakers=[Limits(max_unknown_orders=1)])
    bench.broker.cancels = lambda *_: ()
    bench.kernel.resolver.inquire = lambda *_: None
    bench.price(100)
    bench.broker.answers.append(lose())
    doubtful = bench.do(lambda s: s.buy(1, limit_price=90))
    bench.do(lambda s: s.cancel(s.orders()[0]))
    assert "1 orders are in doubt" in bench.do(lambda s: s.buy(1, limit_price=90)).reasons[0]
    bench.broker.accept(doubtful)
    assert not bench.do(lambda s: s.buy(1, limit_price=90)).denied


def test_the_first_cancel_of_a_life_counts():
    """Of what was canceled before a restart nothing is known; what is canceled after it counts."""
    bench = Bench(breakers=[Limits(max_cancel_rate="1/1m")])
    bench.price(100)
    bench.do(lambda s: s.buy(1, limit_price=90))
    bench.breakers[:] = [Limits(max_cancel_rate="1/1m")]
    bench.restart()
    bench.price(100)
    bench.do(lambda s: s.cancel(s.orders()[0]))
    assert "max_cancel_rate" in bench.do(lambda s: s.buy(1, limit_price=90)).reasons[0]


def test_open_and_doubtful_orders_are_counted():
    """So many may be open, and so many in doubt."""
    bench = bench_with(max_open_orders=2, max_unknown_orders=1)
    buy(bench, 1, limit_price=90)
    buy(bench, 1, limit_price=91)
    assert "2 orders are open" in buy(bench, 1).reasons[0]


def test_repeated_executions_halt_a_strategy_until_a_person_resets_it():
    """The halt and the reset survive restarts; the other strategy goes on."""
    bench = bench_with(
        Puppet("BTC/USDT:USDT", name="one", allocation="50%"),
        Puppet("BTC/USDT:USDT", name="two", allocation="50%"),
        max_executions=3,
    )
    for _ in range(3):
        bench.broker.fill(buy(bench, 1))
    assert [(t.scope, t.state) for t in bench.of(f.BreakerTripped)] == [("strategy:one", "halted")]
    assert buy(bench, 1).denied
    assert not buy(bench, 1, strategy=1).denied
    bench.restart()
    bench.price(100)
    assert buy(bench, 1).denied
    bench.kernel.command("reset", "eve", "looked at it", breaker="Limits", scope="strategy:one")
    assert not buy(bench, 1).denied
    bench.restart()
    bench.price(100)
    bench.broker.fill(buy(bench, 1))
    assert not bench.state.tripped
    bench.check()


def test_a_protecting_exit_passes_every_limit():
    """The stop of a position that everything speaks against is sent all the same."""
    bench = bench_with(
        max_order_value="100_000 USDT",
        max_order_rate="1/1h",
        max_open_orders=1,
        price_collar="1%",
        max_executions=1,
    )
    bench.broker.fill(buy(bench, 10, stop_loss=90))
    bench.price(50)
    exits = [o for o in bench.broker.submits if o.intent.reduce_only]
    assert [o.quantity for o in exits] == [Decimal(10)]


def test_max_positions_counts_what_is_being_opened():
    """One that works counts; adding to it and closing it pass."""
    bench = bench_with(max_positions=1)
    buy(bench, 1, limit_price=90)
    assert "max_positions is 1" in buy(bench, 1, ETH).reasons[0]
    assert not buy(bench, 1).denied


def test_correlation_is_unknown_then_bounded():
    """Beside a position, what moves alike is refused and its opposite is not; unknown is refused."""
    bench = bench_with(max_correlation="0.8")
    bench.broker.fill(buy(bench, 1))
    assert "not known yet" in buy(bench, 1, ETH).reasons[0]
    for minute in range(30):
        for name in (BTC, ETH):
            bench.price(100 + (minute * 7) % 5, instrument=name)
        bench.advance("1m")
    assert "correlation 1.000 with the position" in buy(bench, 1, ETH).reasons[0]
    assert not sell(bench, 1, ETH).denied
    assert not buy(bench, 1).denied


# --- hours ------------------------------------------------------------------------------------------------------


def ns(year, month, day, hour, minute):
    from datetime import UTC, datetime

    return int(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()) * 1_000_000_000


def test_hours_know_zone_holidays_early_closes_halts_and_auctions():
    """New York: half past nine to four, which is another hour of UTC in summer."""
    hours = TradingHours(
        "mon-fri 09:30-16:00",
        "America/New_York",
        holidays=["2026-12-25", date(2026, 1, 1)],
        early={"2026-11-27": "13:00"},
        halts=["2026-03-10 10:00-10:05"],
        auctions=["15:50-16:00"],
    )
    assert hours.closed(ns(2026, 1, 5, 13, 29))
    assert hours.closed(ns(2026, 1, 5, 14, 29))
    assert not hours.closed(ns(2026, 1, 5, 14, 30))
    assert not hours.closed(ns(2026, 7, 6, 13, 30))
    assert hours.closed(ns(2026, 7, 6, 20, 0))
    assert hours.closed(ns(2026, 12, 25, 15, 0))
    assert hours.closed(ns(2026, 1, 1, 15, 0))
    assert hours.closed(ns(2026, 1, 3, 15, 0)).startswith("closed on Sat")
    assert hours.closed(ns(2026, 11, 27, 18, 0))
    assert hours.closed(ns(2026, 3, 10, 14, 2)) == "halted at 10:02"
    assert hours.auction(ns(2026, 1, 5, 20, 55)) == "15:50-16:00"


def test_a_session_over_midnight():
    """What ends at or before its beginning ends on the next day."""
    hours = TradingHours("sun-thu 17:00-16:00", "America/Chicago")
    assert not hours.closed(ns(2026, 1, 5, 3, 0))  # Sunday evening there
    assert hours.closed(ns(2026, 1, 5, 22, 30))  # the hour between
    assert hours.closed(ns(2026, 1, 10, 3, 0))  # Friday evening


def test_outside_of_hours_nothing_is_sent():
    """The reason has the time there, and the hours."""
    bench = bench_with(hours={"week": "mon-fri 09:30-09:31", "zone": "Asia/Tokyo"})
    assert "(mon-fri 09:30-09:31 Asia/Tokyo)" in buy(bench, 1).reasons[0]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("all-day", "'all-day' are no hours of a week"),
        ("mon-fri 09:30-16:00 Mars/Base", "no time zone 'Mars/Base'"),
        ({"week": "mun 09:30-16:00"}, "'mun' is no day"),
        ({"week": "mon 25:30-26:00"}, "'25:30' is no time of day"),
        ({"week": "mon 09:30-16:00", "holiday": []}, "hours have no 'holiday'"),
        ({"calendar": "XNYS"}, "needs exchange_calendars"),
        ({}, "give either week or calendar"),
    ],
)
def test_hours_that_make_no_sense_say_why(setting, words):
    """The culprit, and what to write."""
    with pytest.raises(ConfigurationError, match="Limits: hours: ") as caught:
        Limits(hours=setting)
    assert words in str(caught.value)


# --- changing while it runs -------------------------------------------------------------------------------------


def test_tightening_holds_from_the_next_order_and_after_a_restart():
    """Orders that were spared until now are asked about."""
    bench = bench_with(max_order_value="10_000 USDT", max_leverage=2)
    assert not buy(bench, 50).denied
    told = bench.kernel.command("limit", "eve", "calmer", name="max_order_value", value="1_000 USDT")
    assert (told["old"], told["new"]) == ("10000 USDT", "1000 USDT")
    assert buy(bench, 50).denied
    bench.restart()
    bench.price(100)
    assert buy(bench, 50).denied
    bench.check()


def test_loosening_much_in_one_step_must_be_confirmed():
    """And a reason is needed for all that is looser; tightening needs none."""
    bench = bench_with(max_order_value="10_000 USDT")
    with pytest.raises(
        ConfigurationError, match=r"11_000 USDT is looser than 10000 USDT, and .* needs a reason"
    ):
        bench.kernel.command("limit", "eve", " ", name="max_order_value", value="11_000 USDT")
    with pytest.raises(ConfigurationError, match=r"1.6 times as much .* say confirm=true"):
        bench.kernel.command("limit", "eve", "more", name="max_order_value", value="16_000 USDT")
    assert buy(bench, 160).denied
    bench.kernel.command("limit", "eve", "more", name="max_order_value", value="16_000 USDT", confirm="true")
    assert not buy(bench, 160).denied


def test_a_configuration_that_is_tighter_by_then_wins():
    """What a person loosened does not outlive a new, tighter configuration; what he tightened does."""
    bench = bench_with(max_order_value="10_000 USDT")
    bench.kernel.command("limit", "eve", "more", name="max_order_value", value="15_000 USDT")
    bench.breakers = [Limits(max_order_value="5_000 USDT")]
    bench.restart()
    assert bench.breakers[0].limits()["max_order_value"] == "5000 USDT"
    bench.kernel.command("limit", "eve", "less", name="max_order_value", value="1_000 USDT")
    bench.breakers = [Limits(max_order_value="20_000 USDT")]
    bench.restart()
    assert bench.breakers[0].limits()["max_order_value"] == "1000 USDT"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "max_order_valu", "value": "1 USDT"}, "there is no limit of Limits 'max_order_valu' here"),
        ({"name": "max_order_value", "value": "much"}, "Limits: max_order_value: 'much' is not money"),
        ({"name": "max_order_value", "value": "5%"}, "cannot be compared"),
        ({"name": "max_order_rate", "value": "5"}, "'5' is not a rate"),
        ({"name": "max_order_value"}, "limit needs value"),
        (
            {"name": "max_order_value", "value": "1 USDT", "breaker": "Nobody"},
            "no breaker with limits 'Nobody'",
        ),
    ],
)
def test_a_change_that_makes_no_sense_changes_nothing(arguments, words):
    """It is an error to whoever asked, and leaves no fact."""
    bench = bench_with(max_order_value="10_000 USDT", max_order_rate="10/1s")
    with pytest.raises(ConfigurationError) as caught:
        bench.kernel.command("limit", "eve", "because", **arguments)
    assert words in str(caught.value)
    assert not bench.of(f.LimitChanged)


# --- settings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"price_collar": 5}, "Limits: price_collar: 5 is 500 %"),
        ({"max_positions": "2.5"}, "Limits: max_positions: 2.5 is no count"),
        ({"max_order_rate": "often"}, "Limits: max_order_rate: 'often' is not a rate"),
        ({"max_order_rate": "10/-1s"}, "Limits: max_order_rate: '10/-1s' is not a rate"),
        ({"max_order_rate": "10/0s"}, "Limits: max_order_rate: '10/0s' has no period"),
        ({"restricted": "BTC/USDT"}, "'BTC/USDT' is no list of instruments"),
        (
            {"instruments": {"BTC/USDT": {"max_value": "1 USDT"}}},
            "Limits: instruments.BTC/USDT: there is no limit",
        ),
        (
            {"strategies": {"one": {"max_leverage": 2}}},
            "strategies.one.max_leverage: this is a limit of the account",
        ),
        ({"instruments": {"BTC": {"max_executions": 2}}}, "a limit of a strategy"),
        (
            {"groups": {"majors": {"max_exposure": "1 USDT"}}},
            "Limits: groups.majors: nothing says what belongs to it",
        ),
        ({"groups": {"tag:x": {"max_exposure": "1 USDT"}}}, "a tag is of orders, and positions have none"),
        ({"require_stop": "yes"}, "'yes' is not true"),
    ],
)
def test_a_wrong_setting_names_its_place(arguments, words):
    """Breaker, limit, rule and remedy."""
    with pytest.raises(ConfigurationError) as caught:
        Limits(**arguments)
    assert words in str(caught.value)


# --- sparing ----------------------------------------------------------------------------------------------------


class AskedLimits(Limits):
    """Limits that are shown every order."""

    def check(self, intent, view):
        return super().check(intent, view)


some_limits = st.fixed_dictionaries(
    {"max_leverage": st.sampled_from([None, "0.005", "0.01"])},
    optional={
        "max_order_value": st.sampled_from(["2_000 USDT", "0.3%"]),
        "max_position_value": st.sampled_from(["4_000 USDT", "0.5%"]),
        "max_exposure": st.sampled_from(["5_000 USDT", "0.6%"]),
        "max_net_exposure": st.sampled_from(["3_000 USDT"]),
        "max_order_quantity": st.just(25),
        "instruments": st.just({ETH: {"max_order_value": "1_500 USDT", "max_position_value": "2_000 USDT"}}),
        "groups": st.just({"base:BTC": {"max_exposure": "3_500 USDT"}}),
        "strategies": st.just({"one": {"max_exposure": "4_500 USDT"}}),
    },
)
steps = st.lists(
    st.tuples(
        st.sampled_from(["price", "buy", "sell", "bid", "fill"]),
        st.integers(1, 40),
        st.sampled_from([BTC, ETH]),
    ),
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@given(some_limits, steps)
def test_sparing_changes_no_verdict(limits, script):
    """Orders that the limits have allowed beforehand would have passed, and the others are judged the same."""
    if not any(limits.values()):
        return
    spared, asked = bench_with(**limits), bench_with(max_leverage=1)
    asked.breakers = [AskedLimits(**limits)]
    asked.restart()
    for bench in (spared, asked):
        for name in (BTC, ETH):
            bench.price(99, instrument=name)
            bench.price(100, instrument=name)
    for what, number, instrument in script:
        told = []
        for bench in (spared, asked):
            if what == "price":
                bench.price(80 + number, instrument=instrument)
            elif what == "fill":
                working = [o for o in bench.state.open.values() if o.remaining_quantity > 0]
                if working:
                    bench.broker.fill(working[number % len(working)])
            elif what == "bid":
                told.append(buy(bench, number, instrument, limit_price=70 + number).reasons)
            else:
                told.append((buy if what == "buy" else sell)(bench, number, instrument).reasons)
        assert told == told[::-1]
