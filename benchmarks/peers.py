"""The peers' own environment, made on demand beside the one of the repository; fairlead needs none of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.rig import ROOT, Say, Unavailable

VENV = ROOT / ".venv.bench"
NAUTILUS = "nautilus_trader==1.221.0"


def python_with(requirement: str, say: Say) -> Path:
    """The Python of the peers' environment with a requirement installed.

    Raises Unavailable where it cannot be had: no network, or no release for this Python.
    """
    python = VENV / "bin" / "python"
    if not _holds(python, requirement):
        say(f"installing {requirement} into {VENV.name}")
        failure = _install(python, requirement)
        if failure:
            raise Unavailable(f"{requirement} is not installed: row left out ({failure})")
    return python


def _holds(python: Path, requirement: str) -> bool:
    name, _, version = requirement.partition("==")
    code = f"import importlib.metadata as m, sys; sys.exit(m.version({name!r}) != {version!r})"
    if not python.exists():
        return False
    return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0


def _install(python: Path, requirement: str) -> str:
    """Returns why it failed, "" if it did not."""
    if not python.exists():
        made = _run([sys.executable, "-m", "venv", str(VENV)])
        if made:
            return made
        (VENV / ".gitignore").write_text("*\n", encoding="ascii")
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    by_uv = _run([uv, "pip", "install", "-q", "--python", str(python), requirement]) if uv else "no uv"
    return by_uv and _run([str(python), "-m", "pip", "install", "-q", requirement])


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return type(error).__name__
    if not done.returncode:
        return ""
    said = (done.stderr or done.stdout).strip().splitlines()
    return said[-1].strip()[:120] if said else f"exit status {done.returncode}"
