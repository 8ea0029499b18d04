"""`fairlead run` and `fairlead demo`: they trade, end in good order, and say what they came to."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fairlead._storage.journal import read_facts
from fairlead.facts import EngineStopped, Filled


@pytest.mark.full
def test_run_trades_until_the_time_is_up(process, script: Path) -> None:
    """Off a terminal it prints the wiring, plain lines and a summary, and exits with 0."""
    done = process("run", script, "--until", "20m", "--run", script.parent / "elsewhere")
    assert done.returncode == 0, done.stderr
    assert "PaperBroker" in done.stdout
    assert re.search(r"fill +InAndOut buy", done.stdout)
    assert "ended: the time was up" in done.stdout
    assert "SYNTHETIC seed=42" in done.stdout
    assert "\x1b[" not in done.stdout
    facts = list(read_facts(script.parent / "elsewhere" / "journal"))
    assert any(isinstance(fact, Filled) for fact in facts)


@pytest.mark.full
def test_ctrl_c_ends_it_in_good_order(script: Path) -> None:
    """One SIGINT writes the end into the journal and exits with 0."""
    child = subprocess.Popen(
        [sys.executable, "-m", "fairlead", "run", str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_for_journal(script.parent / "run")
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=20)
    assert child.returncode == 0, err
    assert b"ended: SIGINT" in out
    last = list(read_facts(script.parent / "run" / "journal"))[-1]
    assert isinstance(last, EngineStopped)


@pytest.mark.full
def test_a_second_ctrl_c_ends_it_at_once(script: Path) -> None:
    """A strategy that blocks cannot keep the process alive."""
    text = script.read_text(encoding="utf-8")
    blocking = text.replace(
        "        if self.position():", "        import time\n        time.sleep(60)\n        if 1:"
    )
    script.write_text(blocking, encoding="utf-8")
    child = subprocess.Popen([sys.executable, "-m", "fairlead", "run", str(script)], stderr=subprocess.PIPE)
    wait_for_journal(script.parent / "run")
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert child.poll() is None
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=5)
    assert child.returncode == 128 + signal.SIGINT
    assert b"ended at once" in err


@pytest.mark.full
@pytest.mark.parametrize("handler", ["on_start", "on_bar"])
def test_a_run_whose_strategies_are_halted_says_so_and_is_a_fault(
    process, script: Path, handler: str
) -> None:
    """Halted at its start or later: it is said when it happens and at the end, and the exit code is 1."""
    text = script.read_text(encoding="utf-8")
    line = {"on_start": "        self.watch(", "on_bar": "        if self.position():"}[handler]
    assert line in text
    script.write_text(text.replace(line, f"        1 / 0\n{line}"), encoding="utf-8")
    done = process("run", script, "--until", "5m")
    assert done.returncode == 1, done.stderr
    assert "every strategy is halted: what is open keeps its exits" in done.stdout
    assert done.stdout.index("ZeroDivisionError") < done.stdout.index("ended: the time was up")
    assert done.stderr.startswith("fairlead: strategy InAndOut is halted: ZeroDivisionError")
    assert done.stderr.count("\n") == 1


@pytest.mark.full
def test_a_second_session_is_told_from_the_run(process, script: Path) -> None:
    """After a restart the summary names the session and the run, and the drawdown of the run does not shrink."""
    text = script.read_text(encoding="utf-8").replace("speed=600", 'speed="max"').replace("50%", "90%")
    script.write_text(text, encoding="utf-8")
    said = [process("run", script, "--until", "2h").stdout for _ in range(3)]
    assert "whole run" not in said[0]
    span = r"session 3 from 2024-01-01 04:00:00 to 2024-01-01 06:00:00; .* the whole run, from 2024-01-01 00:00:00"
    assert re.search(span, said[2]), said[2]
    falls = [float(re.search(r"max drawdown ([\d.]+) %", text)[1]) for text in said]
    assert falls == sorted(falls)
    lost = -float(re.search(r"\(([-+\d.]+)%\)", said[2])[1])
    assert falls[2] >= lost > falls[0]


def test_a_run_in_use_is_refused(fairlead, script: Path) -> None:
    """Another engine's folder is not entered: exit code 5, one sentence."""
    from fairlead._storage.run import RunFolder

    folder = RunFolder(script.parent / "run")
    folder.lock()
    try:
        done = fairlead("run", script, "--until", "1s")
    finally:
        folder.unlock()
    assert done.exit_code == 5, done.output
    assert "is in use by" in done.stderr


