"""What a person sees of a run: plain lines, the live view in a process of its own, and the summary at the end."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import click

from fairlead import facts as f
from fairlead._cli.faults import FAULT, CommandFailed
from fairlead._cli.words import clock, count, gain, moment, money, ratio
from fairlead._report.digest import Digest, digest
from fairlead._report.phrases import event_of
from fairlead._storage.journal import decode_facts
from fairlead._storage.reading import Tail
from fairlead._storage.run import RunFolder

LOOK_SECONDS = 0.5


class Viewer(Protocol):
    """Shows a run while it goes on."""

    def begin(self, seq: int, halted: Mapping[str, str]) -> None:
        """The engine runs; `seq` is the last number that it has given, `halted` who trades no more, and why."""
        ...

    def look(self) -> None:
        """Time to look again."""
        ...

    def end(self) -> None:
        """The engine has ended; harmless to repeat."""
        ...


class Lines:
    """One line for each thing worth one, and every few seconds one on how it stands."""

    def __init__(
        self, folder: RunFolder, strategies: Sequence[str], *, every: float = 60.0, fills: bool = True
    ) -> None:
        self._folder = folder
        self._trading = set(strategies)
        self._every = every
        self._fills = fills
        self._tail: Tail | None = None
        self._next = time.monotonic() + every
        self._count = 0

    def begin(self, seq: int, halted: Mapping[str, str]) -> None:
        """Tell of what happens from here on, and of who has been halted by then."""
        self._tail = Tail(self._folder.journal, seq)
        for name, why in halted.items():
            click.echo(f"strategy {name} is halted: {why}")
            self._halted(name)

    def _halted(self, name: str) -> None:
        if name not in self._trading:
            return
        self._trading.remove(name)
        if not self._trading:
            click.echo(
                "every strategy is halted: what is open keeps its exits, nothing new is decided; Ctrl-C ends it"
            )

    def look(self) -> None:
        """Print what is new."""
        if self._tail is None:
            return
        sample: f.EquitySampled | None = None
        for record in self._tail.poll():
            for fact in decode_facts(record):
                if isinstance(fact, f.EquitySampled):
                    sample = fact
                self._count += isinstance(fact, f.Filled)
                event = event_of(fact)
                if event is not None and (self._fills or event.kind != "fill"):
                    click.echo(f"{clock(event.now)}  {event.kind:<8} {event.text}")
                if isinstance(fact, f.StrategyHalted):
                    self._halted(fact.strategy)
                elif isinstance(fact, f.StrategyPaused) and fact.strategy and not fact.paused:
                    self._trading.add(fact.strategy)
        if sample is not None and time.monotonic() >= self._next:
            self._next = time.monotonic() + self._every
            click.echo(
                f"{clock(sample.now)}  equity   {sample.account} {money(sample.equity)}, "
                f"drawdown {ratio(sample.drawdown)}, {count(self._count, 'fill')}"
            )

    def end(self) -> None:
        """Print the rest."""
        self.look()
        if self._tail is not None:
            self._tail.close()
            self._tail = None


class Screen:
    """The live view as a child process: it reads the run's folder, and its death changes nothing here."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._child: subprocess.Popen[bytes] | None = None

    def begin(self, seq: int, halted: Mapping[str, str]) -> None:
        """Start it."""
        command = [sys.executable, "-m", "fairlead", "top", str(self._folder.path), "--attached"]
        with suppress(OSError):
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE)

    def look(self) -> None:
        """It looks by itself."""

    def end(self) -> None:
        """Close its standard input, which ends it, and give the terminal back."""
        child, self._child = self._child, None
        if child is None:
            return
        assert child.stdin is not None
        child.stdin.close()
        try:
            child.wait(3)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextmanager
def log_to(folder: RunFolder, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """Have warnings written to the run's log; `quiet` keeps them from the terminal, where the view is.

    Gives what to call when lines begin to tell of facts: until then those worth a warning are logged here, but for
    halts, which the lines begin with.
    """
    told: list[bool] = []

    def untold(record: logging.LogRecord) -> bool:
        return record.name != "fairlead.facts" or not (told or " halted: " in record.getMessage())

    folder.logs.mkdir(parents=True, exist_ok=True)
    written = logging.FileHandler(folder.logs / "engine.log", delay=True, encoding="utf-8")
    written.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    handlers: list[logging.Handler] = [written]
    if not quiet:
        shown = logging.StreamHandler()
        shown.setLevel(logging.WARNING)
        shown.setFormatter(logging.Formatter("fairlead: %(message)s"))
        shown.addFilter(untold)
        handlers.append(shown)
    logger = logging.getLogger("fairlead")
    logger.setLevel(logging.DEBUG)
    for handler in handlers:
        logger.addHandler(handler)
    try:
        yield lambda: told.append(True)
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()


def written_or_said(write: Callable[[], Path]) -> Path | None:
    """Where a report was written. One that cannot be is a sentence on stderr: what ran has run all the same."""
    try:
        return write()
    except Exception as error:  # no figure that was printed, and no exit code, depends on a drawing
        logging.getLogger("fairlead.report").debug("the report was not written", exc_info=error)
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        click.echo(f"fairlead: the report was not written ({said})", err=True)
        return None


def print_summary(folder: RunFolder, reason: str) -> Digest | None:
    """What the run came to; None where its journal has nothing."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    run = digest(folder)
    if not run.facts:
        return None
    what = f"{run.kind}  {run.label}".strip()
    console.print(Text(f"{run.name}: {what}, {span_of(run)}"), soft_wrap=True)
    console.print(Text(f"ended: {reason}"))
    console.print()
    for account in run.accounts.values():
        change = (account.equity or 0.0) - (account.opening or 0.0)
        text = f"account {account.name}: equity {money(account.equity, account.currency)}"
        if account.opening and account.equity is not None:
            text += f", {gain(change)} ({change / account.opening:+.2%})"
        console.print(Text(f"{text}, max drawdown {ratio(account.drawdown)}"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("strategy", "trades", "won", "profit", "fees", "sampled drawdown", "orders", "denied"):
        table.add_column(heading, justify="left" if heading == "strategy" else "right")
    for own in run.strategies.values():
        table.add_row(
            Text(own.name),
            f"{own.trades}",
            f"{own.won / own.trades:.0%}" if own.trades else "-",
            gain(own.total),
            money(own.fees),
            money(own.deepest),
            f"{own.orders}",
            f"{own.denied}",
        )
    console.print()
    console.print(table)
    trips = ", ".join(f"{name} {number}" for name, number in run.tripped.items()) or "none"
    console.print(Text(f"\nbreaker trips: {trips}"))
    for text in run.standing:
        console.print(Text(f"standing: {text}", "bold"))
    return run


def span_of(run: Digest) -> str:
    """From when to when; with several sessions, what belongs to which."""
    if run.starts < 2:
        return f"{moment(run.start_ns)} to {moment(run.end_ns)}"
    return (
        f"session {run.starts} from {moment(run.session_ns)} to {moment(run.end_ns)}; "
        f"the figures are of the whole run, from {moment(run.start_ns)}"
    )


def refuse_halted(run: Digest | None) -> None:
    """Raise CommandFailed where a strategy is halted at the end: the run did not do what it was started for."""
    if run is not None and run.halted:
        raise CommandFailed(
            "; ".join(f"strategy {name} is halted: {why}" for name, why in run.halted.items()), FAULT
        )


__all__ = ["Lines", "Screen", "Viewer", "log_to", "print_summary", "refuse_halted", "written_or_said"]
