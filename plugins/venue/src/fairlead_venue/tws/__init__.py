"""Interactive Brokers' TWS and Gateway: the socket API in its text form, server versions 176 to 178."""

from fairlead_venue.tws.front import TwsFront

__all__ = ["TwsFront"]
