"""One timed backtest of fairlead: strategy, marks, gate with the default breakers, simulated venue, journal."""

from __future__ import annotations

from benchmarks.rig import reply


def main() -> None:
    import fairlead

    if not hasattr(fairlead, "LiveTradingEngine"):
        reply({"unavailable": "fairlead has no engine yet: row left out"})


if __name__ == "__main__":
    main()
