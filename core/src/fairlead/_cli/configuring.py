"""`fairlead config`: what a configuration comes to, and what it may say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from fairlead._cli.faults import USAGE, CommandFailed
from fairlead._cli.loading import composes
from fairlead._cli.tables import print_json, print_table
from fairlead._config.faults import FaultyConfiguration
from fairlead._config.loading import configure
from fairlead._config.schema import schema
from fairlead._config.showing import values_of

SCHEMA = 1
DEFAULT_FILE = Path("fairlead.toml")


def show(file: Path | None, profile: str | None, settings: Sequence[str], live: bool, as_json: bool) -> None:
    """Print every value with its origin, then what is wrong."""
    if file is None and not DEFAULT_FILE.is_file():
        raise CommandFailed(
            f"there is no {DEFAULT_FILE} here: name the file, fairlead config show FILE.toml", USAGE
        )
    file = file or DEFAULT_FILE
    if not composes(file):
        raise CommandFailed(
            f"{file} is no TOML file, and has no settings to show: fairlead check {file} shows what a script composes",
            USAGE,
        )
    configuration = configure(file, profile, settings, live=live)
    values = values_of(configuration)
    error: FaultyConfiguration | None = None
    try:
        configuration.engine()
    except FaultyConfiguration as found:
        error = found
    if as_json:
        faults = error.faults if error is not None else ()
        print_json(
            {
                "schema": SCHEMA,
                "file": str(file),
                "profile": configuration.profile,
                "values": [attrs.asdict(value) for value in values],
                "faults": [{"path": f.path, "text": f.text, "origin": f.origin} for f in faults],
            }
        )
    else:
        print_table([(v.path, v.value, v.origin) for v in values], ("key", "value", "from"))
    if error is not None:
        raise error


def show_schema(as_json: bool) -> None:
    """Print every key that there is."""
    parts = schema()
    if as_json:
        print_json({"schema": SCHEMA, "sections": [_plain(attrs.asdict(part)) for part in parts]})
        return
    rows = []
    for part in parts:
        heading = part.section.heading
        rows += [(heading, "", key.name, key.type, _default(key)) for key in part.keys]
        rows += [
            (heading, plugin.use, key.name, key.type, _default(key))
            for plugin in part.plugins
            for key in plugin.keys
        ]
    print_table(rows, ("section", "use", "key", "type", "default"))


def _default(key: Any) -> str:
    return "(must be given)" if key.required else key.default


def _plain(part: dict[str, Any]) -> dict[str, Any]:
    section = part.pop("section")
    return {"section": section["name"], "purpose": section["purpose"], **part}
