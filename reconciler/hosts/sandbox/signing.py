"""Keys and signatures of the sandbox's own update server. Never of anything that guards something real.

A key is made from a seed, so that a mirror is the same each time: whoever knows the seed has the key.
"""

from __future__ import annotations

import base64
import hashlib
import random
from dataclasses import dataclass
from math import gcd

_EXPONENT = 65537
_WITNESSES = 4


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An RSA key: modulus, and both exponents."""

    modulus: int
    private: int
    public: int = _EXPONENT

    @property
    def size(self) -> int:
        """Bytes of a signature."""
        return (self.modulus.bit_length() + 7) // 8

    def pem(self) -> bytes:
        """The public half as pub.ssl has it (SubjectPublicKeyInfo in PEM)."""
        numbers = _der(0x30, _integer(self.modulus) + _integer(self.public))
        algorithm = _der(0x30, bytes.fromhex("06092a864886f70d0101010500"))
        whole = base64.b64encode(_der(0x30, algorithm + _der(0x03, b"\0" + numbers))).decode()
        lines = [whole[at : at + 64] for at in range(0, len(whole), 64)]
        return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""]).encode()

    @property
    def key_print(self) -> str:
        """The SHA256 of `pem`, as KeyPrint of freebsd-update.conf."""
        return hashlib.sha256(self.pem()).hexdigest()

    def sign(self, message: bytes) -> bytes:
        """A signature that holds the message: `openssl rsautl -sign`."""
        block = b"\0\1" + b"\xff" * (self.size - 3 - len(message)) + b"\0" + message
        return pow(int.from_bytes(block), self.private, self.modulus).to_bytes(self.size)


def make_key(seed: str, bits: int = 2048) -> SigningKey:
    """The key of a seed. 2048 bits take a fifth of a second, 4096 some seconds."""
    chance = random.Random(seed)  # noqa: S311 - the same key each time is what is wanted
    while True:
        one, other = _prime(chance, bits // 2), _prime(chance, bits // 2)
        order = (one - 1) * (other - 1)
        if one != other and gcd(_EXPONENT, order) == 1:
            return SigningKey(one * other, pow(_EXPONENT, -1, order))


def tag_line(release: str, patch: int, index: str, eol: int, machine: str = "amd64") -> bytes:
    """The line of a tag; `index` is 64 hex digits, `eol` seconds since 1970."""
    return f"freebsd-update|{machine}|{release}|{patch}|{index}|{eol:010}\n".encode()


def tag_files(
    key: SigningKey, release: str, patch: int, index: str, eol: int, machine: str = "amd64"
) -> dict[str, bytes]:
    """`RELEASE/MACHINE/pub.ssl` and `latest.ssl`, by their paths on an update server."""
    folder = f"{release}/{machine}"
    signed = key.sign(tag_line(release, patch, index, eol, machine))
    return {f"{folder}/pub.ssl": key.pem(), f"{folder}/latest.ssl": signed}


def _prime(chance: random.Random, bits: int) -> int:
    """A number of this size, both highest bits set, that is prime as far as Miller and Rabin can tell."""
    while True:
        number = chance.getrandbits(bits) | (3 << (bits - 2)) | 1
        if gcd(number, _SMALL) != 1:
            continue
        if all(_passes(number, chance.randrange(2, number - 1)) for _ in range(_WITNESSES)):
            return number


def _passes(number: int, witness: int) -> bool:
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    power = pow(witness, odd, number)
    if power in (1, number - 1):
        return True
    for _ in range(twos - 1):
        power = power * power % number
        if power == number - 1:
            return True
    return False


def _product_of_small_primes(below: int) -> int:
    product = 1
    for number in range(3, below, 2):
        if gcd(number, product) == 1:
            product *= number
    return product


_SMALL = _product_of_small_primes(4000)


def _integer(value: int) -> bytes:
    return _der(0x02, value.to_bytes(value.bit_length() // 8 + 1))


def _der(kind: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([kind, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([kind, 0x80 | len(length)]) + length + content
