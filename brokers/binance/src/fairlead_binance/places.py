"""Where Binance is: the addresses of each product in each environment.

https://developers.binance.com/docs/binance-spot-api-docs/testnet and
https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info
"""

from __future__ import annotations

from urllib.parse import urlsplit

import attrs

from fairlead import ConfigurationError

SPOT, USDM = "spot", "usdm"
ENVIRONMENTS = ("testnet", "demo", "live")


@attrs.frozen
class Places:
    """Addresses without a slash at the end. `wallet` is empty where there is no wallet API.

    Futures have quotes and books at `public`, all other market data at `market`, and the account at `private`; spot
    has all market data at one address, and the account on its WebSocket API.
    """

    rest: str
    ws_api: str
    public: str
    market: str
    private: str = ""
    wallet: str = ""

    def all(self) -> tuple[str, ...]:
        """Each of them once, for `fairlead doctor`."""
        return tuple(dict.fromkeys(filter(None, attrs.astuple(self))))


def _spot(rest: str, ws_api: str, stream: str, wallet: str = "") -> Places:
    return Places(rest, ws_api, stream, stream, wallet=wallet)


def _usdm(rest: str, ws_api: str, stream: str, wallet: str = "") -> Places:
    return Places(
        rest, ws_api, f"{stream}/public/stream", f"{stream}/market/stream", f"{stream}/private/ws", wallet
    )


_WALLET = "https://api.binance.com/sapi"
_PLACES = {
    (SPOT, "live"): _spot(
        "https://api.binance.com/api", "wss://ws-api.binance.com/ws-api/v3",
        "wss://stream.binance.com:9443/stream", _WALLET,
    ),
    (SPOT, "testnet"): _spot(
        "https://testnet.binance.vision/api", "wss://ws-api.testnet.binance.vision/ws-api/v3",
        "wss://stream.testnet.binance.vision/stream",
    ),
    (SPOT, "demo"): _spot(
        "https://demo-api.binance.com/api", "wss://demo-ws-api.binance.com/ws-api/v3",
        "wss://demo-stream.binance.com/stream",
    ),
    (USDM, "live"): _usdm(
        "https://fapi.binance.com/fapi", "wss://ws-fapi.binance.com/ws-fapi/v1", "wss://fstream.binance.com", _WALLET
    ),
    (USDM, "testnet"): _usdm(
        "https://testnet.binancefuture.com/fapi", "wss://testnet.binancefuture.com/ws-fapi/v1",
        "wss://fstream.binancefuture.com",
    ),
    (USDM, "demo"): _usdm(
        "https://demo-fapi.binance.com/fapi", "wss://testnet.binancefuture.com/ws-fapi/v1",
        "wss://fstream.binancefuture.com",
    ),
}  # fmt: skip


def places(product: str, environment: str, url: str = "") -> Places:
    """The addresses of a product; with a `url`, such as http://127.0.0.1:9000, all of them there.

    Raises ConfigurationError.
    """
    if product not in (SPOT, USDM):
        raise ConfigurationError(f"product={product!r} is none of Binance's here: write 'spot' or 'usdm'")
    if environment not in ENVIRONMENTS:
        raise ConfigurationError(
            f"environment={environment!r} is none of Binance's: write one of {', '.join(ENVIRONMENTS)}"
        )
    if not url:
        return _PLACES[product, environment]
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise ConfigurationError(f"url={url!r} is no base address: write one such as http://127.0.0.1:9000")
    http, ws = url.rstrip("/"), f"{parts.scheme.replace('http', 'ws', 1)}://{parts.netloc}"
    if product == SPOT:
        return _spot(f"{http}/api", f"{ws}/ws-api/v3", f"{ws}/stream", f"{http}/sapi")
    return _usdm(f"{http}/fapi", f"{ws}/ws-fapi/v1", ws, f"{http}/sapi")
