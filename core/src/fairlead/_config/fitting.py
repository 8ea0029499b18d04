"""Whether a value of a file fits what an argument is annotated with, and what it becomes."""

from __future__ import annotations

import datetime
import enum
import json
import re
import types
import typing
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Mapping,
    MutableMapping,
    MutableSequence,
    Sequence,
    Set,
)
from decimal import Decimal
from math import isfinite
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import attrs

from fairlead._config.faults import suggestion
from fairlead._config.signatures import MISSING, signature_of
from fairlead._secrets.scrub import remember
from fairlead._secrets.secret import PREFIX, Secret
from fairlead.errors import ConfigurationError
from fairlead.units import Money, decimal

_LISTS: dict[Any, Callable[[list[Any]], Any]] = {
    list: list, Sequence: list, MutableSequence: list, Iterable: list, Collection: list,
    tuple: tuple, set: set, frozenset: frozenset, Set: frozenset,
}  # fmt: skip
_TABLES = (dict, Mapping, MutableMapping)
_NUMBERS = (int, float, Decimal)
_PLAIN = (str, int, float, bool, datetime.datetime, datetime.date, datetime.time)


_KEY_LENGTH = 12
"""A text of this length, where a secret belongs, is one; a shorter may be a word that faults are said with."""

_SCRIPT = "only in a script"


class Misfit(Exception):
    """A value does not fit; `inside` is where in it, such as `[2]` or `.tick`."""

    def __init__(self, text: str, inside: str = "") -> None:
        super().__init__(text)
        self.inside = inside


@attrs.frozen
class Fitter:
    """Fits the values of one file: paths and `.env` are looked for beside it."""

    folder: Path

    def fit(self, value: Any, wanted: Any, *, default: Any = MISSING, written: str | None = None) -> Any:
        """The value as the argument takes it. Raises Misfit.

        `written` is the text of a value that no TOML has typed: it may be text as well as what TOML would make of it.
        """
        try:
            return self._fit(value, wanted, default, beside=self.folder if written is None else Path())
        except Misfit:
            if written is None or written == value:
                raise
            try:
                return self._fit(written, wanted, default, beside=Path())
            except Misfit:
                pass
            raise

    def _fit(self, value: Any, wanted: Any, default: Any, beside: Path) -> Any:
        options = options_of(wanted)
        _refuse_odd(value, default)
        if Secret in options or (isinstance(value, str) and value.startswith(PREFIX)):
            return self._secret(value, options)
        if isinstance(value, str) and any(map(_is_path, options)):
            return _path(value, beside)
        for option in options:  # as it is, before anything is converted
            if (fitted := _exact(value, option)) is not MISSING:
                return fitted
        reasons: list[Misfit] = []
        for option in options:
            try:
                if (fitted := self._converted(value, option, beside)) is not MISSING:
                    return fitted
            except Misfit as error:
                reasons.append(error)
        if len(reasons) == 1:
            raise reasons[0]
        if words_of(wanted) == _SCRIPT:
            raise Misfit(
                "it takes an object of code: compose the engine in a script to give one, or leave it out"
            )
        raise Misfit(
            f"it must be {_with_articles(wanted)}, and is {_shown(value)}: {_remedy(value, options)}"
        )

    def _secret(self, value: Any, options: Sequence[Any]) -> Secret:
        if not isinstance(value, str) or not value.startswith(PREFIX):
            if isinstance(value, str) and len(value) >= _KEY_LENGTH:
                remember(value)  # it should not have been there: at least it goes no further
            raise Misfit(
                f'it is a secret, and a file is no place for one: write "{PREFIX}NAME", and put the text into the '
                f"environment or a .env file"
            )
        if Secret not in options:
            raise Misfit(
                "it is given a secret, and takes plain text, which can get into logs: it can only be given one where "
                "its code says fairlead.Secret"
            )
        try:
            return Secret(value.removeprefix(PREFIX), folder=self.folder)
        except ConfigurationError as error:
            raise Misfit(str(error)) from None

    def _converted(self, value: Any, option: Any, beside: Path) -> Any:
        """The value converted to one type, MISSING where it is of another kind."""
        origin = typing.get_origin(option) or option
        if origin in _LISTS and isinstance(value, list):
            return self._list(value, origin, typing.get_args(option), beside)
        if origin in _TABLES and isinstance(value, dict):
            inner = (typing.get_args(option) or (str, Any))[1]
            return {key: self._inside(item, inner, f".{key}", beside) for key, item in value.items()}
        if option is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if not isinstance(option, type):
            return MISSING
        if attrs.has(option) and isinstance(value, dict):
            return self._made(option, value, beside)
        if isinstance(value, str):
            return _from_text(value, option)
        if option is Decimal and isinstance(value, int | float) and not isinstance(value, bool):
            return decimal(value)
        return MISSING

    def _list(self, value: list[Any], origin: Any, arguments: tuple[Any, ...], beside: Path) -> Any:
        inner: Sequence[Any]
        if origin is tuple and arguments and arguments[-1] is not Ellipsis:
            if len(value) != len(arguments):
                raise Misfit(
                    f"it must be a list of {len(arguments)}, and has {len(value)}: write all of them"
                )
            inner = arguments
        else:
            inner = [arguments[0] if arguments else Any] * len(value)
        fitted = [
            self._inside(item, kind, f"[{index}]", beside)
            for index, (item, kind) in enumerate(zip(value, inner, strict=True))
        ]
        return _LISTS[origin](fitted)

    def _inside(self, value: Any, wanted: Any, where: str, beside: Path) -> Any:
        try:
            return self._fit(value, wanted, MISSING, beside)
        except Misfit as error:
            raise Misfit(str(error), where + error.inside) from None

    def _made(self, kind: type, table: dict[str, Any], beside: Path) -> Any:
        """An object of a class of values, such as an Instrument, from a table."""
        parameters = signature_of(kind).parameters
        for key in table:
            if key not in parameters:
                raise Misfit(f"{kind.__name__} has no {key!r}: {suggestion(key, parameters)}")
        lacking = [name for name, p in parameters.items() if p.required and name not in table]
        if lacking:
            raise Misfit(f"{kind.__name__} needs {', '.join(lacking)}: write {lacking[0]} = ...")
        values = {
            key: self._inside(item, parameters[key].kind, f".{key}", beside) for key, item in table.items()
        }
        try:
            return kind(**values)
        except (ConfigurationError, TypeError, ValueError) as error:
            raise Misfit(str(error)) from None


