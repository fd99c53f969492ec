"""The token endpoint: authorization_code, refresh_token and token exchange."""

import base64
import hashlib
import hmac
from dataclasses import replace

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from demo.idp.authorization_request import is_within
from demo.idp.claims import id_token_claims, is_openid
from demo.idp.clients import authenticate
from demo.idp.config import Client
from demo.idp.errors import OAuthError
from demo.idp.exchange import GRANT_TYPE as TOKEN_EXCHANGE
from demo.idp.exchange import Exchange
from demo.idp.forms import read_form
from demo.idp.grants import Grant, Token
from demo.idp.mode import override
from demo.idp.provider import Provider

HELD_SECONDS = 0.02  # how often a held request looks whether it may go on
NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}


class TokenEndpoint:
    """POST /token."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def post(self, request: Request) -> Response:
        """Exchange a code, a refresh token or an access token for new tokens."""
        form = await read_form(request)
        for name in ("code", "refresh_token", "code_verifier", "subject_token"):
            self._provider.canary.seen(form.get(name))
        client = authenticate(request, form, self._provider)
        while self._provider.mode.token_held:  # noqa: ASYNC110  # the mode is a value, and wakes nobody up
            await anyio.sleep(HELD_SECONDS)
        if self._provider.mode.token_status is not None:
            return self._provider.mode.forced(self._provider.mode.token_status)
        match form.get("grant_type"):
            case "authorization_code":
                return self._redeem(form, client)
            case "refresh_token":
                return self._refresh(form, client)
            case grant_type if grant_type == TOKEN_EXCHANGE:
                return self._answer(Exchange(self._provider).exchange(form, client))
            case None:
                raise OAuthError("invalid_request", "grant_type is required")
            case _:
                raise OAuthError(
                    "unsupported_grant_type", "known here: authorization_code, refresh_token, token exchange"
                )

    def _redeem(self, form: dict[str, str], client: Client) -> Response:
        code = self._provider.grants.spend("code", form.get("code"), client.client_id)
        if form.get("redirect_uri") != code.grant.redirect_uri:
            raise OAuthError("invalid_grant", "redirect_uri differs from the authorization request's")
        if not hmac.compare_digest(s256(form.get("code_verifier", "")), code.grant.code_challenge):
            raise OAuthError("invalid_grant", "code_verifier does not fit")
        resource = _resource(form, code.grant)
        session_end = self._provider.now() + self._provider.config.refresh_token_seconds
        return self._tokens(code.grant, code.scope, resource, session_end, nonce=code.grant.nonce)

    def _refresh(self, form: dict[str, str], client: Client) -> Response:
        value = form.get("refresh_token")
        known = self._provider.grants.find(value)
        # Asked before the token is spent: a scope refused must not cost the session.
        if known and not is_within(form.get("scope", ""), known.grant.scope):
            raise OAuthError("invalid_scope", "scope goes beyond what was granted")
        resource = _resource(form, known.grant) if known else ()
        old = self._provider.grants.spend("refresh_token", value, client.client_id)
        # RFC 10017 section 6.3.2.3: a rotated token does not outlive the first one.
        return self._tokens(old.grant, form.get("scope") or old.grant.scope, resource, old.expires, nonce=None)

    def _tokens(
        self, grant: Grant, scope: str, resource: tuple[str, ...], session_end: int, *, nonce: str | None
    ) -> Response:
        provider = self._provider
        seconds = provider.mode.access_token_seconds
        seconds = provider.config.access_token_seconds if seconds is None else seconds
        expires = provider.now() + seconds
        access = provider.grants.issue("access_token", grant, scope=scope, resource=resource, expires=expires)
        refresh = provider.grants.issue("refresh_token", grant, expires=session_end)
        members: dict[str, object] = {
            "access_token": access.value,
            "token_type": "Bearer",
            "expires_in": seconds,
            "scope": scope,
            "refresh_token": refresh.value,
        }
        if is_openid(grant):
            # The token it belongs to is the one the client gets.
            given = str(provider.mode.token_overrides.get("access_token", access.value))
            members["id_token"] = self._id_token(replace(access, value=given), nonce)
        return self._answer(members)

    def _answer(self, members: dict[str, object]) -> Response:
        return JSONResponse(override(members, self._provider.mode.token_overrides), headers=NO_STORE)

    def _id_token(self, access: Token, nonce: str | None) -> str:
        claims = id_token_claims(self._provider.config, access, nonce=nonce)
        signed = self._provider.sign(override(claims, self._provider.mode.id_token_overrides), "JWT")
        return self._provider.encrypted(signed, access.grant.client_id)


def _resource(form: dict[str, str], grant: Grant) -> tuple[str, ...]:
    """RFC 8707 section 2.2: some of what was granted, or all of it."""
    resource = tuple(form.get("resource", "").split()) or grant.resource
    if not set(resource) <= set(grant.resource):
        raise OAuthError("invalid_target", "resource goes beyond what was granted")
    return resource


def s256(verifier: str) -> str:
    """RFC 7636 section 4.6."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
