"""Breakers of what happens rather than of prices, on any path, beside an oracle; and that each breaker has one."""

import ast
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

import fairlead_breakers
from fairlead import OrderStatus, TradingState
from fairlead.facts import (
    BreakerReset,
    BreakerTripped,
    ClockStepped,
    DiscrepancyFound,
    DiscrepancyGone,
    EngineLagged,
    FeedChanged,
    FillsListed,
    OrderAccepted,
    OrderRejected,
    OrderSubmitted,
    OrderUnknown,
    StreamChanged,
)
from fairlead.ports import Discrepancy, DiscrepancyKind, Severity
from fairlead.testing import MARKET_AND_LIMIT, Bench, FakeBroker, reject
from fairlead.units import HOUR, MINUTE, SECOND
from fairlead_breakers import (
    ClockSkew,
    Cooldown,
    DailyLoss,
    Disconnect,
    KernelLag,
    Latency,
    Limits,
    Manual,
    Mismatch,
    OrderErrors,
    RejectRate,
    StopLossGuard,
)

PROVED = {
    "BadTick": "test_tick_breakers.py::test_bad_ticks",
    "ClockSkew": "test_random_paths.py::test_steps_of_the_clock",
    "Cooldown": "test_random_paths.py::test_a_rest_after_each_trade",
    "Correlation": "test_price_breakers.py::test_correlation_of_what_is_held",
    "DailyLoss": "test_random_paths.py::test_the_loss_of_each_day",
    "DataGap": "test_tick_breakers.py::test_gaps_between_quotes",
    "Disconnect": "test_random_paths.py::test_connections_that_come_and_go",
    "Drawdown": "test_losses.py::test_drawdown_trips_at_the_first_equity_below",
    "FeedDisagreement": "test_price_breakers.py::test_marks_of_the_same_thing_are_compared",
    "FillRate": "test_order_breakers.py::test_fill_rate_is_that_of_the_last_orders",
    "KernelLag": "test_random_paths.py::test_lags_and_quiet_times",
    "Latency": "test_random_paths.py::test_answers_that_come_late",
    "Limits": "test_random_paths.py::test_orders_within_any_second",
    "LosingStreak": "test_trades.py::test_a_streak_trips_where_it_is_long_enough",
    "LossPerTrade": "test_trades.py::test_loss_per_trade_trips_at_the_first_price_beyond",
    "LowProfitInstrument": "test_trades.py::test_low_profit_sums_the_window",
    "Manual": "test_random_paths.py::test_what_a_person_asks_for",
    "Mismatch": "test_random_paths.py::test_differences_that_come_and_go",
    "OrderErrors": "test_random_paths.py::test_lost_orders",
    "OrderRate": "test_order_breakers.py::test_the_rate_is_that_of_any_second",
    "PriceJump": "test_price_breakers.py::test_a_jump_is_measured_from_all_prices_of_the_window",
    "RejectRate": "test_random_paths.py::test_refusals_within_the_window",
    "RollingLoss": "test_losses.py::test_rolling_loss_is_that_of_the_window",
    "Slippage": "test_order_breakers.py::test_slippage_is_the_mean_of_the_last_orders",
    "Spread": "test_tick_breakers.py::test_spread",
    "StaleData": "test_stale_data.py::test_any_silence_is_found_in_time",
    "StopLossGuard": "test_random_paths.py::test_stops_within_the_window",
    "UnprotectedPosition": "test_incident_breakers.py::test_any_bare_time_is_found",
    "Volatility": "test_price_breakers.py::test_volatility_is_that_of_the_last_samples",
}


def test_every_breaker_is_proved_on_random_paths():
    """A new one needs a test with `given` beside an oracle of its own, named here."""
    assert sorted(PROVED) == fairlead_breakers.__all__
    for name, place in PROVED.items():
        file, _, test = place.partition("::")
        source = (Path(__file__).parent / file).read_text(encoding="utf-8")
        (found,) = [n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef) and n.name == test]
        assert any("given(" in ast.unparse(mark) for mark in found.decorator_list), f"{name}: {place}"


def fact(kind, view, **more):
    return kind(seq=1, now=view.now, cause=1, **more)


def again(breaker, make):
    """The same breaker after a restart."""
    new = make()
    new.load(breaker.save())
    return new


pauses = st.integers(0, 40)
crashes = st.integers(0, 25)


