"""The five calls of the OAuth Agent, as Curity's token-handler-js-assistant makes them.

Each takes an `Exchange` and gives the members of a JSON object. What protects them (custom header, origin) and how
errors look is app.py's business.
"""

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from agent import flow
from agent.authorization import AuthorizationEndpoint
from agent.errors import AgentError, invalid_request
from agent.flow import Client, Login
from agent.forms import cookies, read_form
from agent.refreshes import Refreshes
from agent.set_cookies import CookieJar, RefreshToken, Session
from agent.tokens import GrantOver, TokenEndpoint, Tokens
from extauthz.cookies.access_token import AccessToken
from extauthz.cookies.envelope import Defect, InvalidCookie
from extauthz.oauth.errors import AuthorizationServerError, InvalidToken, Trouble
from extauthz.oauth.jwks import KeySet
from extauthz.oauth.metadata import Discovery

Members = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call: the request, and the Set-Cookie lines its answer carries, be it a success or an error."""

    request: Request
    set_cookies: list[str] = field(default_factory=list, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One app's agent. `clock`: seconds since the epoch."""

    client: Client
    post_logout_redirect_uri: str
    authorization_parameters: tuple[str, ...]
    refresh_parameters: tuple[str, ...]
    jar: CookieJar
    discovery: Discovery
    keys: KeySet
    authorization: AuthorizationEndpoint
    tokens: TokenEndpoint
    refreshes: Refreshes
    clock: Callable[[], float]

    async def login_start(self, call: Exchange) -> Members:
        """POST login/start: where to send the browser, and a cookie that remembers what was sent."""
        extra = flow.allowed_parameters(await read_form(call.request), self.authorization_parameters)
        login = Login(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(32),
            started_at=int(self.clock()),
            openid="openid" in extra.get("scope", self.client.scope).split(),
        )
        url = await self.authorization.url(flow.authorization_parameters(self.client, login, extra))
        call.set_cookies.append(self.jar.set_login(login))
        return {"authorization_url": url}

    async def login_end(self, call: Exchange) -> Members:
        """POST login/end: all parameters of the authorization response in, session cookies out."""
        given = await read_form(call.request)
        # First: while the authorization server is away nothing is used up, and the page may try again.
        metadata = await self.discovery.metadata()
        response = given if self.client.response_mode == "query" else await self._signed(given)
        login = self._take_login(call, response.get("state", ""))
        code = flow.authorization_code(
            response, login, issuer=metadata.issuer, sends_iss=metadata.sends_iss, now=self.clock()
        )
        tokens = await self._redeem(code, login)
        claims = await self._claims(tokens, login)
        # Nothing of an earlier session carries over: a new session id, and no refresh token of somebody else's.
        session_id = secrets.token_urlsafe(16)
        line = self._refresh_line(tokens.refresh_token, session_id)
        held = self._signed_in(call, tokens, claims, session_id=session_id)
        call.set_cookies.append(line)
        return _members(held, tokens.expires_in)

    async def session(self, call: Exchange) -> Members:
        """GET session: whether somebody is logged in, and who."""
        held = self._session(call)
        if held is None:
            return {"is_logged_in": False}
        left = self._seconds_left(held)
        if left == 0 and self._refresh_token(call) is None:
            call.set_cookies.extend(self.jar.clear_session())
            return {"is_logged_in": False}
        return _members(held, left)

    async def refresh(self, call: Exchange) -> Members:
        """POST refresh: a new access token for the refresh token in the cookie."""
        extra = flow.allowed_parameters(await read_form(call.request), self.refresh_parameters)
        kept, held = self._refresh_token(call), self._session(call)
        if kept is None or held is None:
            raise AgentError(401, "unauthorized", "there is no session to refresh")
        if kept.session_id != held.session_id:
            call.set_cookies.extend(self.jar.clear_session())
            raise AgentError(401, "session_expired", "the cookies are of two sessions; log in again")
        try:
            tokens = await self.refreshes.share(kept.token, lambda: self.tokens.refresh(kept.token, extra))
            # Before anything else can fail: the one in the browser may be spent already. And always, so that the
            # cookies of a session change together, whatever another tab does meanwhile.
            call.set_cookies.append(self._refresh_line(tokens.refresh_token or kept.token, held.session_id))
            claims = await self._refreshed_claims(tokens, held)
        except (GrantOver, InvalidToken) as error:
            call.set_cookies[:] = self.jar.clear_session()
            raise AgentError(401, "session_expired", "the session is over; log in again") from error
        self._signed_in(call, tokens, claims, session_id=held.session_id)
        return {} if tokens.expires_in is None else {"access_token_expires_in": tokens.expires_in}

    async def logout(self, call: Exchange) -> Members:
        """POST logout: cookies cleared, and where to end the session at the authorization server."""
        await read_form(call.request)
        call.set_cookies.extend(self.jar.clear_session())
        # Here the user is logged out in any case; over there it may have to wait.
        with suppress(AuthorizationServerError, InvalidCookie):
            kept = self.jar.refresh_token(cookies(call.request))
            if kept is not None:
                await self.tokens.revoke(kept.token)
        with suppress(AuthorizationServerError):
            url = (await self.discovery.metadata()).end_session_endpoint
            if url is not None:
                client = self.client.client_id
                return {"logout_url": flow.logout_url(url, client, self.post_logout_redirect_uri)}
        return {}

    async def _signed(self, given: Mapping[str, str]) -> Mapping[str, str]:
        """The response in the JWT of `given`. Another's JWT is no response, and costs no login its cookie."""
        try:
            _, claims = await self.keys.verify(flow.signed_response(given, self.client.issuer))
            return flow.response_in(claims, self.client, now=self.clock())
        except InvalidToken as error:
            raise invalid_request(f"the signed response is not valid: {error}") from error

    def _take_login(self, call: Exchange, state: str) -> Login:
        """The login `state` belongs to. It is used once, whatever comes of it (RFC 9700 section 4.2.4)."""
        name = flow.flow_of(state)
        call.set_cookies.append(self.jar.clear_login(name))
        try:
            login = self.jar.login(cookies(call.request), name)
        except InvalidCookie as error:
            raise AgentError(401, "unauthorized", "the login cookie is not ours") from error
        if login is None:
            raise invalid_request("the response does not belong to a login under way")
        return login

    def _session(self, call: Exchange) -> Session | None:
        try:
            return self.jar.session(cookies(call.request))
        except InvalidCookie as error:
            raise self._unusable(call, error) from error

    def _refresh_token(self, call: Exchange) -> RefreshToken | None:
        try:
            return self.jar.refresh_token(cookies(call.request))
        except InvalidCookie as error:
            raise self._unusable(call, error) from error

    def _unusable(self, call: Exchange, error: InvalidCookie) -> AgentError:
        # Two values under one name: a sibling host may have set the other, and must not be able to log the user out.
        if error.defect is not Defect.AMBIGUOUS:
            call.set_cookies.extend(self.jar.clear_session())
        return AgentError(401, "unauthorized", "the session cookies are not ours")

    def _refresh_line(self, token: str | None, session_id: str) -> str:
        if token is None:
            return self.jar.clear_refresh_token()
        return self.jar.set_refresh_token(RefreshToken(token=token, session_id=session_id))

    async def _redeem(self, code: str, login: Login) -> Tokens:
        try:
            return await self.tokens.exchange(code, redirect_uri=self.client.redirect_uri, verifier=login.verifier)
        except GrantOver as error:
            raise AgentError(400, "authorization_error", "the authorization code is not valid any more") from error

    async def _claims(self, tokens: Tokens, login: Login) -> Mapping[str, Any]:
        if tokens.id_token is None:
            if not login.openid:
                return {}
            raise AuthorizationServerError(Trouble.BAD_ANSWER, "the token endpoint answered without an ID token")
        try:
            _, claims = await self.keys.verify(tokens.id_token)
            flow.check_id_token(claims, self.client, nonce=login.nonce, now=self.clock())
        except InvalidToken as error:
            raise AgentError(400, "invalid_id_token", str(error)) from error
        return flow.claims_for_app(claims)

    async def _refreshed_claims(self, tokens: Tokens, held: Session) -> Mapping[str, Any]:
        """The new ID token's claims, or the ones held when there is none. Raises InvalidToken."""
        before = held.claims
        if tokens.id_token is None:
            return before
        _, claims = await self.keys.verify(tokens.id_token)
        # A refreshed token should have no nonce; the login's is not kept to compare one with.
        flow.check_id_token(claims, self.client, nonce=claims.get("nonce"), now=self.clock())
        if before:
            flow.check_same_user(claims, before)
        return flow.claims_for_app(claims)

    def _signed_in(self, call: Exchange, tokens: Tokens, claims: Mapping[str, Any], session_id: str) -> Session:
        now = int(self.clock())
        expires_at = None if tokens.expires_in is None else now + tokens.expires_in
        held = Session(claims=claims, session_id=session_id, access_token_expires_at=expires_at)
        token = AccessToken(token=tokens.access_token, issued_at=now, session_id=session_id)
        lines = [self.jar.set_access_token(token), self.jar.set_session(held)]
        call.set_cookies.extend(lines)  # all or none: one that is too large must not leave half a session
        return held

    def _seconds_left(self, held: Session) -> int | None:
        if held.access_token_expires_at is None:
            return None
        return max(held.access_token_expires_at - int(self.clock()), 0)


def _members(held: Session, left: int | None) -> Members:
    members: Members = {"is_logged_in": True, "id_token_claims": held.claims}
    return members if left is None else {**members, "access_token_expires_in": left}
