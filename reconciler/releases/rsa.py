"""RSA signatures with message recovery, as `openssl rsautl -verify -pubin` reads them. Pure.

RFC 8017: section 8.2.2 without the comparison of a digest, because freebsd-update signs the message itself;
appendix A.1.1 for the key, RFC 5280 section 4.1 for what it is wrapped in. Only a public key's operation:
there is nothing secret, so nothing has to take constant time.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----\n((?:[A-Za-z0-9+/=]{1,76}\n)+)-----END PUBLIC KEY-----\n")
# rsaEncryption (1.2.840.113549.1.1.1) with NULL for parameters: the whole AlgorithmIdentifier's content.
_RSA = bytes.fromhex("06092a864886f70d0101010500")
_SEQUENCE, _INTEGER, _BITS = 0x30, 0x02, 0x03
BITS = (2048, 8192)
"""Sizes of keys that are taken; freebsd-update's has 4096 bits."""
_PADDING = 8


class KeyUnreadable(ValueError):
    """The bytes are no RSA public key in PEM, or one of a size that is not taken."""


class NotSigned(ValueError):
    """The bytes are no signature that this key made."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A modulus and a public exponent."""

    modulus: int
    exponent: int

    @property
    def size(self) -> int:
        """Bytes of the modulus, and so of every signature."""
        return (self.modulus.bit_length() + 7) // 8


def public_key(pem: bytes) -> PublicKey:
    """Read a PEM file with one RSA public key (SubjectPublicKeyInfo). Raises KeyUnreadable."""
    found = _PEM.fullmatch(pem)
    if found is None:
        raise KeyUnreadable("The key is not one public key in PEM")
    try:
        data = base64.b64decode(found[1].replace(b"\n", b""), validate=True)
    except binascii.Error as error:
        raise KeyUnreadable("The key's base64 cannot be read") from error
    inner = _whole(data, _SEQUENCE)
    algorithm, bits = _pair(inner, _SEQUENCE, _BITS)
    if algorithm != _RSA or bits[:1] != b"\0":
        raise KeyUnreadable("The key is not an RSA key")
    modulus, exponent = _pair(_whole(bits[1:], _SEQUENCE), _INTEGER, _INTEGER)
    key = PublicKey(_positive(modulus), _positive(exponent))
    if not BITS[0] <= key.modulus.bit_length() <= BITS[1]:
        raise KeyUnreadable(f"The key has {key.modulus.bit_length()} bits, not {BITS[0]} to {BITS[1]}")
    if key.modulus % 2 == 0 or key.exponent % 2 == 0 or not 3 <= key.exponent < 2**64:
        raise KeyUnreadable("The key's numbers are not those of RSA")
    return key


def recover(key: PublicKey, signature: bytes) -> bytes:
    """The message inside a signature. Raises NotSigned.

    The block must be 00 01, FF to the last byte before 00, then the message: no byte of it is left for a
    forger to choose (the padding oracles of the past forgave some).
    """
    number = int.from_bytes(signature)
    if len(signature) != key.size or number >= key.modulus:
        raise NotSigned(f"The signature is not {key.size} bytes that this key can have made")
    block = pow(number, key.exponent, key.modulus).to_bytes(key.size)
    padding, found, message = block[2:].partition(b"\0")
    if block[:2] != b"\0\1" or not found or len(padding) < _PADDING or padding.strip(b"\xff"):
        raise NotSigned("The signature was not made by this key")
    return message


def _pair(data: bytes, first: int, second: int) -> tuple[bytes, bytes]:
    one, rest = _value(data, first)
    return one, _whole(rest, second)


def _whole(data: bytes, kind: int) -> bytes:
    value, rest = _value(data, kind)
    if rest:
        raise KeyUnreadable("The key has bytes after its end")
    return value


def _value(data: bytes, kind: int) -> tuple[bytes, bytes]:
    """The content of one DER element of a kind, and what follows it."""
    if len(data) < 2 or data[0] != kind:
        raise KeyUnreadable("The key is not in the order of an RSA key")
    size, start = data[1], 2
    if size >= 0x80:
        start = 2 + (size & 0x7F)
        size = int.from_bytes(data[2:start])
        if not 2 < start <= 4 or size < 0x80 or data[2] == 0:
            raise KeyUnreadable("A length in the key is not written as DER wants it")
    if len(data) < start + size:
        raise KeyUnreadable("The key is cut short")
    return data[start : start + size], data[start + size :]


def _positive(data: bytes) -> int:
    if not data or data[0] & 0x80 or (len(data) > 1 and data[0] == 0 and not data[1] & 0x80):
        raise KeyUnreadable("A number in the key is not written as DER wants it")
    return int.from_bytes(data)
