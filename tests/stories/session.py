"""A live session on paper that a test kills: session.py FOLDER [plain].

It writes beside the run what only the living process knows: `sent` has the id of every order put on the wire,
`prints` the fingerprint of the state at some sequence numbers, `starts` how venue and journal agree at each start.
"""

import asyncio
import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
from stories import BTC, Dice

from fairlead import Bar, LiveTradingEngine
from fairlead._kernel.state import fingerprint
from fairlead._models.orders import AT_VENUE
from fairlead.hookspecs import hookimpl
from fairlead.ports import Submit, VenueProfile
from fairlead_breakers import DailyLoss, Limits
from fairlead_paper import PaperBroker
from fairlead_streams import SyntheticStream


class Survivor(Dice):
    """Dice on a market of milliseconds, that remembers how many bars it has seen."""

    def __init__(self, symbol: str, seed: int, **more: Any) -> None:
        super().__init__(symbol, seed, **more)
        self.bars = 0

    def on_start(self) -> None:
        self.note(f"began {self.restored} {self.bars}")
        self.watch(self.symbol, bars=["50ms", "250ms"], quotes=True, trades=True)
        self.every("20ms", self.tick)
        self.every("50ms", name="fifty")

    def on_bar(self, bar: Bar) -> None:
        self.bars += 1
        super().on_bar(msgspec.structs.replace(bar, interval="1m" if bar.interval == "50ms" else "5m"))

    def save(self) -> Any:
        return {"bars": self.bars}

    def load(self, saved: Any) -> None:
        self.bars = saved["bars"]


class Witness:
    """Watches from outside of trading, and writes down what it sees."""

    name = "witness"

    def __init__(self, folder: Path, broker: PaperBroker) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._broker = broker
        self._sent: set[str] = set()
        self._send = broker.send
        broker.send = self.send  # type: ignore[method-assign]

    def write(self, name: str, line: bytes) -> None:
        file = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, line + b"\n")
        os.close(file)

    def send(self, command: Any) -> None:
        if isinstance(command, Submit):
            self._sent.add(command.client_order_id)
            self.write("sent", command.client_order_id.encode())
        self._send(command)

    @hookimpl
    def fairlead_started(self, engine: LiveTradingEngine) -> None:
        assert engine._session is not None
        engine._session.query(self._compare)

    def _compare(self, kernel: Any) -> None:
        state, venue = kernel.state, self._broker.venue.snapshot()
        account = state.accounts["paper"]
        # What this start has sent itself, old held orders and repeated cancels among it, may be on its way.
        leaving = {o.client_order_id for o in state.open.values() if o.status == "pending_cancel"}
        sent = self._sent | leaving
        there = [o.client_order_id for o in venue.orders or () if o.client_order_id not in sent]
        here = {
            o.client_order_id: o
            for o in state.open.values()
            if o.status in AT_VENUE and o.client_order_id not in sent
        }
        net = {k.instrument: p.quantity for k, p in state.positions.items() if not k.strategy and p.quantity}
        found = {
            "epoch": state.epoch,
            "seq": state.seq,
            "balances": account.balances == dict(venue.balances or {}),
            "positions": net == dict(venue.positions or {}),
            "orders": sorted(here) == sorted(there),
            "resolved": not [o for o in here.values() if o.status in ("submitted", "unknown")],
            "fills": [fill.fill_id for fill in self._broker.venue.desk.fills],
        }
        self.write("starts", msgspec.json.encode(found))
        self._print(kernel)

    async def print_states(self, engine: LiveTradingEngine) -> None:
        while True:
            await asyncio.sleep(0.02)
            if engine._session is not None and engine._session.started.is_set():
                engine._session.query(self._print)

    def _print(self, kernel: Any) -> None:
        digest = hashlib.sha256(fingerprint(kernel.state)).hexdigest()
        self.write("prints", f"{kernel.state.seq} {digest}".encode())


def make(folder: Path, plain: bool) -> tuple[LiveTradingEngine, Witness]:
    broker = PaperBroker("1_000_000 USDT", latency="3ms", report_delay="1ms")
    if plain:
        broker.profile = VenueProfile(
            venue="plain", environment="paper", exact=True, base_currency="USDT", reduce_only=True
        )
    witness = Witness(folder / "witness", broker)
    engine = LiveTradingEngine(
        [Survivor(BTC, 3, name="one", allocation="40%"), Survivor(BTC, 8, name="two", allocation="40%")],
        plugins=[
            broker,
            SyntheticStream(BTC, seed=5, volatility="150%", every="10ms"),
            Limits(max_order_value="400_000 USDT", max_leverage=3),
            DailyLoss("500_000 USDT"),
            witness,
        ],
        run=folder / "run",
        crash_limit=None,
    )
    return engine, witness


async def main(folder: Path, plain: bool) -> None:
    engine, witness = make(folder, plain)
    printing = asyncio.create_task(witness.print_states(engine))
    await engine.run()
    printing.cancel()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), "plain" in sys.argv[2:]))
