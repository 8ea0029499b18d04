"""Binance over HTTP: the seam to the SDK, which signs and asks; nothing else here knows that there is one."""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from fairlead import ConfigurationError, ConnectivityError, duration
from fairlead.net import VenueClock, Weights, Workers
from fairlead_binance.codes import CLOCK, Refusal
from fairlead_binance.places import SPOT, Places
from fairlead_binance.signing import Credentials

MINUTE_NS = duration("1m")
_NOTHING: Mapping[str, str | int] = {}
WINDOW_MS = 5000
"""The recvWindow of questions."""

_SECONDS = 9.0
_IMPORT_SECONDS = 30.0
_MEASURED_NS = duration("5m")
_WEIGHTS = {SPOT: (6000, 600), "usdm": (2400, 240)}


class Rest:
    """HTTP requests of one product. `now` is our own clock; `clock` is the venue's, `weights` what it still takes.

    Without credentials only what is public can be asked for. Nothing is ever asked for twice by itself. `unsettled`
    is called when Binance calls our idea of its clock wrong.
    """

    def __init__(
        self, places: Places, product: str, now: Callable[[], int], credentials: Credentials | None = None
    ) -> None:
        weight, kept = _WEIGHTS[product]
        self.weights = Weights(weight, MINUTE_NS, now, kept=kept)
        self.clock = VenueClock(now, self._time)
        self.unsettled: Callable[[], None] = _nobody
        self._unsettled = False
        self.now = now
        self._places = places
        self._spot = product == SPOT
        self._credentials = credentials
        self._client: Any = None
        self._errors: Any = None

    async def open(self) -> None:
        """Make the client; nothing is sent. Raises ConfigurationError for a key of no known kind."""
        make, self._errors = await _sdk()
        given = self._credentials
        key, secret, private = (
            (
                given.key.reveal(),
                given.secret.reveal() if given.secret else None,
                given.private_key.reveal() if given.private_key else None,
            )
            if given is not None
            else (None, None, None)
        )
        try:
            self._client = make(key, secret, private_key=private)
        except (ValueError, TypeError, IndexError):
            raise ConfigurationError(
                "BinanceBroker's private_key is none that can be read: give the PEM text of an Ed25519 or RSA key"
            ) from None

    @property
    def logs_on(self) -> bool:
        """Whether the key is one that logs a session on: Ed25519's do."""
        return self._client.PRIVATE_KEY is not None and not self._client._is_rsa

    def sign(self, text: str) -> str:
        """The signature of a text by a key that is not HMAC's, in base64."""
        client = self._client
        made: str = client._rsa_signature(text) if client._is_rsa else client._ed25519_signature(text)
        return made

    async def close(self) -> None:
        """Let the connections go; harmless to repeat."""
        client, self._client = self._client, None
        if client is not None:
            await client.session.close()

    async def _time(self) -> int:
        path = "v3/time" if self._spot else "v1/time"
        return int((await self.ask("get", path, signed=False))["serverTime"]) * 1_000_000

    async def measure(self) -> None:
        """Measure the venue's clock where that was done some minutes ago, or it is in doubt. Raises as `ask` does."""
        try:
            await self.clock.measure(0 if self._unsettled else _MEASURED_NS)
        finally:
            self._unsettled = False

    async def ask(
        self,
        verb: str,
        path: str,
        params: Mapping[str, str | int] = _NOTHING,
        *,
        weight: int = 1,
        signed: bool = True,
        wallet: bool = False,
        before_ns: int = 0,
    ) -> Any:
        """The answer to one request, waiting for the weight that it takes.

        With `before_ns` it is an order's: it waits for nothing and is not written after that moment of our clock.
        Raises Refusal, ConnectivityError where there was no answer, and NeverSent for what was not written.
        """
        if self._client is None:
            raise NeverSent("there is no connection to Binance")
        if not before_ns:
            await self.weights.acquire(weight)
        data: dict[str, Any] = {name: str(value) for name, value in params.items()}
        base = self._places.wallet if wallet else self._places.rest
        now = self.now()
        if before_ns and now > before_ns:
            raise NeverSent("its deadline had passed")
        if before_ns and self.weights.closed_ns > now:
            raise NeverSent("Binance takes nothing now: it asked for a pause")
        if signed:
            left = (before_ns - now) // 1_000_000 if before_ns else WINDOW_MS
            data |= {"timestamp": self.clock.now() // 1_000_000, "recvWindow": max(1, min(left, 60_000))}
            # A form is percent-encoded on its way out, a query is not.
            data["signature"] = self._client._generate_signature(data, verb == "get")
        return await self._send(verb, f"{base}/{path}", data)

    async def _send(self, verb: str, url: str, data: dict[str, Any]) -> Any:
        import aiohttp

        client, where = self._client, urlsplit(url).path
        try:
            async with asyncio.timeout(_SECONDS):
                answer = await client._request(verb, url, False, **({"data": data} if data else {}))
        except self._errors.BinanceAPIException as error:
            raise self._refused(error) from None
        except self._errors.BinanceRequestException:
            raise ConnectivityError(f"Binance's answer at {where} is no JSON") from None
        except TimeoutError:
            raise ConnectivityError(f"Binance gave no answer at {where} within {_SECONDS:g} s") from None
        except (
            aiohttp.ClientError,
            OSError,
        ) as error:  # its text may have the whole address, signature included
            raise ConnectivityError(f"Binance cannot be reached at {where}: {type(error).__name__}") from None
        except RuntimeError:  # the client was closed meanwhile
            raise ConnectivityError(f"the connection was closed before Binance answered at {where}") from None
        self._count(client.response)
        return answer

    def _refused(self, error: Any) -> Refusal:
        headers = getattr(error.response, "headers", {})
        self._count(error.response)
        after = str(headers.get("Retry-After", ""))
        text = str(error.message) if error.code else "a page that is no JSON"
        refusal = Refusal(
            error.status_code, int(error.code or 0), text, int(after) * 1000 if after.isdecimal() else 0
        )
        self.limited(refusal)
        return refusal

    def limited(self, refusal: Refusal) -> None:
        """Ask for nothing while Binance takes nothing, wherever it said so; measure a clock that it called wrong."""
        if refusal.limited:
            self.weights.close(self.now() + (refusal.retry_ms * 1_000_000 or MINUTE_NS))
        if refusal.number == CLOCK and not self._unsettled:
            self._unsettled = True
            self.unsettled()

    def _count(self, response: Any) -> None:
        used = str(getattr(response, "headers", {}).get("X-MBX-USED-WEIGHT-1M", ""))
        if used.isdecimal():
            self.weights.used(int(used))


async def _sdk() -> tuple[Any, Any]:
    """The SDK's client and its errors. Importing it takes long: in a thread, for the loop goes on."""
    if "binance" in sys.modules:
        return _import()
    workers = Workers(1, "binance-sdk")
    try:
        return await workers.call(_IMPORT_SECONDS, _import)
    finally:
        workers.close()


def _import() -> tuple[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # what the SDK still imports of its own WebSocket library is on its way out
        from binance import AsyncClient, exceptions
    return AsyncClient, exceptions


class NeverSent(ConnectivityError):
    """A request that was not written: it can have no effect."""


def _nobody() -> None:
    """Nobody asked to hear of it."""
