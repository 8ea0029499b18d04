"""Faults at the venue's edge: one vocabulary for all protocols, scripted or by chance, under a seed.

A fault strikes at a request, at an event on its way to a client, at a connection, or now, when a person or a test says
so. What it looks like on the wire is the front's affair. The books behind it stay honest.
"""

from __future__ import annotations

import enum
import random
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Self

import attrs

from fairlead import ConfigurationError, duration, percent


class FaultKind(enum.StrEnum):
    """What goes wrong.

    At a request. `refuse`: refused with `code`, or the protocol's own for an overload. `lose`: never arrives, no
    answer. `delay`: arrives after `lasts`, and is carried out then if the venue still takes it. `lose_answer`: carried
    out, never answered; after `lasts` (0: never) the connection is cut. `delay_answer`: carried out, answered
    after `lasts`; on a socket that is a late reply to a request nobody waits for. `error`: an HTML page with `status`;
    `executed` says whether it was carried out. `unknown`: carried out (unless `executed` is false) and answered with
    the protocol's own "outcome unknown". `reject_later`: acknowledged, then rejected on the stream. `forget`: a query
    is answered as if the venue knew no such order. `rate_limit`: refused for `lasts`, and banned who goes on; `ban`:
    banned at once. `answer_first`: its events wait until its answer was written; `events_first`: its answer waits for
    `lasts` behind its events. `coalesce`: its events leave in one TCP segment.

    At an event. `lose`, `delay`, `duplicate`, and `reorder`: it changes places with the next one.

    At either. `garbage`: bytes that are no JSON. `unknown_field`, `unknown_enum`: fields and words nobody documented.

    At a connection (or at a request or event: then to all streams). `drop`: cut without a word. `close`: closed in good
    order. `shutdown`: announced, then closed. `stall`: alive, but no events for `lasts`. `half_open`: silent, pings
    included, for `lasts`. `expire`: what authorises the stream ends. `tear`: cut in the middle of the next frame.
    `notice`: a message with `code` comes besides, for a request or for all.

    At the venue. `skew`: its clock is wrong `by`. `jump`: time passes at once, `by`. `maintenance`: closed for `lasts`.
    `burst`: `count` public trades at once. `bust`, `correct`: the last execution is taken back, or its price
    corrected by so many `ticks`.
    """

    REFUSE = "refuse"
    LOSE = "lose"
    DELAY = "delay"
    LOSE_ANSWER = "lose_answer"
    DELAY_ANSWER = "delay_answer"
    ERROR = "error"
    UNKNOWN = "unknown"
    REJECT_LATER = "reject_later"
    FORGET = "forget"
    RATE_LIMIT = "rate_limit"
    BAN = "ban"
    ANSWER_FIRST = "answer_first"
    EVENTS_FIRST = "events_first"
    COALESCE = "coalesce"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    GARBAGE = "garbage"
    UNKNOWN_FIELD = "unknown_field"
    UNKNOWN_ENUM = "unknown_enum"
    DROP = "drop"
    CLOSE = "close"
    SHUTDOWN = "shutdown"
    STALL = "stall"
    HALF_OPEN = "half_open"
    EXPIRE = "expire"
    TEAR = "tear"
    NOTICE = "notice"
    SKEW = "skew"
    JUMP = "jump"
    MAINTENANCE = "maintenance"
    BURST = "burst"
    BUST = "bust"
    CORRECT = "correct"


def _signed(text: str | int) -> int:
    """A duration that may be negative, `"-2s"`, in ns."""
    return -duration(text[1:]) if isinstance(text, str) and text.startswith("-") else duration(text)


def _chance(value: str | float) -> float:
    return float(percent(value))