# --- trades -------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.lists(pauses, max_size=20), crashes)
def test_a_rest_after_each_trade(path, crash):
    """Half an hour from each close on nothing opens; closing always passes; a restart between changes nothing."""
    bench, over = Bench(breakers=[Cooldown("30m")]), 0
    held = False
    for number, pause in enumerate(path):
        if number == crash:
            bench.breakers[:] = [Cooldown("30m")]
            bench.restart()
        bench.advance(pause * MINUTE)
        bench.price(100)
        now = bench.clock.now()
        if held:
            assert not bench.do(lambda s: s.sell(1)).denied
            held, over = False, now + 30 * MINUTE
        else:
            held = not bench.do(lambda s: s.buy(1)).denied
            assert held == (now >= over)
    bench.check()


@settings(max_examples=25)
@given(st.lists(st.tuples(pauses, st.booleans()), max_size=20), crashes)
def test_stops_within_the_window(path, crash):
    """Two losing stops within the hour pause for half an hour, and the count begins anew; sales do not count."""
    make = lambda: StopLossGuard(2, "1h", reset="30m")  # noqa: E731
    bench, stops, over, trips = Bench(breakers=[make()]), [], 0, 0
    for number, (pause, stopped) in enumerate(path):
        if number == crash:
            bench.breakers[:] = [make()]
            bench.restart()
        bench.advance(pause * MINUTE)
        bench.price(100)
        now = bench.clock.now()
        opened = not bench.do(lambda s: s.buy(1)).denied
        assert opened == (now >= over)
        if not opened:
            continue
        if stopped:
            bench.do(lambda s: s.sell(1, stop_price=90, reduce_only=True))
            bench.price(90)
            stops = [one for one in stops if one > now - HOUR] + [now]
            if len(stops) >= 2:
                stops, over, trips = [], now + 30 * MINUTE, trips + 1
        else:
            bench.price(80)
            bench.do(lambda s: s.sell(1))
    assert len(bench.of(BreakerTripped)) == trips
    bench.check()


# --- orders -------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.lists(st.tuples(pauses, st.booleans()), max_size=30), crashes)
def test_refusals_within_the_window(path, crash):
    """Three refusals in a minute stop the strategy for two; what the venue takes is none."""
    make = lambda: RejectRate(3, "1m", reset="2m")  # noqa: E731
    bench, refused, over, trips = Bench(breakers=[make()]), [], 0, 0
    for number, (pause, refuses) in enumerate(path):
        if number == crash:
            bench.breakers[:] = [make()]
            bench.restart()
        bench.advance(pause * SECOND)
        bench.price(100)
        now = bench.clock.now()
        bench.broker.answers.clear()
        if refuses:
            bench.broker.answers.append(reject())
        denied = bench.do(lambda s: s.buy(1)).denied
        assert denied == (now < over)
        if refuses and not denied:
            refused = [one for one in refused if one > now - MINUTE] + [now]
            if len(refused) >= 3:
                refused, over, trips = [], now + 2 * MINUTE, trips + 1
    assert len(bench.of(BreakerTripped)) == trips
    bench.check()


happenings = st.sampled_from(["not_sent", "not_accepted", "unknown", "refused", "known"])


@given(st.lists(st.tuples(pauses, happenings), max_size=40), crashes)
def test_lost_orders(make_view, working, path, crash):
    """Three in a minute, whatever became of them since; clean once none is in doubt and the minute is over."""
    view, make, lost = make_view(), lambda: OrderErrors(3, "1m"), []
    breaker = make()
    for number, (pause, what) in enumerate(path):
        if number == crash:
            breaker = again(breaker, make)
        view.now += pause * SECOND
        name = f"o{number}"
        order = working(name, status=OrderStatus.UNKNOWN if what == "unknown" else OrderStatus.ACCEPTED)
        if what == "known":
            view.working = []
            item = None
        else:
            view.working = [*view.working, order]
            unknown = what == "unknown"
            item = fact(OrderUnknown, view, client_order_id=name) if unknown else fact(
                OrderRejected, view, client_order_id=name, code=what)  # fmt: skip
        counts = what in ("not_sent", "not_accepted", "unknown")
        lost = [one for one in lost if one > view.now - MINUTE] + ([view.now] if counts else [])
        assert (breaker.watch(item, view) is not None) == (counts and len(lost) >= 3)
        doubt = any(one.status is OrderStatus.UNKNOWN for one in view.working)
        assert breaker.clean("account:paper", view) == (not lost and not doubt)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=40))
