"""A running engine is looked at and steered from outside: over its socket, by every verb of the command line."""

import asyncio
import contextlib
import json
import os
import pty
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fairlead import LiveTradingEngine, Quote, Strategy
from fairlead import facts as f
from fairlead._cli import steering
from fairlead._cli.app import cli
from fairlead._control.client import Client
from fairlead._control.protocol import ControlError
from fairlead._control.registry import engines
from fairlead._storage.journal import read_facts
from fairlead_breakers import Drawdown, Limits
from fairlead_paper import PaperBroker
from fairlead_streams import SyntheticStream

DEADLINE = 20.0
BTC = "BTC/USDT:USDT"


class Holder(Strategy):
    """Buys once and keeps it, with a stop below."""

    def __init__(self, symbol: str = BTC, **more: Any) -> None:
        super().__init__(**more)
        self.symbol = symbol
        self.bought = False

    def on_start(self) -> None:
        self.watch(self.symbol, quotes=True)

    def on_quote(self, quote: Quote) -> None:
        if not self.bought:
            self.bought = True
            self.buy(quantity="0.1", stop_loss=quote.bid * 0.5)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own: nobody else's engine is listed in it."""
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def make(path: Path, strategy: Strategy | None = None) -> LiveTradingEngine:
    return LiveTradingEngine(
        strategy or Holder(),
        plugins=[
            PaperBroker("100_000 USDT"),
            SyntheticStream(BTC, seed=3, every="1s", speed=50, start="2024-01-01T00:00+00:00"),
            Limits(max_order_value="50_000 USDT"),
            Drawdown("50%"),
        ],
        run=path,
    )


