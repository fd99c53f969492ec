"""The cookies of the earlier, open-source token handlers, version 1: AES-256-GCM under one key for agent and proxy.

base64url, unpadded, of `version (1 byte, 1) | IV (12) | ciphertext | tag (16)`, with no associated data: a value is
not bound to its name, and whoever breaks into the agent can read it. Kept for those who come from there.
"""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from extauthz.cookies.access_token import TOKEN, AccessToken
from extauthz.cookies.envelope import Defect, InvalidCookie, decode

VERSION = 1
IV_BYTES = 12  # random; safe for 2^32 cookies under one key (NIST SP 800-38D section 8.3)
MIN_BYTES = 1 + IV_BYTES + 1 + 16


@dataclass(frozen=True, slots=True)
class V1Cookies:
    """Seals with the first key, opens with any of several; which one sealed, the format does not say."""

    keys: Sequence[bytes] = field(repr=False)

    def seal(self, text: str) -> str:
        """The cookie value for `text`."""
        return _seal(text, self.keys[0], os.urandom(IV_BYTES))

    def admit(self, value: str) -> None:
        """The cheap check, no cipher yet. Raises InvalidCookie."""
        _body(value)

    def open(self, value: str) -> AccessToken:
        """The access token, which is all the cookie holds. Raises InvalidCookie."""
        token = self.open_text(value)
        if not TOKEN.fullmatch(token):
            raise InvalidCookie(Defect.MALFORMED)
        return AccessToken(token=token)

    def open_text(self, value: str) -> str:
        """The text in any of these cookies. Raises InvalidCookie for every defect."""
        body = _body(value)
        for key in self.keys:
            try:
                return AESGCM(key).decrypt(body[:IV_BYTES], body[IV_BYTES:], None).decode()
            except InvalidTag:
                continue
            except UnicodeDecodeError as error:
                raise InvalidCookie(Defect.MALFORMED) from error
        raise InvalidCookie(Defect.UNDECRYPTABLE)


def _seal(text: str, key: bytes, iv: bytes) -> str:
    raw = bytes((VERSION,)) + iv + AESGCM(key).encrypt(iv, text.encode(), None)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _body(value: str) -> bytes:
    raw = decode(value)
    if len(raw) < MIN_BYTES or raw[0] != VERSION:
        raise InvalidCookie(Defect.MALFORMED)
    return raw[1:]