def test_until_is_a_duration_or_a_time_with_a_zone(fairlead, script: Path) -> None:
    """Anything else is refused before something runs."""
    done = fairlead("run", script, "--until", "2024-01-01")
    assert done.exit_code == 2
    assert "neither a duration nor a time with a zone" in done.stderr
    said = " ".join(fairlead("run", "--help").output.split())
    assert "both in the engine's time: with speed= that of the data" in said


@pytest.mark.full
def test_the_demo_ends_by_itself_with_a_summary_and_a_report(process, tmp_path: Path, monkeypatch) -> None:
    """Two strategies, both named with their figures; the report says SYNTHETIC and needs nothing else."""
    monkeypatch.chdir(tmp_path)
    done = process("demo", "--seconds", "2", "--speed", "3000")
    assert done.returncode == 0, done.stderr
    for words in ("Trend", "Reversion", "breaker trips", "max drawdown", "SYNTHETIC seed=42", "PAPER"):
        assert words in done.stdout
    report = Path(re.search(r"report +(\S+)", done.stdout)[1])
    assert report == tmp_path / "runs" / "demo-1" / "reports" / "report.html"
    text = report.read_text(encoding="utf-8")
    assert "SYNTHETIC seed=42" in text
    assert text.count("<svg") >= 6


@pytest.mark.full
def test_the_demo_draws_a_live_view_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal a screen is drawn in another process, and given back before the summary."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.environ.update(TERM="xterm-256color", COLUMNS="100", LINES="30")
        os.execv(
            sys.executable, [sys.executable, "-m", "fairlead", "demo", "--seconds", "3", "--speed", "2000"]
        )
    shown, ends = b"", time.monotonic() + 30
    while time.monotonic() < ends:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                shown += os.read(terminal, 65536)
            except OSError:
                break
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    text = shown.decode("utf-8", "replace")
    assert os.waitstatus_to_exitcode(status) == 0
    for words in ("Working orders", "DailyLoss", "SYNTHETIC seed=42", "Last fills"):
        assert words in text
    assert text.index("\x1b[?1049h") < text.index("\x1b[?1049l") < text.rindex("breaker trips")


def wait_for_journal(run: Path) -> None:
    ends = time.monotonic() + 15
    while time.monotonic() < ends:
        if (run / "journal").is_dir() and any(isinstance(f, Filled) for f in read_facts(run / "journal")):
            return
        if (run / "tape").is_dir() and time.monotonic() > ends - 12:
            return
        time.sleep(0.1)
    raise AssertionError("the engine has not begun to trade")


@pytest.mark.full
def test_what_holds_trading_down_since_an_earlier_run_is_said_at_the_start(process, script: Path) -> None:
    """A kill outlives the process: whoever starts it again is told at once."""
    folder = script.parent / "killed"
    code = (
        "from pathlib import Path; from fairlead._cli.loading import load_engine;"
        "from fairlead._storage.run import RunFolder;"
        f"e = load_engine(Path({str(script)!r})); e.folder = RunFolder({str(folder)!r});"
        "h = e.background(); e.kill('a fire', who='me'); h.stop()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    done = process("run", script, "--until", "1m", "--run", folder)
    assert "standing from before: kill tripped on engine: a fire (me)" in done.stdout
