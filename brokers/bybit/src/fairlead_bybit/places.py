"""Where Bybit is: the addresses of each environment.

https://bybit-exchange.github.io/docs/v5/ws/connect and https://bybit-exchange.github.io/docs/v5/demo
"""

from __future__ import annotations

from urllib.parse import urlsplit

import attrs

from fairlead import ConfigurationError

ENVIRONMENTS = ("testnet", "demo", "live")


@attrs.frozen
class Places:
    """Addresses without a slash at the end. `trade` is empty where no orders are taken by socket."""

    rest: str
    private: str
    public: str
    trade: str = ""

    def all(self) -> tuple[str, ...]:
        """Each of them once, for `fairlead doctor`."""
        return tuple(dict.fromkeys(filter(None, attrs.astuple(self))))


_PLACES = {
    "live": Places(
        "https://api.bybit.com", "wss://stream.bybit.com/v5/private", "wss://stream.bybit.com/v5/public",
        "wss://stream.bybit.com/v5/trade",
    ),
    "testnet": Places(
        "https://api-testnet.bybit.com", "wss://stream-testnet.bybit.com/v5/private",
        "wss://stream-testnet.bybit.com/v5/public", "wss://stream-testnet.bybit.com/v5/trade",
    ),
    # Demo accounts trade on the prices of the live venue, and by REST alone.
    "demo": Places(
        "https://api-demo.bybit.com", "wss://stream-demo.bybit.com/v5/private", "wss://stream.bybit.com/v5/public"
    ),
}  # fmt: skip


def places(environment: str, url: str = "") -> Places:
    """The addresses of an environment; with a `url`, such as http://127.0.0.1:9000, all of them there.

    Raises ConfigurationError.
    """
    if environment not in ENVIRONMENTS:
        raise ConfigurationError(
            f"environment={environment!r} is none of Bybit's: write one of {', '.join(ENVIRONMENTS)}"
        )
    if not url:
        return _PLACES[environment]
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise ConfigurationError(f"url={url!r} is no base address: write one such as http://127.0.0.1:9000")
    http, ws = url.rstrip("/"), f"{parts.scheme.replace('http', 'ws', 1)}://{parts.netloc}/v5"
    return Places(http, f"{ws}/private", f"{ws}/public", f"{ws}/trade")
