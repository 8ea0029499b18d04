"""Whatever a file says, it composes an engine or is refused: nothing else comes out."""

import contextlib
import json
import math
import os
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fairlead._config.faults import FaultyConfiguration
from fairlead._config.loading import configure
from fairlead._config.showing import values_of

NAMES = st.sampled_from(
    [
        "engine",
        "strategy",
        "broker",
        "stream",
        "breaker",
        "profile",
        "use",
        "name",
        "run",
        "paper",
        "synthetic",
        "limits",
        "drawdown",
        "limit",
        "cash",
        "symbols",
        "every",
        "max_leverage",
        "live",
        "allocation",
        "instruments",
        "a-b",
        "",
    ]
)
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**62), 2**62),
    st.floats(),
    st.sampled_from(
        [
            "",
            "5s",
            "10%",
            "2_000 USDT",
            "paper",
            "mine.py:InAndOut",
            "secret:X",
            "secret:",
            "\x7f",
            "𝟙",
            "a:b",
        ]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8),
)
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(NAMES, v, max_size=4), max_leaves=20
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=6)


def toml(value: object) -> str:
    """A value as TOML, tables in braces."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: "inf", -math.inf: "-inf"}.get(value, "nan")
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)


def refused_or_made(file: Path, *arguments, **named) -> None:
    """All that may come of it."""
    with contextlib.suppress(FaultyConfiguration):
        configuration = configure(file, *arguments, **named)
        assert all(value.origin for value in values_of(configuration))
        assert all(str(fault) for fault in configuration.faults)
        configuration.engine()


RELAXED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.full
@RELAXED
@given(DOCUMENTS, DOCUMENTS)
def test_any_toml_is_refused_or_made(folder, document, profile):
    """Tables where values belong, values where tables do, any type for any argument."""
    text = "\n".join(
        f"{json.dumps(key)} = {toml(value)}" for key, value in document.items() if key != "profile"
    )
    file = folder / "any.toml"
    file.write_text(f"{text}\nprofile = {{p = {toml(profile)}}}", encoding="utf-8")
    refused_or_made(file)
    refused_or_made(file, "p", live=True, secrets=False)


@pytest.mark.full
@RELAXED
@given(st.text(max_size=200))
@example("\x00")
@example("[a]\n[a.b]\n[[a.b]]")
@example('"\\ud800" = 1')
def test_any_text_is_refused_or_made(folder, text):
    """Not only what is TOML."""
    file = folder / "any.toml"
    file.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
    refused_or_made(file)


@pytest.mark.full
@RELAXED
@given(
    st.lists(
        st.text(max_size=30) | st.builds("breaker.drawdown.{}={}".format, NAMES, st.text(max_size=10)),
        max_size=3,
    ),
    st.dictionaries(
        st.builds("FAIRLEAD__{}".format, st.text("ABENGILRSTK_0", max_size=24)),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12),
        max_size=3,
    ),
)
def test_any_setting_is_refused_or_taken(write, folder, said, environment):
    """From the command line and the environment."""
    with mock.patch.dict(os.environ, environment):
        refused_or_made(write(""), None, said)
