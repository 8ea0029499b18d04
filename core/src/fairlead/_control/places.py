"""Where the socket of a run lies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from fairlead._storage.home import fairlead_home

MOST_PATH_BYTES = 100
"""The system takes little more for the name of a socket."""


def socket_path(run: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """`control.sock` in the run's folder, or one named after the run in a folder with a shorter name.

    That is `$XDG_RUNTIME_DIR/fairlead`, else `sockets` in fairlead's home.
    """
    own = run / "control.sock"
    if len(os.fsencode(own)) <= MOST_PATH_BYTES:
        return own
    name = f"{run_key(run)}.sock"
    runtime = environ.get("XDG_RUNTIME_DIR")
    if runtime:
        return Path(runtime) / "fairlead" / name
    return fairlead_home(environ) / "sockets" / name


def run_key(run: Path) -> str:
    """A short name for a run's folder that no other folder has."""
    return hashlib.sha256(os.fsencode(run.absolute())).hexdigest()[:16]
