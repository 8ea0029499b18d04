"""Paper trading for fairlead: the simulated venue as a broker."""

from fairlead_paper.broker import PaperBroker

__all__ = ["PaperBroker"]
