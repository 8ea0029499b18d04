"""What a user may pass as data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairlead._engine.distributions import plugin_class
from fairlead.errors import ConfigurationError
from fairlead.ports import DataStream


def stream_of(data: Any, **options: Any) -> DataStream:
    """A stream over what was passed: a stream already, or a path for the `replay` plugin."""
    if isinstance(data, DataStream):
        return data
    if isinstance(data, str | Path):
        made: DataStream = plugin_class("replay", "fairlead-streams")(data, **options)
        return made
    raise ConfigurationError(
        f"data={type(data).__name__} is neither a path nor a stream: for events in memory use ReplayStream.of(...)"
    )