def until(condition: Callable[[], Any]) -> None:
    """Wait for something that another thread or process does."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[LiveTradingEngine]:
    """An engine that holds a position, with a stop at the venue."""
    engine = make(tmp_path / "runs" / "one")
    with engine.background():
        until(lambda: engine.positions() and engine.orders())
        yield engine


def fairlead(*words: object, typed: str | None = None, code: int | None = 0) -> Result:
    """The command line in this process; `typed` is what a person at a terminal says."""
    done = CliRunner().invoke(cli, [str(word) for word in words], input=typed)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert code is None or done.exit_code == code, done.output
    return done


def data(*words: object, code: int | None = 0) -> Any:
    return json.loads(fairlead(*words, "--json", code=code).stdout)


def facts_of(engine: LiveTradingEngine, kind: type[Any]) -> list[Any]:
    return [fact for fact in read_facts(engine.folder.journal) if isinstance(fact, kind)]


# --- looking --------------------------------------------------------------------------------------------------------


def test_status_says_how_a_run_stands(running):
    """In JSON with figures as strings and times as ns, and as text for people that fits a terminal."""
    found = data("status")
    assert (found["run"], found["kind"], found["phase"], found["level"]) == ("one", "PAPER", "running", "ok")
    assert found["pid"] == os.getpid()
    assert found["problems"] == found["scopes"] == found["unknown_orders"] == found["tripped"] == []
    assert found["uptime_ns"] > 0
    assert found["open_orders"] == 1
    (account,) = found["accounts"]
    assert re.fullmatch(r"\d+(\.\d+)?", account["equity"])
    assert (account["environment"], account["stream_up"]) == ("paper", True)
    (feed,) = found["feeds"]
    assert feed["instrument"] == "BTC/USDT:USDT@sim"
    assert 0 <= feed["age_ns"] < 10_000_000_000
    assert not feed["stale"]
    assert found["positions"] == data("positions") or data("positions")[0]["quantity"] == "0.1"
    text = fairlead("status").stdout
    assert "one  PAPER  OK" in text
    assert "Holder" in text
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_risk_stands_beside_its_limits(running):
    """Exposure, leverage, liquidity and each limit with the part that is used; afterwards as it was last."""
    found = data("risk")
    assert (found["schema"], found["running"]) == (1, True)
    (account,) = found["accounts"]
    (position,) = account["positions"]
    mark = float(data("positions")[0]["mark"])
    assert position["quantity"] == "0.1"
    assert float(account["exposure"]) == pytest.approx(0.1 * mark, rel=0.05)
    assert float(account["leverage"]) == pytest.approx(
        float(account["exposure"]) / float(account["equity"]), rel=1e-4
    )
    assert (account["concentration"], account["largest"]) == ("1", "BTC/USDT:USDT@sim")
    assert account["limits"] == [
        {"breaker": "Limits", "limit": "max_order_value", "value": "50000 USDT", "used": None}
    ]
    text = fairlead("risk").stdout
    assert re.search(r"max_order_value +50,000 USDT", text)
    assert "to liquidation" in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_risk_of_a_run_that_has_ended_is_what_it_left(tmp_path):
    """The last snapshot, with its time."""
    engine = make(tmp_path / "runs" / "one")
    with engine.background():
        until(engine.positions)
    found = data("risk", engine.folder.path)
    assert found["running"] is False
    assert found["accounts"][0]["positions"]
    assert "as it was at" in fairlead("risk", engine.folder.path).stdout


def test_a_limit_is_changed_with_a_reason(running):
    """Tighter at once, with a reason or without; much looser only when confirmed."""
    said = data("limit", "max_order_value", "20_000 USDT", "--yes")
    assert (said["old"], said["new"]) == ("50000 USDT", "20000 USDT")
    refused = fairlead("limit", "max_order_value", "40_000 USDT", "--why", "more", "--yes", code=None)
    assert refused.exit_code
    assert "confirm" in refused.output
    fairlead("limit", "max_order_value", "40_000 USDT", "--why", "more", "--yes", "--confirm")
    assert [fact.new for fact in facts_of(running, f.LimitChanged)] == ["20000 USDT", "40000 USDT"]


def test_what_is_held_worked_and_filled(running):
    """Each list in both forms, and the same numbers as the engine's own."""
    (position,) = data("positions")
    (order,) = data("orders")
    assert (position["strategy"], position["quantity"], position["currency"]) == ("Holder", "0.1", "USDT")
    assert order["order"] == running.orders()[0].client_order_id
    assert (order["side"], order["type"], order["status"]) == ("sell", "stop", "accepted")
    assert sum(float(fill["quantity"]) for fill in data("fills")) == pytest.approx(0.1)
    (held,) = data("balance")
    assert (held["account"], held["currency"]) == ("paper", "USDT")
    rows = {row["breaker"]: row for row in data("breakers")}
    assert set(rows) == {"Limits", "Drawdown"}
    assert not rows["Drawdown"]["tripped"]
    for verb, word in (
        ("positions", "Holder"),
        ("orders", "stop"),
        ("fills", "buy"),
        ("balance", "USDT"),
        ("breakers", "50 %"),
    ):
        text = fairlead(verb).stdout
        assert word in text
        assert max(map(len, text.splitlines())) <= 100
    assert len(data("fills", "--last", 1)) == 1


def test_health_over_the_socket_is_the_engines_own(running):
    """What `engine.health()` says can be asked for from outside."""
    with Client(engines()[0].socket) as client:
        assert client.look("health").keys() == running.health().keys()
        with pytest.raises(ControlError, match="takes no arguments"):
            client.look("positions", account="paper")


def test_ps_lists_the_engines_of_this_host(running):
    """With how they stand, for programs and people."""
    (found,) = data("ps")
    assert (found["run"], found["pid"], found["strategies"]) == ("one", os.getpid(), ["Holder"])
    until(lambda: data("ps")[0]["level"] == "ok")
    until(lambda: re.search(r"one +PAPER +ok", fairlead("ps").stdout))


def test_the_exit_code_of_status_tells_its_level(running):
    """0 ok, 3 degraded, 4 halted."""
    fairlead("status", code=0)
    fairlead("halt", "--strategy", "Holder")
    assert data("status", code=3)["level"] == "degraded"
    fairlead("resume", "--strategy", "Holder", "--yes", "--why", "looked at it")
    fairlead("status", code=0)
    fairlead("halt")
    found = data("status", code=4)
    assert (found["level"], found["state"]) == ("halted", "halted")
    said = " ".join(fairlead("status", code=4).stdout.split())
    assert "! engine is halted: asked by" in said
    assert "`fairlead resume --why WHY` lifts it" in said


