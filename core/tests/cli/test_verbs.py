"""Nothing advertises a command that does not exist."""

import re
from pathlib import Path

import click

from fairlead._cli.app import cli

ROOT = Path(__file__).parents[3]
ADVERTISED = [
    ROOT / "dev",
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").glob("*.py")),
    *sorted(
        path for folder in ("core", "plugins/*", "brokers/*") for path in ROOT.glob(f"{folder}/README.md")
    ),
    *sorted(
        path for folder in ("core", "plugins/*", "brokers/*") for path in ROOT.glob(f"{folder}/src/**/*.py")
    ),
]
CALL = re.compile(r"(?:`|\./dev )fairlead ((?:[a-z-]+ ?)+)")
LINE = re.compile(r"^\s*fairlead ((?:[a-z-]+ ?)+)", re.MULTILINE)


def calls() -> list[tuple[str, list[str]]]:
    """Every `fairlead VERB` in backticks, after ./dev or on a line of its own in an example, and where it stands."""
    return [
        (path.relative_to(ROOT).as_posix(), found[1].split())
        for path in ADVERTISED
        for call in ([CALL, LINE] if path.parent.name == "examples" else [CALL])
        for found in call.finditer(path.read_text(encoding="utf-8"))
    ]


def unknown(words: list[str]) -> str:
    """The first word that is no verb where one must stand; "" for a call that exists."""
    group: click.Command = cli
    for word in words:
        if not isinstance(group, click.Group):
            return ""
        found = group.get_command(click.Context(group), word)
        if found is None:
            return word
        group = found
    return ""


def test_every_verb_in_messages_documentation_and_scripts_exists() -> None:
    """What a message, a page, an example or ./dev tells a user to call can be called."""
    assert unknown(["journal", "verify", "runs"]) == ""
    assert unknown(["accounts", "move"]) == "accounts"
    assert len(calls()) > 8
    assert [(where, words) for where, words in calls() if unknown(words)] == []
