"""The CSRF tokens of version 1: the page sends one in a header, and a sealed cookie beside it holds the same.

The earlier agents keep the token of before at a login, for the other tabs. Somebody who can set cookies in a visitor's
browser (a sibling host) could so choose the token: take one from a session of his own, plant its cookie, and wait for
the login. Therefore our tokens are made for a user: that of the same user is kept, any other is replaced.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# What the earlier agents made, 64 letters and digits; and ours, marked by what theirs cannot have. Nothing else is told
# to the page: whoever got hold of a sealed access or refresh token could call it a CSRF cookie, and have it opened.
FORM = re.compile(r"(u\.)?[A-Za-z0-9]{64}", re.ASCII)
MARK = "u."
SALT_BYTES = 16
MAC_DIGITS = 32  # 128 bits
PURPOSE = b"envoy-token-handler csrf\0"


@dataclass(frozen=True, slots=True)
class CsrfTokens:
    """Makes tokens under the first key, knows those made under any."""

    keys: Sequence[bytes] = field(repr=False)

    def for_login(self, before: str | None, claims: Mapping[str, Any]) -> str:
        """The token of a session that begins: that of `before` if it is the same user's, else a new one."""
        if before is not None and is_of_a_user(before) and self.is_of(claims, before):
            return before
        if "sub" not in claims:  # no ID token, so nobody knows whose it is
            return secrets.token_hex(32)
        salt = secrets.token_hex(SALT_BYTES)
        return f"{MARK}{salt}{_mac(self.keys[0], salt, claims)}"

    def is_of(self, claims: Mapping[str, Any], token: str) -> bool:
        """Whether a token that is a user's is that of the user of these ID token claims."""
        digits = token.removeprefix(MARK)
        salt, mac = digits[:-MAC_DIGITS], digits[-MAC_DIGITS:]
        return any(hmac.compare_digest(mac, _mac(key, salt, claims)) for key in self.keys)


def is_of_a_user(token: str) -> bool:
    """Whether it is one of those we make for a user."""
    return token.startswith(MARK)


def _mac(key: bytes, salt: str, claims: Mapping[str, Any]) -> str:
    user = json.dumps([salt, claims.get("iss"), claims.get("sub")]).encode()
    return hmac.new(key, PURPOSE + user, hashlib.sha256).hexdigest()[:MAC_DIGITS]
