"""The seam to ccxt: one instance of an exchange, with what bites taken out. Nothing else here imports ccxt.

- It works in a context of its own: ccxt changes the rounding of the decimal context that it runs in.
- Whatever leaves passes `_fetch`: a command once and before its deadline, and nothing else that changes something.
- Numbers stay texts, requests are paced here and not in its own queue, and its log keeps quiet, for it shows keys.
"""

from __future__ import annotations

import asyncio
import contextvars
import decimal
import importlib
import json
import logging
import ssl
import warnings
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import attrs

from fairlead import ConfigurationError, ConnectivityError, VenueError, duration
from fairlead.net import VenueClock, Weights, Workers
from fairlead_ccxt.codes import reason_of
from fairlead_ccxt.credentials import Credentials
from fairlead_ccxt.facts import Facts
from fairlead_ccxt.place import Place

T = TypeVar("T")
log = logging.getLogger("fairlead.ccxt")
_quiet = logging.getLogger("fairlead.ccxt.sdk")

SECONDS = 9.0
_PATIENCE = 30.0
_WINDOW_NS = duration("10s")
_PAUSE_NS = duration("10s")
_MEASURED_NS = duration("5m")
_UNITS = 100
"""ccxt's weights have decimals."""


class Unsent(Exception):
    """A request did not leave."""


@attrs.define
class Call:
    """One passage through ccxt: a command has a deadline; `writes` counts what left, `status` and `body` are
    the answer.

    `at_ms` pins the time that the request is stamped with, so that the exchange takes it no later than we
    allow.
    """

    deadline_ns: int = 0
    at_ms: int = 0
    writes: int = 0
    status: int = 0
    body: Any = None


_CALL: contextvars.ContextVar[Call | None] = contextvars.ContextVar("call", default=None)


def _make(exchange: str, words: dict[str, Any], local: bool) -> Any:
    """One of ccxt's exchanges, or None where it has no such one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = importlib.import_module("ccxt.pro")
    if exchange not in library.exchanges:
        return None
    made = getattr(library, exchange)(words)
    made.ssl_context = False if local else ssl.create_default_context(cafile=made.cafile)
    return made


async def aside(fn: Callable[..., T], *args: Any) -> T:
    """What a function returns that would hold the loop: ccxt's import takes a second, thousands of markets as long."""
    workers = Workers(1, "ccxt")
    try:
        return await workers.call(_PATIENCE, fn, *args)
    finally:
        workers.close()


