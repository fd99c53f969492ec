"""What the access token cookie holds: in our own format compact JSON with the token, its time and the session id.

The agent writes it, the proxy reads it, and trusts none of it: anyone who has the public key can seal.
"""

import json
import re
from dataclasses import dataclass, field

from extauthz.cookies.envelope import Defect, InvalidCookie
from extauthz.cookies.hpke import Opener

# RFC 6750 section 2.1, b64token: https://www.rfc-editor.org/rfc/rfc6750#section-2.1. What passes can stand in
# a form and in a header; CR, LF, blanks and commas cannot pass.
TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What the cookie carries. `issued_at`: seconds since the epoch, when the agent obtained the token.

    A format that holds only the token leaves the others 0 and empty.
    """

    token: str = field(repr=False)
    issued_at: int = 0
    session_id: str = ""

    def to_bytes(self) -> bytes:
        """The plaintext to seal."""
        members = {"at": self.token, "iat": self.issued_at, "sid": self.session_id}
        return json.dumps(members, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, plaintext: bytes) -> "AccessToken":
        """Read an opened cookie. Raises InvalidCookie unless every member is of the expected form."""
        try:
            members = json.loads(plaintext)
        except (ValueError, RecursionError) as error:
            raise InvalidCookie(Defect.MALFORMED) from error
        match members:
            case {"at": str(token), "iat": int(issued_at), "sid": str(session_id)} if TOKEN.fullmatch(
                token
            ) and not isinstance(issued_at, bool):
                return cls(token=token, issued_at=issued_at, session_id=session_id)
        raise InvalidCookie(Defect.MALFORMED)


@dataclass(frozen=True, slots=True)
class SealedAccessTokens:
    """Access token cookies in our own format."""

    opener: Opener

    def admit(self, value: str) -> None:
        """The cheap check, no elliptic curve yet. Raises InvalidCookie."""
        self.opener.admit(value)

    def open(self, value: str) -> AccessToken:
        """What the cookie carries. Raises InvalidCookie."""
        return AccessToken.from_bytes(self.opener.open(value))