@attrs.frozen(kw_only=True)
class Fault:
    """One fault.

    `on` says where, as a pattern for any of a place's labels: `order`, `cancel`, `POST /api/v3/order`, `order.place`,
    `event:order`, `executionReport`, `connect`. It strikes the `at`-th such place (1 is the first) and the `times - 1`
    after it (0: all); with a `chance` any, by chance. Durations are in ns or texts.
    """

    kind: FaultKind = attrs.field(converter=FaultKind)
    on: str = "order"
    at: int = 1
    times: int = 1
    chance: float = attrs.field(default=0.0, converter=_chance)
    lasts_ns: int = attrs.field(default=0, converter=duration, alias="lasts")
    by_ns: int = attrs.field(default=0, converter=_signed, alias="by")
    status: int = 503
    code: int | str = 0
    count: int = 1000
    ticks: int = 1
    executed: bool = True

    @classmethod
    def of(cls, words: Mapping[str, Any]) -> Self:
        """Read the words of a table. Raises ConfigurationError."""
        known = [field.alias for field in attrs.fields(cls)]
        unknown = [word for word in words if word not in known]
        if unknown:
            raise ConfigurationError(f"a fault has no {unknown[0]!r}: it has {', '.join(map(str, known))}")
        try:
            return cls(**words)
        except (TypeError, ValueError, ConfigurationError) as error:
            shown = ", ".join(f"{key} = {value!r}" for key, value in words.items())
            raise ConfigurationError(
                f"{shown} is no fault ({error}): write kind = one of {', '.join(FaultKind)}, and what it needs"
            ) from error


@attrs.frozen(kw_only=True)
class FaultPlan:
    """Faults under a seed."""

    faults: tuple[Fault, ...] = ()
    seed: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read TOML: `seed = 7` and any number of `[[fault]]` tables. Raises ConfigurationError."""
        try:
            return cls.of(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(f"the fault plan is no TOML ({error})") from error

    @classmethod
    def of(cls, words: Mapping[str, Any]) -> Self:
        """Read what TOML or JSON says: `seed` and `fault`, a list of tables. Raises ConfigurationError."""
        seed, tables = words.get("seed", 0), words.get("fault", [])
        strange = [word for word in words if word not in {"seed", "fault"}]
        if strange or not isinstance(seed, int) or not isinstance(tables, list):
            what = strange[0] if strange else "seed" if not isinstance(seed, int) else "fault"
            raise ConfigurationError(
                f"the fault plan says {what!r}: write seed = NUMBER and [[fault]] tables, nothing else"
            )
        return cls(faults=tuple(Fault.of(table) for table in tables), seed=seed)

    def words(self) -> dict[str, Any]:
        """The same as `of` reads it."""
        names = {field.name: field.alias for field in attrs.fields(Fault)}
        tables = [
            {names[name]: value for name, value in attrs.asdict(fault, recurse=False).items()}
            for fault in self.faults
        ]
        return {"seed": self.seed, "fault": tables}

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a file. Raises ConfigurationError."""
        try:
            return cls.parse(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigurationError(f"fault plan {file}: {error.strerror}") from error


class Faults:
    """A plan at work: it counts the places that each fault could strike at."""

    def __init__(self, plan: FaultPlan) -> None:
        self._random = random.Random(plan.seed)
        self._waiting: list[tuple[Fault, list[int]]] = [(fault, [0]) for fault in plan.faults]

    def add(self, fault: Fault) -> None:
        """One more; it counts from now."""
        self._waiting.append((fault, [0]))

    def clear(self) -> None:
        """None any more."""
        self._waiting.clear()

    def strike(self, labels: Sequence[str], kinds: Iterable[FaultKind] | None = None) -> list[Fault]:
        """What goes wrong at this place, in the order of the plan; each that could have is counted."""
        struck = []
        for fault, seen in self._waiting:
            if kinds is not None and fault.kind not in kinds:
                continue
            if not any(fnmatchcase(label, fault.on) for label in labels):
                continue
            seen[0] += 1
            if fault.chance:
                hit = self._random.random() < fault.chance
            else:
                hit = seen[0] >= fault.at and (not fault.times or seen[0] < fault.at + fault.times)
            if hit:
                struck.append(fault)
        return struck
