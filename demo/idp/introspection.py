"""Introspection (RFC 7662) in five dialects, two of them signed (RFC 9701), and revocation (RFC 7009)."""

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from demo.idp.claims import access_token_claims, refresh_token_claims
from demo.idp.clients import authenticate
from demo.idp.config import Client
from demo.idp.encryption import encrypt
from demo.idp.errors import OAuthError
from demo.idp.forms import read_form
from demo.idp.grants import Token
from demo.idp.mode import override
from demo.idp.provider import Provider

JWT = "application/jwt"
SIGNED = "application/token-introspection+jwt"
NO_STORE = {"cache-control": "no-store"}


class Introspection:
    """POST /introspect and POST /revoke, both for authenticated clients only."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def introspect(self, request: Request) -> Response:
        """Tell what an opaque token stands for, or give the JWT it stands for."""
        form = await read_form(request)
        self._provider.canary.seen(form.get("token"))
        client = authenticate(request, form, self._provider)
        mode = self._provider.mode
        await anyio.sleep(mode.introspection_delay)
        if mode.introspection_status is not None:
            return mode.forced(mode.introspection_status)
        if "token" not in form:
            raise OAuthError("invalid_request", "token is required")
        token = self._provider.grants.find(form["token"])
        if mode.introspection == "jwt" and JWT in request.headers.get("accept", ""):
            return self._relabelled(self._phantom(token))
        if mode.introspection.startswith("rfc9701"):
            return self._relabelled(self._by_rfc9701(token, client, request.headers.get("accept", "")))
        return self._relabelled(self._json(token))

    async def revoke(self, request: Request) -> Response:
        """RFC 7009 section 2.2: an unknown token is as good as revoked."""
        form = await read_form(request)
        self._provider.canary.seen(form.get("token"))
        client = authenticate(request, form, self._provider)
        if "token" not in form:
            raise OAuthError("invalid_request", "token is required")
        token = self._provider.grants.find(form["token"])
        if token is None:
            return Response(headers=NO_STORE)
        if token.grant.client_id != client.client_id:
            raise OAuthError("invalid_grant", "the token was issued to another client")
        if token.kind == "access_token":
            self._provider.grants.expire("access_token", token.value)
        else:
            self._provider.grants.revoke(token.grant)
        return Response(headers=NO_STORE)

    def _phantom(self, token: Token | None) -> Response:
        if token is None or token.kind != "access_token":
            return Response(status_code=204, headers=NO_STORE)
        headers = {"content-type": JWT, "cache-control": f"max-age={token.expires - self._provider.now()}"}
        return Response(self._jwt(token), headers=headers)

    def _by_rfc9701(self, token: Token | None, client: Client, accept: str) -> Response:
        encrypting = self._provider.mode.introspection == "rfc9701-encrypted" and client.encryption_jwk is not None
        if SIGNED not in accept:
            if encrypting:
                raise OAuthError("invalid_request", "this client is registered for encrypted answers")
            return self._json(token)  # as servers do with an Accept they do not know
        provider = self._provider
        claims: dict[str, object] = {"iss": provider.config.issuer, "aud": client.client_id, "iat": provider.now()}
        answer = provider.sign({**claims, "token_introspection": self._members(token)}, "token-introspection+jwt")
        if encrypting:
            answer = encrypt(answer, client)
        return Response(answer, headers={"content-type": SIGNED, **NO_STORE})

    def _json(self, token: Token | None) -> Response:
        return JSONResponse(self._members(token), headers=NO_STORE)

    def _members(self, token: Token | None) -> dict[str, object]:
        if token is None or token.kind == "code":
            return {"active": False}
        is_refresh = token.kind == "refresh_token"
        members = self._refresh_members(token) if is_refresh else self._access_members(token)
        return override(members, self._provider.mode.jwt_overrides)

    def _refresh_members(self, token: Token) -> dict[str, object]:
        # As real servers do: active, with neither token_type nor audience. No proxy may take it for access.
        return {"active": True, **refresh_token_claims(self._provider.config, token)}

    def _access_members(self, token: Token) -> dict[str, object]:
        claims = access_token_claims(self._provider.config, token)
        username = token.grant.session.person.username
        members = {"active": True, "token_type": "Bearer", "username": username, **claims}
        is_keycloak = self._provider.mode.introspection == "keycloak"
        return {**members, "jwt": self._jwt(token)} if is_keycloak else members

    def _jwt(self, token: Token) -> str:
        claims = access_token_claims(self._provider.config, token)
        return self._provider.sign(override(claims, self._provider.mode.jwt_overrides), "at+jwt")

    def _relabelled(self, response: Response) -> Response:
        mode = self._provider.mode
        if mode.content_type is not None and mode.token_status is None and response.status_code == 200:
            response.headers["content-type"] = mode.content_type
        return response
