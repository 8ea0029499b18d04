"""A running engine compares its books with its venue: by itself, by the command line, and again in a replay."""

import asyncio
import itertools
import json
import logging
import re
import runpy
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner, Result
from stories import Cross, Dice, Patient

from fairlead import EXTERNAL, LiveTradingEngine, OrderStatus, Side, Strategy
from fairlead import facts as f
from fairlead._cli.app import cli
from fairlead._engine.replay import replay
from fairlead._storage.journal import read_facts
from fairlead.ports import OrderReport, OutcomeUnknown, Snapshot
from fairlead.testing import MARKET_AND_LIMIT, FakeBroker, VirtualClock, make_instrument, run_virtual
from fairlead_paper import PaperBroker
from fairlead_reconcile import AutoAdjust, ExternalOrders, HaltOnMismatch, ManualApproval, SyncToLocal
from fairlead_streams import SyntheticStream

D = Decimal
PERP = make_instrument()
BTC = PERP.id
REMOTE = attrs.evolve(
    MARKET_AND_LIMIT,
    environment="testnet",
    exact=False,
    query_lag_ns=0,
    validity_ns=None,
    base_currency="USDT",
)
START_NS = 1_700_000_000_000_000_000
DEADLINE = 20.0


class Buyer(Strategy):
    """Buys five at once, then nothing."""

    def on_start(self) -> None:
        self.watch("BTC/USDT:USDT", quotes=True)
        self.bought = bool(self.position())

    def on_quote(self, quote: Any) -> None:
        if not self.bought:
            self.bought = True
            self.buy(5)


class Venue(FakeBroker):
    """A venue of which snapshots can fail in every way; `plan` says how, by the number of the snapshot."""

    def __init__(self, plan: Callable[[int], str] = lambda _: "") -> None:
        super().__init__(PERP, cash="1_000_000 USDT", profile=REMOTE)
        self.plan = plan
        self.taken: list[tuple[int, str]] = []
        self.strangers: tuple[OrderReport, ...] = ()

    async def snapshot(self) -> Snapshot:
        how = self.plan(len(self.taken))
        self.taken.append((self._clock.now() if self._clock else 0, how))
        if how == "hang":
            await asyncio.Event().wait()
        if how == "error":
            raise ConnectionError("the venue hung up")
        found = await super().snapshot()
        found = attrs.evolve(found, orders=(*(found.orders or ()), *self.strangers))
        return attrs.evolve(found, **{how: None}) if how else found


def make(path: Path, venue: Venue, *more: Any, **stream: Any) -> LiveTradingEngine:
    plugins = [venue, SyntheticStream(BTC, seed=1, every="1s", **stream), *more]
    return LiveTradingEngine(Buyer(), plugins, run=path / "runs" / "one", breakers="none")


def facts_of(engine: LiveTradingEngine, kind: type[Any]) -> list[Any]:
    return [fact for fact in read_facts(engine.folder.journal) if isinstance(fact, kind)]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)


# --- by itself, in virtual time -----------------------------------------------------------------------------------


def run(engine: LiveTradingEngine, until: str, at: dict[int, Callable[[], None]]) -> None:
    """Run for a while; `at` says what happens meanwhile, by seconds of the loop's time."""

    async def go() -> None:
        loop = asyncio.get_running_loop()
        for when, act in at.items():
            loop.call_later(when, act)
        await engine.run(until=until)

    run_virtual(go())


@pytest.mark.parametrize("how", ["hang", "error", "positions", "balances", "orders"])
def test_a_snapshot_that_fails_never_blocks_the_next(tmp_path: Path, how: str) -> None:
    """It hangs, raises or lacks a part: the next one is asked for in time, and finds what there is."""
    venue = Venue(lambda number: how if number in (3, 4, 5) else "")
    engine = make(tmp_path, venue, VirtualClock(START_NS))
    run(engine, "4m", {90: lambda: venue.balances.update(USDT=D(900_000))})
    times = [when for when, _ in venue.taken]
    assert [kind for _, kind in venue.taken].count(how) == 3
    assert max(b - a for a, b in itertools.pairwise(times)) <= 16 * 10**9
    assert [fact.discrepancy.kind for fact in facts_of(engine, f.DiscrepancyFound)] == ["cash"]


