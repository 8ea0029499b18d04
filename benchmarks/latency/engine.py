"""fairlead between a plain WebSocket stream and a thin broker adapter: the whole engine, tape and journal on."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import fairlead
from benchmarks.rig import arguments, reply
from benchmarks.system import pin, run_first
from fairlead._engine import live


class MemoryJournal:
    """The journal's double: keeps what is appended, encodes and writes nothing."""

    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.append = self.kept.append
        self.cut, self.previous_boot, self.hash = 0, "", ""
        self.written = self.last_seq = self.last_chain = 0

    @classmethod
    def open(cls, *_: Any, **__: Any) -> MemoryJournal:
        return cls()

    def barrier(self) -> None: ...

    def sync(self) -> None: ...

    def close(self) -> None: ...


def main() -> None:
    task = arguments()
    pin(task["core"])
    priority = run_first(spinning=task["spinning"])
    double = task.get("journal") == "memory"
    with (
        tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder,
        mock.patch.object(live, "Journal", MemoryJournal) if double else contextlib.nullcontext(),
    ):
        os.environ["FAIRLEAD_HOME"] = str(Path(folder, "home"))
        run(task, Path(folder, "run"))
    reply({"priority": priority})


def run(task: dict[str, Any], folder: Path) -> None:
    import uvloop

    from benchmarks import composition
    from benchmarks.latency.adapters import WireBroker, WireStream

    url = f"ws://127.0.0.1:{task['port']}"
    engine = fairlead.LiveTradingEngine(
        composition.EveryN("trades", task["every"], half=False),
        plugins=[WireBroker(f"{url}/orders"), WireStream(f"{url}/ticks"), *composition.breakers()],
        run=folder,
        durability=task.get("durability", "process"),
        busy_poll=task["spinning"],
    )
    uvloop.run(engine.run())


if __name__ == "__main__":
    main()
