"""What streams and venues declare is what the engine obeys."""

import attrs

from fairlead import Bar, Trade
from fairlead.testing import MARKET_AND_LIMIT, Bench, FakeBroker, FakeStream, Puppet, make_instrument
from fairlead.units import MINUTE, SECOND

INSTRUMENT = make_instrument("BTC/USDT:USDT")


def closes(settle):
    """Closes of the bars made when a print of 59 s arrives half a second after the minute's end."""
    stream = FakeStream(INSTRUMENT, kinds=("trade",))
    if settle:
        stream.settle = settle
    bench = Bench(Puppet("BTC/USDT:USDT", bars="1m"), broker=FakeBroker(INSTRUMENT), stream=stream)
    start = bench.clock.now() - bench.clock.now() % MINUTE + MINUTE
    bench.clock.advance_to(start)
    for event_ns, received_ns, price in (
        (start, start, 100.0),
        (start + 59 * SECOND, start + MINUTE + SECOND // 2, 101.0),
    ):
        bench.take(Trade(INSTRUMENT.id, price, 1.0, event_ns, received_ns))
    bench.clock.advance_to(start + MINUTE + 5 * SECOND)
    return [bar.close for bar in bench.strategy.seen if isinstance(bar, Bar)]


def test_a_bar_waits_for_late_prints_as_long_as_its_stream_says():
    """With `settle` a print that comes late by less counts; without it the bar has closed and stays as it was."""
    assert closes("1s") == [101.0]
    assert closes(None) == [100.0]


def test_an_option_that_the_venue_does_not_declare_is_refused():
    """An order's venue options must be among those of the profile; the reason names what there is."""
    profile = attrs.evolve(MARKET_AND_LIMIT, venue_options=frozenset({"iceberg"}))
    bench = Bench(Puppet("BTC/USDT:USDT"), broker=FakeBroker(INSTRUMENT, profile=profile))
    bench.price(100)
    refused = bench.do(lambda s: s.buy(1, venue_options={"hidden": "yes"}))
    assert any("has no option 'hidden' (it has: iceberg)" in reason for reason in refused.reasons)
    passed = bench.do(lambda s: s.buy(1, venue_options={"iceberg": "0.1"}))
    assert not passed.denied
    assert bench.broker.submits[-1].intent.venue_options == {"iceberg": "0.1"}
