"""The command line as a whole: its verbs in the order in which a newcomer meets them."""

from __future__ import annotations

from typing import Any

import click

from fairlead._cli.faults import CommandFailed, code_of
from fairlead._cli.verbs import (
    accounts,
    beginning,
    books,
    config,
    data,
    engines,
    looking,
    orders,
    plugins,
    runs,
    shell,
    steering,
    trading,
)
from fairlead.errors import FairleadError


class Verbs(click.Group):
    """Ends a command in one sentence where fairlead knows what is wrong."""

    _of_plugins: dict[str, click.Command] | None = None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb."""
        try:
            return super().invoke(ctx)
        except CommandFailed as error:
            _say(error)
            ctx.exit(error.code)
        except FairleadError as error:
            _say(error)
            ctx.exit(code_of(error))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer meets them, not by the alphabet; what plugins bring comes last."""
        return [*self.commands, *self._plugged()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A verb of fairlead, else one of a plugin, which is imported for it."""
        return super().get_command(ctx, cmd_name) or self._plugged().get(cmd_name)

    def _plugged(self) -> dict[str, click.Command]:
        from fairlead._cli.plugged import verbs

        if self._of_plugins is None:
            self._of_plugins = verbs(self.commands)
        return self._of_plugins


def _say(error: Exception) -> None:
    from fairlead._secrets.scrub import scrub

    click.echo(f"fairlead: {scrub(str(error))}", err=True)


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"fairlead {version('fairlead')}")
        ctx.exit()


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Print the version."
)
def cli() -> None:
    """Trade strategies live, on paper or as a backtest.

    Exit codes: 0 ok, 1 fault, 2 usage or configuration, 3 degraded, 4 halted, 5 refused to start.
    """


_AREAS = (
    beginning, trading, looking, engines, steering, orders, books, data, accounts, runs, plugins, config, shell,
)  # fmt: skip
for verb in (verb for area in _AREAS for verb in area.VERBS):
    cli.add_command(verb)
