"""Arguments and options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fairlead._cli import completing

if TYPE_CHECKING:
    from fairlead._cli.steering import Manner

F = TypeVar("F", bound=Callable[..., Any])

SCRIPT = click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON with a stable schema.")


def chosen(run: str | None, option: str | None) -> str | None:
    """The run that was named, as an argument or an option. Raises UsageError where these are two."""
    if run is not None and option is not None and run != option:
        raise click.UsageError(f"RUN is {run} and --run is {option}: give one of them.")
    return run if run is not None else option


class Place(click.Path):
    """A path or a name that must be said: nothing at all would mean the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path. Fails for an empty one."""
        if value == "":
            self.fail("nothing is named: write a folder, or leave it out.", param, ctx)
        return super().convert(value, param, ctx)


_RUN = Place(readable=False)
_SOME_RUN = click.argument("run", required=False, metavar="[RUN]", type=_RUN, shell_complete=completing.runs)
RUN_OPTION = click.option(
    "--run",
    "run_option",
    metavar="RUN",
    type=_RUN,
    shell_complete=completing.runs,
    help="Which engine: its run's folder or name; the only one that runs without it.",
)


def one_run(command: F) -> F:
    """RUN as an argument or an option; neither is the only engine of this host."""
    return _SOME_RUN(RUN_OPTION(command))


def run_folder(command: F) -> F:
    """RUN as an argument or an option, as the path of its folder: of a run that need not live."""
    from functools import wraps

    @wraps(command)
    def named(run: str | None, run_option: str | None, **others: Any) -> Any:
        found = chosen(run, run_option)
        if found is None:
            raise click.UsageError("No run is named: give the folder of one, as RUN or --run RUN.")
        return command(run=Path(found), **others)

    return one_run(named)  # type: ignore[return-value]


MANNER = (
    click.option("--why", default="", metavar="TEXT", help="The reason; it is written into the journal."),
    click.option("--yes", "-y", is_flag=True, help="Do not ask."),
    click.option(
        "--request", default="", metavar="ID", help="Sent again under the same ID, it is done once."
    ),
    JSON,
)


def need_reason(what: str, options: dict[str, Any]) -> None:
    """Raises UsageError where no reason is given for what must have one."""
    if not options["why"].strip():
        raise click.UsageError(f"{what} needs a reason, which the journal keeps: add --why TEXT.")


def with_options(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options at once, in this order."""

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def manner_of(run: str | None, options: dict[str, Any]) -> Manner:
    """How a command is to be given, from `MANNER`'s options."""
    from fairlead._cli.steering import Manner

    return Manner(
        run=run,
        why=options["why"],
        request=options["request"],
        yes=options["yes"],
        as_json=options["as_json"],
    )


_SETTINGS = (
    click.option("--profile", metavar="NAME", help="Profile of FILE.toml, such as paper, testnet or live."),
    click.option(
        "--set",
        "settings",
        metavar="KEY=VALUE",
        multiple=True,
        help="Change a setting, such as breaker.limits.max_leverage=2; may be repeated.",
    ),
)


def settings_options(command: Any) -> Any:
    """What is said over a file's settings."""
    return with_options(*_SETTINGS)(command)


_DATA = (
    click.option("--tz", metavar="ZONE", help="Zone of times that have none: UTC, Europe/Berlin."),
    click.option("--volume-unit", type=click.Choice(["base", "quote"]), help="What volumes count."),
    click.option(
        "--bar-label", type=click.Choice(["open", "close"]), help="Which end of a bar its time marks."
    ),
    click.option("--tick", help="Price step; the finest decimal of the first rows without it."),
    click.option("--fee", help="Fee ratio, such as 0.0005, or 0.05%."),
    click.option("--interval", help="Length of the bars, where the file does not tell."),
    click.option(
        "--kind", type=click.Choice(["bars", "quotes", "trades"]), help="What the rows are, if unclear."
    ),
    click.option(
        "--columns", metavar="ROLE=COLUMN,..", help="Columns of other names, such as close=settle,volume=vol."
    ),
    click.option(
        "--on-fault",
        type=click.Choice(["refuse", "skip"]),
        help="Rows that cannot be used; skip leaves them out.",
    ),
)


def data_options(command: Any) -> Any:
    """What a data file may leave unsaid."""
    return with_options(*_DATA)(command)
