"""Which client is calling: by a secret (RFC 6749 section 2.3.1), or by a signed assertion (demo.idp.assertions)."""

import base64
import binascii
import hmac
from urllib.parse import unquote_plus

from starlette.requests import Request

from demo.idp.assertions import asserted
from demo.idp.config import Client
from demo.idp.errors import OAuthError
from demo.idp.provider import Provider


def authenticate(request: Request, form: dict[str, str], provider: Provider) -> Client:
    """Return the client whose credentials the request carries."""
    authorization = request.headers.get("authorization")
    ways = [authorization, form.get("client_secret"), form.get("client_assertion")]
    if len([way for way in ways if way]) > 1:
        # RFC 6749 section 2.3: not more than one method per request.
        raise OAuthError("invalid_request", "two ways of client authentication at once")
    if "client_assertion" in form:
        return asserted(form, provider)
    client_id, secret = _credentials(authorization, form)
    provider.canary.seen(secret)
    client = provider.config.client(client_id)
    known = client.client_secret if client else None
    if client is None or known is None or not hmac.compare_digest(known.encode(), secret.encode()):
        raise OAuthError("invalid_client", "client authentication failed", 401)
    return client


def _credentials(authorization: str | None, form: dict[str, str]) -> tuple[str, str]:
    if authorization:
        return _basic(authorization)
    if "client_id" not in form or "client_secret" not in form:
        raise OAuthError("invalid_client", "client authentication is needed", 401)
    return form["client_id"], form["client_secret"]


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, credentials = authorization.partition(" ")
    try:
        decoded = base64.b64decode(credentials.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise OAuthError("invalid_client", "malformed credentials", 401) from error
    client_id, colon, secret = decoded.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise OAuthError("invalid_client", "client authentication is needed", 401)
    # Each half was form-encoded before the base64 (RFC 6749 section 2.3.1), or a colon could not be told.
    return unquote_plus(client_id), unquote_plus(secret)