def _refuse_odd(value: Any, default: Any) -> None:
    """What no argument takes, whatever its type."""
    if isinstance(value, float) and not isfinite(value):
        raise Misfit(
            f"it is {value}, which is no number to trade by: write a finite one, or leave the line out"
        )
    if isinstance(value, str) and not value.strip() and default != "":
        raise Misfit("it is empty: write a value, or leave the line out")
    if isinstance(value, datetime.datetime) and value.tzinfo is None:
        raise Misfit(f"it is a time without a zone: write {value.isoformat()}Z, or with another zone")


def _path(text: str, beside: Path) -> Path:
    """A path seen from a folder, `~` for somebody's home."""
    try:
        path = beside / Path(text).expanduser()
    except RuntimeError:
        raise Misfit(f"{text!r} is in the home of nobody known here: write the path in full") from None
    if "\0" in text:
        raise Misfit("it is no path: it has a character that no path can have, so write another")
    return path


def _exact(value: Any, option: Any) -> Any:
    """The value as it is, where it is of this type already."""
    if option is Any or option is object:
        _refuse_nested(value)
        return value
    if typing.get_origin(option) is Literal:
        words = typing.get_args(option)
        return value if any(value == word and type(value) is type(word) for word in words) else MISSING
    return value if type(value) is option and option in _PLAIN else MISSING


