"""What goes over the wire in the latency measurements: the same decoding, signing and order for every client."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec

KEY, SECRET = "A" * 64, b"S" * 64


class TradeFrame(msgspec.Struct, frozen=True, gc=False, tag_field="e", tag="trade"):
    """A public trade."""

    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


class ReportFrame(msgspec.Struct, frozen=True, gc=False, tag_field="e", tag="executionReport"):
    """What became of an order."""

    s: str
    c: str
    S: str
    X: str
    i: str
    l: str  # noqa: E741
    z: str
    L: str
    n: str
    N: str
    T: int
    t: str


Decode = Callable[[bytes], TradeFrame | ReportFrame]

decode: Decode = msgspec.json.Decoder(TradeFrame | ReportFrame).decode


def signer(secret: bytes) -> Callable[[bytes], str]:
    """HMAC-SHA256 in hex; the key is hashed once."""
    block = secret.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def sign(text: bytes) -> str:
        first, second = inner.copy(), outer.copy()
        first.update(text)
        second.update(first.digest())
        return second.hexdigest()

    return sign


sign = signer(SECRET)


def market_order(name: str, symbol: str, side: str, quantity: str, now_ms: int) -> bytes:
    """A signed market order."""
    signature = sign(
        f"apiKey={KEY}&newClientOrderId={name}&quantity={quantity}&side={side}&symbol={symbol}"
        f"&timestamp={now_ms}&type=MARKET".encode()
    )
    return (
        f'{{"id":"{name}","method":"order.place","params":{{"apiKey":"{KEY}","newClientOrderId":"{name}",'
        f'"quantity":"{quantity}","side":"{side}","symbol":"{symbol}","timestamp":{now_ms},"type":"MARKET",'
        f'"signature":"{signature}"}}}}'
    ).encode()
