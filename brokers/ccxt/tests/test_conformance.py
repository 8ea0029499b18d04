"""The adapter, proven against Binance in a box: spot and futures."""

import importlib.util

import pytest
from box import KEY, MID, SECRET, Box

from fairlead_ccxt import CcxtBroker
from fairlead_conformance import BrokerConformance, Tier, case
from fairlead_conformance.desk import Desk

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("ccxt") is None, reason="ccxt is not installed: see conftest.py"
    ),
    pytest.mark.filterwarnings("ignore"),
]


OPTION = {"selfTradePreventionMode": "EXPIRE_MAKER"}


class TestSpot(BrokerConformance):
    """Binance spot."""

    symbol = "BTC/USDT"
    mid = MID
    patience = "4s"
    settle = "60ms"
    secrets = (KEY, SECRET)
    venue: Box

    def make_venue(self) -> Box:
        return Box()

    def make(self) -> CcxtBroker:
        url = self.venue.url if self.venue is not None else ""
        return CcxtBroker(
            "binance",
            "BTC/USDT",
            "ETH/USDT",
            key="secret:BOX_KEY",
            secret="secret:BOX_SECRET",
            url=url,
            valid="1s",
        )

    def test_positions_equal_the_fills(self) -> None:
        """Spot has no positions; its balances have a case of their own."""
        pytest.skip("spot has balances, no positions")

    test_random_days_add_up = test_positions_equal_the_fills

    def test_a_long_day_leaves_no_more_than_a_short_one(self) -> None:
        """Six hundred orders, each by an HTTP request of its own: the story of a run has as many."""
        pytest.skip("takes minutes over HTTP")

    @case(Tier.CORE, of="venue_option:selfTradePreventionMode", after="a_limit_order_rests")
    async def test_an_option_of_the_exchange_goes_out_as_it_is(self, desk: Desk) -> None:
        """What an order says in its own `venue_options` stands in the request."""
        await desk.place(venue_options=OPTION)
        [request] = self.venue.box.requests("order")
        assert OPTION.items() <= request["params"].items()


@pytest.mark.full
class TestFutures(TestSpot):
    """Binance USD-M futures."""

    symbol = "BTC/USDT:USDT"
    test_positions_equal_the_fills = BrokerConformance.test_positions_equal_the_fills
    test_random_days_add_up = BrokerConformance.test_random_days_add_up

    def make(self) -> CcxtBroker:
        url = self.venue.url if self.venue is not None else ""
        return CcxtBroker(
            "binanceusdm", "BTC/USDT:USDT", "ETH/USDT:USDT", key="secret:BOX_KEY", secret="secret:BOX_SECRET", url=url,
            valid="1s",
        )  # fmt: skip
