"""`fairlead logs`: the log of a run, whether it runs or not."""

from __future__ import annotations

import os
import re
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import click

from fairlead._cli.engines import folder_of_run
from fairlead._cli.faults import USAGE, CommandFailed
from fairlead._cli.tables import paint
from fairlead._report.phrases import printable
from fairlead._storage.run import RunFolder

LOOK_SECONDS = 0.25

_CHUNK = 1 << 20

LEVELS = ("debug", "info", "warning", "error", "critical")

_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ([A-Z]+) ")
_COLOURS = {"warning": "yellow", "error": "red", "critical": "red"}


def logs(run: str | None, follow: bool, level: str | None, grep: str | None, last: int) -> None:
    """Print the last lines of a run's log, and with `follow` those that come. Raises CommandFailed."""
    wanted = _wanted(grep)
    path = _log_of(folder_of_run(run))
    least = LEVELS.index(level) if level else 0
    entries = _Entries(least, wanted)
    written = _Follower(path)
    shown: deque[str] = deque(maxlen=last or None)
    shown.extend(entry for line in written.lines() for entry in entries.take(line))
    for entry in shown:
        click.echo(entry)
    try:
        while follow:
            time.sleep(LOOK_SECONDS)
            for line in written.lines():
                for entry in entries.take(line):
                    click.echo(entry)
    except KeyboardInterrupt:
        return


def _wanted(grep: str | None) -> re.Pattern[str] | None:
    try:
        return re.compile(grep, re.IGNORECASE) if grep else None
    except re.error as error:
        raise CommandFailed(
            f"--grep {grep!r} is no regular expression ({error}): put a backslash before its special characters",
            USAGE,
        ) from None


def _log_of(run: Path) -> Path:
    logs = RunFolder(run).logs
    if logs.is_dir():
        return logs / "engine.log"
    raise CommandFailed(
        f"{run} has no log: `fairlead run` writes one, and an engine that a script runs logs as the script says; "
        f"what it did is in its journal",
        USAGE,
    )


class _Entries:
    """Picks lines by level and text; the lines of a traceback go with the line that they follow."""

    def __init__(self, least: int, wanted: re.Pattern[str] | None) -> None:
        self._least = least
        self._wanted = wanted
        self._taken = False
        self._colour: str | None = None

    def take(self, line: str) -> Iterator[str]:
        """The line as it is shown, or nothing."""
        begins = _LINE.match(line)
        if begins:
            level = begins[1].lower()
            rank = LEVELS.index(level) if level in LEVELS else 0
            self._taken = rank >= self._least and (self._wanted is None or bool(self._wanted.search(line)))
            self._colour = _COLOURS.get(level)
        if self._taken:
            yield paint(printable(line), fg=self._colour)


class _Follower:
    """Reads what a file has got since the last time; one that was replaced or cut is read from its beginning."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode = self._offset = 0
        self._rest = b""

    def lines(self) -> Iterator[str]:
        """The whole lines that are new; none while there is no file."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            now = os.fstat(file.fileno())
            if now.st_ino != self._inode or now.st_size < self._offset:
                self._inode, self._offset, self._rest = now.st_ino, 0, b""
            file.seek(self._offset)
            while data := file.read(_CHUNK):
                self._offset += len(data)
                *whole, self._rest = (self._rest + data).split(b"\n")
                for line in whole:
                    yield line.rstrip(b"\r").decode("utf-8", errors="replace")
