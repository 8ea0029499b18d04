"""The verb that begins a project."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path(), required=False)
@click.option("--template", default="paper", show_default=True, help="What to begin with.")
def init(folder: Path, template: str) -> None:
    """Write a small bot that works.

    FOLDER gets a script, the same engine as a TOML file, and a test. Nothing that is there already is written over.
    """
    from fairlead._cli.scaffold import new_project

    new_project(folder, template)


VERBS = (init,)
