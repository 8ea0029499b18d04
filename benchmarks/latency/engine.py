"""fairlead between a plain WebSocket stream and a thin broker adapter."""

from __future__ import annotations

from benchmarks.rig import reply


def main() -> None:
    import fairlead

    if not hasattr(fairlead, "LiveTradingEngine"):
        reply({"unavailable": "fairlead has no engine yet: row left out"})


if __name__ == "__main__":
    main()
