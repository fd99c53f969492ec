"""The Authorization header of a client that is no browser (RFC 6750 section 2.1)."""

from extauthz.cookies.access_token import TOKEN
from extauthz.reason import Reason
from extauthz.request import Request

MAX_CHARACTERS = 16 * 1024  # more than any gateway takes as a header


def bearer_token(request: Request) -> str | Reason | None:
    """The one bearer token, None when there is none; another scheme is no credential of ours."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    token = token.strip(" ")
    if len(token) > MAX_CHARACTERS or not TOKEN.fullmatch(token):
        return Reason.MALFORMED_BEARER
    return token
