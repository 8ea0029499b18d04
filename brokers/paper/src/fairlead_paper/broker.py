"""An account on paper: the simulated venue, on live or synthetic data."""

from __future__ import annotations

from typing import Any

from fairlead_sim import SimulatedBroker


class PaperBroker(SimulatedBroker):
    """Trade on the streams' data without an account, a key or money at risk.

    It takes what `SimulatedBroker` takes. Raises ConfigurationError.
    """

    def __init__(self, cash: Any = "100_000 USDT", *, name: str = "paper", **options: Any) -> None:
        super().__init__(cash, name=name, **options)
