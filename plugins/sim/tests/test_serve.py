"""The venue in a process of its own, over loopback."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import pytest

from fairlead import (
    ConfigurationError,
    ConnectivityError,
    OrderIntent,
    OrderType,
    Quote,
    Side,
    default_instrument,
)
from fairlead.ports import (
    Accepted,
    BrokerAdapter,
    Cancel,
    CancelAll,
    FillReport,
    StreamDown,
    StreamUp,
    Submit,
)
from fairlead_sim import RemoteBroker
from fairlead_sim.protocol import LIMIT, parse_address
from fairlead_sim.serve import main

BTC = "BTC/USDT:USDT@x"
PATIENCE = 10


@contextlib.contextmanager
def venue(*words, stdin=subprocess.DEVNULL):
    """A child process that serves the venue; its address is what it prints."""
    command = [
        sys.executable,
        "-m",
        "fairlead_sim.serve",
        "--cash",
        "10_000 USDT",
        "--instrument",
        f"{BTC}=0.1",
        *words,
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=stdin, text=True
    ) as child:
        try:
            child.address = child.stdout.readline().strip()
            yield child
        finally:
            child.kill()
            child.stdout.close()
            child.stderr.close()


class LoopClock:
    """The loop's time as the engine's."""

    def __init__(self, shift=0):
        self._loop = asyncio.get_running_loop()
        self._shift = shift

    def now(self):
        return int(self._loop.time() * 1e9) + self._shift

    def call_at(self, when_ns, callback):
        return self._loop.call_at((when_ns - self._shift) / 1e9, callback)


def play(story, *words):
    """Run a story, and close every client it opened."""

    async def closing():
        try:
            return await story(*words)
        finally:
            while Client.opened:
                await Client.opened.pop().broker.close()

    return asyncio.run(closing())


class Client:
    """A remote broker whose reports can be waited for."""

    opened: ClassVar[list["Client"]] = []

    def __init__(self, address, **options):
        self.broker = RemoteBroker(address, **options)
        self.reports = []
        self._more = asyncio.Event()
        self._count = 0

    async def connect(self):
        self.opened.append(self)
        await self.broker.connect(self._emit, LoopClock())
        return self

    def _emit(self, report):
        self.reports.append(report)
        self._more.set()

    @property
    def kinds(self):
        return [type(report).__name__ for report in self.reports]

    async def until(self, count):
        async with asyncio.timeout(PATIENCE):
            while len(self.reports) < count:
                self._more.clear()
                await self._more.wait()
        return self.kinds

    def quote(self, bid, ask):
        self.broker.market(Quote(BTC, bid, ask, 100, 100, 0, 0))

    def order(self, quantity="1", *, name=None, deadline=10**19, **fields):
        self._count += 1
        name = name or f"c{self._count}"
        intent = OrderIntent(
            strategy="s",
            account="remote",
            instrument=BTC,
            side=Side.BUY,
            quantity=Decimal(quantity),
            **fields,
        )
        self.broker.send(Submit(name, intent, Decimal(quantity), False, deadline))
        return name


def test_trading(tmp_path):
    """Orders, cancels, snapshots, look-ups and fills go through the socket, on TCP and on a Unix socket."""

    async def story(address):
        client = await Client(address).connect()
        assert isinstance(client.broker, BrokerAdapter)
        client.quote(100.0, 100.1)
        first = client.order()
        resting = client.order(type=OrderType.LIMIT, limit_price=Decimal(90))
        assert await client.until(3) == ["Accepted", "FillReport", "Accepted"]
        client.broker.send(Cancel(resting, "", BTC, 10**19))
        client.broker.send(CancelAll("", 10**19))
        await client.until(4)
        snapshot = await client.broker.snapshot()
        assert snapshot.positions == {BTC: Decimal(1)}
        found = await client.broker.lookup([first, resting, "nobody"])
        assert [found[name] and found[name].status for name in found] == ["filled", "canceled", None]
        assert [fill.quantity for fill in await client.broker.fills(0)] == [Decimal(1)]
        assert [one.id for one in await client.broker.instruments()] == [BTC]
        await client.broker.close()
        with pytest.raises(ConnectivityError):
            await client.broker.snapshot()
        assert not any(isinstance(report, StreamDown) for report in client.reports)

    for words in ((), ("--unix", str(tmp_path / "s"))):
        with venue(*words) as child:
            play(story, child.address)


def test_instruments_before_it_is_connected():
    """What is listed can be asked for before `connect`, with what is listed from here."""

    async def story(address):
        other = default_instrument("ETH/USDT:USDT", "x", tick="0.01")
        broker = RemoteBroker(address)
        broker.learn(other)
        assert [one.id for one in await broker.instruments()] == [BTC, other.id]
        with pytest.raises(ConnectivityError):
            await broker.snapshot()
        with pytest.raises(ConnectivityError):
            await RemoteBroker("unix:///nowhere").instruments()

    with venue() as child:
        asyncio.run(story(child.address))


def test_an_end_while_somebody_is_connected():
    """SIGTERM ends the venue in good order, with clients or without."""

    async def story(child):
        client = await Client(child.address).connect()
        child.terminate()
        await client.until(1)
        assert client.kinds == ["StreamDown"]

    with venue() as child:
        play(story, child)
        assert child.wait(PATIENCE) == 0
        assert child.stderr.read() == ""


def test_not_sent():
    """A command past its deadline, or without a connection, was not sent, and says so."""

    async def story(child):
        client = await Client(child.address).connect()
        client.quote(100.0, 100.1)
        client.order(deadline=1)
        await client.until(1)
        child.kill()
        await client.until(2)
        client.order()
        client.broker.send(Cancel("c1", "", BTC, 10**19))
        assert client.kinds == ["NotSent", "StreamDown", "NotSent", "CancelRejected"]
        with pytest.raises(ConnectivityError):
            await client.connect()

    with venue() as child:
        play(story, child)


def test_faults_and_patience():
    """A lost answer becomes unknown after a while, and a look-up resolves it."""

    async def story(address):
        client = await Client(address, patience="100ms").connect()
        client.quote(100.0, 100.1)
        name = client.order(type=OrderType.LIMIT, limit_price=Decimal(90))
        lost = client.order()
        # The venue's own wire would give up too, but later.
        assert await client.until(2) == ["OutcomeUnknown", "OutcomeUnknown"]
        found = await client.broker.lookup([name, lost])
        assert found[name].open
        assert found[lost] is None

    with venue("--faults", "lose_answer@1 lose@2 patience=1h") as child:
        play(story, child.address)


def test_killed_and_started_again(tmp_path):
    """kill -9 loses nothing of a venue that keeps a ledger file, and a torn last line is cut."""
    ledger = tmp_path / "ledger.jsonl"

    async def before(child):
        client = await Client(child.address).connect()
        client.quote(100.0, 100.1)
        client.order("2", name="a")
        client.order(name="b", type=OrderType.LIMIT, limit_price=Decimal(90))
        await client.until(3)
        snapshot = await client.broker.snapshot()
        child.send_signal(signal.SIGKILL)
        await client.until(4)
        assert isinstance(client.reports[-1], StreamDown)
        return snapshot, client.reports

    async def after(address, snapshot, reports):
        client = await Client(address).connect()
        assert await client.broker.snapshot() == snapshot
        assert await client.broker.fills(0) == [
            report for report in reports if isinstance(report, FillReport)
        ]
        client.quote(100.0, 100.1)
        client.order(name="a")
        client.order(name="b")
        assert await client.until(2) == ["Rejected", "Rejected"]
        client.quote(89.0, 89.1)
        await client.until(3)
        assert client.reports[-1].fill_id == "F2"

    with venue("--ledger", str(ledger)) as child:
        told = play(before, child)
    with ledger.open("ab") as file:
        file.write(b'{"t":"Ended","client_or')
    with venue("--ledger", str(ledger)) as child:
        play(after, child.address, *told)


GARBAGE = [
    b"hello\n",
    b"{}\n",
    b'{"do":"fly"}\n',
    b'{"do":"hello","id":"x"}\n',
    b"\xff\xfe\n",
    b"[" * 5000 + b"\n",
]
HUGE = b"x" * (LIMIT + 10) + b"\n"


def test_garbage_ends_one_connection_only():
    """Input that is no request ends its connection with a message; the venue and the others go on."""

    async def story(address):
        client = await Client(address).connect()
        where = parse_address(address)
        for text in [*GARBAGE, HUGE]:
            reader, writer = await asyncio.open_connection(*where)
            writer.write(text)
            async with asyncio.timeout(PATIENCE):
                answer = json.loads(await reader.readline())
                assert answer["is"] == "failure"
                assert answer["message"]
                assert await reader.read() == b""
            writer.close()
        client.quote(100.0, 100.1)
        client.order()
        assert await client.until(2) == ["Accepted", "FillReport"]

    with venue() as child:
        play(story, child.address)


def test_coming_back():
    """Who connects again hears that the stream is up, and finds the account as it was."""

    async def story(address):
        first = await Client(address).connect()
        first.quote(100.0, 100.1)
        first.order()
        await first.until(2)
        await first.connect()
        assert first.reports[-1] == StreamUp(epoch=2)
        assert (await first.broker.snapshot()).positions == {BTC: Decimal(1)}
        with pytest.raises(ConfigurationError, match="is in USDT"):
            await Client(address, currency="EUR").connect()
        assert isinstance(first.reports[0], Accepted)

    with venue() as child:
        play(story, child.address)


def test_it_ends():
    """It ends by SIGTERM, and with whoever started it where asked."""
    with venue() as child:
        child.terminate()
        assert child.wait(PATIENCE) == 0
    with venue("--until-stdin-closes", stdin=subprocess.PIPE) as child:
        child.stdin.close()
        assert child.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    "words",
    [
        ["--cash", "lots"],
        ["--instrument", "BTC"],
        ["--faults", "burn@1"],
        ["--ledger", "/"],
        ["--slippage", "5 pigs"],
    ],
)
def test_wrong_words(words, capsys):
    """A wrong argument is refused in one line."""
    assert main(words) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_loopback_only(capsys):
    """It listens on no address that others could reach."""
    with pytest.raises(SystemExit):
        main(["--host", "0.0.0.0"])
    assert "not loopback" in capsys.readouterr().err
    for wrong in ("here", "tcp://host", "unix://", "tcp://:80"):
        with pytest.raises(ConfigurationError):
            parse_address(wrong)


def test_no_path_of_the_package_is_imported_twice():
    """`python -m fairlead_sim.serve` starts without a warning."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "fairlead_sim.serve", "--help"],
        capture_output=True, text=True, check=False, cwd=Path.cwd(),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