def test_a_change_the_engine_did_not_cause_is_a_fact_and_an_alert(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Positions and balances, with no private stream that tells: within the quarter of a minute that is promised."""
    venue = Venue()
    engine = make(tmp_path, venue, VirtualClock(START_NS))

    def drift() -> None:
        venue.positions[BTC] = D(7)
        venue.balances["USDT"] -= 50

    with caplog.at_level(logging.INFO, "fairlead.facts"):
        run(engine, "2m", {60: drift})
    found = facts_of(engine, f.DiscrepancyFound)
    assert {fact.discrepancy.kind for fact in found} == {"quantity", "cash"}
    assert all(fact.now <= START_NS + 76 * 10**9 for fact in found)
    assert {fact.action for fact in facts_of(engine, f.DiscrepancyResolved)} == {"warn"}
    said = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert any(
        "books: quantity of BTC/USDT:USDT@fake on account fake: 5 here, 7 there" in text for text in said
    )
    assert engine.folder.path.exists()


def test_a_session_with_reconciliation_replays(tmp_path: Path) -> None:
    """Trades by hand, lost positions, cash, orders of others and a restart give the same facts again."""
    venue = Venue()
    reconcilers = (ExternalOrders("cancel"), SyncToLocal(every="10s", least="critical"), AutoAdjust())

    def trade_by_hand() -> None:
        venue.positions[BTC] = D(7)

    def lose_some() -> None:
        venue.positions[BTC] = D("4.9")
        venue.balances["USDT"] += 2_500

    def place_by_hand() -> None:
        venue.strangers = (
            OrderReport(
                client_order_id="web-1", broker_order_id="b1", instrument=BTC, open=True, quantity=D(1),
                filled_quantity=D(0), side=Side.BUY, limit_price=D(1),
            ),
        )  # fmt: skip

    def gone() -> None:
        venue.strangers = ()

    engine = make(tmp_path, venue, *reconcilers, VirtualClock(START_NS))
    run(engine, "3m", {30: trade_by_hand, 60: lose_some, 90: place_by_hand, 140: gone})
    again = make(tmp_path, venue, *reconcilers, VirtualClock(START_NS + 600 * 10**9))
    run(again, "2m", {40: trade_by_hand})
    kinds = {fact.discrepancy.kind for fact in facts_of(again, f.DiscrepancyFound)}
    assert kinds == {"quantity", "cash", "external_order"}
    assert facts_of(again, f.ResolutionEnded)
    result = replay(again)
    assert result.first_difference is None, str(result.first_difference)
    assert result.starts == 2


@pytest.mark.parametrize("symbol", ["BTC/USDT:USDT", "BTC/USDT"])
def test_a_paper_account_never_differs(tmp_path: Path, symbol: str) -> None:
    """Orders of every kind, linked and part-filled ones among them: hours of trading give no false alarm."""
    traders = [
        Dice(symbol, 3, name="dice", allocation="30%"),
        Patient(symbol, name="patient", allocation="30%"),
        Cross(symbol, 2, 5, name="cross", allocation="20%"),
    ]
    stream = SyntheticStream(symbol, seed=5, volatility="40%", speed="max", start="2024-01-01T00:00+00:00")
    halting = HaltOnMismatch(every="1m", least="minor")
    plugins = [PaperBroker("1_000_000 USDT", latency="30ms"), stream, halting]
    engine = LiveTradingEngine(traders, plugins, run=tmp_path / "paper", breakers="none")
    asyncio.run(asyncio.wait_for(engine.run("3h"), 50))
    taken = [
        one for one in facts_of(engine, f.ReportReceived) if type(one.report).__name__ == "SnapshotTaken"
    ]
    assert len(taken) >= 178
    assert len(facts_of(engine, f.Filled)) > 30
    assert not facts_of(engine, f.DiscrepancyFound)


# --- by the command line ------------------------------------------------------------------------------------------


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def fairlead(*words: str, code: int = 0) -> Result:
    done = CliRunner().invoke(cli, words)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def drifting(tmp_path: Path) -> Iterator[tuple[LiveTradingEngine, Venue]]:
    """An engine that holds five, and leaves what differs to a person."""
    venue = Venue()
    engine = make(tmp_path, venue, ManualApproval(every="1h"), AutoAdjust(), speed=20)
    with engine.background():
        until(engine.positions)
        yield engine, venue


def test_reconcile_shows_what_stands_and_a_person_decides(drifting: tuple[LiveTradingEngine, Venue]) -> None:
    """0 while nothing does; then what differs, what each reconciler would do, and a decision by its id."""
    engine, venue = drifting
    said = fairlead("reconcile")
    assert "fake: nothing stands, compared" in said.stdout
    venue.positions[BTC] = D(7)
    assert "fake: nothing stands" in fairlead("reconcile", "--dry-run").stdout, "a dry run compares nothing"
    found = json.loads(fairlead("reconcile", "--json", code=3).stdout)
    assert found["schema"] == 1
    (row,) = found["discrepancies"]
    assert (row["kind"], row["ours"], row["theirs"], row["decided"]) == ("quantity", "5", "7", "ask")
    assert [(one["reconciler"], one["action"]) for one in row["proposals"]] == [
        ("ManualApproval", "ask"),
        ("AutoAdjust", "adopt"),
    ]
    assert engine.discrepancies()["discrepancies"] == found["discrepancies"]
    page = (Path(__file__).parent.parent / "docs" / "command-line.md").read_text(encoding="utf-8")
    [keys] = re.findall(r"^\| each of its `discrepancies` \| (.*) \|$", page, re.MULTILINE)
    assert set(row) == set(re.findall(r"\w+", keys))
    facts = len(list(read_facts(engine.folder.journal)))
    text = fairlead("reconcile", "--dry-run", code=3).stdout
    assert "AutoAdjust would adopt (adopted from the venue)" in text
    assert re.search(r"quantity +BTC/USDT:USDT +5 +7 +critical +ask ManualApproval", text)
    asked = [fact for fact in facts_of(engine, f.Commanded) if fact.seq > facts]
    assert not asked, "a dry run leaves no fact"
    status = json.loads(fairlead("status", "--json", code=3).stdout)
    assert any("books and venue differ: quantity" in problem for problem in status["problems"])
    name = row["discrepancy"]
    fairlead("reconcile", "--approve", name, "--why", "mine", "--cause", "manual trade", "--yes")
    assert "fake: nothing stands" in fairlead("reconcile").stdout
    decided = facts_of(engine, f.DiscrepancyResolved)[-1]
    assert (decided.action, decided.adjustment, decided.why) == ("adopt", "manual trade", "mine")
    assert {p.key.strategy: p.quantity for p in engine.positions()} == {"Buyer": 5, EXTERNAL: 2}


def test_what_a_person_ignores_stands_and_is_no_fault(drifting: tuple[LiveTradingEngine, Venue]) -> None:
    """It is listed, and the exit code is 0 again."""
    _engine, venue = drifting
    venue.balances["USDT"] += 500
    (row,) = json.loads(fairlead("reconcile", "--account", "fake", "--json", code=3).stdout)["discrepancies"]
    name = row["discrepancy"]
    assert row["actions"] == ["adopt", "ask", "halt", "ignore", "warn"]
    fairlead("reconcile", "--approve", name, "--action", "ignore", "--why", "rebate, comes monthly", "--yes")
    assert "ignore" in fairlead("reconcile").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--approve", "x", "--yes"], "add --why TEXT"),
        (["--approve", "x", "--why", "y", "--yes"], "there is no discrepancy 'x' here"),
        (["--approve", "x", "--why", "y", "--dry-run"], "leave --dry-run and --account out"),
        (["--action", "adopt"], "add --approve ID"),
        (["--account", "other"], "there is no account 'other' here (there are: fake)"),
    ],
)
def test_a_wrong_request_is_one_sentence(
    drifting: tuple[LiveTradingEngine, Venue], words: list[str], said: str
) -> None:
    """What is wrong, and what to write instead."""
    assert said in " ".join(fairlead("reconcile", *words, code=2).output.split())


def test_an_order_in_doubt_is_resolved_by_a_persons_word(drifting: tuple[LiveTradingEngine, Venue]) -> None:
    """Where a venue sets no bound, nothing else ends the doubt; the end of its id is enough."""
    engine, venue = drifting

    def swallow(broker: Any, submit: Any) -> Iterator[OutcomeUnknown]:
        del broker.working[submit.client_order_id], broker._orders[submit.client_order_id]
        yield OutcomeUnknown(client_order_id=submit.client_order_id, reason="no answer came")

    venue.answers.append(swallow)
    placed = engine.submit(instrument=BTC, side="buy", quantity=1, limit_price=1, why="a test")
    until(lambda: any(order.status is OrderStatus.UNKNOWN for order in engine.orders()))
    assert "add --why" in fairlead("order", "resolve", "x", code=2).output
    fairlead("order", "resolve", placed["order"][-6:], "--why", "not on its order page", "--yes")
    until(lambda: not engine.orders())


def test_an_engine_on_paper_is_compared_too(tmp_path: Path) -> None:
    """Its venue lives in its process, and the verb works all the same."""
    stream = SyntheticStream("BTC/USDT:USDT", seed=3, every="1s", speed=20)
    engine = LiveTradingEngine(Buyer(), [PaperBroker(), stream], run=tmp_path / "paper", breakers="none")
    with engine.background():
        until(engine.positions)
        assert "nothing stands" in fairlead("reconcile").stdout


# --- the example --------------------------------------------------------------------------------------------------


def test_the_example_shows_two_policies_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One follows the venue, the other has things as they were wanted; each difference stands in its table."""
    example = runpy.run_path(str(Path(__file__).parent.parent / "examples" / "05_reconciliation.py"))
    (_, followed), (_, wanted) = run_virtual(example["main"](tmp_path))
    assert (followed.positions[BTC], wanted.positions[BTC]) == (4, 5)
    assert (len(followed.by_hand), len(wanted.by_hand)) == (1, 0)
    said = capsys.readouterr().out
    assert re.search(r"30s +quantity +BTC/USDT:USDT +5\.00 +7\.00 +critical +trade_back", said)
    assert "4 held, an order by hand works there, differences that stand: 0" in said
