"""Our public keys, for whoever verifies the JWTs we sign. They are no secret, and anybody may ask."""

from collections.abc import Collection, Mapping

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from extauthz.oauth.key_ring import key_set
from extauthz.oauth.signing_key import SigningKey

PATH = "/.well-known/jwks.json"
# How long a verifier may go without a new key; a rotation waits that long between its steps.
MAX_AGE_SECONDS = 300


def published(keys: Collection[SigningKey]) -> Mapping[str, ASGIApp]:
    """What to serve, by path: nothing where there are no keys."""
    return {PATH: Jwks(key_set(keys))} if keys else {}


class Jwks:
    """One document as an ASGI application. `document`: a JWK set."""

    def __init__(self, document: bytes) -> None:
        self._document = document

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD."""
        await self._response(scope["method"])(scope, receive, send)

    def _response(self, method: str) -> Response:
        if method not in ("GET", "HEAD"):
            return PlainTextResponse(status_code=405, headers={"allow": "GET, HEAD"})
        headers = {"cache-control": f"public, max-age={MAX_AGE_SECONDS}"}
        return Response(self._document, media_type="application/json", headers=headers)