class Sdk:
    """An exchange of ccxt, open.

    `now` is our own time in ns; `clock` is the exchange's, `weights` what it still takes.
    """

    def __init__(self, made: Any, facts: Facts, now: Callable[[], int], weights: Weights) -> None:
        self.exchange = made
        self.facts = facts
        self.weights = weights
        self.clock = VenueClock(now, self._time)
        self.unsettled = False
        self._now = now
        self._tasks: set[asyncio.Task[Any]] = set()
        self._context = contextvars.copy_context()
        self._context.run(decimal.setcontext, decimal.Context())
        self._fetch_there = made.fetch
        self._heard_there = made.on_rest_response
        made.fetch, made.on_rest_response = self._fetch, self._heard
        made.throttle, made.milliseconds = self._throttle, self._milliseconds
        self._open_there, made.open = made.open, self._connect
        if hasattr(made, "initialize_client"):
            made.initialize_client = (
                _nothing  # it would approve fees and set a referrer, signed with the user's key
            )

    @classmethod
    async def open(
        cls,
        place: Place,
        facts: Facts,
        now: Callable[[], int],
        credentials: Credentials | None = None,
        *,
        weights: Weights | None = None,
        keep_alive: int = 10_000,
    ) -> Sdk:
        """Make one; nothing is sent. Raises ConfigurationError."""
        words = {
            **(credentials.words() if credentials is not None else {}),
            "number": str,
            "enableRateLimit": True,  # by `_throttle`
            "timeout": int(SECONDS * 1000),
            "options": {"defaultType": place.kind, **facts.options},
        }
        try:
            made = await aside(_make, place.exchange, words, place.local)
        except ImportError:
            raise ConfigurationError(
                "fairlead-ccxt needs ccxt: pip install 'ccxt>=4.5.90,<4.6', best in an environment of its own"
            ) from None
        if made is None:
            raise ConfigurationError(
                f"ccxt streams from no exchange named {place.exchange!r}: see ccxt.pro.exchanges"
            )
        _quiet.setLevel(logging.WARNING)
        made.logger = _quiet
        made.streaming = {**made.streaming, "keepAlive": keep_alive}
        made.timeout_on_exit = 0 if place.local else made.timeout_on_exit
        place.settle(made, facts)
        if place.exchange == "binance":
            made.options["fetchMarkets"] = {"types": ["spot" if place.kind == "spot" else "linear"]}
            made.has["fetchCurrencies"] = False
            if place.kind != "spot":
                made.options["defaultSubType"] = "linear"
        if credentials is not None:
            credentials.check(made)
        return cls(made, facts, now, weights or _weights(made, now))

    # --- asking -------------------------------------------------------------------------------------------------

    def start(self, work: Coroutine[Any, Any, T], call: Call | None = None) -> asyncio.Task[T]:
        """Run something of ccxt's as a task in its own context."""
        context = self._context.copy()
        context.run(_CALL.set, call)
        task = asyncio.get_running_loop().create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def ask(self, method: str, *args: Any) -> Any:
        """The answer to a question.

        Raises ConnectivityError where there was none, VenueError where it was refused.
        """
        call = Call()
        try:
            async with asyncio.timeout(2 * SECONDS):
                return await self.start(self._do(method, args), call)
        except TimeoutError:
            raise ConnectivityError(f"{self.exchange.id} gave no answer to {method} in time") from None
        except Unsent as error:
            raise ConnectivityError(f"{self.exchange.id}: {method} was not asked: {error}") from None
        except Exception as error:  # ccxt's classes say too little, its texts too much
            raise self._refusal(method, call, error) from None

    async def _do(self, method: str, args: tuple[Any, ...]) -> Any:
        return await getattr(self.exchange, method)(*args)

    def _refusal(self, method: str, call: Call, error: Exception) -> Exception:
        code, text = reason_of(self.facts, call.body, error)
        if call.status and call.status < 500:
            return VenueError(
                f"{self.exchange.id} refused {method}: {code} {text} (status {call.status})", code=code
            )
        return ConnectivityError(f"{self.exchange.id} gave no answer to {method}: {text}")

    async def measure(self) -> None:
        """Measure the exchange's clock where that was done some minutes ago, or it is in doubt."""
        if self.exchange.has.get("fetchTime"):
            try:
                await self.clock.measure(0 if self.unsettled else _MEASURED_NS)
            finally:
                self.unsettled = False

    async def _time(self) -> int:
        return int(await self.ask("fetch_time")) * 1_000_000

    async def close(self) -> None:
        """Let all connections go; harmless to repeat."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            await self.start(self.exchange.close())

    # --- what ccxt calls ----------------------------------------------------------------------------------------

    def _connect(self, lazy: bool = False) -> None:
        self._open_there(lazy)
        if self.exchange.session is not None:
            self.exchange.session._retry_connection = False  # aiohttp would send a cancel again by itself

    async def _fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        call = _CALL.get()
        if call is not None and call.deadline_ns:
            if method != "GET" and call.writes:
                raise Unsent("it would have been written twice")
            if self.weights.closed_ns > self._now():
                raise Unsent("the exchange takes nothing now: it asked for a pause")
            if self._now() > call.deadline_ns:
                raise Unsent("its deadline had passed")
        elif self.facts.asks_only and url.partition("?")[0].endswith(self.facts.asks_only):
            log.error(
                "%s: ccxt wanted to change something that nobody asked for, and was not let", self.exchange.id
            )
            raise Unsent("nobody asked for it")
        if call is not None and method != "GET":
            call.writes += 1
        return await self._fetch_there(url, method, headers, body)

    def _heard(
        self, code: int, reason: str, url: str, method: str, headers: Any, text: str, sent: Any, body: Any
    ) -> Any:
        call = _CALL.get()
        if call is not None:
            call.status = code
            try:
                call.body = json.loads(text)
            except ValueError:
                call.body = None
        if code in (418, 429):
            self.pause(headers.get("Retry-After"))
        return self._heard_there(code, reason, url, method, headers, text, sent, body)

    def pause(self, seconds: str | None = None) -> None:
        """The exchange takes nothing for so long."""
        wait = int(seconds) * duration("1s") if seconds and seconds.isdecimal() else _PAUSE_NS
        self.weights.close(self._now() + wait)

    async def _throttle(self, cost: float | None = None) -> None:
        call = _CALL.get()
        if call is None or not call.deadline_ns:  # the gate has counted commands
            await self.weights.acquire(max(1, round((1.0 if cost is None else cost) * _UNITS)))

    def _milliseconds(self) -> int:
        call = _CALL.get()
        return call.at_ms if call is not None and call.at_ms else self.clock.now() // 1_000_000


def _weights(made: Any, now: Callable[[], int]) -> Weights:
    """What ccxt allows itself in ten seconds, a quarter of it left to orders."""
    whole = max(4, int(10_000 / max(float(made.rateLimit), 1.0))) * _UNITS
    return Weights(whole, _WINDOW_NS, now, kept=whole // 4)


async def _nothing(*_: Any) -> bool:
    return True
