"""The network, as far as fairlead needs it: the one place that opens a socket, and the one that a test swaps.

What every adapter of a venue needs besides its protocol is here too: the weight of its requests, its clock, threads for
a library that blocks.
"""

from fairlead.net.reaching import reach
from fairlead.net.venueclock import VenueClock
from fairlead.net.websocket import OnClose, OnFrame, WebSocket, connect_websocket
from fairlead.net.weights import Weights
from fairlead.net.workers import Workers

__all__ = [
    "OnClose",
    "OnFrame",
    "VenueClock",
    "WebSocket",
    "Weights",
    "Workers",
    "connect_websocket",
    "reach",
]
