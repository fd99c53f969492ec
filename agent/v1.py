"""Version 1 of the API, that of Curity's open-source OAuth Agents: JSON in and out, a CSRF token on what changes.

Translates between that and the relying party. Its pages, proxies and sessions know nothing of the change.
"""

import hmac
from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from starlette.requests import Request

from agent import guard, issued
from agent.api import Endpoint, Exchange, Members
from agent.errors import AgentError, forbidden
from agent.forms import cookies
from agent.logins import take_login
from agent.relying_party import LoggedIn, RelyingParty, SessionOver
from agent.tokens import Tokens
from agent.user_info import UserInfo
from agent.v1_bodies import authorization_response, extra_parameters, read_json
from agent.v1_cookies import V1Jar
from agent.v1_csrf import CsrfTokens, is_of_a_user
from extauthz.cookies.envelope import Defect, InvalidCookie
from extauthz.cookies.header import CookieHeader

T = TypeVar("T")

READ = ("GET", "HEAD")
# What version 1 calls otherwise. By the status too: an authorization server's own word may be the same.
ERRORS = {
    (400, "invalid_id_token"): (400, "invalid_request"),
    (401, "unauthorized"): (401, "unauthorized_request"),
    (403, "forbidden"): (401, "unauthorized_request"),
    (500, "cookie_too_large"): (500, "server_error"),
    (503, "temporarily_unavailable"): (502, "authorization_server_error"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class V1:
    """One app's API."""

    relying_party: RelyingParty
    people: UserInfo
    jar: V1Jar
    csrf_tokens: CsrfTokens
    origins: Set[str]

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """The six calls."""
        return [
            Endpoint("/login/start", ("POST",), self.login_start),
            Endpoint("/login/end", ("POST",), self.login_end),
            Endpoint("/userInfo", READ, self.user_info),
            Endpoint("/claims", READ, self.claims),
            Endpoint("/refresh", ("POST",), self.refresh),
            Endpoint("/logout", ("POST",), self.logout),
        ]

    def guard(self, request: Request) -> None:
        """A trusted origin. Raises AgentError."""
        guard.require_trusted_origin(request, self.origins)

    def error(self, failure: AgentError) -> tuple[int, Members]:
        """Two members, and the words that pages of version 1 know."""
        status, code = ERRORS.get((failure.status, failure.code), (failure.status, failure.code))
        return status, {"code": code, "message": failure.message}

    async def login_start(self, call: Exchange) -> Members:
        """POST login/start: where to send the browser, and a cookie that remembers what was sent."""
        login, url = await self.relying_party.start(extra_parameters(await read_json(call.request)))
        call.set_cookies.append(self.jar.set_login(login))
        return {"authorizationRequestUrl": url}

    async def login_end(self, call: Exchange) -> Members:
        """POST login/end, on every page load: ends a login if there is one to end, and says how things stand."""
        mode = self.relying_party.client.response_mode
        response = authorization_response(await read_json(call.request), self.origins, mode)
        if response is None:
            return self._page(call)
        logged_in = await self.relying_party.finish(response, lambda state: take_login(call, self.jar, state))
        csrf = self._signed_in(call, logged_in)
        return {"handled": True, "isLoggedIn": True, "csrf": csrf}

    async def user_info(self, call: Exchange) -> Members:
        """GET userInfo: what the authorization server says of the user now."""
        return await self.people.of(self._needed(call, self.jar.access_token))

    async def claims(self, call: Exchange) -> Members:
        """GET claims: what it said in the ID token."""
        return dict(self._needed(call, self.jar.claims))

    async def refresh(self, call: Exchange) -> None:
        """POST refresh: a new access token for the refresh token in the cookie."""
        csrf = self._needed(call, self.jar.csrf)
        self._require_csrf(call.request, csrf)
        kept = self._needed(call, self.jar.refresh_token)
        try:
            tokens = await self.relying_party.refresh(kept, {})
            # Before anything else can fail: the one in the browser may be spent already.
            call.set_cookies.extend(self._refresh_line(tokens.refresh_token, kept))
            await self._require_same_user(tokens, csrf)
        except SessionOver as error:
            call.set_cookies[:] = self.jar.clear_session()
            raise AgentError(401, "session_expired", "the session is over; log in again") from error
        lines = [self.jar.set_access_token(tokens.access_token)]
        if self.jar.max_age is not None:
            lines.append(self.jar.set_csrf(csrf))  # the same, for as long as the others
        if tokens.id_token is not None:
            lines.append(self.jar.set_id_token(self._signed(tokens)))
        call.set_cookies.extend(lines)

    async def logout(self, call: Exchange) -> Members:
        """POST logout: cookies cleared, and where to end the session at the authorization server.

        Whoever has no session, or one that does not open any more, wants out all the same.
        """
        given = cookies(call.request)
        with suppress(InvalidCookie):
            csrf = self.jar.csrf(given)
            if csrf is not None:
                self._require_csrf(call.request, csrf)
        call.set_cookies.extend(self.jar.clear_session())
        with suppress(InvalidCookie):
            # The refresh token's cookie does not come here.
            token = self.jar.access_token(given)
            if token is not None:
                await self.relying_party.revoke(token, "access_token")
        url = await self.relying_party.logout_url()
        # Pages go there without looking.
        return {"url": url or self.relying_party.post_logout_redirect_uri}

    def _page(self, call: Exchange) -> Members:
        """A page that was opened or loaded again, and has forgotten its CSRF token."""
        given = cookies(call.request)
        try:
            token, csrf = self.jar.access_token(given), self.jar.csrf(given)
        except InvalidCookie as error:
            self._forget(call, error)
            return {"handled": False, "isLoggedIn": False}
        if token is not None and csrf is not None:
            return {"handled": False, "isLoggedIn": True, "csrf": csrf}
        if token is not None:
            # With half a session the page can change nothing; it asks for a login, and nothing may be left meanwhile.
            call.set_cookies.extend(self.jar.clear_session())
        return {"handled": False, "isLoggedIn": False}

    def _signed_in(self, call: Exchange, logged_in: LoggedIn) -> str:
        before = None
        with suppress(InvalidCookie):
            before = self.jar.csrf(cookies(call.request))
        csrf, tokens = self.csrf_tokens.for_login(before, logged_in.claims), logged_in.tokens
        lines = [
            self.jar.set_access_token(tokens.access_token),
            self.jar.set_csrf(csrf),
            self.jar.set_refresh_token(tokens.refresh_token),
            self.jar.set_id_token(self._signed(tokens)),
        ]
        call.set_cookies.extend(lines)  # all or none: one that is too large must not leave half a session
        return csrf

    def _refresh_line(self, renewed: str | None, kept: str) -> list[str]:
        """A line where there is something new: a token, or how long the one of before lives."""
        if renewed is None and self.jar.max_age is None:
            return []
        return [self.jar.set_refresh_token(renewed or kept)]

    def _signed(self, tokens: Tokens) -> str | None:
        """The ID token without the encryption it may have come in, for `claims` to read; verified by now."""
        token = tokens.id_token
        return None if token is None else issued.decrypted(token, self.relying_party.decryption)

    def _require_csrf(self, request: Request, csrf: str) -> None:
        # One value, whatever the number of lines: joined, as proxies join them, two are none of ours.
        sent = ",".join(request.headers.getlist(self.jar.names.csrf_header))
        if not hmac.compare_digest(sent.encode(), csrf.encode()):
            raise forbidden(f"the header {self.jar.names.csrf_header} is not the CSRF token of the session")

    async def _require_same_user(self, tokens: Tokens, csrf: str) -> None:
        """A refreshed ID token is one, and of the user the CSRF token was made for. Raises SessionOver.

        The ID token of before is in a cookie that does not come here.
        """
        claims = await self.relying_party.refreshed_claims(tokens, {})
        if claims and is_of_a_user(csrf) and not self.csrf_tokens.is_of(claims, csrf):
            raise SessionOver

    def _needed(self, call: Exchange, read: Callable[[CookieHeader], T | None]) -> T:
        try:
            found = read(cookies(call.request))
        except InvalidCookie as error:
            self._forget(call, error)
            raise AgentError(401, "unauthorized", "the session cookies are not ours") from error
        if found is None:
            raise AgentError(401, "unauthorized", "there is no session")
        return found

    def _forget(self, call: Exchange, error: InvalidCookie) -> None:
        # Two values under one name: a sibling host may have set the other, and must not be able to log the user out.
        if error.defect is not Defect.AMBIGUOUS:
            call.set_cookies.extend(self.jar.clear_session())
