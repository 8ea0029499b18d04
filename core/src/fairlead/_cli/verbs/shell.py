"""The verbs about the shell."""

from __future__ import annotations

import click

from fairlead._cli import completing


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes a shell complete verbs and names.

    For bash put `eval "$(fairlead completion bash)"` into ~/.bashrc; for zsh the same with zsh into ~/.zshrc; for
    fish `fairlead completion fish | source` into ~/.config/fish/config.fish.
    """
    click.echo(completing.script(shell))


VERBS = (completion,)
