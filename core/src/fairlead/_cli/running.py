"""`fairlead run`: the engine in a thread of its own, this thread for signals and for what is shown."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

import click

from fairlead._cli.faults import FAULT, REFUSED, USAGE, CommandFailed
from fairlead._cli.loading import load_engine
from fairlead._cli.watching import LOOK_SECONDS, Lines, Screen, Viewer, log_to, print_summary, refuse_halted
from fairlead._engine.background import Background
from fairlead._engine.engine import LiveTradingEngine
from fairlead._engine.signals import leave_at_once
from fairlead._kernel.kernel import Kernel
from fairlead._kernel.remedies import to_lift, to_resume
from fairlead._kernel.state import DOUBT
from fairlead._storage.run import RunFolder
from fairlead.errors import ConfigurationError, FairleadError
from fairlead.units import duration


def run(
    file: Path,
    profile: str | None,
    settings: Sequence[str],
    live: bool,
    until: str | None,
    run: Path | None,
    view: bool | None,
) -> None:
    """Load, describe, run to the end, sum up."""
    when = _until(until)
    engine = load_engine(file, profile, settings, live=live)
    if run is not None:
        engine.folder = RunFolder(run)
    click.echo(engine.describe())
    click.echo()
    shown = can_draw() if view is None else view
    viewer = Screen(engine.folder) if shown else Lines(engine.folder, names_of(engine))
    reason = trade(engine, when, viewer, quiet=shown)
    click.echo()
    found = print_summary(engine.folder, reason)
    click.echo(f"\njournal  {engine.folder.journal}")
    refuse_halted(found)


def names_of(engine: LiveTradingEngine) -> list[str]:
    """The names of its strategies."""
    return [strategy.name for strategy in engine.strategies]


def can_draw() -> bool:
    """Whether there is a terminal that can hold a live view."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def trade(
    engine: LiveTradingEngine, until: str | datetime | None, viewer: Viewer, *, quiet: bool = False
) -> str:
    """Run an engine to its end and return why it ended.

    The first Ctrl-C ends it in good order, the second at once; `quiet` says that the terminal is the viewer's.
    """
    with _signals(engine, quiet=quiet), _logged(engine.folder, quiet=quiet) as told:
        try:
            handle = Background(engine, until)
        except FairleadError as error:
            raise CommandFailed(str(error), REFUSED) from error
        try:
            seq, halted, held_down = _standing(engine, doubts=quiet)
            for text in held_down:
                click.echo(f"standing from before: {text}")
            viewer.begin(seq, halted)
            told()
            while True:
                try:
                    return handle.wait(LOOK_SECONDS)
                except TimeoutError:
                    if handle.overdue:
                        leave_at_once(signal.SIGTERM)
                    viewer.look()
                except FairleadError:
                    raise
                except Exception as error:  # whatever ended it: one sentence here, the whole of it in the log
                    logging.getLogger("fairlead.engine").debug("the engine failed", exc_info=error)
                    raise CommandFailed(_failed(error, engine), FAULT) from error
        finally:
            viewer.end()


@contextmanager
def _logged(folder: RunFolder, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """The log of a run; nothing is logged where its folder cannot be written, which the engine says in its words."""
    with ExitStack() as stack:
        told: Callable[[], None] = lambda: None  # noqa: E731
        with suppress(OSError):
            told = stack.enter_context(log_to(folder, quiet=quiet))
        yield told


def _failed(error: BaseException, engine: LiveTradingEngine) -> str:
    """What ended a run, and where its whole story is."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"the engine failed ({said}): {engine.folder.logs / 'engine.log'} has where"


def _standing(engine: LiveTradingEngine, *, doubts: bool) -> tuple[int, dict[str, str], list[str]]:
    """The last number that the engine gave, who is halted, and what else holds trading down, with what lifts it.

    Without `doubts` accounts in doubt are left out: the log of the start has just told of them.
    """
    session = engine._session
    if session is None:
        return 0, {}, []

    def look(kernel: Kernel) -> tuple[int, dict[str, str], list[str]]:
        state = kernel.state
        trips = [trip for trip in state.tripped.values() if doubts or trip.breaker != DOUBT]
        down = [f"{trip}; {to_lift(trip.breaker)}" for trip in trips]
        down += [
            f"{scope} is {lowered}: {state.lowered_why.get(scope, 'by hand')}; {to_resume(scope)}"
            for scope, lowered in state.lowered.items()
        ]
        return state.seq, dict(state.halted), down

    return session.query(look)


@contextmanager
def _signals(engine: LiveTradingEngine, *, quiet: bool) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask for the end; asked again, the process ends as it stands, and the journal has it all."""
    asked = False

    def ask(number: int, _: object) -> None:
        nonlocal asked
        if asked:
            leave_at_once(number)
        asked = True
        if not quiet:
            os.write(2, b"\nfairlead: ending in good order; Ctrl-C again ends it at once\n")
        engine.stop(signal.Signals(number).name)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _until(text: str | None) -> str | datetime | None:
    """A duration, or a time with its zone."""
    if text is None:
        return None
    try:
        if duration(text) <= 0:
            raise CommandFailed(
                f"--until {text} is over at once: write a duration above 0, such as 30s", USAGE
            )
    except ConfigurationError:
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            when = None
        if when is None or when.tzinfo is None:
            raise CommandFailed(
                f"--until {text!r} is neither a duration nor a time with a zone: "
                f"write 30s, 5m, 8h or 2024-01-31T16:00+00:00",
                USAGE,
            ) from None
        return when
    return text