def test_status_says_what_lifts_each_thing(running):
    """The verb with its scope, as it is written on the command line; and it does lift it."""
    fairlead("halt", "--strategy", "Holder", "--why", "news")
    fairlead("kill", "--yes", "--why", "enough")
    problems = data("status", code=4)["problems"]
    assert any(
        "news" in text and text.endswith("`fairlead resume --strategy Holder --why WHY` lifts it")
        for text in problems
    )
    assert any(
        "enough" in text and text.endswith("`fairlead reset kill --why WHY` lifts it") for text in problems
    )
    seen = ("--why", "looked at it", "--yes")
    assert "`fairlead reset kill --why WHY` lifts it" in fairlead("resume", *seen).stdout
    fairlead("reset", "kill", *seen)
    fairlead("resume", "--strategy", "Holder", *seen)
    assert data("status")["problems"] == []


def test_no_engine_is_a_sentence_with_a_remedy():
    """Exit code 1, for every verb that needs one."""
    for verb in ("status", "positions", "orders", "balance", "breakers", "pause", "halt"):
        assert "start one, fairlead run" in fairlead(verb, code=1).stderr
    assert "no engine runs in runs/none" in fairlead("status", "runs/none", code=1).stderr
    assert fairlead("ps").stdout == "no engine of yours runs on this host\n"
    assert data("ps") == []


def test_what_reads_files_works_without_an_engine(tmp_path):
    """Fills, trades and the log of a run that has ended."""
    engine = make(tmp_path / "runs" / "one")
    with engine.background():
        until(engine.positions)
    assert sum(float(fill["quantity"]) for fill in data("fills", "runs/one")) == pytest.approx(0.1)
    assert data("trades", "runs/one") == []
    assert "has no log" in fairlead("logs", "runs/one", code=2).stderr
    (tmp_path / "runs" / "one" / "logs").mkdir()
    assert fairlead("logs", "runs/one").stdout == ""


def test_logs_are_picked_by_level_and_text(tmp_path):
    """A traceback goes with its line, and what could steer a terminal is made harmless."""
    logs = tmp_path / "run" / "logs"
    logs.mkdir(parents=True)
    lines = [
        "2024-01-01 00:00:00,000 INFO fairlead.facts fill: bought",
        "2024-01-01 00:00:01,000 ERROR fairlead.engine it broke \x1b[2J",
        "Traceback (most recent call last):",
        "2024-01-01 00:00:02,000 WARNING fairlead.facts late",
    ]
    (logs / "engine.log").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert len(fairlead("logs", "run").stdout.splitlines()) == 4
    picked = fairlead("logs", "run", "--level", "error").stdout.splitlines()
    assert picked == [lines[1].replace("\x1b", "·"), lines[2]]
    assert fairlead("logs", "run", "--grep", "LATE").stdout.splitlines() == [lines[3]]
    assert fairlead("logs", "run", "--last", 1).stdout.splitlines() == [lines[3]]
    assert "no regular expression" in fairlead("logs", "run", "--grep", "(", code=2).stderr


def test_the_page_names_every_key(running):
    """docs/command-line.md lists the schema, and lists it right."""
    page = (Path(__file__).parent.parent / "docs" / "command-line.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (its )?`(\w+)` \| ((?:`\w+` ?)+)\|$", page, re.MULTILINE)
    listed = {(bool(its), name): set(re.findall(r"\w+", keys)) for its, name, keys in rows}
    fairlead("halt", "--strategy", "Holder")
    status = data("status", code=3)
    for (its, name), keys in listed.items():
        if name == "status":
            found = status
        elif name in ("reconcile", "risk"):
            found = data(name)
        else:
            found = status[name][0] if its else data(name)[0]
        assert set(found) == keys, name
    assert len(listed) == 13


# --- steering -------------------------------------------------------------------------------------------------------


def test_each_command_is_a_fact_with_who_and_why(running):
    """The system's word for the user, what the client calls itself, and the reason."""
    fairlead("pause", "--strategy", "Holder", "--why", "news at 14:30")
    fairlead("pause")
    first, second = facts_of(running, f.Commanded)
    assert re.fullmatch(r"\w+ \(cli\)", first.who)
    assert (first.verb, first.why, first.arguments) == (
        "pause",
        "news at 14:30",
        {"scope": "strategy:Holder"},
    )
    assert re.fullmatch(r"asked by \w+ at the command line", second.why)