def test_answers_that_come_late(make_view, intent, path):
    """Orders wait for their first answer, oldest answered first: late ones trip, looked at whenever it says."""
    view, breaker, waiting, late = make_view(), Latency(ack="2s"), [], None
    for number, (pause, answers) in enumerate(path):
        until = view.now + pause * SECOND
        while breaker.due(view) <= until:
            view.now = breaker.due(view)
            overdue = [when for _, when in waiting if view.now - when > 2 * SECOND]
            assert (breaker.watch(None, view) is not None) == bool(overdue)
            late = view.now if overdue else late
        view.now = until
        if answers and waiting:
            name, when = waiting.pop(0)
            trip = breaker.watch(fact(OrderAccepted, view, client_order_id=name), view)
            slow = view.now - when > 2 * SECOND
            assert (trip is not None) == slow
            late = view.now if slow else None
        else:
            order = fact(OrderSubmitted, view, client_order_id=f"o{number}", intent=intent(), quantity=Decimal(1),
                         deadline_ns=0)  # fmt: skip
            assert breaker.watch(order, view) is None
            waiting.append((f"o{number}", view.now))
        overdue = any(view.now - when > 2 * SECOND for _, when in waiting)
        rested = late is None or view.now >= late + MINUTE
        assert breaker.clean("account:paper", view) == (not overdue and rested)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 700), max_size=25), st.integers(1, 4), crashes)
def test_orders_within_any_second(pauses, most, crash):
    """A rate of `Limits` refuses exactly what would be one too many within the second before, over a restart too."""
    make = lambda: Limits(max_order_rate=f"{most}/1s")  # noqa: E731
    bench, sent = Bench(breakers=[make()]), []
    for number, pause in enumerate(pauses):
        if number == crash:
            bench.breakers[:] = [make()]
            bench.restart(down="1ms")
        bench.advance(pause * 1_000_000)
        bench.price(100)
        now = bench.clock.now()
        sent = [one for one in sent if one > now - SECOND]
        denied = bench.do(lambda s: s.buy(1)).denied
        assert denied == (len(sent) >= most)
        sent += [] if denied else [now]
    bench.check()


# --- machines, venues and people ----------------------------------------------------------------------------


@given(st.lists(st.tuples(pauses, st.integers(0, 3)), max_size=30), crashes)
def test_lags_and_quiet_times(make_view, path, crash):
    """More than a second of lag trips, each anew; it is over after a minute without another."""
    view, make, last = make_view(), lambda: KernelLag("1s", rest="1m"), None
    breaker = make()
    for number, (pause, lag) in enumerate(path):
        if number == crash:
            breaker = again(breaker, make)
        view.now += pause * SECOND
        trip = breaker.watch(fact(EngineLagged, view, lag_ns=lag * SECOND), view)
        assert (trip is not None) == (lag > 1)
        last = view.now if lag > 1 else last
        assert breaker.clean("engine", view) == (last is not None and view.now >= last + MINUTE)


@given(st.lists(st.tuples(pauses, st.integers(-3, 3)), max_size=30))
def test_steps_of_the_clock(make_view, path):
    """More than a second either way trips the engine, until a minute without another."""
    view, breaker, last = make_view(), ClockSkew("1s", rest="1m"), None
    for pause, step in path:
        view.now += pause * SECOND
        trip = breaker.watch(fact(ClockStepped, view, step_ns=step * SECOND), view)
        assert (trip is not None) == (abs(step) > 1)
        last = view.now if abs(step) > 1 else last
        if last is not None:
            assert breaker.clean("engine", view) == (view.now >= last + MINUTE)


SOURCES = ("one", "two", "stream x", "stream y")


@given(
    st.lists(
        st.tuples(pauses, st.sampled_from(SOURCES), st.sampled_from(["down", "up", "listed"])), max_size=40
    )
)
def test_connections_that_come_and_go(make_view, path):
    """Driven by its own `due`: what is down for ten seconds is told at that moment; up alone makes no account clean."""
    view, breaker = make_view(), Disconnect("10s")
    down, unlisted, told = {}, {}, set()
    for pause, source, what in path:
        until = view.now + pause * SECOND
        while (due := max(breaker.due(view), view.now + 1)) <= until:
            view.now = due
            trip = breaker.watch(None, view)
            overdue = {one for one, since in down.items() if due >= since + 10 * SECOND}
            assert (trip is not None) == bool(overdue)
            if trip is not None:
                told.add(next(one for one in down if f" {one} has" in f" {trip.reason}"))
        view.now = until
        assert all(one in told for one, since in down.items() if until > since + 10 * SECOND + len(SOURCES))
        if source.startswith("stream"):
            if what == "listed":
                continue
            item = fact(FeedChanged, view, stream=source.removeprefix("stream "), up=what == "up")
        elif what == "listed":
            item = fact(FillsListed, view, account=source, until_ns=view.now)
            unlisted.pop(source, None)
        else:
            item = fact(StreamChanged, view, account=source, up=what == "up")
        if what == "down":
            down.setdefault(source, view.now)
        elif what == "up" and down.pop(source, None) is not None:
            told.discard(source)
            if not source.startswith("stream"):
                unlisted[source] = view.now
        assert breaker.watch(item, view) is None
        for account in ("one", "two"):
            assert breaker.clean(f"account:{account}", view) == (
                account not in down and account not in unlisted
            )
        assert breaker.clean("engine", view) == (not any(one.startswith("stream") for one in down))


