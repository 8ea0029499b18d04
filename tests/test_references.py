"""What limits name must be there: a misspelt word would limit nothing, or deny each order for ever."""

import logging

import pytest

from fairlead import ConfigurationError, LiveTradingEngine
from fairlead.ports import VenueProfile
from fairlead.testing import FakeBroker, FakeStream, Puppet, VirtualClock, run_virtual
from fairlead_breakers import DailyLoss, Drawdown, Limits, RollingLoss


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


def test_an_instrument_that_nobody_lists_is_warned_of_at_the_start(tmp_path, caplog):
    """Lists change, so the engine starts; and what is listed is not mentioned."""
    limits = Limits(
        instruments={"BTC/USTD:USDT": {"max_order_quantity": 1}, "BTC/USDT:USDT": {"max_order_quantity": 2}},
        groups={"base:BTZ": {"max_positions": 1}},
        restricted=["ETH/USDT"],
    )
    with caplog.at_level(logging.WARNING, "fairlead.engine"):
        run_virtual(engine_of(tmp_path, limits).run(until="1s"))
    texts = [record.getMessage() for record in caplog.records if "Limits" in record.getMessage()]
    assert len(texts) == 3
    assert any("'BTC/USTD:USDT'" in text and "did you mean 'BTC/USDT:USDT'?" in text for text in texts)
    assert any("'BTZ'" in text and "no base" in text for text in texts)
    assert any("'ETH/USDT'" in text for text in texts)


@pytest.mark.parametrize("until", ["0s", "0ms"])
def test_a_run_that_is_over_at_once_opens_nothing(until, tmp_path):
    """Its folder is not even made."""
    with pytest.raises(ConfigurationError, match="over already"):
        run_virtual(engine_of(tmp_path, Limits(max_leverage=1)).run(until=until))
    assert not (tmp_path / "run").exists()
