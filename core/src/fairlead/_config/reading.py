"""A configuration file as layers: one for what it says, one for each of its profiles, every value with its line."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import attrs

from fairlead._config import layers
from fairlead._config.faults import Fault, FaultyConfiguration, suggestion
from fairlead._config.layers import Layer, Setting, shown
from fairlead._config.sections import PROFILE, PROFILE_KEY, SECTIONS

_MOST_BYTES = 1_000_000
_PLACE = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_HEADER = re.compile(r"\s*\[\[?([^\[\]=]+)\]\]?\s*(?:#.*)?")
_KEY = re.compile(r"""\s*((?:[\w.\- ]|"[^"]*"|'[^']*')+?)\s*=""")


@attrs.define
class Document:
    """What a file says, and what is wrong with how it says it."""

    file: Path
    base: Layer
    profiles: dict[str, Layer]
    faults: list[Fault]


def read_document(file: Path) -> Document:
    """Read a file. Raises FaultyConfiguration where it cannot be read or is no TOML."""
    text = _text(file)
    try:
        parsed = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.fullmatch(str(error))
        said, line, column = place.groups() if place else (str(error), None, None)
        where = f"line {line}, column {column}" if line else "the end of the file"
        fault = Fault("", f"{said}: repair the TOML there (text stands in quotes, a table once)", where)
        raise FaultyConfiguration(str(file), [fault]) from None
    except RecursionError:
        raise FaultyConfiguration(
            str(file), [Fault("", "it is nested too deeply: a section has names, and names have keys")]
        ) from None
    reader = _Reader(file, _lines(text))
    profiles = parsed.pop(PROFILE, {})
    base = reader.layer(parsed, ())
    if not _is_table_of_tables(profiles):
        reader.fault((PROFILE,), "a profile is a table: write [profile.paper] and the sections under it")
        profiles = {}
    found = {name: reader.layer(tables, (PROFILE, name)) for name, tables in profiles.items()}
    return Document(file, base, found, reader.faults)


def _text(file: Path) -> str:
    try:
        with open(file, "rb") as opened:
            raw = opened.read(_MOST_BYTES + 1)
        if len(raw) > _MOST_BYTES:
            raise FaultyConfiguration(
                str(file), [Fault("", f"it is larger than {_MOST_BYTES:,} bytes: give a TOML file")]
            )
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        said = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise FaultyConfiguration(
            str(file), [Fault("", f"it cannot be read ({said}): give a file that composes an engine")]
        ) from None
    except UnicodeDecodeError:
        raise FaultyConfiguration(str(file), [Fault("", "it is not UTF-8: save it as such")]) from None


def _is_table_of_tables(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(inner, dict) for inner in value.values())


class _Reader:
    """Takes tables apart, and notes what cannot be a table or a setting."""

    def __init__(self, file: Path, lines: dict[layers.Path, int]) -> None:
        self._file = file
        self._lines = lines
        self.faults: list[Fault] = []

    def layer(self, tables: dict[str, Any], under: layers.Path) -> Layer:
        """The sections of a file, or of one of its profiles."""
        layer = Layer()
        for name, content in tables.items():
            path = (*under, name)
            if name not in SECTIONS:
                nested = name == PROFILE
                what = "a profile in a profile" if nested else "no such section"
                self.fault(path, f"{what}: {suggestion('' if nested else name, SECTIONS)}")
            elif not isinstance(content, dict):
                self.fault(path, f"it is a value: write it as a table, {SECTIONS[name].heading}")
            elif name == "engine":
                for key, value in content.items():
                    if under and key == PROFILE_KEY:
                        self.fault((*path, key), "a profile cannot choose another: say it in [engine]")
                    layer.settings[name, key] = self._setting(value, (*path, key), under)
            else:
                self._named(layer, name, content, under)
        order = sorted(layer.tables, key=lambda table: self._lines.get((*under, *table), 0))
        layer.tables = {
            table: layer.tables[table] for table in order
        }  # TOML has them by section, the file as it is read
        return layer

    def _named(self, layer: Layer, section: str, content: dict[str, Any], under: layers.Path) -> None:
        for name, table in content.items():
            path = (*under, section, name)
            if not isinstance(table, dict):
                self.fault(
                    path,
                    f"a {section} has a name: write [{shown((*under, section))}.NAME] with {name} in it",
                )
                continue
            layer.tables[section, name] = self._origin(path, under)
            for key, value in table.items():
                layer.settings[section, name, key] = self._setting(value, (*path, key), under)

    def _setting(self, value: Any, path: layers.Path, under: layers.Path) -> Setting:
        return Setting(value, self._origin(path, under))

    def _origin(self, path: layers.Path, under: layers.Path) -> str:
        place = f"{self._file.name}:{self._lines[path]}" if path in self._lines else self._file.name
        return f"profile {under[1]}, {place}" if under else place

    def fault(self, path: layers.Path, text: str) -> None:
        """Note what is wrong."""
        self.faults.append(Fault(shown(path), text, self._origin(path, ())))


def _lines(text: str) -> dict[layers.Path, int]:
    """The line of each table and key, told by how they look: a text of several lines may shift one, and no more."""
    found: dict[layers.Path, int] = {}
    table: layers.Path = ()
    for number, line in enumerate(text.split("\n"), 1):
        if header := _HEADER.fullmatch(line):
            table = _keys(header[1])
            for end in range(1, len(table) + 1):
                found.setdefault(table[:end], number)
        elif key := _KEY.match(line):
            path = (*table, *_keys(key[1]))
            for end in range(len(table) + 1, len(path) + 1):
                found.setdefault(path[:end], number)
    return found


def _keys(text: str) -> layers.Path:
    """The parts of a dotted key."""
    try:
        level: Any = tomllib.loads(f"{text} = 0")
    except tomllib.TOMLDecodeError:
        return ()
    path: list[str] = []
    while isinstance(level, dict):
        name, level = next(iter(level.items()))
        path.append(name)
    return tuple(path)