def test_pause_and_resume(running):
    """A scope's strategies open nothing new until it is lifted."""
    assert "done" in fairlead("pause", "--strategy", "Holder").stdout
    assert data("status")["paused"] == [
        {"scope": "strategy:Holder", "why": data("status")["strategies"][0]["why"]}
    ]
    assert data("status")["strategies"][0]["state"] == "paused"
    assert "Holder is paused" in fairlead("status").stdout
    fairlead("resume", "--strategy", "Holder", "--yes", "--why", "looked at it")
    assert data("status")["paused"] == []


def test_kill_and_reset(running):
    """Everything is withdrawn and closed, nothing is taken any more, until a person resets it."""
    assert "closing order" in fairlead("kill", "--flatten", "--yes").stdout
    until(lambda: not running.positions() and not running.orders())
    found = data("status", code=4)
    assert (found["state"], found["tripped"][0]["breaker"]) == ("killed", "kill")
    assert "kill" in fairlead("breakers").stdout
    denied = fairlead("order", "submit", "buy", BTC, "-q", "0.1", "--yes", code=1)
    assert "the order was denied: trading is killed" in denied.stderr
    fairlead("reset", "kill", "--yes", "--why", "looked at it")
    fairlead("status", code=0)


def test_flatten_an_instrument_by_its_short_name(running):
    """The long form is found where it is clear."""
    fairlead("flatten", "--symbol", BTC, "--yes")
    until(lambda: not running.positions())
    assert facts_of(running, f.Commanded)[-1].arguments == {"scope": "instrument:BTC/USDT:USDT@sim"}


def test_cancel_all(running):
    """Protective orders too, so it asks."""
    assert "add --yes" in fairlead("cancel-all", code=2).stderr
    assert "1 order taken back" in fairlead("cancel-all", "--yes").stdout
    until(lambda: not running.orders())


def test_stop_ends_it_in_good_order(tmp_path):
    """The answer comes before the end; then the engine is listed no more, and its socket is gone."""
    engine = make(tmp_path / "runs" / "one")
    handle = engine.background()
    fairlead("stop", "--yes", "--why", "the day is over")
    assert "the day is over" in handle.wait(DEADLINE)
    assert engines() == []
    assert not (tmp_path / "runs" / "one" / "control.sock").exists()