differences = st.tuples(st.sampled_from("abc"), st.sampled_from([*Severity, None]))


@given(st.lists(differences, max_size=30), st.sampled_from(list(Severity)), crashes)
def test_differences_that_come_and_go(make_view, path, least, crash):
    """What is as grave as was said trips each time it is found; clean once all such of the account are gone."""
    view, make = make_view(), lambda: Mismatch(str(least), reset="clean")
    breaker, standing, order = make(), set(), list(Severity)
    for number, (name, severity) in enumerate(path):
        if number == crash:
            breaker = again(breaker, make)
        if severity is None:
            trip = breaker.watch(fact(DiscrepancyGone, view, discrepancy=name), view)
            assert trip is None
            standing.discard(name)
        else:
            found = Discrepancy(id=name, account="paper", kind=DiscrepancyKind.CASH, subject="USDT", ours=Decimal(1),
                                theirs=Decimal(2), severity=severity)  # fmt: skip
            trip = breaker.watch(fact(DiscrepancyFound, view, discrepancy=found), view)
            grave = order.index(severity) >= order.index(least)
            assert (trip is not None) == grave
            (standing.add if grave else standing.discard)(name)
        assert breaker.clean("account:paper", view) == (not standing)


@given(st.lists(st.sampled_from(["reduce", "halt", "order", "close", "look"]), max_size=30))
def test_what_a_person_asks_for(make_view, intent, path):
    """The graver word since the last look stands, refuses what opens, and is handed over once."""
    view, manual, wanted = make_view(), Manual(), None
    states = {"reduce": TradingState.REDUCE_ONLY, "halt": TradingState.HALTED}
    for what in path:
        if what in states:
            manual.trip(what, states[what])
            wanted = wanted if wanted == "halt" else what
        elif what == "look":
            trip = manual.watch(None, view)
            assert (trip and trip.reason) == wanted
            wanted = None
        else:
            trip = manual.check(
                intent("sell" if what == "close" else "buy", reduce_only=what == "close"), view
            )
            assert (trip and trip.reason) == (wanted if what == "order" else None)


# --- days ---------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.integers(0, 600), st.integers(85, 115)), min_size=1, max_size=20),
    st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Apia"]),
    crashes,
)
def test_the_loss_of_each_day(path, zone, crash):
    """Any prices and hours, in the account's own days: tripped where equity is below the day's first, once a day.

    A position of 100 is held throughout, so that equity is the price times a hundred and what was there.
    """
    profile = attrs.evolve(MARKET_AND_LIMIT, zone=zone)
    make = lambda: DailyLoss("1_000 USDT", reset="next_day")  # noqa: E731
    bench = Bench(broker=FakeBroker(profile=profile), breakers=[make()])
    bench.price(100)
    bench.do(lambda s: s.buy(100))
    day, start, price, tripped = day_of(bench.clock.now(), zone), 100_000, 100, set()
    for number, (minutes, new) in enumerate(path):
        if number == crash:
            bench.breakers[:] = [make()]
            bench.restart()
            bench.price(price)  # a restart knows no price, and equity is unknown until one comes
        bench.advance(minutes * MINUTE + SECOND)
        today = day_of(bench.clock.now(), zone)
        if today != day:
            day, start = today, 90_000 + price * 100
        price = new
        bench.price(price)
        if 90_000 + price * 100 < start - 1_000:
            tripped.add(day)
    assert [day_of(trip.now, zone) for trip in bench.of(BreakerTripped)] == sorted(tripped)
    resets = [day_of(one.now, zone) for one in bench.of(BreakerReset)]
    assert len(resets) == len(set(resets))
    bench.check()


def day_of(now, zone):
    return datetime.fromtimestamp(now / 1e9, UTC).astimezone(ZoneInfo(zone)).date()
