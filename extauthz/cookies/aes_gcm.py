"""Cookies the OAuth Agent seals for itself: AES-256-GCM with a key ring, bound to app and cookie name."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from extauthz.cookies.envelope import Defect, InvalidCookie, key_id, pack, unpack
from extauthz.cookies.purpose import Purpose

VERSION = 2
KEY_BYTES = 32
NONCE_BYTES = 12  # random; safe for 2^32 cookies under one key (NIST SP 800-38D section 8.3)
MIN_BODY = NONCE_BYTES + 1 + 16


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Seals with the first key, opens with any."""

    keys: Sequence[bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.keys or any(len(key) != KEY_BYTES for key in self.keys):
            raise ValueError("at least one key of 32 bytes is needed")

    def seal(self, plaintext: bytes, purpose: Purpose) -> str:
        """The cookie value for `purpose`."""
        return _seal(plaintext, purpose, self.keys[0], os.urandom(NONCE_BYTES))

    def open(self, value: str, purpose: Purpose) -> bytes:
        """The plaintext. Raises InvalidCookie for every defect."""
        name, body = unpack(value, VERSION, min_body=MIN_BODY)
        key = next((key for key in self.keys if key_id(key) == name), None)
        if key is None:
            raise InvalidCookie(Defect.UNKNOWN_KEY)
        try:
            return AESGCM(key).decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], purpose.info)
        except InvalidTag as error:
            raise InvalidCookie(Defect.UNDECRYPTABLE) from error


def _seal(plaintext: bytes, purpose: Purpose, key: bytes, nonce: bytes) -> str:
    return pack(VERSION, key_id(key), nonce + AESGCM(key).encrypt(nonce, plaintext, purpose.info))
