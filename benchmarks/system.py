"""What a measurement asks of the operating system: cores, priority, memory."""

from __future__ import annotations

import os
from pathlib import Path

AUTOGROUP = Path("/proc/self/autogroup")


def cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def pin(core: int | None) -> None:
    """Stay on one core; None leaves it to the scheduler."""
    if core is not None:
        os.sched_setaffinity(0, {core})


def run_first(*, spinning: bool = False) -> str:
    """Go before other processes of this core, as far as allowed; says how.

    Who spins takes the best nice value instead: a real-time process that never sleeps is stopped by the kernel
    for a while in each second. Where the kernel shares time between sessions first, the session is made nice
    too, so a process that calls this has one of its own.
    """
    try:
        if spinning:
            os.nice(-20 - os.nice(0))
            if AUTOGROUP.exists():
                AUTOGROUP.write_text("-20", encoding="ascii")
            return "nice -20"
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except (OSError, AttributeError):
        return "default"
    return "SCHED_RR"


def status_kib(field: str, pid: int | str = "self") -> int:
    """A field of /proc/PID/status in KiB: VmRSS, VmHWM, RssAnon."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0])
    raise OSError(f"/proc/{pid}/status has no {field}")


NO_PROC = "no /proc: memory cannot be read here"


def has_proc() -> bool:
    """Whether memory can be read."""
    return Path("/proc/self/status").exists()
