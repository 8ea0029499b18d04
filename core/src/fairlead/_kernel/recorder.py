"""Writing down what happens: each fact takes the next number, takes effect, and joins the turn's record."""

from __future__ import annotations

from typing import TypeVar

from fairlead._kernel.apply import apply
from fairlead._kernel.state import State
from fairlead._secrets.scrub import known, scrub
from fairlead.facts import Fact

F = TypeVar("F", bound=Fact)

_WORDS = ("reason", "text", "why", "who", "error", "reasons")
"""Fields that are sentences, of people, venues, plugins and errors; ids and codes are kept as they are."""


class Recorder:
    """The facts of the turn in hand.

    `now` is the time of the input being handled and `cause` its sequence number. `seq` is the last number
    given, to a fact here or to a market event.
    """

    __slots__ = ("batch", "cause", "now", "seq", "state")

    def __init__(self, state: State) -> None:
        self.state = state
        self.seq = state.seq
        self.now = state.now
        self.cause = 0
        self.batch: list[Fact] = []

    def record(self, kind: type[F], **fields: object) -> F:
        """Make a fact of the input in hand and let it take effect; what it says has no secret in it."""
        if known:
            for name in _WORDS:
                text = fields.get(name)
                if type(text) is str:
                    fields[name] = scrub(text)
                elif type(text) is tuple:
                    fields[name] = tuple(map(scrub, text))
        fact = kind(seq=self.seq + 1, now=self.now, cause=self.cause, **fields)
        self.take(fact)
        return fact

    def take(self, fact: Fact) -> None:
        """Let a fact take effect that was made here, with the next number: what `record` does, without its detour."""
        self.seq = fact.seq
        apply(self.state, fact)
        self.batch.append(fact)

    def input(self, kind: type[F], **fields: object) -> F:
        """Make a fact that is an input: its own cause, and that of all facts until the next one."""
        self.cause = self.seq + 1
        return self.record(kind, **fields)
