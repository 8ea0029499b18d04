"""Questions to Hyperliquid over HTTP: the seam to the SDK, which blocks and so asks in threads."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from fairlead import ConnectivityError, duration
from fairlead.net import VenueClock, Weights, Workers
from fairlead_hyperliquid.codes import Refusal
from fairlead_hyperliquid.places import Places

T = TypeVar("T")
MINUTE_NS = duration("1m")
_MEASURED_NS = duration("5m")
WEIGHT = 400
"""What of the 1,200 in a minute is for questions: the rest is for orders."""

_PAUSE_NS = duration("2s")
_SECONDS = 8.0
_LOADING_SECONDS = 30.0
_LIGHT = frozenset(
    {"l2Book", "allMids", "clearinghouseState", "orderStatus", "spotClearinghouseState", "exchangeStatus"}
)
_HEAVY = {"userRole": 60}


class Rest:
    """`/info`. Nothing is asked for twice by itself, and every request has an end. `now` is our own clock in ns."""

    def __init__(self, places: Places, now: Callable[[], int]) -> None:
        self.clock = VenueClock(now, self._time)
        self.weights = Weights(WEIGHT, MINUTE_NS, now)
        self._now = now
        self._places = places
        self._workers = Workers(4, "hyperliquid")
        self._api: Any = None
        self._errors: Any = None

    async def open(self) -> None:
        """Make the client; nothing is sent. The SDK takes a while to be imported, which a thread does."""
        await self.run(self._load)

    def _load(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from hyperliquid.api import API
            from hyperliquid.utils import error
        self._errors = error
        self._api = API(self._places.rest, timeout=_SECONDS)

    async def run(self, fn: Callable[[], T]) -> T:
        """What takes its time, in a thread. Raises what `fn` raises, and ConnectivityError where it takes too long."""
        return await self._workers.call(_LOADING_SECONDS, fn)

    async def close(self) -> None:
        """Let the connections go; harmless to repeat."""
        api, self._api = self._api, None
        self._workers.close()
        await self._workers.wait_closed()
        if api is not None:
            api.session.close()

    async def _time(self) -> int:
        return int((await self.ask("exchangeStatus"))["time"]) * 1_000_000

    def pause(self) -> None:
        """Ask for nothing for a while: it was too much, and nobody says for how long."""
        self.weights.close(self._now() + _PAUSE_NS)

    async def measure(self) -> None:
        """Measure the venue's clock, where that was done some minutes ago. Raises as `ask` does."""
        await self.clock.measure(_MEASURED_NS)

    async def ask(self, kind: str, **words: Any) -> Any:
        """The answer to a question. Raises Refusal, or ConnectivityError where there was none."""
        api = self._api
        if api is None:
            raise ConnectivityError("there is no connection to Hyperliquid")
        await self.weights.acquire(_HEAVY.get(kind, 2 if kind in _LIGHT else 20))
        return await self._workers.call(_SECONDS + 1, self._post, api, kind, words)

    def _post(self, api: Any, kind: str, words: Mapping[str, Any]) -> Any:
        """In a thread. The SDK's errors have five shapes, one of them a bare KeyError."""
        import requests

        try:
            answer = api.post("/info", {"type": kind, **words})
        except self._errors.ClientError as error:
            if error.status_code == 429:
                self.pause()
            raise Refusal(error.status_code, f"{kind}: {error.error_message}") from None
        except self._errors.ServerError as error:
            raise ConnectivityError(
                f"Hyperliquid has no answer to {kind}: status {error.status_code}"
            ) from None
        except KeyError:
            raise Refusal(400, f"{kind}: an error without a code") from None
        except (requests.RequestException, OSError) as error:
            raise ConnectivityError(
                f"Hyperliquid cannot be asked for {kind}: {type(error).__name__}"
            ) from None
        if isinstance(answer, dict) and set(answer) == {"error"}:
            raise ConnectivityError(f"Hyperliquid's answer to {kind} cannot be read")
        return answer