def _refuse_nested(value: Any) -> None:
    """In a value that nothing is known of, what would be refused anywhere else."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in items:
        _refuse_odd(item, "")
        if isinstance(item, str) and item.startswith(PREFIX):
            raise Misfit(
                "it holds a secret where plain text is taken: only what its code calls a Secret takes one"
            )
        _refuse_nested(item)


def _from_text(text: str, kind: type) -> Any:
    """What a text means to a type that is written as text."""
    try:
        if kind is Decimal:
            return decimal(text)
        if kind is Money:
            return Money.parse(text)
    except ConfigurationError as error:
        raise Misfit(str(error)) from None
    if kind is datetime.datetime:
        try:
            when = datetime.datetime.fromisoformat(text)
        except ValueError:
            raise Misfit(f"{text!r} is no time: write 2024-01-31T00:00:00Z") from None
        _refuse_odd(when, MISSING)
        return when
    if issubclass(kind, enum.Enum):
        for member in kind:
            if text in (member.value, member.name):
                return member
        names = [str(member.value) for member in kind]
        raise Misfit(
            f"{text!r} is none of {', '.join(names)}: {suggestion(text, names, 'write one of them')}"
        )
    return MISSING


# --- in words ---------------------------------------------------------------------------------------------------


def options_of(wanted: Any) -> list[Any]:
    """The types that an annotation allows, None left out: a file has no word for it, one leaves the line out."""
    if typing.get_origin(wanted) is typing.Annotated:
        return options_of(typing.get_args(wanted)[0])
    if isinstance(wanted, typing.NewType):
        return options_of(wanted.__supertype__)
    if isinstance(wanted, typing.TypeVar) or wanted is MISSING:
        return [Any]
    if typing.get_origin(wanted) in (typing.Union, types.UnionType):
        found = [option for inner in typing.get_args(wanted) for option in options_of(inner)]
        return [option for option in found if option is not types.NoneType]
    return [types.NoneType] if wanted is None else [wanted]


def words_of(wanted: Any) -> str:
    """An annotation in the words of a file: `text or number`."""
    options = options_of(wanted)
    if Secret in options:
        return "secret"
    words = [word for option in options if (word := _word(option))]
    if any(map(_is_path, options)):
        words = [word for word in words if word != "text"]
    if "number" in words:
        words = [word for word in words if word != "whole number"]
    return " or ".join(dict.fromkeys(words)) or _SCRIPT


_WORDS: dict[Any, str] = {
    str: "text", int: "whole number", float: "number", Decimal: "number", bool: "true or false", Money: "money",
    datetime.datetime: "time", datetime.date: "date", datetime.time: "time of day", Any: "any value",
    object: "any value",
}  # fmt: skip


def _word(option: Any) -> str:
    if option in _WORDS:
        return _WORDS[option]
    origin, arguments = typing.get_origin(option) or option, typing.get_args(option)
    if origin is Literal:
        return " or ".join(json.dumps(word) for word in arguments)
    if origin in _LISTS:
        known = arguments and words_of(arguments[0]) != "any value"
        return f"list of {_inner(arguments[0])}" if known else "list"
    if origin in _TABLES:
        return f"table of {_inner(arguments[1])}" if len(arguments) == 2 else "table"
    if _is_path(option):
        return "path"
    if isinstance(option, type):
        if issubclass(option, enum.Enum):
            return " or ".join(json.dumps(str(member.value)) for member in option)
        if attrs.has(option) and not getattr(option, "_is_protocol", False):
            return f"table ({option.__name__})"
    return ""


def _inner(wanted: Any) -> str:
    words = words_of(wanted)
    return f"({words})" if " or " in words else words


def _with_articles(wanted: Any) -> str:
    return re.sub(
        r"(?<!of )\b(whole number|number|time|date|path|list|table)\b", r"a \1", words_of(wanted)
    ).replace("whole a number", "whole number")


def _is_path(option: Any) -> bool:
    origin = typing.get_origin(option) or option
    return origin is PathLike or (isinstance(origin, type) and issubclass(origin, Path))


def _shown(value: Any) -> str:
    """A value and what it is, in a fault."""
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    if isinstance(value, str):
        return f"the text {_short(json.dumps(value, ensure_ascii=False))}"
    if isinstance(value, int | float):
        return f"the number {_short(str(value))}"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a table"
    return f"the {type(value).__name__} {value}"


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _remedy(value: Any, options: Sequence[Any]) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    literals = [word for o in options if typing.get_origin(o) is Literal for word in typing.get_args(o)]
    if literals and isinstance(value, str):
        return suggestion(value, map(str, literals), "write one of them")
    if Money in options and number:
        return f'write it with its currency, "{value} USDT"'
    if str in options and number:
        return f'write it in quotes, with its unit if it has one, "{value}"'
    if isinstance(value, str) and any(kind in options for kind in _NUMBERS):
        try:
            return f"write {decimal(value)} without quotes"
        except ConfigurationError:
            return "write a number, without a unit and without quotes"
    if isinstance(value, str) and bool in options:
        return "write true or false, without quotes"
    if isinstance(value, list):
        return "write one value, without brackets"
    if any((typing.get_origin(option) or option) in _LISTS for option in options):
        return "write it in brackets, [ ]"
    return "write it as that, or leave the line out"
