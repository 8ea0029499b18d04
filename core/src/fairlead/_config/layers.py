"""Layers of settings: each says something of some keys, the last that says something of a key wins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

Path = tuple[str, ...]
"""`("engine", key)` or `(section, name, key)`."""

Table = tuple[str, str]
"""`(section, name)`."""


@attrs.frozen
class Setting:
    """A value and who said it. `written` is the text of one that did not come from a file, which types nothing."""

    value: Any
    origin: str
    written: str | None = None


@attrs.define
class Layer:
    """What one place says: the tables it has, in its order, and the settings in them."""

    tables: dict[Table, str] = attrs.Factory(dict)
    settings: dict[Path, Setting] = attrs.Factory(dict)

    def of(self, table: Table) -> dict[str, Setting]:
        """The settings of one table, by key."""
        return {path[2]: setting for path, setting in self.settings.items() if path[:2] == table}

    def engine(self) -> dict[str, Setting]:
        """The settings of the engine, by key."""
        return {path[1]: setting for path, setting in self.settings.items() if path[0] == "engine"}


def merge(layers: Iterable[Layer]) -> Layer:
    """All layers as one, the later over the earlier, key by key.

    A layer that puts another class into a table begins the table anew: its earlier keys were for that class.
    """
    merged = Layer()
    for layer in layers:
        for table, origin in layer.tables.items():
            merged.tables.setdefault(table, origin)
        for path, setting in layer.settings.items():
            if path[-1] == "use" and len(path) == 3 and setting.value != _use(merged, path):
                for stale in [key for key in merged.settings if key[:2] == path[:2]]:
                    del merged.settings[stale]
        merged.settings.update(layer.settings)
    return merged


def _use(merged: Layer, path: Path) -> Any:
    setting = merged.settings.get(path)
    return path[1] if setting is None else setting.value


def shown(path: Iterable[str]) -> str:
    """A path as people write it: `breaker.limits.max_leverage`."""
    return ".".join(path)
