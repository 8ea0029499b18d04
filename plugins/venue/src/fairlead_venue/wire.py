"""What passes a venue's edge: calls, replies, and the log of both that a test can look into."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from fairlead_venue.faults import Fault, FaultKind

if TYPE_CHECKING:
    from fairlead_venue.channel import Channel


@attrs.frozen
class Reply:
    """An answer. `body` is the text as it is written; `headers` matter over HTTP only."""

    body: str | bytes = ""
    status: int = 200
    headers: Mapping[str, str] = attrs.Factory(dict)
    content_type: str = "application/json"


@attrs.define(eq=False)
class Call:
    """One request over any transport.

    `labels` say what it is, for faults and for people: the common word (`order`, `cancel`, `amend`, `query`, `account`,
    `market`, `connect`, `subscribe`, `session`), then the protocol's own names. `query` and `body` are as they came,
    `params` as the front reads them. `after` runs once its answer was written, or would have been.
    """

    method: str
    path: str
    labels: Sequence[str] = ()
    query: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = attrs.Factory(dict)
    params: dict[str, Any] = attrs.Factory(dict)
    channel: Channel | None = None
    faults: list[Fault] = attrs.Factory(list)
    after: list[Callable[[], None]] = attrs.Factory(list)

    def struck(self, kind: FaultKind) -> Fault | None:
        """The fault of this kind that struck it, if one did."""
        return next((fault for fault in self.faults if fault.kind is kind), None)


SECRET = frozenset({"signature", "apikey", "api_key", "x-mbx-apikey", "listenkey", "password", "token"})
"""Parameters that no log shows."""


@attrs.define(eq=False)
class Seen:
    """A request as the log has it: `outcome` is the status of its answer, or "lost", "unanswered" or "open"."""

    number: int
    at_ns: int
    method: str
    path: str
    labels: tuple[str, ...]
    params: dict[str, Any]
    faults: tuple[str, ...] = ()
    outcome: str = "open"


class RequestLog:
    """The last requests that arrived, and who waits for more of them."""

    def __init__(self, keep: int = 10_000) -> None:
        self.seen: deque[Seen] = deque(maxlen=keep)
        self._count = 0
        self._listeners: list[Callable[[], None]] = []

    def add(self, call: Call, at_ns: int) -> Seen:
        """Note a request; its secrets are left out."""
        self._count += 1
        shown = {key: value for key, value in call.params.items() if key.lower() not in SECRET}
        seen = Seen(
            self._count, at_ns, call.method, call.path, tuple(call.labels), shown,
            tuple(fault.kind.value for fault in call.faults),
        )  # fmt: skip
        self.seen.append(seen)
        self.changed()
        return seen

    def end(self, seen: Seen, outcome: str) -> None:
        """Note what became of it."""
        seen.outcome = outcome
        self.changed()

    def listen(self, callback: Callable[[], None]) -> None:
        """Be told of each change."""
        self._listeners.append(callback)

    def forget(self, callback: Callable[[], None]) -> None:
        """Tell it no more."""
        self._listeners.remove(callback)

    def changed(self) -> None:
        """Something that a test may wait for happened."""
        for listener in list(self._listeners):
            listener()
