"""What limits name must be there: a misspelt word would limit nothing, or deny each order for ever."""

import logging

import pytest

from fairlead import ConfigurationError, LiveTradingEngine, Strategy
from fairlead._storage.journal import read_facts
from fairlead.ports import VenueProfile
from fairlead.testing import FakeBroker, FakeStream, Puppet, VirtualClock, run_virtual
from fairlead_breakers import DailyLoss, Drawdown, Limits, RollingLoss


class Watching(Strategy):
    """Defines what it watches in the journal."""

    def on_start(self):
        self.watch("BTC/USDT:USDT", quotes=True)


def engine_of(tmp_path, *breakers, currency="USDT"):
    broker = FakeBroker(profile=VenueProfile(venue="fake", environment="paper", base_currency=currency))
    plugins = [broker, FakeStream(*broker.listed), VirtualClock(), *breakers]
    return LiveTradingEngine(Puppet(name="cross"), plugins, run=tmp_path / "run")


FOREIGN = [
    (lambda: DailyLoss("2_000 EUR"), "breaker DailyLoss: limit is in EUR"),
    (lambda: Drawdown("2_000 EUR"), "breaker Drawdown: limit is in EUR"),
    (lambda: RollingLoss("2_000 EUR"), "breaker RollingLoss: limit is in EUR"),
    (lambda: Limits(max_order_value="100 EUR"), "breaker Limits: max_order_value is in EUR"),
    (
        lambda: Limits(strategies={"cross": {"max_exposure": "100 EUR"}}),
        "breaker Limits: strategies.cross.max_exposure is in EUR",
    ),
]


@pytest.mark.parametrize(("make", "said"), FOREIGN)
def test_a_limit_in_a_currency_of_no_account_is_refused_when_it_is_composed(make, said, tmp_path):
    """Whatever the profile says an account is kept in is known before anything connects."""
    with pytest.raises(ConfigurationError, match=f"^{said}, and no account is: write it in USDT"):
        engine_of(tmp_path, make())


@pytest.mark.parametrize(("make", "said"), FOREIGN)
def test_a_currency_that_the_venue_tells_is_compared_at_the_start(make, said, tmp_path):
    """Nothing is traded, and no strategy starts."""
    engine = engine_of(tmp_path, make(), currency="")
    with pytest.raises(ConfigurationError, match=f"^{said}"):
        run_virtual(engine.run(until="1s"))


def test_a_strategy_that_there_is_not_is_refused_with_a_suggestion(tmp_path):
    """All that is wrong is told at once."""
    limits = Limits(strategies={"cros": {"max_exposure": "100 EUR"}})
    with pytest.raises(ConfigurationError) as caught:
        engine_of(tmp_path, limits)
    assert "strategies.cros.max_exposure names 'cros'" in str(caught.value)
    assert "did you mean 'cross'?" in str(caught.value)
    assert "is in EUR" in str(caught.value)


NAMING = [
    {"restricted": ["BTC/USDT"]},
    {"allowed": ["BTC/USDT:USDT", "BTC/USDT"]},
    {"instruments": {"BTC/USDT": {"max_order_quantity": 1}}},
]


@pytest.mark.parametrize("settings", NAMING, ids=lambda settings: next(iter(settings)))
def test_an_instrument_that_nobody_lists_refuses_the_start(settings, tmp_path):
    """It would limit nothing; the name that was meant is suggested, and no fact is written."""
    engine = engine_of(tmp_path, Limits(**settings))
    with pytest.raises(
        ConfigurationError, match=r"'BTC/USDT', and there is no instrument.*mean 'BTC/USDT:USDT'\?"
    ):
        run_virtual(engine.run(until="1s"))
    assert not list(read_facts(tmp_path / "run" / "journal"))


def test_all_instruments_that_nobody_lists_are_told_at_once(tmp_path):
    """And what is listed is not mentioned."""
    limits = Limits(
        instruments={"BTC/USTD:USDT": {"max_order_quantity": 1}, "BTC/USDT:USDT": {"max_order_quantity": 2}},
        restricted=["ETH/USDT"],
    )
    with pytest.raises(ConfigurationError) as caught:
        run_virtual(engine_of(tmp_path, limits).run(until="1s"))
    assert "'BTC/USTD:USDT', and there is no instrument" in str(caught.value)
    assert "'ETH/USDT', and there is no instrument" in str(caught.value)
    assert "there are BTC/USDT:USDT, BTC/USDT:USDT@fake; write one of them" in str(caught.value)
    assert "names 'BTC/USDT:USDT'" not in str(caught.value)


def test_what_is_not_listed_any_more_is_known_from_the_journal(tmp_path):
    """A position may be left in it: its limits go on, and so does the engine."""
    broker = FakeBroker(profile=VenueProfile(venue="fake", environment="paper", base_currency="USDT"))

    def engine():
        stream, limits = FakeStream(*broker.listed), Limits(restricted=["BTC/USDT:USDT"])
        return LiveTradingEngine(
            Watching(), [broker, stream, VirtualClock(), limits], run=tmp_path / "run", breakers="none"
        )

    run_virtual(engine().run(until="1s"))
    others = [one for one in broker.listed if one.symbol != "BTC/USDT:USDT"]
    listed, broker.listed = broker.listed, others
    assert listed != others
    second = engine()
    second.strategies[0].on_start = lambda: None
    run_virtual(second.run(until="1s"))


def test_a_base_that_nobody_lists_is_warned_of_at_the_start(tmp_path, caplog):
    """A table may cover more venues than are connected."""
    limits = Limits(groups={"base:BTZ": {"max_positions": 1}})
    with caplog.at_level(logging.WARNING, "fairlead.engine"):
        run_virtual(engine_of(tmp_path, limits).run(until="1s"))
    [text] = [record.getMessage() for record in caplog.records if "Limits" in record.getMessage()]
    assert "'BTZ'" in text
    assert "no base" in text


@pytest.mark.parametrize("until", ["0s", "0ms"])
def test_a_run_that_is_over_at_once_opens_nothing(until, tmp_path):
    """Its folder is not even made."""
    with pytest.raises(ConfigurationError, match="over already"):
        run_virtual(engine_of(tmp_path, Limits(max_leverage=1)).run(until=until))
    assert not (tmp_path / "run").exists()
