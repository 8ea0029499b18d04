"""Breakers of what goes wrong around orders: Disconnect, Mismatch, UnprotectedPosition."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import TradingState
from fairlead.facts import BreakerReset, BreakerTripped, DiscrepancyFound, DiscrepancyGone, FeedChanged
from fairlead.ports import Discrepancy, DiscrepancyKind, Severity, StreamDown, StreamUp
from fairlead.testing import Bench, silence
from fairlead_breakers import Disconnect, Mismatch, UnprotectedPosition


def ready(breaker, **more):
    bench = Bench(breakers=[breaker], **more)
    bench.price(100)
    return bench


def feed(bench, up, stream="fake"):
    """The shell tells of a data stream."""
    bench.kernel.turn(lambda: bench.kernel.recorder.input(FeedChanged, stream=stream, up=up))


# --- Disconnect ---------------------------------------------------------------------------------------------


def test_a_private_stream_that_stays_away_trips_its_account():
    """At the limit to the nanosecond; it ends when it is up again and the missed fills are known."""
    bench = ready(Disconnect("10s"))
    bench.broker.emit(StreamDown(reason="gone"))
    bench.advance(9_999_999_999)
    assert not bench.of(BreakerTripped)
    bench.advance(1)
    (trip,) = bench.of(BreakerTripped)
    assert (trip.scope, trip.state) == ("account:fake", TradingState.REDUCE_ONLY)
    assert trip.reason == "the private stream of fake has been down for 10s"
    bench.advance("1h")
    bench.price(100)
    assert bench.do(lambda s: s.buy(1)).denied
    bench.broker.emit(StreamUp(epoch=2))
    bench.advance("2m")
    bench.price(100)
    assert not bench.do(lambda s: s.buy(1)).denied
    assert len(bench.of(BreakerReset)) == len(bench.of(BreakerTripped)) == 1
    bench.check()


def test_being_up_is_not_enough():
    """As long as the venue has not listed what was missed, nothing new is opened."""
    bench = ready(Disconnect("1s"))
    asked, inquire = [], bench.kernel.resolver.inquire
    bench.kernel.resolver.inquire = lambda *question: asked.append(question)
    bench.broker.emit(StreamDown(reason="gone"))
    bench.advance("2s")
    bench.broker.emit(StreamUp(epoch=2))
    bench.price(100)
    assert bench.do(lambda s: s.buy(1)).denied
    for question in asked:
        inquire(*question)
    bench.price(100)
    assert not bench.do(lambda s: s.buy(1)).denied


def test_a_short_break_is_none():
    """A reconnect in time trips nothing, however often."""
    bench = ready(Disconnect("10s"))
    for epoch in range(5):
        bench.broker.emit(StreamDown(reason="gone"))
        bench.advance("9s")
        bench.broker.emit(StreamUp(epoch=epoch))
    assert not bench.of(BreakerTripped)


def test_a_data_stream_trips_the_engine():
    """Several are told one after another; it ends when the last is back."""
    bench = ready(Disconnect("10s"))
    feed(bench, False)
    bench.advance("5s")
    feed(bench, False, "other")
    bench.advance("5s")
    assert [trip.scope for trip in bench.of(BreakerTripped)] == ["engine"]
    feed(bench, True)
    bench.price(100)
    assert bench.do(lambda s: s.buy(1)).denied
    feed(bench, True, "other")
    assert not bench.do(lambda s: s.buy(1)).denied


def test_a_start_has_connected_anew():
    """What was down before a restart is up after it; the trip stood until then."""
    bench = ready(Disconnect("10s"))
    feed(bench, False)
    bench.broker.emit(StreamDown(reason="gone"))
    bench.advance("20s")
    assert len(bench.of(BreakerTripped)) == 2
    bench.breakers[:] = [Disconnect("10s")]
    bench.restart()
    bench.price(100)
    assert not bench.do(lambda s: s.buy(1)).denied
    bench.check()


# --- Mismatch -----------------------------------------------------------------------------------------------


def differ(bench, severity=Severity.CRITICAL, name="d"):
    """A difference is found between books and venue."""
    found = Discrepancy(
        id=name, account="fake", kind=DiscrepancyKind.CASH, subject="USDT",
        ours=Decimal(1), theirs=Decimal(2), severity=severity)  # fmt: skip
    bench.kernel.turn(lambda: bench.kernel.recorder.record(DiscrepancyFound, discrepancy=found))


def agree(bench, name="d"):
    bench.kernel.turn(lambda: bench.kernel.recorder.record(DiscrepancyGone, discrepancy=name))


@pytest.mark.parametrize("least", Severity)
@pytest.mark.parametrize("found", Severity)
def test_a_mismatch_halts_from_its_severity_on(least, found):
    """Only what matters as much as was said, or more."""
    bench = ready(Mismatch(str(least)))
    differ(bench, found)
    order = list(Severity)
    halted = order.index(found) >= order.index(least)
    assert [(t.scope, t.state) for t in bench.of(BreakerTripped)] == [
        ("account:fake", TradingState.HALTED)
    ] * halted


def test_a_mismatch_is_a_persons_to_lift():
    """That it has gone is not enough, unless it was said to be."""
    bench = ready(Mismatch())
    differ(bench)
    agree(bench)
    bench.advance("1d")
    bench.price(100)
    assert bench.do(lambda s: s.buy(1)).denied
    bench.kernel.command("reset", "me", "looked", breaker="Mismatch")
    assert not bench.do(lambda s: s.buy(1)).denied


def test_a_mismatch_may_end_when_all_agree():
    """The last of several, found before a restart or not."""
    bench = ready(Mismatch(reset="clean"))
    differ(bench)
    differ(bench, name="e")
    bench.breakers[:] = [Mismatch(reset="clean")]
    bench.restart()
    bench.price(100)
    agree(bench)
    assert bench.do(lambda s: s.buy(1)).denied
    agree(bench, "e")
    assert not bench.do(lambda s: s.buy(1)).denied
    bench.check()


# --- UnprotectedPosition --------------------------------------------------------------------------------------


def test_a_position_without_a_stop_trips_in_time():
    """At the limit to the nanosecond, on its instrument; a stop for all of it ends it."""
    bench = ready(UnprotectedPosition("10s"))
    bench.do(lambda s: s.buy(2))
    bench.do(lambda s: s.sell(1, stop_price=90, reduce_only=True))
    bench.advance(9_999_999_999)
    assert not bench.of(BreakerTripped)
    bench.advance(1)
    (trip,) = bench.of(BreakerTripped)
    assert (trip.scope, trip.state) == (f"instrument:{bench.instrument}", TradingState.REDUCE_ONLY)
    assert bench.do(lambda s: s.buy(1)).denied
    bench.do(lambda s: s.sell(1, stop_price=80, reduce_only=True))
    order = bench.do(lambda s: s.buy(1, limit_price=50))
    assert not order.denied
    assert len(bench.of(BreakerReset)) == 1
    bench.check()


def test_a_bracket_protects():
    """The stop of a bracket counts; its profit, and a sale that rests, do not."""
    bench = ready(UnprotectedPosition("10s"))
    bench.do(lambda s: s.buy(1, stop_loss=90, take_profit=120))
    bench.advance("1m")
    assert not bench.of(BreakerTripped)
    bench.do(lambda s: s.buy(1, take_profit=120))
    bench.advance("1m")
    assert len(bench.of(BreakerTripped)) == 1


def test_a_stop_that_was_withdrawn_leaves_it_bare():
    """From then on the time runs, through a restart too."""
    bench = ready(UnprotectedPosition("10s"))
    bench.do(lambda s: s.buy(1))
    stop = bench.do(lambda s: s.sell(1, stop_price=90, reduce_only=True))
    bench.advance("1m")
    bench.do(lambda s: s.cancel(stop))
    bench.advance("4s")
    bench.breakers[:] = [UnprotectedPosition("10s")]
    bench.restart(down="1s")
    bench.price(100)
    bench.advance("4999ms")
    assert not bench.of(BreakerTripped)
    bench.advance("1ms")
    assert len(bench.of(BreakerTripped)) == 1
    bench.check()


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.sampled_from(["buy", "sell", "stop", "cancel"]), st.integers(0, 15)), max_size=20)
)
def test_any_bare_time_is_found(path):
    """Any sequence of trades, stops and cancels: tripped exactly when it was bare for ten seconds together."""
    bench = ready(UnprotectedPosition("10s"))
    held, stops, bare, expected = 0, [], 0, 0
    for what, pause in path:
        if what in ("buy", "sell"):
            if what == "sell" and (not held or stops):
                continue
            done = bench.do(lambda s, w=what: getattr(s, w)(1))
            held += 0 if done.denied else (1 if what == "buy" else -1)
        elif what == "stop" and held - len(stops) > 0:
            stops.append(bench.do(lambda s: s.sell(1, stop_price=50, reduce_only=True)))
        elif what == "cancel" and stops:
            last = stops.pop()
            bench.do(lambda s, order=last: s.cancel(order))
        is_bare = held > len(stops)
        before = bare if is_bare else 0
        bare = before + pause if is_bare else 0
        if before < 10 <= bare:
            expected += 1
        bench.advance(f"{pause}s")
        bench.price(100)
        assert len(bench.of(BreakerTripped)) == expected


def test_silence_of_the_venue_is_no_protection():
    """A stop that was refused is none."""
    bench = ready(UnprotectedPosition("10s"))
    bench.do(lambda s: s.buy(1))
    bench.broker.answers.append(silence())
    bench.do(lambda s: s.sell(1, limit_price=150))
    bench.advance("10s")
    assert len(bench.of(BreakerTripped)) == 1
