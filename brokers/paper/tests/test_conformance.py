"""The paper broker, proven: with perpetual contracts, and with spot."""

from fairlead_conformance import BrokerConformance
from fairlead_paper import PaperBroker


class TestPaper(BrokerConformance):
    """Perpetual contracts, without a delay."""

    def make(self) -> PaperBroker:
        return PaperBroker()


class TestPaperSpot(BrokerConformance):
    """Spot, with something to sell, a delay both ways, and fees of another account."""

    symbol = "BTC/USDT"
    settle = "50ms"

    def make(self) -> PaperBroker:
        cash = ["100_000 USDT", "100 BTC"]
        return PaperBroker(cash, name="spot", latency="2ms", report_delay="3ms", fees=("0.0002", "0.0006"))
