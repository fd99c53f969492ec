"""The userinfo endpoint: what OpenID Connect Core section 5.3 tells whoever has the access token."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from demo.idp.claims import is_openid
from demo.idp.provider import Provider

NO_STORE = {"cache-control": "no-store"}


class UserInfo:
    """GET /userinfo."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def get(self, request: Request) -> Response:
        """The person's claims, or a challenge (RFC 6750 section 3)."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        self._provider.canary.seen(value)
        token = self._provider.grants.find(value) if scheme.lower() == "bearer" else None
        if token is None or token.kind != "access_token":
            return _challenge(401, "invalid_token")
        if not is_openid(token.grant):
            return _challenge(403, "insufficient_scope")
        person = token.grant.session.person
        return JSONResponse({"sub": person.username, **person.claims()}, headers=NO_STORE)


def _challenge(status: int, error: str) -> Response:
    return Response(status_code=status, headers={**NO_STORE, "www-authenticate": f'Bearer error="{error}"'})
