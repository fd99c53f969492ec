"""What every sealed cookie value of ours looks like from outside.

base64url, unpadded, of `version (1 byte) | key id (4 bytes) | body`. All of it is checked before any
cryptography: length, alphabet, canonical form, version, and that we hold the key.
"""

import base64
import binascii
import hashlib
from enum import StrEnum

KEY_ID_BYTES = 4
HEAD_BYTES = 1 + KEY_ID_BYTES
# Browsers ignore a cookie whose name and value exceed 4096 bytes together (RFC 6265bis section 5.6).
MAX_CHARACTERS = 4096


class Defect(StrEnum):
    """Why a sealed value was not accepted; for our log, never for the client."""

    AMBIGUOUS = "ambiguous_cookie"
    MALFORMED = "malformed_cookie"
    UNKNOWN_KEY = "unknown_cookie_key"
    UNDECRYPTABLE = "undecryptable_cookie"


class InvalidCookie(Exception):
    """A sealed cookie value that does not open. `defect` tells why; the value itself is not kept."""

    def __init__(self, defect: Defect) -> None:
        super().__init__(defect.value)
        self.defect = defect


def key_id(key: bytes) -> bytes:
    """The 4 bytes that name a key on the wire; `key` is its public form, or a digest of a secret one."""
    return hashlib.sha256(b"envoy-token-handler key id\0" + key).digest()[:KEY_ID_BYTES]


def pack(version: int, key: bytes, body: bytes) -> str:
    """The cookie value for `body`, sealed under the key with id `key`."""
    return base64.urlsafe_b64encode(bytes((version,)) + key + body).rstrip(b"=").decode()


def unpack(value: str, version: int, *, min_body: int) -> tuple[bytes, bytes]:
    """Key id and body. Raises InvalidCookie for anything `pack` would not have written.

    `min_body` is the length in bytes of the shortest body the cipher can produce.
    """
    raw = decode(value)
    if len(raw) < HEAD_BYTES + min_body or raw[0] != version:
        raise InvalidCookie(Defect.MALFORMED)
    return raw[1:HEAD_BYTES], raw[HEAD_BYTES:]


def decode(value: str) -> bytes:
    """The bytes of unpadded base64url in its one spelling. Raises InvalidCookie."""
    if len(value) > MAX_CHARACTERS:
        raise InvalidCookie(Defect.MALFORMED)
    try:
        raw = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except (ValueError, binascii.Error) as error:
        raise InvalidCookie(Defect.MALFORMED) from error
    # Python's decoder skips foreign characters and ignores surplus bits; one value has one spelling here.
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != value:
        raise InvalidCookie(Defect.MALFORMED)
    return raw
