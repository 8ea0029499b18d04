"""Bybit over HTTP: the seam to the SDK, which signs and asks; nothing else here knows that there is one.

It blocks, so it runs in threads; every retry of its own is off.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from fairlead import ConnectivityError, VenueError, duration
from fairlead.net import VenueClock, Weights, Workers
from fairlead_bybit.codes import BANNED, CLOCK, Refusal
from fairlead_bybit.credentials import Credentials
from fairlead_bybit.places import Places

SECOND = duration("1s")
WINDOW_MS = 5000
"""The recv_window of questions, of a clock that is right."""

_THREADS = 4
_BAN_NS = duration("10m")
_MEASURED_NS = duration("5m")
_RATE, _KEPT = 40, 5


class Rest:
    """HTTP requests. `now` is our own clock; `clock` is the venue's, `weights` what it still takes.

    Without credentials only what is public can be asked for. Nothing is ever asked for twice by itself. An answer takes
    `seconds` at most. Before `shut_ns` of our clock Bybit takes no orders either: it said so.
    """

    def __init__(
        self,
        places: Places,
        now: Callable[[], int],
        credentials: Credentials | None = None,
        *,
        seconds: float = 10.0,
    ) -> None:
        self.clock = VenueClock(now, self._time)
        # 50 questions a second is what an account has, 600 in five seconds an address: the lower of both.
        self.weights = Weights(_RATE, SECOND, now, kept=_KEPT)
        self._now = now
        self._places = places
        self._credentials = credentials
        self._workers: Workers | None = Workers(_THREADS, "fairlead-bybit")
        self._local = threading.local()
        self._clients: list[Any] = []
        self._doubtful = False
        self._seconds = seconds
        self.shut_ns = 0

    async def close(self) -> None:
        """Let the connections go; harmless to repeat. What runs is not waited for."""
        workers, self._workers = self._workers, None
        if workers is not None:
            workers.close()
            await workers.wait_closed()
        for client in self._clients:
            client.client.close()
        self._clients.clear()

    async def _time(self) -> int:
        return int((await self.ask("get_server_time"))["timeNano"])

    async def measure(self) -> None:
        """Measure the venue's clock where that was done some minutes ago, or it is in doubt. Raises as `ask` does."""
        await self.clock.measure(0 if self._doubtful else _MEASURED_NS)
        self._doubtful = False

    async def ask(self, method: str, /, *, before_ns: int = 0, **words: Any) -> dict[str, Any]:
        """The result of one of the SDK's methods, waiting for the weight that it takes.

        With `before_ns` it is an order's: it waits for nothing and is not written after that moment of our clock.
        Raises Refusal, ConnectivityError where there was no answer, and NeverSent for what was not written.
        """
        if self._workers is None:
            raise NeverSent("there is no connection to Bybit")
        if not before_ns:
            await self.weights.acquire()
        try:
            found: dict[str, Any] = await self._workers.call(
                2 * self._seconds, self._call, method, before_ns, words
            )
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._workers is not None or (task is not None and task.cancelling()):
                raise
            raise NeverSent("the connection was closed before Bybit was asked") from None
        return found

    async def pages(self, method: str, /, **words: Any) -> list[dict[str, Any]]:
        """All rows of a list, page after page. Raises as `ask` does, and VenueError for what is no list."""
        rows: list[dict[str, Any]] = []
        cursor = ""
        while True:
            asked = {**words, "cursor": cursor} if cursor else words
            found = await self.ask(method, **asked)
            page, after = found.get("list"), found.get("nextPageCursor") or ""
            if not isinstance(page, list):
                raise VenueError(f"Bybit's answer to {method} has no list")
            rows += page
            if not page or not after or after == cursor:
                return rows
            cursor = after

    # --- in a thread --------------------------------------------------------------------------------------------

    def _call(self, method: str, before_ns: int, words: dict[str, Any]) -> dict[str, Any]:
        http = self._client()
        now = self._now()
        if before_ns and now > before_ns:
            raise NeverSent("its deadline had passed")
        if before_ns and self.shut_ns > now:
            raise NeverSent("Bybit takes nothing now: it asked for a pause")
        window = (before_ns - now) // 1_000_000 if before_ns else WINDOW_MS
        # The SDK stamps with this machine's clock: where that is behind, the window has to reach further.
        http.recv_window = max(1, window + max(0, self.clock.offset_ns // 1_000_000))
        return self._sent(method, http, words)

    def _sent(self, method: str, http: Any, words: dict[str, Any]) -> dict[str, Any]:
        from pybit.exceptions import FailedRequestError, InvalidRequestError

        try:
            answer, _, _headers = getattr(http, method)(**words)
        except InvalidRequestError as error:
            raise self._refused(int(error.status_code), error.message, error.resp_headers or {}) from None
        except FailedRequestError as error:
            if error.status_code == BANNED:
                self._shut(self._now() + _BAN_NS)
                raise Refusal(
                    0, "this address asked for too much, or is of a country that is not served", BANNED
                ) from None
            raise ConnectivityError(
                f"Bybit's answer to {method} is none (status {error.status_code})"
            ) from None
        except (
            OSError
        ) as error:  # the HTTP library's are such; their text may have more than anybody should read
            raise ConnectivityError(f"Bybit gave no answer to {method}: {type(error).__name__}") from None
        except (AttributeError, TypeError, ValueError, KeyError) as error:
            raise ConnectivityError(
                f"Bybit's answer to {method} cannot be read: {type(error).__name__}"
            ) from None
        result = answer.get("result")
        return result if isinstance(result, dict) else {}

    def _refused(self, number: int, text: str, headers: Mapping[str, str]) -> Refusal:
        reset = str(headers.get("X-Bapi-Limit-Reset-Timestamp", ""))
        refusal = Refusal(number, text, until_ms=int(reset) if reset.isdecimal() else 0)
        self.limited(refusal)
        return refusal

    def limited(self, refusal: Refusal) -> None:
        """Ask for nothing while Bybit takes nothing, wherever it said so; measure a clock that it called wrong."""
        if refusal.limited:
            now = self._now()
            until = refusal.until_ms * 1_000_000 - self.clock.offset_ns
            if now < until < now + 60 * SECOND:
                self._shut(until)
            else:  # it does not say until when, or what has passed: its limits are of seconds
                self.weights.close(now + SECOND)
        if refusal.number == CLOCK:
            self._doubtful = True

    def _shut(self, until_ns: int) -> None:
        self.shut_ns = max(self.shut_ns, until_ns)
        self.weights.close(until_ns)

    def _client(self) -> Any:
        """This thread's client: a session of the SDK's HTTP library is for one thread."""
        found = getattr(self._local, "http", None)
        if found is not None:
            return found
        from pybit.unified_trading import HTTP

        logger = logging.getLogger("pybit._http_manager")
        before = list(logger.handlers)
        given = self._credentials
        http = HTTP(
            api_key=given.key.reveal() if given else None, api_secret=given.secret.reveal() if given else None,
            timeout=self._seconds, max_retries=1, retry_codes={-1}, return_response_headers=True,
        )  # fmt: skip
        for handler in logger.handlers[:]:
            if handler not in before:  # where nobody logs, it begins to
                logger.removeHandler(handler)
        http.endpoint = self._places.rest
        self._local.http = http
        self._clients.append(http)
        return http


class NeverSent(ConnectivityError):
    """A request that was not written: it can have no effect."""


def elapsed() -> Callable[[], int]:
    """A clock for who has none yet: the running loop's time in ns, for any thread."""
    loop = asyncio.get_running_loop()
    return lambda: int(loop.time() * 1e9)
