"""No new risk over a connection that is down."""

from __future__ import annotations

from typing import Any

from fairlead import duration_text
from fairlead.facts import EngineStarted, FeedChanged, FillsListed, StreamChanged
from fairlead.ports import Trip, View
from fairlead_breakers._latch import DAY, Act, Latch, span
from fairlead_breakers._shared import next_full


class Disconnect(Latch):
    """Trips an account whose private stream is down for `after`, and the engine for a data stream that is.

    Scope: account; engine for a data stream, because what it serves cannot be told apart. Evaluation: when it has been
    down for so long. Action: reduce-only. Reset: once clean, that is when the stream is up and, for an account, the
    venue has listed the fills missed meanwhile. Nothing is unknown. The trip survives a restart, which connects all
    anew or does not start. Ten seconds is a reconnect that did not succeed at once.
    """

    wants = (StreamChanged, FeedChanged, FillsListed, EngineStarted)

    def __init__(self, after: str = "10s", *, action: Act = "reduce_only", name: str = "Disconnect") -> None:
        super().__init__(name, action, "manual")
        self._after = span(name, "after", after)
        self._down: dict[str, int] = {}
        self._unlisted: dict[str, int] = {}
        self._rest: list[str] = []

    def _seen(self, item: Any, view: View) -> Trip | None:
        if item is None:
            return self._look(view)
        if isinstance(item, EngineStarted):
            self._down, self._unlisted = {}, {}
        elif isinstance(item, FillsListed):
            if item.until_ns >= self._unlisted.get(item.account, item.until_ns + 1):
                del self._unlisted[item.account]
        else:
            account = isinstance(item, StreamChanged)
            key = f"account:{item.account}" if account else f"stream {item.stream}"
            if not item.up:
                self._down.setdefault(key, view.now)
            elif self._down.pop(key, None) is not None and account:
                self._unlisted[item.account] = view.now
        return None

    def _look(self, view: View) -> Trip | None:
        """Report what has been down for long enough; a look reports one, the next follows at once."""
        self._rest = [key for key in self._rest if key in self._down]
        if not self._rest:
            self._rest = [key for key, since in self._down.items() if view.now >= since + self._after]
        if not self._rest:
            return None
        key = self._rest.pop(0)
        what = key if key.startswith("stream ") else f"the private stream of {key.removeprefix('account:')}"
        scope = "engine" if key.startswith("stream ") else key
        return self._trip(f"{what} has been down for {duration_text(self._after)}", scope, view)

    def due(self, view: View) -> int:
        """When the next one has been down for long enough; at once while there is more to report."""
        if self._rest:
            return view.now
        ahead = [since + self._after for since in self._down.values()]
        return min(
            (due for due in ahead if due > view.now), default=next_full(self._after if ahead else DAY, view)
        )

    def clean(self, scope: str, view: View) -> bool:
        """Whether it is up again, and nothing was missed."""
        if scope == "engine":
            return not any(key.startswith("stream ") for key in self._down)
        return scope not in self._down and scope.removeprefix("account:") not in self._unlisted

    def save(self) -> bytes:
        """Nothing: a start connects anew."""
        return b""

    def load(self, saved: bytes) -> None:
        """Nothing."""
