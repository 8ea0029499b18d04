"""What came before a strategy began to watch: asked of the stream once, as far back as anybody wants it."""

from pathlib import Path

import pytest

from fairlead import Bar, LiveTradingEngine, Strategy
from fairlead.testing import FakeStream, VirtualClock, run_virtual
from fairlead_paper import PaperBroker

MINUTE = 60_000_000_000
START_NS = 1_700_000_000_000_000_000
NOW = START_NS // MINUTE * MINUTE


class Watcher(Strategy):
    """Watches minute bars, with so many of them before."""

    def __init__(self, name: str, warmup: int) -> None:
        super().__init__(name=name, allocation="30%")
        self.warmup = warmup

    def on_start(self) -> None:
        self.watch("BTC/USDT:USDT", bars="1m", warmup=self.warmup)


class Remembering(FakeStream):
    """A stream of bars alone that says for how much of its past it was asked, in minutes."""

    def __init__(self) -> None:
        super().__init__(kinds=("bar:1m",))
        name = self.listed[0].id
        self.asked: list[int] = []
        self.subscribed_to = 0
        self.past = [
            Bar(name, "1m", 1.0, 1.0, 1.0, 1.0, 1.0, end - MINUTE, end, end)
            for end in range(NOW - 5 * MINUTE, NOW + 1, MINUTE)
        ]

    async def history(self, subscription, start_ns, end_ns):
        self.asked.append((end_ns - start_ns) // MINUTE)
        return await super().history(subscription, start_ns, end_ns)

    async def subscribe(self, subscriptions):
        self.subscribed_to += len(subscriptions)
        return await super().subscribe(subscriptions)


@pytest.mark.parametrize(
    ("wanted", "asked"), [((3,), [3]), ((0, 3), [3]), ((3, 0), [3]), ((2, 3), [3]), ((3, 2), [3]), ((0,), [])]
)
def test_the_longest_warm_up_is_asked_for_once(tmp_path: Path, wanted, asked) -> None:
    """Also where bars are the only feed there is, and whoever watches them first wants none of the past."""
    stream = Remembering()
    watchers = [Watcher(f"watcher{number}", warmup) for number, warmup in enumerate(wanted)]
    plugins = [PaperBroker(), stream, VirtualClock(START_NS)]
    run_virtual(LiveTradingEngine(watchers, plugins, run=tmp_path / "run", breakers="none").run(until="5s"))
    assert stream.asked == asked
    assert stream.subscribed_to == 1
    for watcher in watchers:
        assert len(watcher.history(9, instrument="BTC/USDT:USDT")) >= watcher.warmup