def test_orders_by_hand(running):
    """Checked, submitted, replaced, canceled by the end of the id that `orders` shows: through the gate, as any."""
    found = data("order", "check", "buy", BTC, "--value", "1_000 USDT", "--limit", "1000", "--post-only")
    assert (found["status"], found["intent"]["quantity"], found["intent"]["post_only"]) == (
        "approved",
        "1",
        True,
    )
    assert "approved" in fairlead("order", "check", "buy", BTC, "-q", "1", "--limit", "1000").stdout
    before = len(running.orders())
    made = data("order", "submit", "buy", BTC, "-q", "0.5", "--limit-price", "1000", "--tag", "mine", "--yes")
    until(lambda: len(running.orders()) == before + 1)
    (row,) = [row for row in data("orders") if row["order"] == made["order"]]
    assert (row["strategy"], row["limit_price"], row["tag"]) == ("EXTERNAL", "1000", "mine")
    changed = data("order", "replace", made["order"], "--limit", "1100", "--yes")
    until(lambda: any(row["limit_price"] == "1100" for row in data("orders")))
    assert changed["replaces"] == made["order"]
    (last,) = [row["order"] for row in data("orders") if row["limit_price"] == "1100"]
    assert last[-6:] in fairlead("orders").stdout
    fairlead("order", "cancel", last[-6:])
    until(lambda: len(running.orders()) == before)
    denied = fairlead("order", "submit", "buy", BTC, "-q", "10", "--yes", code=1)
    assert "order value" in denied.stderr
    assert "would be denied" in fairlead("order", "check", "buy", BTC, "-q", "10", code=1).stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("order", "submit", "buy", BTC, "--yes"), "exactly one of quantity and value"),
        (("order", "submit", "buy", "NOPE", "-q", "1", "--yes"), "nobody trades 'NOPE'"),
        (("order", "submit", "buy", BTC, "-q", "much", "--yes"), "much"),
        (("order", "cancel", "none"), "no open order 'none'"),
        (("order", "replace", "none", "--yes"), "nothing changes"),
        (("pause", "--strategy", "Other"), "no scope 'strategy:Other'"),
        (("pause", "--strategy", "a", "--account", "b"), "give one of them"),
        (("reset", "Nobody", "--yes", "--why", "seen"), "no breaker 'Nobody'"),
        (("stop", "--within", "5m", "--yes"), "add --when flat, or leave within out"),
        (("resume", "--yes"), "resume needs a reason, which the journal keeps: add --why TEXT"),
        (("reset", "kill", "--yes", "--why", " "), "reset needs a reason"),
        (("limit", "max_order_value", "60_000 USDT", "--yes"), "loosening needs a reason: add --why"),
        (
            ("limit", "max_order_value", "90_000 USDT", "--yes", "--why", "more"),
            "must be meant: add --confirm, or go in smaller steps",
        ),
        (("status", "one", "--run", "two"), "give one of them"),
        (("status", "--run", ""), "nothing is named"),
        (("fills", ""), "nothing is named"),
        (("limit", "max_order_value", "1 USDT", "--run", "", "--yes"), "nothing is named"),
        (("order", "submit", "buy", BTC, "-q", "1e30", "--yes"), "too large to be exact: write at most"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_request_is_one_sentence_and_leaves_no_fact(running, words, said):
    """Exit code 2, what is wrong and what there is; the engine has heard of nothing."""
    assert said in fairlead(*words, code=2).stderr
    assert facts_of(running, f.Commanded) == []


def test_the_same_request_acts_once(running):
    """A retry under the same name gets the first answer again."""
    words = ("order", "submit", "buy", BTC, "-q", "0.5", "--limit", "1000", "--yes", "--request", "mine")
    first, second = data(*words), data(*words)
    assert (first["repeated"], second["repeated"]) == (False, True)
    assert first["order"] == second["order"]
    assert "nothing was done again" in fairlead(*words).stdout
    assert len(facts_of(running, f.Commanded)) == 1


def test_two_invocations_are_two_requests(running):
    """Without a name given, each call of the command line has its own."""
    words = ("order", "submit", "buy", BTC, "-q", "0.5", "--limit", "1000", "--yes")
    assert data(*words)["order"] != data(*words)["order"]


def test_a_client_may_send_anything_and_the_engine_trades_on(running):
    """Whatever the arguments are named and hold, a request is answered and nothing breaks."""
    order = {"instrument": BTC, "side": "buy", "quantity": "0.1"}
    odd = ["NaN", "-1", "1e999999", "9" * 900, "", "٣", "0001-01-01T00:00+00:00", "99999999999999d"]
    asked = [("halt", {name: "x"}) for name in ("verb", "who", "why", "request", "self")]
    asked += [("stop", {"when": "flat", "within": text}) for text in odd if text]
    for text in odd:
        asked += [
            (verb, {**order, name: text})
            for verb in ("check", "submit")
            for name in ("quantity", "trail", "tag")
        ]
        asked += [("check", {**order, "time_in_force": "GTD", "expires": text, "limit_price": text})]
    faults = []
    with Client(engines()[0].socket) as client:
        for verb, arguments in asked:
            try:
                client.command(verb, "to see", arguments)
            except ControlError as error:
                faults += [(verb, arguments, str(error))] if error.kind == "fault" else []
        assert faults == []
        assert client.look("status")["phase"] == "running"


class Slow(PaperBroker):
    """Connects when it is told to."""

    def __init__(self, may: threading.Event) -> None:
        super().__init__("100_000 USDT")
        self.may = may

    async def connect(self, *arguments: Any) -> None:
        await asyncio.to_thread(self.may.wait, DEADLINE)
        await super().connect(*arguments)


def test_while_it_starts_it_can_be_looked_at_only(tmp_path):
    """Its accounts and orders are not known yet, so nothing can be asked of it; that is said."""
    may = threading.Event()
    stream = SyntheticStream(BTC, seed=3, every="1s", speed=50, start="2024-01-01T00:00+00:00")
    engine = LiveTradingEngine(Holder(), plugins=[Slow(may), stream], run=tmp_path / "one", breakers="none")
    thread = threading.Thread(target=lambda: asyncio.run(engine.run()))
    thread.start()
    try:
        until(lambda: [row["level"] for row in data("ps")] == ["ok"])
        assert data("status")["phase"] == "starting"
        assert "starting" in fairlead("status").stdout
        assert "still" not in fairlead("positions").stdout
        assert "the engine is starting: ask for halt again" in fairlead("halt", code=1).stderr
        may.set()
        until(lambda: data("status")["phase"] == "running")
        fairlead("halt")
    finally:
        may.set()
        until(lambda: engine._session is None or engine._session.started.is_set())
        engine.stop()
        thread.join(DEADLINE)


class Blocking(Holder):
    """Holds the engine's thread up until it is told to go on."""

    go_on = threading.Event()

    def on_quote(self, quote: Quote) -> None:
        self.go_on.wait(DEADLINE)


def test_an_engine_that_is_blocked_does_not_block_who_looks(tmp_path):
    """`ps` says that it does not answer; who asks more is told so after a while."""
    Blocking.go_on.clear()
    engine = make(tmp_path / "runs" / "one", Blocking())
    handle = engine.background()
    try:
        until(lambda: data("ps")[0]["level"] is None)
        assert "no answer" in fairlead("ps").stdout
        with (
            Client(engines()[0].socket, timeout=0.1) as client,
            pytest.raises(ControlError, match="busy or blocked"),
        ):
            client.look("status")
    finally:
        Blocking.go_on.set()
        handle.stop()


# --- asking a person ------------------------------------------------------------------------------------------------


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person sits there."""
    monkeypatch.setattr(steering, "on_terminal", lambda: True)


@pytest.mark.parametrize(
    "words",
    [
        ("resume", "--why", "looked at it"),
        ("kill",),
        ("flatten",),
        ("cancel-all",),
        ("reset", "Drawdown", "--why", "looked at it"),
        ("stop",),
        ("order", "submit", "buy", BTC, "-q", "0.1", "--limit", "1000"),
        ("order", "replace", "x", "--limit", "1"),
    ],
    ids=" ".join,
)
def test_what_can_do_harm_asks(running, terminal, words):
    """It says what it will do on what; without a yes nothing happens. Off a terminal it is refused."""
    done = fairlead(*words, typed="n\n", code=1)
    assert "run      one (PAPER, ok)" in done.output
    assert "account  paper" in done.output
    assert "nothing was done" in done.output
    assert facts_of(running, f.Commanded) == []


def test_off_a_terminal_yes_must_be_said(running):
    """Scripts say what they mean: exit code 2."""
    for words in (("kill",), ("flatten",), ("order", "submit", "buy", BTC, "-q", "0.1")):
        assert "here is no terminal: add --yes" in fairlead(*words, code=2).stderr
    assert facts_of(running, f.Commanded) == []


def test_an_order_is_shown_before_it_is_sent(running, terminal):
    """As the gate would let it through, beside the market; one that it would deny is not even asked about."""
    done = fairlead("order", "submit", "buy", BTC, "-q", "0.5", "--limit", "1000", typed="y\n")
    assert "order    buy 0.5 BTC/USDT:USDT@sim limit 1000" in done.output
    assert re.search(r"value    [\d,.]+ USDT, as limits count it", done.output)
    assert re.search(r"market   bid [\d,.]+, ask", done.output)
    denied = fairlead("order", "submit", "buy", BTC, "-q", "10", typed="y\n", code=1)
    assert "would be denied" in denied.output
    assert len(facts_of(running, f.Commanded)) == 1


def test_real_money_has_the_account_typed(running, terminal, monkeypatch):
    """A yes is not enough where it is grave and the run is LIVE."""
    from fairlead._engine import looking

    honest = looking.status
    monkeypatch.setattr(looking, "status", lambda *a, **k: honest(*a, **k) | {"kind": "LIVE"})
    assert "nothing was done" in fairlead("kill", typed="y\n", code=1).output
    assert facts_of(running, f.Commanded) == []
    assert "Type the name of the account" in fairlead("kill", typed="paper\n").output
    assert data("status", code=4)["state"] == "killed"


def on_a_terminal(*words: str, **environment: str) -> str:
    """What a person sees on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    settings = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", **environment}
    command = [sys.executable, "-m", "fairlead", *words]
    shown = b""
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=settings):
        os.close(theirs)
        with contextlib.suppress(OSError):  # the end of a terminal
            while data := os.read(ours, 65536):
                shown += data
    os.close(ours)
    return shown.decode("utf-8")


