"""Which exchange, in which environment, at which addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import attrs

from fairlead import ConfigurationError
from fairlead_ccxt.facts import SPOT, SWAP, Facts

ENVIRONMENTS = ("testnet", "demo", "live")


@attrs.frozen
class Place:
    """One product of an exchange: `kind` is spot or swap. With a `url` every address is there, its paths kept."""

    exchange: str
    kind: str
    environment: str
    url: str

    @property
    def local(self) -> bool:
        """Whether it is somewhere else than the exchange itself."""
        return bool(self.url)

    def settle(self, made: Any, facts: Facts) -> None:
        """Point an exchange of ccxt at the place. Raises ConfigurationError where it has no such environment."""
        wanted = (
            facts.testnet.get(self.kind, self.environment)
            if self.environment == "testnet"
            else self.environment
        )
        if self.url:  # signed as live, but for those that sign otherwise in a sandbox
            wanted = "" if wanted == "live" or "test" not in made.urls else "testnet"
            if self.exchange in ("binance", "binanceusdm"):
                wanted = ""
        try:
            if wanted == "testnet":
                made.set_sandbox_mode(True)
            elif wanted == "demo":
                made.enable_demo_trading(True)
        except Exception:  # ccxt's own class, which is not imported here
            raise ConfigurationError(
                f"ccxt knows no {wanted} of {self.exchange}: give environment='demo' or, for real money, 'live'"
            ) from None
        if self.url:
            self._redirect(made)

    def _redirect(self, made: Any) -> None:
        parts = urlsplit(self.url)
        http = f"{parts.scheme}://{parts.netloc}"
        socket = f"{parts.scheme.replace('http', 'ws', 1)}://{parts.netloc}"

        def walk(urls: dict[str, Any]) -> None:
            for name, found in urls.items():
                if isinstance(found, dict):
                    walk(found)
                elif isinstance(found, str) and "://" in found:
                    scheme, _, rest = found.partition("://")
                    base = socket if scheme.startswith("ws") else http
                    urls[name] = f"{base}/{rest.partition('/')[2]}".rstrip("/")

        api = made.urls["api"]
        if isinstance(api, str):
            made.urls["api"] = http
            return
        walk(api)
        streams = api.get("ws")
        if self.exchange == "binance" and isinstance(streams, dict):
            # ccxt tells spot from futures by this word in the address: without it spot's frames go to futures.
            streams["spot"] = f"{socket}/stream/ws"


def place(exchange: str, symbols: Sequence[str], environment: str, url: str) -> Place:
    """The place of some symbols, all of one kind. Raises ConfigurationError."""
    if not exchange or not exchange.isidentifier() or not exchange.islower():
        raise ConfigurationError(
            f"{exchange!r} is no exchange of ccxt's: write its name there, such as 'binance'"
        )
    if environment not in ENVIRONMENTS:
        raise ConfigurationError(
            f"environment={environment!r} is none: write one of {', '.join(ENVIRONMENTS)}"
        )
    kinds = {SWAP if ":" in symbol.partition("@")[0] else SPOT for symbol in symbols}
    if len(kinds) != 1:
        raise ConfigurationError(
            f"{', '.join(symbols) or 'no symbol'}: name the symbols, all of them spot (BTC/USDT) or all derivatives "
            f"(BTC/USDT:USDT), and use another broker or stream for the others"
        )
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query):
        raise ConfigurationError(f"url={url!r} is no base address: write one such as http://127.0.0.1:9000")
    return Place(exchange, kinds.pop(), environment, url)
