"""What `fairlead doctor` looks at on the machine: Python, clock, disk, permissions, limits, terminal."""

from __future__ import annotations

import asyncio
import ctypes
import importlib.util
import locale
import os
import platform
import resource
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from fairlead._cli.findings import Finding, fail, ok, warn
from fairlead._kernel.clock import SystemTime
from fairlead._models.market import utc
from fairlead._storage.segments import boot_id

_LOOK_SECONDS = 0.05
_APART_NS = 5_000_000
"""What wall and monotonic clock may part in one look: slewing moves them by far less."""
_OLDEST_YEAR = 2024
_GIB = 1 << 30
_LEAST_FREE, _LITTLE_FREE = _GIB // 4, 2 * _GIB
_LEAST_FILES, _FEW_FILES = 64, 512


def software() -> Iterator[Finding]:
    """Python and what makes it quicker."""
    yield ok("python", f"{platform.python_version()}, {platform.system()} {platform.machine()}")
    if importlib.util.find_spec("uvloop") is not None:
        yield ok("loop", "uvloop is installed")
    else:
        yield ok("loop", "asyncio's own; pip install 'fairlead[fast]' brings a quicker one")


# --- the clock ----------------------------------------------------------------------------------------------


async def clock() -> list[Finding]:
    """Whether the wall clock runs with the monotonic one, is near today, and is kept in time."""
    time = SystemTime()
    before = time.step()
    await asyncio.sleep(_LOOK_SECONDS)
    apart = time.step() - before
    now = utc(time.now())
    if now.year < _OLDEST_YEAR:
        found = fail(
            "clock", f"the wall clock says {now:%Y-%m-%d}", "set the clock: venues refuse such orders"
        )
    elif abs(apart) > _APART_NS:
        remedy = "let one time service keep it, by slewing"
        found = warn(
            "clock", f"the wall clock moved by {apart / 1e6:+,.1f} ms beside the monotonic one", remedy
        )
    else:
        found = ok("clock", f"{now:%Y-%m-%d %H:%M:%S} UTC, wall and monotonic clock run together")
    return [found, _synchronised(kernel_time()), _boot()]


class _Timex(ctypes.Structure):
    """The beginning of Linux's `struct timex`, and room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


_UNSYNCHRONISED = 0x40


def kernel_time() -> tuple[bool, float] | None:
    """Whether the kernel's clock is kept in time, and its largest error in seconds; None where nobody says."""
    if not sys.platform.startswith("linux"):
        return None
    timex = _Timex()  # modes 0 reads only
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else (not timex.status & _UNSYNCHRONISED, timex.maxerror / 1e6)


def _synchronised(known: tuple[bool, float] | None) -> Finding:
    remedy = "run a time service (chrony, systemd-timesyncd): venues refuse orders of a wrong clock"
    if known is None:
        return warn("time service", "unknown: this system does not say", remedy)
    kept, error = known
    if not kept:
        return warn("time service", "the clock is not synchronised, or a container hides it", remedy)
    return ok("time service", f"synchronised, at most {error:,.3f} s off")


def _boot() -> Finding:
    if boot_id():
        return ok("boot id", "readable")
    return warn("boot id", "unreadable: a power cut cannot be told from a crash", "let /proc be mounted")


# --- files --------------------------------------------------------------------------------------------------


def folders(run: Path, home: Path) -> Iterator[Finding]:
    """Room, permissions and locks where a run and its accounts are kept."""
    yield room("run folder", run)
    yield room("home", home)
    yield writable("run folder", run)
    yield writable("home", home)
    if home.is_dir() and (mode := stat.S_IMODE(home.stat().st_mode)) & 0o077:
        yield warn("home", f"{home} is open to others ({mode:04o})", f"chmod 700 {home}")
    yield from locks([run / "lock", *sorted(home.glob("accounts/*/lock"))])


def room(what: str, folder: Path) -> Finding:
    """Free space on the disk of a folder, which need not exist."""
    free = shutil.disk_usage(_nearest(folder)).free
    said = f"{free / _GIB:,.1f} GiB free at {folder}"
    remedy = "make room: an engine that cannot write its journal stops trading"
    if free < _LEAST_FREE:
        return fail(what, said, remedy)
    return warn(what, said, remedy) if free < _LITTLE_FREE else ok(what, said)


def writable(what: str, folder: Path) -> Finding:
    """Whether a folder, or where it would be made, can be written."""
    at = _nearest(folder)
    if at.is_dir() and os.access(at, os.W_OK | os.X_OK):
        return ok(what, f"{folder} can be written")
    return fail(
        what, f"{folder} cannot be written, because of {at}", f"make {at} a folder that you may write"
    )


def secrets(folder: Path) -> Iterator[Finding]:
    """Whether `.env` is for its owner alone."""
    file = folder / ".env"
    if not file.exists():
        return
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        yield fail("secrets", f"{file} can be read by others ({mode:04o})", f"chmod 600 {file}")
    else:
        yield ok("secrets", f"{file} is for its owner alone")


def locks(files: list[Path]) -> Iterator[Finding]:
    """Locks whose owner is gone: harmless, but its engine did not end in good order."""
    for file in files:
        try:
            pid = file.read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            continue
        if not pid.isdecimal():
            continue
        if _lives(int(pid)):
            yield ok("locks", f"{file.parent} is in use by process {pid}")
        else:
            yield warn(
                "locks",
                f"process {pid} left {file.parent} without an end in good order",
                "start it again, which takes up what its journal holds; leave the file alone",
            )


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it is somebody else's
        return True
    return True


def _nearest(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


# --- limits and terminal ------------------------------------------------------------------------------------


def surroundings() -> Iterator[Finding]:
    """How many files may be open, and whether the terminal can show what is printed."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    said, remedy = f"{most:,} files may be open", "ulimit -n 4096"
    if most == resource.RLIM_INFINITY or most >= _FEW_FILES:
        yield ok("open files", said if most != resource.RLIM_INFINITY else "no limit")
    else:
        yield fail("open files", said, remedy) if most < _LEAST_FILES else warn("open files", said, remedy)
    coding = (sys.stdout.encoding or locale.getencoding()).lower()
    if coding.replace("-", "") != "utf8":
        yield warn("terminal", f"it writes {coding}", "export LC_ALL=C.UTF-8, or PYTHONUTF8=1")
    else:
        term = os.environ.get("TERM", "dumb")
        drawn = "a live view can be drawn" if sys.stdout.isatty() and term != "dumb" else "no live view here"
        yield ok("terminal", f"utf-8, {drawn}")