ESCAPE = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")


@pytest.mark.full
def test_on_a_terminal_lines_fit_and_have_colours(tmp_path):
    """However long the names are; NO_COLOR turns colours off."""
    engine = make(
        tmp_path / "runs" / "one", Holder(name="a-strategy-with-a-rather-long-name-that-goes-on-and-on")
    )
    with engine.background():
        until(lambda: engine.positions() and engine.orders())
        fairlead("halt", "--symbol", BTC, "--why", "a reason that takes a while to be told " * 5)
        for verb in ("status", "positions", "orders", "balance", "breakers", "fills", "ps"):
            text = on_a_terminal(verb)
            assert max(len(line) for line in ESCAPE.sub("", text).splitlines()) <= 80, text
        assert "\x1b[" in on_a_terminal("status")
        assert "\x1b[" not in on_a_terminal("status", NO_COLOR="1")


@pytest.mark.full
def test_long_work_shows_how_far_it_is_on_a_terminal_only(tmp_path):
    """A line that moves, and is gone at the end; nothing of it where output is a file."""
    engine = make(tmp_path / "runs" / "one")
    with engine.background():
        until(engine.positions)
    shown = on_a_terminal("journal", "verify", "runs/one")
    assert "reading the journal" in shown
    assert "all verified" in shown
    plain = fairlead("journal", "verify", "runs/one")
    assert plain.stderr == ""
    assert len(plain.stdout.splitlines()) == 1


