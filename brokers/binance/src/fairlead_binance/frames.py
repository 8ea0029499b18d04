"""Frames of the market streams, decoded straight into what they are.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
"""

from __future__ import annotations

import msgspec

from fairlead_binance.depth import Change, Picture


class Wrapped(msgspec.Struct):
    """A frame of a combined stream, or the answer to a request."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    id: int | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"")


class BookTicker(msgspec.Struct):
    """bookTicker: best bid and ask. Spot has no time."""

    u: int
    b: float
    B: float
    a: float
    A: float
    T: int = 0


class PublicTrade(msgspec.Struct):
    """trade of spot, aggTrade of futures; `m` says that the buyer was the maker."""

    p: float
    q: float
    T: int
    m: bool
    t: int = 0
    a: int = 0


class Kline(msgspec.Struct):
    """`k` of kline; `x` says that it has closed."""

    t: int
    o: float
    h: float
    low: float = msgspec.field(name="l")
    c: float
    v: float
    x: bool


class KlineEvent(msgspec.Struct):
    """kline."""

    k: Kline


class MarkPrice(msgspec.Struct):
    """markPrice: `r` is the rate of the funding at `T`."""

    E: int
    p: float
    r: float
    T: int


wrapped = msgspec.json.Decoder(Wrapped)
tickers = msgspec.json.Decoder(BookTicker, strict=False)
trades = msgspec.json.Decoder(PublicTrade, strict=False)
klines = msgspec.json.Decoder(KlineEvent, strict=False)
marks = msgspec.json.Decoder(MarkPrice, strict=False)
changes = msgspec.json.Decoder(Change, strict=False)


def picture_of(answer: object) -> Picture:
    """The book in an answer over HTTP. Raises msgspec.ValidationError."""
    return msgspec.convert(answer, Picture, strict=False)
