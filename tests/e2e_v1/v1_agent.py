"""What a token handler of version 1 does that the proxy can see: it seals texts, and hands the app a CSRF token."""

import base64
import os
import secrets
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION, IV_BYTES = b"\x01", 12


@dataclass(frozen=True)
class V1Agent:
    """An agent with the key it shares with the proxy."""

    key: bytes = field(repr=False)
    prefix: str = "example"

    def seal(self, text: str | bytes) -> str:
        """The cookie value for `text`."""
        octets = text if isinstance(text, bytes) else text.encode()
        iv = os.urandom(IV_BYTES)
        raw = VERSION + iv + AESGCM(self.key).encrypt(iv, octets, None)
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    def open(self, value: str) -> str:
        """The text in a cookie value."""
        raw = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
        assert raw[:1] == VERSION
        body = raw[1:]
        return AESGCM(self.key).decrypt(body[:IV_BYTES], body[IV_BYTES:], None).decode()

    def log_in(self, token: str) -> "V1Session":
        """A session with this access token."""
        csrf = secrets.token_hex(32)
        cookies = {f"{self.prefix}-at": self.seal(token), f"{self.prefix}-csrf": self.seal(csrf)}
        return V1Session(cookies=cookies, csrf_header={f"x-{self.prefix}-csrf": csrf})


@dataclass(frozen=True)
class V1Session:
    """What the browser keeps, and what the app sends beside it with a changing request."""

    cookies: dict[str, str]
    csrf_header: dict[str, str]

    @property
    def cookie(self) -> str:
        """The Cookie header."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())