# --- which engine ---------------------------------------------------------------------------------------------------


def test_two_engines_of_one_process_are_steered_apart(tmp_path):
    """Without a name the choice is refused with a list; with one it reaches that engine alone."""
    one, two = make(tmp_path / "runs" / "one"), make(tmp_path / "runs" / "two")
    with one.background(), two.background():
        refused = fairlead("halt", code=2).stderr
        assert "2 engines run here" in refused
        assert "--run runs/one" in refused
        fairlead("halt", "two")
        fairlead("status", "runs/one", code=0)
        fairlead("status", "--run", "two", code=4)
        until(lambda: {row["run"]: row["level"] for row in data("ps")} == {"one": "ok", "two": "halted"})
    assert engines() == []


def test_two_runs_of_one_name_are_told_apart_by_their_folders(tmp_path):
    """A name that two have is refused, a folder is not."""
    one, other = make(tmp_path / "a" / "one"), make(tmp_path / "b" / "one")
    with one.background(), other.background():
        assert "2 engines are named one" in fairlead("halt", "one", code=2).stderr
        fairlead("halt", tmp_path / "b" / "one")
        assert "engine" in other.health() or other._session is not None
        fairlead("status", tmp_path / "a" / "one", code=0)
        fairlead("status", tmp_path / "b" / "one", code=4)


def test_an_engine_of_another_home_is_reached_by_its_folder(running, monkeypatch, tmp_path):
    """A service may have its own FAIRLEAD_HOME; the socket lies in the run's folder."""
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "elsewhere"))
    assert data("ps") == []
    assert data("status", "runs/one")["run"] == "one"


SCRIPT = """
import asyncio, sys
sys.path.insert(0, {tests!r})
from test_control import make
from pathlib import Path
asyncio.run(make(Path({run!r})).run())
"""


def start(run: Path) -> "subprocess.Popen[bytes]":
    """A script that runs an engine by `asyncio.run`, in a process of its own."""
    code = SCRIPT.format(tests=str(Path(__file__).parent), run=str(run))
    return subprocess.Popen([sys.executable, "-c", code])


