"""Who signed an action: msgpack, keccak and EIP-712, worked out here and not by the SDK that is being tested.

https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/signing. The exchange hashes what it has read, not
what was sent: its own order of fields, numbers without zeros at their end, addresses and ids in lower case. Whoever
signs another form has signed for a wallet that nobody knows.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from fairlead import ConfigurationError
from fairlead_venue.hyperliquid.listing import wire
from fairlead_venue.hyperliquid.rules import UNREADABLE, Unreadable

_CHAIN = 1337
_ORDER = ("a", "b", "p", "s", "r", "t", "c")
_FIELDS: dict[str, tuple[str, ...]] = {
    "order": ("type", "orders", "grouping", "builder"),
    "cancel": ("type", "cancels"),
    "cancelByCloid": ("type", "cancels"),
    "modify": ("type", "oid", "order"),
    "batchModify": ("type", "modifies"),
    "scheduleCancel": ("type", "time"),
    "updateLeverage": ("type", "asset", "isCross", "leverage"),
    "noop": ("type",),
}
_PARTS = {
    ("cancel", "cancels"): ("a", "o"),
    ("cancelByCloid", "cancels"): ("asset", "cloid"),
    ("order", "orders"): _ORDER,
    ("batchModify", "modifies"): ("oid", "order"),
}


def as_read(action: dict[str, Any]) -> dict[str, Any]:
    """An action as the exchange writes it again. Raises Unreadable."""
    try:
        kind = action["type"]
        if kind not in _FIELDS:
            return action
        made = _only(action, _FIELDS[kind])
        for (owner, name), fields in _PARTS.items():
            if owner == kind:
                made[name] = [_only(row, fields) for row in made[name]]
        if kind == "order":
            made["orders"] = [_order(row) for row in made["orders"]]
        elif kind == "modify":
            made["order"] = _order(_only(made["order"], _ORDER))
        elif kind == "batchModify":
            for row in made["modifies"]:
                row["order"] = _order(_only(row["order"], _ORDER))
        elif kind == "cancelByCloid":
            for row in made["cancels"]:
                row["cloid"] = row["cloid"].lower()
    except (KeyError, TypeError, AttributeError, InvalidOperation) as error:
        raise Unreadable(UNREADABLE) from error
    return made


def _only(row: dict[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    return {name: row[name] for name in fields if row.get(name) is not None}


def _order(row: dict[str, Any]) -> dict[str, Any]:
    row |= {name: wire(_decimal(row[name])) for name in ("p", "s")}
    if "c" in row:
        row["c"] = row["c"].lower()
    if "trigger" in row["t"]:
        trigger = _only(row["t"]["trigger"], ("isMarket", "triggerPx", "tpsl"))
        row["t"] = {"trigger": {**trigger, "triggerPx": wire(_decimal(trigger["triggerPx"]))}}
    return row


def _decimal(text: str) -> Decimal:
    if not isinstance(text, str):
        raise Unreadable(UNREADABLE)
    value = Decimal(text)
    if not value.is_finite():
        raise Unreadable(UNREADABLE)
    return value


def signer(call: dict[str, Any], action: dict[str, Any], *, mainnet: bool) -> str:
    """The address that signed an action, in lower case. Raises Unreadable for what is no signature."""
    keys, keccak = _tools()
    try:
        vault, expires = call.get("vaultAddress"), call.get("expiresAfter")
        data: bytes = msgspec.msgpack.encode(action) + int(call["nonce"]).to_bytes(8, "big")
        data += b"\x01" + bytes.fromhex(vault[2:].lower()) if vault else b"\x00"
        if expires is not None:
            data += b"\x00" + int(expires).to_bytes(8, "big")
        digest = _digest(keccak, "a" if mainnet else "b", keccak(data))
        sent = call["signature"]
        parts = int(sent["v"]) - 27, int(sent["r"], 16), int(sent["s"], 16)
        found: str = keys.Signature(vrs=parts).recover_public_key_from_msg_hash(digest).to_address()
    except Exception as error:  # whatever a hostile signature makes the library raise
        raise Unreadable(UNREADABLE) from error
    return found.lower()


def _digest(keccak: Any, source: str, connection: bytes) -> bytes:
    domain = keccak(
        keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
        + keccak(b"Exchange") + keccak(b"1") + _CHAIN.to_bytes(32, "big") + bytes(32)
    )  # fmt: skip
    agent = keccak(
        keccak(b"Agent(string source,bytes32 connectionId)") + keccak(source.encode()) + connection
    )
    found: bytes = keccak(b"\x19\x01" + domain + agent)
    return found


def private_key(text: str) -> str:
    """A private key: 32 bytes in hex as they are, of any other text its SHA-256."""
    bare = text.removeprefix("0x")
    if len(bare) == 64 and all(mark in "0123456789abcdefABCDEF" for mark in bare):
        return f"0x{bare.lower()}"
    return f"0x{hashlib.sha256(text.encode()).hexdigest()}"


def address_of(text: str) -> str:
    """The address of a private key, in lower case, or the address itself where it is one already."""
    if text.startswith("0x") and len(text) == 42:
        return text.lower()
    keys, _ = _tools()
    found: str = keys.PrivateKey(bytes.fromhex(private_key(text)[2:])).public_key.to_address()
    return found.lower()


def _tools() -> tuple[Any, Any]:
    try:
        from eth_keys.main import KeyAPI
        from eth_utils.crypto import keccak
    except ImportError:
        raise ConfigurationError(
            "Hyperliquid's signatures need eth-keys: pip install 'fairlead-venue[hyperliquid]'"
        ) from None
    return KeyAPI(), keccak
