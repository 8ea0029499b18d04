"""The broker of a venue in another process, proven: in memory on virtual time, and over real sockets."""

import attrs
import pytest
from served import ServedVenue

from fairlead import duration
from fairlead_conformance import BrokerConformance
from fairlead_sim import RemoteBroker, SimulatedBroker


class TestRemote(BrokerConformance):
    """In memory, with every fault on the way."""

    venue: ServedVenue

    def make_venue(self) -> ServedVenue:
        return ServedVenue()

    def make(self) -> RemoteBroker:
        return RemoteBroker(self.venue.address, patience="500ms")


@pytest.mark.full
class TestRemoteOverSockets(TestRemote):
    """The same, with the network code of the loop."""

    patience = "3s"

    def make_venue(self) -> ServedVenue:
        return ServedVenue(sockets=True)

    def make(self) -> RemoteBroker:
        broker = RemoteBroker(self.venue.address, name="sockets", patience="200ms")
        quick = duration("200ms")
        broker.profile = attrs.evolve(broker.profile, validity_ns=quick, answer_ns=quick)
        return broker


class TestSimulated(BrokerConformance):
    """The simulated venue itself, behind the broker port."""

    def make(self) -> SimulatedBroker:
        return SimulatedBroker("100_000 USDT")
