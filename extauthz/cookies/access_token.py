"""What the access token cookie holds: in our own format compact JSON with the token, its time and its session's.

The agent writes it, the proxy reads it, and trusts none of it: anyone who has the public key can seal.
"""

import json
import re
from dataclasses import dataclass, field

from extauthz.cookies.envelope import Defect, InvalidCookie
from extauthz.cookies.hpke import Opener
from extauthz.cookies.marks import KnownBy, are_marks, known_by

# RFC 6750 section 2.1, b64token: https://www.rfc-editor.org/rfc/rfc6750#section-2.1. What passes can stand in
# a form and in a header; CR, LF, blanks and commas cannot pass.
TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What the cookie carries. `issued_at`: seconds since the epoch, when the agent obtained the token.

    `began`: milliseconds, when the session did; `marks`: by what else than its id the session can be ended. Agents
    before revocations wrote neither. A format that holds only the token leaves the others 0 and empty.
    """

    token: str = field(repr=False)
    issued_at: int = 0
    session_id: str = ""
    marks: tuple[str, ...] = ()
    began: int = 0

    def to_bytes(self) -> bytes:
        """The plaintext to seal."""
        members: dict[str, object] = {"at": self.token, "iat": self.issued_at, "sid": self.session_id}
        if self.began or self.marks:
            members |= {"beg": self.began, "m": self.marks}
        return json.dumps(members, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, plaintext: bytes) -> "AccessToken":
        """Read an opened cookie. Raises InvalidCookie unless every member is of the expected form."""
        try:
            members = json.loads(plaintext)
        except (ValueError, RecursionError) as error:
            raise InvalidCookie(Defect.MALFORMED) from error
        if not isinstance(members, dict):
            raise InvalidCookie(Defect.MALFORMED)
        match {"m": [], "beg": 0, **members}:
            case {"at": str(token), "iat": int(issued_at), "sid": str(session_id), "m": marks, "beg": int(began)} if (
                TOKEN.fullmatch(token)
                and are_marks(marks)
                and not (isinstance(issued_at, bool) or isinstance(began, bool))
            ):
                return cls(token=token, issued_at=issued_at, session_id=session_id, marks=tuple(marks), began=began)
        raise InvalidCookie(Defect.MALFORMED)

    def known_by(self, app: str) -> KnownBy | None:
        """By what the session can be ended, None where the cookie names none."""
        return known_by(app, self.session_id, self.marks, self.began) if self.session_id else None


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
