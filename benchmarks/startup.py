"""Start-up: what `import fairlead` takes, and what an idle engine holds.

Fresh processes with compiled bytecode, in turn with a bare interpreter; the best of each. Memory is what the system
counts as resident. The idle engine is `idle.py`, watched for some seconds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.rig import AT_MOST, ROOT, ChildFailed, Report, Say, Size, Table, Target, Unavailable, number
from benchmarks.system import NO_PROC, has_proc, status_kib

IDLE = ROOT / "benchmarks" / "idle.py"
RSS = "; print([x.split()[1] for x in open('/proc/self/status') if x.startswith('VmRSS')][0])"
WARM_UP_SECONDS = 2.0


def run(size: Size, say: Say) -> Report:
    report = Report("startup")
    say(f"importing {size.starts} times")
    bare, full = import_ms("pass", "import fairlead", size.starts)
    bare_rss, rss = resident_mib("pass"), resident_mib("import fairlead")
    try:
        say(f"an idle engine for {size.idle_seconds:g} s")
        idle, why = idle_mib(IDLE, size.idle_seconds), ""
    except Unavailable as error:
        idle, why = None, str(error)
    report.tables.append(Table(
        f"fresh processes, best of {size.starts}", ("", "ms", "RSS MiB"),
        [
            ("bare interpreter", number(bare), number(bare_rss)),
            ("import fairlead", number(full), number(rss)),
            (f"idle engine ({IDLE.name})", "", number(idle)),
        ],
    ))  # fmt: skip
    report.targets = [
        Target("import above a bare interpreter", full - bare, AT_MOST, 100, " ms"),
        Target("process that imported fairlead, RSS", rss, AT_MOST, 35, " MiB", NO_PROC),
        Target("idle engine, RSS", idle, AT_MOST, 60, " MiB", why),
    ]
    report.figures = {
        "bare_ms": bare,
        "import_ms": full,
        "bare_mib": bare_rss,
        "import_mib": rss,
        "idle_mib": idle,
    }
    return report


def import_ms(bare: str, full: str, times: int) -> tuple[float, float]:
    """The best wall time of two programs, run in turn after one run that compiles."""
    taken: dict[str, list[float]] = {bare: [], full: []}
    for _ in range(times + 1):
        for code, each in taken.items():
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
            each.append(1000 * (time.perf_counter() - begun))
    return min(taken[bare][1:]), min(taken[full][1:])


def resident_mib(code: str) -> float | None:
    """What a fresh process holds after a program."""
    if not has_proc():
        return None
    done = subprocess.run(
        [sys.executable, "-c", code + RSS], check=True, capture_output=True, text=True, cwd=ROOT
    )
    return int(done.stdout) / 1024


def idle_mib(script: Path, seconds: float) -> float:
    """The most that a running script held in that time, after it has started."""
    if not script.exists():
        raise Unavailable(f"{script.relative_to(ROOT)} does not exist yet")
    if not has_proc():
        raise Unavailable(NO_PROC)
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder:
        process = subprocess.Popen(
            [sys.executable, script], cwd=folder, env=os.environ | {"FAIRLEAD_HOME": folder},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        most, begun = 0, time.monotonic()
        try:
            while time.monotonic() < begun + WARM_UP_SECONDS + seconds:
                time.sleep(0.25)
                if process.poll() is not None:
                    raise ChildFailed(f"{script.name} ended early: {process.communicate()[1].strip()[-500:]}")
                if time.monotonic() > begun + WARM_UP_SECONDS:
                    most = max(most, status_kib("VmRSS", process.pid))
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.communicate(timeout=10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.communicate()
    return most / 1024
