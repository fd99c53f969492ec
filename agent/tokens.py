"""The agent's calls to the token endpoint: a code for tokens, a refresh token for new ones (RFC 6749 sections 4.1, 6).

Outcomes are kept apart: the grant is over (`invalid_grant`), the request was refused for another reason, or the
authorization server is in trouble. Only the first ends a session.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.errors import AgentError
from extauthz.cookies.access_token import TOKEN
from extauthz.oauth.client_auth import ClientAuthentication, Form
from extauthz.oauth.errors import AuthorizationServerError, Trouble
from extauthz.oauth.http import REFUSALS, HttpClient, Reply, require_success
from extauthz.oauth.metadata import Discovery, endpoint

TokenKind = Literal["refresh_token", "access_token"]


class GrantOver(Exception):
    """`invalid_grant`: the code or refresh token is spent, expired or revoked (RFC 6749 section 5.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """A token response. `expires_in`: seconds, None when the server does not say."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    id_token: str | None = field(repr=False)
    expires_in: int | None


class TokenEndpoint:
    """Speaks to one authorization server as one client. `resource`: what access tokens are asked for (RFC 8707)."""

    def __init__(
        self, discovery: Discovery, http: HttpClient, client: ClientAuthentication, resource: Sequence[str] = ()
    ) -> None:
        self._discovery, self._http, self._client = discovery, http, client
        self._resource: Form = {"resource": resource} if resource else {}

    async def exchange(self, code: str, *, redirect_uri: str, verifier: str) -> Tokens:
        """Redeem an authorization code. Raises GrantOver, AgentError, AuthorizationServerError."""
        return await self._ask(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": redirect_uri,
                "code_verifier": verifier,
            }
        )

    async def refresh(self, refresh_token: str, extra: Mapping[str, str]) -> Tokens:
        """Get new tokens. `extra`: allowed parameters of the app. Raises like `exchange`."""
        return await self._ask({**extra, "grant_type": "refresh_token", "refresh_token": refresh_token})

    async def revoke(self, token: str, kind: TokenKind = "refresh_token") -> None:
        """End the token, and with a refresh token the grant, when the server offers to (RFC 7009).

        Raises AuthorizationServerError.
        """
        url = (await self._discovery.metadata()).revocation_endpoint
        if url is not None:
            form = {"token": token, "token_type_hint": kind}
            require_success(await self._http.post(url, form, {}, client=self._client), "revocation")

    async def _ask(self, form: Form) -> Tokens:
        metadata = await self._discovery.metadata()
        url = endpoint(metadata.token_endpoint, "token_endpoint")
        form = {**self._resource, **form}
        reply = await self._http.post(url, form, {"accept": "application/json"}, client=self._client)
        if reply.status == 400:
            raise _refusal(reply)
        require_success(reply, "the token endpoint")
        return read(reply.json())


def read(members: Mapping[str, Any]) -> Tokens:
    """Check a token response. Raises AuthorizationServerError when it is not one we can use."""
    access_token, token_type = members.get("access_token"), members.get("token_type")
    # RFC 6749 section 7.1: a client must not use a token whose type it does not understand.
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        raise AuthorizationServerError(Trouble.BAD_ANSWER, "the token endpoint did not answer with a bearer token")
    if not isinstance(access_token, str) or not TOKEN.fullmatch(access_token):
        raise AuthorizationServerError(Trouble.BAD_ANSWER, "the token endpoint answered without a usable token")
    refresh_token = _text(members, "refresh_token")
    if refresh_token is not None and not (refresh_token.isascii() and refresh_token.isprintable()):
        # RFC 6749 appendix A.17: what else there is could be neither kept nor sent back.
        raise AuthorizationServerError(Trouble.BAD_ANSWER, "the token endpoint answered without a usable refresh token")
    expires_in = members.get("expires_in")
    return Tokens(
        access_token=access_token,
        refresh_token=refresh_token,
        id_token=_text(members, "id_token"),
        expires_in=max(expires_in, 0) if isinstance(expires_in, int) and not isinstance(expires_in, bool) else None,
    )


def _refusal(reply: Reply) -> Exception:
    error = reply.json().get("error")
    if error == "invalid_grant":
        return GrantOver()
    if error in REFUSALS:
        return AuthorizationServerError(Trouble.REFUSED_US, f"the token endpoint answered {error}")
    return AgentError(400, "authorization_error", "a request sent to the authorization server was rejected")


def _text(members: Mapping[str, Any], name: str) -> str | None:
    value = members.get(name)
    return value if isinstance(value, str) and value else None
