"""The relying party of one app: every step of a login and a session, whatever API asks for it.

Values in, values out: no requests, cookies or JSON; those are the API's. The rules themselves are in flow.py, what
goes over the wire in authorization.py and tokens.py.
"""

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from agent import flow, id_token, issued
from agent.authorization import AuthorizationEndpoint
from agent.errors import AgentError, invalid_request
from agent.flow import Client, Login
from agent.issued import OpensJwe
from agent.logout_token import Logout, read_logout_token
from agent.refreshes import Refreshes
from agent.tokens import GrantOver, TokenEndpoint, TokenKind, Tokens
from extauthz.cookies.marks import Kind, KnownBy, mark
from extauthz.oauth.errors import AuthorizationServerError, InvalidToken, Trouble
from extauthz.oauth.jwks import KeySet
from extauthz.oauth.metadata import Discovery, Metadata
from extauthz.revocations.revocations import Revocations, RevocationsUnavailable


class SessionOver(Exception):
    """The session cannot be refreshed any more; the user has to log in again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn:
    """What a login gave. `claims`: the ID token's, for the session to keep; empty where none was asked for.

    `began`: milliseconds since the epoch, before there were tokens: who is logged out meanwhile is logged out.
    """

    tokens: Tokens
    claims: Mapping[str, Any] = field(repr=False)
    began: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RelyingParty:
    """One app at its authorization server. `clock`: seconds since the epoch; `decryption`: for what it encrypts."""

    app: str
    client: Client
    post_logout_redirect_uri: str
    authorization_parameters: tuple[str, ...]
    refresh_parameters: tuple[str, ...]
    discovery: Discovery
    keys: KeySet
    authorization: AuthorizationEndpoint
    tokens: TokenEndpoint
    refreshes: Refreshes
    revocations: Revocations
    clock: Callable[[], float]
    decryption: OpensJwe | None = field(default=None, repr=False)

    async def start(self, given: Mapping[str, str]) -> tuple[Login, str]:
        """A login, and where to send the browser. `given`: what the app adds. Raises AgentError."""
        extra = flow.allowed_parameters(given, self.authorization_parameters)
        login = Login(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(32),
            started_at=int(self.clock()),
            openid="openid" in extra.get("scope", self.client.scope).split(),
            max_age=flow.max_age(self.client, extra),
        )
        if login.max_age is not None and not login.openid:
            raise invalid_request("max_age can be kept to with the scope openid only")
        parameters = flow.authorization_parameters(self.client, login, extra)
        return login, await self.authorization.url(parameters, openid=login.openid)

    async def finish(self, given: Mapping[str, str], take: Callable[[str], Login]) -> LoggedIn:
        """All parameters of the authorization response in, tokens out. Raises AgentError.

        `take` gives the login a state belongs to, and uses it up.
        """
        # First: while the authorization server is away nothing is used up, and the page may try again.
        metadata = await self.discovery.metadata()
        response = given if self.client.response_mode == "query" else await self._signed(given, metadata)
        login = take(response.get("state", ""))
        code = flow.authorization_code(
            response, login, issuer=metadata.issuer, sends_iss=metadata.sends_iss, now=self.clock()
        )
        began = int(self.clock() * 1000)
        tokens = await self._redeem(code, login)
        return LoggedIn(tokens=tokens, claims=await self._claims(tokens, login, metadata), began=began)

    async def refresh(self, refresh_token: str, given: Mapping[str, str]) -> Tokens:
        """New tokens for a refresh token, `given` as for `start`. Raises SessionOver, AgentError."""
        extra = flow.allowed_parameters(given, self.refresh_parameters)
        try:
            return await self.refreshes.share(refresh_token, lambda: self.tokens.refresh(refresh_token, extra))
        except GrantOver as error:
            raise SessionOver from error

    async def refreshed_claims(self, tokens: Tokens, before: Mapping[str, Any]) -> Mapping[str, Any]:
        """The new ID token's claims, or those `before` when there is none. Raises SessionOver."""
        if tokens.id_token is None:
            return before
        try:
            claims = await self._verified(tokens, tokens.id_token, await self.discovery.metadata())
            # A refreshed token should have no nonce; one that has is compared with the login's.
            id_token.check_id_token(claims, self.client, nonce=claims.get("nonce"), now=self.clock())
            if before:
                id_token.check_refreshed(claims, before)
        except InvalidToken as error:
            raise SessionOver from error
        return id_token.claims_to_keep(claims, before)

    def marks(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        """By what the authorization server can end a session with these claims."""
        named = ((kind, claims.get(kind)) for kind in (Kind.SID, Kind.SUB))
        return tuple(mark(self.app, kind, value) for kind, value in named if isinstance(value, str))

    async def logout(self, token: str) -> Logout:
        """Whose sessions a logout token ends; it is signed and encrypted as ID tokens are. Raises AgentError."""
        metadata = await self.discovery.metadata()
        accepted = issued.accepted_algorithms(self.client.id_token_algorithm, metadata.id_token_algorithms)
        try:
            header, claims = await issued.verify(token, self.keys, accepted, self.decryption)
            return read_logout_token(header, claims, self.client, now=self.clock())
        except InvalidToken as error:
            raise invalid_request(f"the logout token is not valid: {error}") from error

    def has_ended(self, session: KnownBy) -> bool:
        """Whether the session was ended before its time."""
        return self.revocations.has_ended(session)

    async def end(self, marked: str) -> None:
        """Have everybody refuse the sessions with this mark. Raises RevocationsUnavailable when not all were told."""
        await self.revocations.end(marked)

    async def end_own(self, session_id: str) -> None:
        """The same for one session of ours, as far as it can be done now."""
        own = mark(self.app, Kind.SESSION, session_id)
        # Once: whoever keeps its cookies could log out for ever, and fill what all others read.
        if not self.has_ended(KnownBy((own,))):
            with suppress(RevocationsUnavailable):
                await self.end(own)

    async def revoke(self, token: str, kind: TokenKind = "refresh_token") -> None:
        """End the token, and with a refresh token the grant, if that can be done now."""
        with suppress(AuthorizationServerError):
            await self.tokens.revoke(token, kind)

    async def logout_url(self) -> str | None:
        """Where the browser ends its session at the authorization server, if that is known."""
        with suppress(AuthorizationServerError):
            url = (await self.discovery.metadata()).end_session_endpoint
            if url is not None:
                return flow.logout_url(url, self.client.client_id, self.post_logout_redirect_uri)
        return None

    async def _signed(self, given: Mapping[str, str], metadata: Metadata) -> Mapping[str, str]:
        """The response in the JWT of `given`. Another's JWT is no response, and costs no login its cookie."""
        try:
            response = flow.signed_response(given, self.client.issuer)
            accepted = issued.accepted_algorithms(self.client.response_algorithm, metadata.response_algorithms)
            _, claims = await issued.verify(response, self.keys, accepted, self.decryption)
            return flow.response_in(claims, self.client, now=self.clock())
        except InvalidToken as error:
            raise invalid_request(f"the signed response is not valid: {error}") from error

    async def _redeem(self, code: str, login: Login) -> Tokens:
        try:
            return await self.tokens.exchange(code, redirect_uri=self.client.redirect_uri, verifier=login.verifier)
        except GrantOver as error:
            raise AgentError(400, "authorization_error", "the authorization code is not valid any more") from error

    async def _claims(self, tokens: Tokens, login: Login, metadata: Metadata) -> Mapping[str, Any]:
        if tokens.id_token is None:
            if not login.openid:
                return {}
            raise AuthorizationServerError(Trouble.BAD_ANSWER, "the token endpoint answered without an ID token")
        try:
            claims = await self._verified(tokens, tokens.id_token, metadata)
            id_token.check_id_token(claims, self.client, nonce=login.nonce, now=self.clock())
            id_token.check_login(claims, login, now=self.clock())
        except InvalidToken as error:
            raise AgentError(400, "invalid_id_token", str(error)) from error
        return id_token.claims_to_keep(claims)

    async def _verified(self, tokens: Tokens, token: str, metadata: Metadata) -> Mapping[str, Any]:
        accepted = issued.accepted_algorithms(self.client.id_token_algorithm, metadata.id_token_algorithms)
        header, claims = await issued.verify(token, self.keys, accepted, self.decryption)
        id_token.check_access_token(claims, tokens.access_token, str(header["alg"]))
        return claims
