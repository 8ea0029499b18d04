"""Signatures as venues check them: HMAC-SHA256, RSA (PKCS #1 v1.5, SHA-256) and Ed25519 (RFC 8032)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from fairlead import ConfigurationError

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_SQRT = pow(2, (_P - 1) // 4, _P)
_SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
_ED25519_INFO = bytes.fromhex("302a300506032b6570032100")

_Point = tuple[int, int, int, int]


def hmac_sha256(secret: str, payload: bytes) -> str:
    """The signature in hex."""
    return hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()


class PublicKey:
    """A public key, as PEM, or as hex for Ed25519. Raises ConfigurationError for anything else."""

    def __init__(self, text: str) -> None:
        try:
            der = _der(text)
            self._ed25519 = der[-32:] if der.startswith(_ED25519_INFO) or len(der) == 32 else None
            self._rsa = None if self._ed25519 else _rsa_numbers(der)
        except (ValueError, IndexError, binascii.Error) as error:
            raise ConfigurationError(
                f"the public key cannot be read ({error}): pass a PEM of RSA or Ed25519, or 64 hex digits"
            ) from error

    @property
    def is_ed25519(self) -> bool:
        """Whether it is one of Ed25519; else it is one of RSA."""
        return self._ed25519 is not None

    def verifies(self, signature: str, payload: bytes) -> bool:
        """Whether a base64 signature of the payload was made with the private half."""
        try:
            raw = base64.b64decode(signature, validate=True)
        except (ValueError, binascii.Error):
            return False
        if self._ed25519 is not None:
            return _verify_ed25519(self._ed25519, raw, payload)
        assert self._rsa is not None
        modulus, exponent = self._rsa
        size = (modulus.bit_length() + 7) // 8
        wanted = _SHA256_INFO + hashlib.sha256(payload).digest()
        padded = b"\x00\x01" + b"\xff" * (size - len(wanted) - 3) + b"\x00" + wanted
        return len(raw) == size and pow(int.from_bytes(raw), exponent, modulus).to_bytes(size) == padded


def _der(text: str) -> bytes:
    if "-----" in text:
        return base64.b64decode("".join(line for line in text.split("\n") if "-----" not in line))
    return bytes.fromhex(text)


def _rsa_numbers(der: bytes) -> tuple[int, int]:
    """Modulus and exponent of a SubjectPublicKeyInfo."""
    outer, _ = _element(der, 0)
    _, after = _element(outer, 0)
    bits, _ = _element(outer, after)
    numbers, _ = _element(bits[1:], 0)
    modulus, after = _element(numbers, 0)
    exponent, _ = _element(numbers, after)
    return int.from_bytes(modulus), int.from_bytes(exponent)


def _element(data: bytes, at: int) -> tuple[bytes, int]:
    """The content of the DER element at a place, and where the next one begins."""
    length, start = data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length, start = int.from_bytes(data[start : start + count]), start + count
    if start + length > len(data):
        raise ValueError("it is cut off")
    return data[start : start + length], start + length


def _add(p: _Point, q: _Point) -> _Point:
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % _P, (p[1] + p[0]) * (q[1] + q[0]) % _P
    c, d = 2 * p[3] * q[3] * _D % _P, 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(scalar: int, point: _Point) -> _Point:
    total: _Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = _add(total, point)
        point = _add(point, point)
        scalar >>= 1
    return total


def _point(raw: bytes) -> _Point | None:
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= _P:
        return None
    x2 = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(x2, (_P + 3) // 8, _P)
    if (x * x - x2) % _P:
        x = x * _SQRT % _P
    if (x * x - x2) % _P or (not x and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


_BASE = _point(bytes([0x58] + [0x66] * 31))


def _verify_ed25519(key: bytes, signature: bytes, message: bytes) -> bool:
    if len(signature) != 64 or _BASE is None:
        return False
    owner, commitment = _point(key), _point(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if owner is None or commitment is None or scalar >= _L:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % _L
    left, right = _times(scalar, _BASE), _add(commitment, _times(challenge, owner))
    return (
        not (left[0] * right[2] - right[0] * left[2]) % _P
        and not (left[1] * right[2] - right[1] * left[2]) % _P
    )
