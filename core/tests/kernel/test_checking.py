"""`self.check`: what would become of an order, from everything that judges orders, without any effect."""

import pytest

from fairlead import ConfigurationError, Verdict
from fairlead.facts import BreakerTripped
from fairlead.ports import Trip
from fairlead.sizing import RiskPerTrade
from fairlead.testing import Bench


class Strict:
    """Refuses all that is above one unit, and trips on it."""

    name, wants = "strict", ()

    def check(self, intent, view):
        return Trip("too much", "halted", "engine") if intent.quantity > 1 else None

    def watch(self, item, view):
        return None


def make():
    bench = Bench(breakers=[Strict()])
    bench.price(100)
    return bench


def test_every_reason_is_told_and_nothing_comes_of_it():
    """Not a fact, not a trip, not an order."""
    bench = make()
    facts = len(bench.journal.facts)
    verdict = bench.do(lambda s: s.check("buy", 50_000, stop_loss=110))
    assert isinstance(verdict, Verdict)
    assert not verdict.approved
    assert len(verdict.reasons) == 3
    assert "margin" in verdict.reasons[1]
    assert verdict.reasons[-1] == "strict: too much"
    assert len(bench.journal.facts) == facts
    assert not bench.of(BreakerTripped)
    assert not bench.do(lambda s: s.buy(1)).denied


def test_an_approved_order_is_as_it_would_be_placed():
    """Rounded, sized, with all its terms."""
    bench = make()
    verdict = bench.do(lambda s: s.check("sell", 0.12345, limit_price=120.01))
    assert verdict.approved
    assert (str(verdict.intent.quantity), str(verdict.intent.limit_price)) == ("0.123", "120.1")
    sized = bench.do(lambda s: s.check("buy", size=RiskPerTrade("5 USDT"), stop_loss=95))
    assert sized.intent.quantity > 0
    assert not bench.state.orders


def test_an_order_that_there_is_is_judged_once_more():
    """As if it were placed again, on top of itself."""
    bench = make()
    order = bench.do(lambda s: s.buy(1, limit_price=90))
    assert bench.do(lambda s: s.check(order)).approved


@pytest.mark.parametrize("order", ["by", None])
def test_what_is_no_order_is_refused(order):
    """The words are told."""
    bench = make()
    with pytest.raises(ConfigurationError, match="'buy' or 'sell'"):
        bench.strategy.check(order, 1)
    with pytest.raises(ConfigurationError, match="exactly one of"):
        bench.strategy.check("buy")
    assert not bench.do(lambda s: s.buy(1)).denied
