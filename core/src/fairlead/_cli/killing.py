"""`fairlead kill --standalone`: watches over an engine that may hang, and kills its accounts from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from fairlead._cli.faults import DEGRADED, FAULT, USAGE, CommandFailed
from fairlead._cli.loading import load_engine
from fairlead._cli.steering import Manner, asked_by, on_terminal, user_name
from fairlead._cli.tables import paint, print_json, print_sentence
from fairlead._cli.words import count
from fairlead._engine.parts import kind_of
from fairlead._report.phrases import printable
from fairlead._storage.run import RunFolder
from fairlead.units import SECOND, duration

if TYPE_CHECKING:
    from fairlead._engine.standalone import Outcome
    from fairlead.ports import BrokerAdapter

SCHEMA = 1


@attrs.frozen(kw_only=True)
class Means:
    """What is killed and how: the file that composes the engine, and what is said over it."""

    file: str | None
    profile: str | None
    settings: Sequence[str]
    run: str | None
    account: str | None
    flatten: bool
    when_silent: str | None
    within: str


def kill_standalone(means: Means, manner: Manner) -> None:
    """Load the file, ask, watch where that is wanted, kill, and say what was done.

    Raises CommandFailed where anything is left, and ConfigurationError where nothing can be done at all.
    """
    from fairlead._engine.standalone import Order, targets

    if means.file is None:
        raise CommandFailed(
            "kill --standalone needs the file that composes the engine: name FILE.py or FILE.toml", USAGE
        )
    silent = duration(means.when_silent) / SECOND if means.when_silent is not None else None
    if silent is not None and silent < 1:
        raise CommandFailed(
            f"--when-silent {means.when_silent}: a healthy engine can be silent for so long: write 1s or more",
            USAGE,
        )
    if not manner.yes and not on_terminal():
        raise CommandFailed("kill asks before it acts, and here is no terminal: add --yes", USAGE)
    within = duration(means.within) / SECOND
    engine = load_engine(Path(means.file), means.profile, means.settings, live=True)
    if means.run is not None:
        engine.folder = RunFolder(means.run)
    brokers, skipped = targets(engine.wiring.brokers, engine.folder, means.account)
    for text in skipped:
        click.echo(f"not done: {text}", err=True)
    if not manner.yes:
        _confirm(means, engine.folder, brokers)
    why = manner.why or asked_by()
    if silent is not None and not manner.why:
        why = f"its engine was silent for {means.when_silent}"
    order = Order(user_name(), why, means.flatten, within)
    outcomes, fell_silent = asyncio.run(_watch_and_kill(brokers, engine.folder, order, silent))
    if manner.as_json:
        print_json(_shown(outcomes, skipped, fell_silent))
    else:
        _show(outcomes)
    left = [f"{one.account}: {text}" for one in outcomes for text in one.left]
    if left:
        raise CommandFailed(
            f"not all could be done: {'; '.join(left)}; run it again, or see to it at the venue", FAULT
        )
    if skipped:
        raise CommandFailed(skipped[0], DEGRADED)


async def _watch_and_kill(
    brokers: dict[str, BrokerAdapter], folder: RunFolder, order: Any, silent: float | None
) -> tuple[list[Outcome], str | None]:
    from fairlead._engine.standalone import Watch, kill

    fell = None
    if silent is not None:
        names = ", ".join(brokers)
        click.echo(
            f"watching over the engine of {names}: killed once it is silent for {silent:g} s", err=True
        )
        fell = await Watch(brokers, folder, silent).silent()
        click.echo(f"the engine of account {fell} has been silent for {silent:g} s", err=True)
    return await kill(brokers, folder, order, lambda text: click.echo(printable(text), err=True)), fell


def _confirm(means: Means, folder: RunFolder, brokers: dict[str, BrokerAdapter]) -> None:
    """Show what it is about; nothing happens without an answer that means yes."""
    kind = kind_of(brokers.values())
    does = "every order of these accounts is canceled at the venue, and their engine sends nothing more"
    if means.flatten:
        does = f"every position of these accounts is closed at the market, {does}"
    print_sentence(f"kill --standalone: {does}", indent="")
    click.echo(
        f"  run      {printable(str(folder.path))} ({paint(kind, fg='red' if kind == 'LIVE' else None)})"
    )
    click.echo(f"  account  {', '.join(brokers)}")
    if means.when_silent is not None:
        click.echo(f"  when     its engine is silent for {means.when_silent}")
    if kind == "LIVE":
        name = next(iter(brokers))
        if (
            click.prompt(f"Real money. Type the name of the account ({name})", default="", show_default=False)
            == name
        ):
            return
    elif click.confirm("Go on?"):
        return
    raise CommandFailed("kill was not confirmed: nothing was done", FAULT)


def _shown(outcomes: Sequence[Outcome], skipped: Sequence[str], silent: str | None) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "silent": silent,
        "accounts": [
            {
                "account": one.account,
                "venue": one.venue,
                "environment": one.environment,
                "engine_pid": one.engine or None,
                "canceled": one.canceled,
                "closed": one.closed,
                "left": one.left,
                "verified": not one.left,
            }
            for one in outcomes
        ],
        "skipped": list(skipped),
    }


def _show(outcomes: Sequence[Outcome]) -> None:
    for one in outcomes:
        words = [f"{count(len(one.canceled), 'order')} canceled"]
        words += [f"closed: {', '.join(one.closed)}"] if one.closed else []
        words += ["verified at the venue" if not one.left else paint("NOT VERIFIED", fg="red", bold=True)]
        click.echo(f"{printable(one.account)} is KILLED: {', '.join(words)}")
        if one.engine:
            click.echo(
                f"  its engine, process {one.engine}, is fenced: it is KILLED when it wakes, or end it"
            )