@pytest.mark.full
def test_scripts_have_a_socket_and_a_killed_one_leaves_no_ghost(tmp_path):
    """Two processes are steered apart; one that was killed is listed no more, and its next start takes its place."""
    one, two = start(tmp_path / "one"), start(tmp_path / "two")
    try:
        until(lambda: [row["level"] for row in data("ps")] == ["ok", "ok"])
        fairlead("halt", "one")
        fairlead("status", "one", code=4)
        fairlead("status", "two", code=0)
        two.send_signal(signal.SIGKILL)
        two.wait(DEADLINE)
        left = tmp_path / "two" / "control.sock"
        assert stat.S_ISSOCK(left.stat().st_mode)
        assert [row["run"] for row in data("ps")] == ["one"]
        assert "no engine answers" in fairlead("status", tmp_path / "two", code=1).stderr
        two = start(tmp_path / "two")
        until(lambda: len(engines()) == 2)
        until(lambda: fairlead("status", "two", code=None).exit_code == 0)
        assert stat.S_IMODE(left.stat().st_mode) == 0o600
        for name in ("one", "two"):
            fairlead("stop", name, "--yes")
        assert (one.wait(DEADLINE), two.wait(DEADLINE)) == (0, 0)
    finally:
        for child in (one, two):
            if child.poll() is None:
                child.kill()
                child.wait()


# --- where the socket is, and what if it cannot be ------------------------------------------------------------------


def test_a_run_with_a_long_path_has_its_socket_elsewhere(tmp_path):
    """The system takes about a hundred bytes; the engine is found all the same."""
    engine = make(tmp_path / ("x" * 60) / ("y" * 60))
    with engine.background():
        (found,) = engines()
        assert found.socket.startswith(str(tmp_path / "xdg" / "fairlead"))
        assert stat.S_IMODE(Path(found.socket).parent.stat().st_mode) == 0o700
        fairlead("status")
        fairlead("status", tmp_path / ("x" * 60) / ("y" * 60))
    assert not Path(found.socket).exists()


def test_without_a_socket_the_engine_trades_on(tmp_path, caplog):
    """What is in the way is named, and `ps` shows an engine that cannot be steered."""
    (tmp_path / "runs" / "one").mkdir(parents=True)
    (tmp_path / "runs" / "one" / "control.sock").write_text("in the way", encoding="utf-8")
    engine = make(tmp_path / "runs" / "one")
    with engine.background():
        until(engine.positions)
        assert "cannot be steered from outside" in caplog.text
        assert data("ps")[0]["socket"] is None
        assert "has no control socket" in fairlead("status", code=1).stderr
    assert (tmp_path / "runs" / "one" / "control.sock").read_text(encoding="utf-8") == "in the way"


def test_without_a_home_the_engine_trades_on(tmp_path, caplog, monkeypatch):
    """It is not listed, and its socket works."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "file" / "home"))
    engine = make(tmp_path / "runs" / "one")
    with engine.background():
        assert "not listed" in caplog.text
        assert data("status", "runs/one")["run"] == "one"


@pytest.mark.full
def test_a_flood_does_not_hold_the_engine_up(running):
    """While a client asks without a pause, quotes go on being handled and another client is answered."""
    path = engines()[0].socket
    done = threading.Event()

    def flood() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.connect(path)
            peer.settimeout(1)
            while not done.is_set():
                try:
                    peer.sendall(b'{"verb": "status"}\n' * 50)
                    peer.recv(1 << 20)
                except TimeoutError:
                    pass

    threads = [threading.Thread(target=flood) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        with Client(path) as client:
            before = client.look("status")["seq"]
            until(lambda: client.look("status")["seq"] > before + 50)
    finally:
        done.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(running, shell, monkeypatch):
    """The script is printed, and asks for the names of what runs."""
    monkeypatch.setattr("fairlead._cli.completing.GLANCE_SECONDS", DEADLINE)
    assert "_FAIRLEAD_COMPLETE" in fairlead("completion", shell).stdout

    def offered(*words: str) -> list[str]:
        from click.shell_completion import ShellComplete

        made = ShellComplete(cli, {}, "fairlead", "_FAIRLEAD_COMPLETE")
        return [item.value for item in made.get_completions(list(words[:-1]), words[-1])]

    assert offered("status", "") == ["one"]
    assert offered("pause", "--strategy", "H") == ["Holder"]
    assert offered("flatten", "--symbol", "") == ["BTC/USDT:USDT@sim"]
    assert offered("kill", "--account", "") == ["paper"]
    fairlead("kill", "--yes")
    assert offered("reset", "") == ["kill"]
