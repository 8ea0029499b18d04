"""What passes when, by a clock that the test moves; it begins on Wednesday, 2023-11-15, at 00:00 UTC."""

from pathlib import Path

import pytest
from fairlead import ConfigurationError, LiveTradingEngine, Order, OrderStatus, Quote, Strategy
from fairlead.facts import Filled, OrderDenied
from fairlead.testing import Bench, Recorder

from fairlead_breaker_quiet_hours import QuietHours


def bench_of(*windows: str, zone: str = "UTC") -> Bench:
    """A bench with this breaker and a price."""
    bench = Bench(breakers=[QuietHours(*windows, zone=zone)])
    bench.price(100)
    return bench


def buy(strategy: Strategy) -> Order:
    """One unit at the market."""
    return strategy.buy(1)


def sell(strategy: Strategy) -> Order:
    """One unit back."""
    return strategy.sell(1)


def test_nothing_is_opened_while_it_is_quiet() -> None:
    """A window includes its start and not its end; the reason says when and which."""
    bench = bench_of("01:00-02:00")
    assert bench.do(buy).status is OrderStatus.FILLED
    bench.advance("1h")
    bench.price(100)
    denied = bench.do(buy)
    assert denied.reasons == ("quiet_hours: it is quiet at Wed 01:00 UTC (01:00-02:00)",)
    bench.advance("1h")
    bench.price(100)
    assert bench.do(buy).status is OrderStatus.FILLED


def test_what_reduces_passes() -> None:
    """A position may be closed, and not be turned round."""
    bench = bench_of("01:00-02:00")
    bench.do(buy)
    bench.advance("1h")
    bench.price(100)
    assert bench.do(sell).status is OrderStatus.FILLED
    assert bench.do(sell).status is OrderStatus.DENIED


def test_a_resting_exit_counts() -> None:
    """Two exits of one position would turn it round, so the second is refused."""
    bench = bench_of("01:00-02:00")
    bench.do(buy)
    bench.advance("1h")
    bench.price(100)
    assert bench.do(lambda strategy: strategy.sell(1, limit_price=110)).status is OrderStatus.ACCEPTED
    assert bench.do(lambda strategy: strategy.sell(1, limit_price=120)).status is OrderStatus.DENIED


def test_a_window_may_pass_midnight() -> None:
    """Of a day, and of a week."""
    assert bench_of("23:00-01:00").do(buy).denied
    assert bench_of("Sun 12:00-Wed 00:01").do(buy).denied
    assert not bench_of("Sun 12:00-Wed 00:00").do(buy).denied


def test_times_are_those_of_the_zone() -> None:
    """Midnight in Greenwich is seven in the evening before, in New York."""
    assert bench_of("Tue 19:00-Tue 19:01", zone="America/New_York").do(buy).denied


def test_a_restart_changes_nothing() -> None:
    """It keeps no state: the clock decides."""
    bench = bench_of("00:30-02:00")
    bench.restart(down="1h")
    bench.price(100)
    assert bench.do(buy).denied
    bench.check()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("soon", "it is no window"),
        ("Fri 17:00-19:00", "only one end of it has a day"),
        ("25:00-26:00", "25:00 is no time of day"),
        ("08:00-08:00", "it is empty"),
    ],
)
def test_what_is_no_window_is_refused(text: str, wrong: str) -> None:
    """One sentence names the text, what is wrong with it, and how to write one."""
    with pytest.raises(ConfigurationError, match=f"'{text}': {wrong}: write 'Fri 17:00-Sun 17:00'"):
        QuietHours(text)


def test_an_unknown_zone_is_refused() -> None:
    """With an example of one."""
    with pytest.raises(ConfigurationError, match="'Mars' is no time zone"):
        QuietHours(zone="Mars")


class Buyer(Strategy):
    """Buys on every tenth quote."""

    def on_start(self) -> None:
        self.seen = 0
        self.watch("BTC/USDT", quotes=True)

    def on_quote(self, quote: Quote) -> None:
        self.seen += 1
        if self.seen % 10 == 0:
            self.buy(value="100 USDT")


def test_a_running_engine_obeys_it(tmp_path: Path) -> None:
    """Orders of the quiet half of an hour are denied, and those of the other half are filled."""
    from fairlead_paper import PaperBroker
    from fairlead_streams import SyntheticStream

    stream = SyntheticStream("BTC/USDT", speed="max", start="2024-01-01T00:00+00:00", duration="1h")
    recorder = Recorder()
    plugins = [PaperBroker(), stream, QuietHours("00:30-01:00", zone="UTC"), recorder]
    background = LiveTradingEngine(Buyer(), plugins, run=tmp_path / "run").background()
    background.wait(30)
    half = 1_704_067_200_000_000_000 + 30 * 60 * 10**9
    assert recorder.of(Filled)
    assert recorder.of(OrderDenied)
    assert (
        max(fact.now for fact in recorder.of(Filled)) < half <= min(f.now for f in recorder.of(OrderDenied))
    )
