"""The rules of a logout token, as pure functions: header and claims in, whose sessions it ends out.

OpenID Connect Back-Channel Logout 1.0 sections 2.4 and 2.6, the signature having been verified.
https://openid.net/specs/openid-connect-backchannel-1_0.html
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.flow import SKEW_SECONDS, Client
from extauthz.cookies.marks import Kind, mark
from extauthz.oauth.errors import InvalidToken

TYPES = ("logout+jwt", "application/logout+jwt")
EVENT = "http://schemas.openid.net/event/backchannel-logout"
FRESH_SECONDS = 120.0  # section 2.4 recommends that a token is good for no longer than two minutes
MAX_JTI_CHARACTERS = 256  # each is remembered for a while


@dataclass(frozen=True, slots=True, kw_only=True)
class Logout:
    """What a logout token asks for. `kind` and `value`: whose sessions are to end; `jti`: the token's own name."""

    kind: Kind
    value: str = field(repr=False)
    jti: str

    def mark(self, app: str) -> str:
        """The mark of those sessions."""
        return mark(app, self.kind, self.value)


def read_logout_token(header: Mapping[str, Any], claims: Mapping[str, Any], client: Client, *, now: float) -> Logout:
    """Whose sessions the token ends. Raises InvalidToken."""
    if "typ" in header and str(header["typ"]).lower() not in TYPES:
        raise InvalidToken("of another type than logout+jwt")
    _check_parties(claims, client)
    _check_times(claims, now)
    if "nonce" in claims:
        raise InvalidToken("carries a nonce, as ID tokens do")  # section 2.4: so that neither passes for the other
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise InvalidToken("its events name no back-channel logout")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI_CHARACTERS:
        raise InvalidToken("its jti is missing, or too long")
    kind, value = _whose(claims)
    return Logout(kind=kind, value=value, jti=jti)


def _check_parties(claims: Mapping[str, Any], client: Client) -> None:
    if claims.get("iss") != client.issuer:
        raise InvalidToken("of another issuer")
    audience = claims.get("aud")
    if client.client_id not in (audience if isinstance(audience, list) else [audience]):
        raise InvalidToken("meant for another client")


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    times = {name: claims.get(name) for name in ("iat", "exp")}
    for name, value in times.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidToken(f"its {name} is missing, or not a time")
    if claims["exp"] <= now - SKEW_SECONDS:
        raise InvalidToken("it has expired")
    if not now - FRESH_SECONDS - SKEW_SECONDS <= claims["iat"] <= now + SKEW_SECONDS:
        raise InvalidToken("it is not of now")


def _whose(claims: Mapping[str, Any]) -> tuple[Kind, str]:
    """One session where there is a `sid`, else all of the user (section 2.4)."""
    for name, value in ((name, claims[name]) for name in ("sub", "sid") if name in claims):
        if not isinstance(value, str) or not value:
            raise InvalidToken(f"its {name} is not a name")
    for kind in (Kind.SID, Kind.SUB):
        if kind in claims:
            return kind, claims[kind]
    raise InvalidToken("it names neither a session nor a user")
