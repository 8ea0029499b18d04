"""`fairlead logs`: the log of a run, whether it runs or not."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from fairlead._cli.engines import folder_of_run
from fairlead._cli.faults import USAGE, CommandFailed
from fairlead._cli.tables import paint
from fairlead._report.phrases import printable
from fairlead._storage.run import RunFolder

LOOK_SECONDS = 0.25

LEVELS = ("debug", "info", "warning", "error", "critical")

_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ([A-Z]+) ")
_COLOURS = {"warning": "yellow", "error": "red", "critical": "red"}


def logs(run: str | None, follow: bool, level: str | None, grep: str | None, last: int) -> None:
    """Print the last lines of a run's log, and with `follow` those that come. Raises CommandFailed."""
    wanted = _wanted(grep)
    path = _log_of(folder_of_run(run))
    least = LEVELS.index(level) if level else 0
    entries = _Entries(least, wanted)
    with path.open("rb") as file:
        shown: deque[str] = deque(maxlen=last or None)
        shown.extend(entry for line in _lines(file) for entry in entries.take(line))
        for entry in shown:
            click.echo(entry)
    if not follow:
        return
    try:
        for line in _coming(path, path.stat().st_size):
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
    path = RunFolder(run).logs / "engine.log"
    if path.is_file():
        return path
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


def _lines(file: BinaryIO) -> Iterator[str]:
    for line in file:
        yield line.rstrip(b"\r\n").decode("utf-8", errors="replace")


def _coming(path: Path, offset: int) -> Iterator[str]:
    """Lines that are appended from `offset` on; a file that was replaced or cut is read from its beginning."""
    rest, inode = b"", path.stat().st_ino
    while True:
        try:
            now = path.stat()
        except FileNotFoundError:
            time.sleep(LOOK_SECONDS)
            continue
        if now.st_ino != inode or now.st_size < offset:
            rest, inode, offset = b"", now.st_ino, 0
        if now.st_size == offset:
            time.sleep(LOOK_SECONDS)
            continue
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
        offset += len(data)
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield line.rstrip(b"\r").decode("utf-8", errors="replace")
