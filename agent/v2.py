"""Version 2 of the API, as Curity's token-handler-js-assistant calls it: forms in, JSON out, a header on every call.

Translates between that and the relying party, and keeps its sessions in cookies.
"""

import secrets
from collections.abc import Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace

from starlette.requests import Request

from agent import guard
from agent.api import Endpoint, Exchange, Members
from agent.backchannel import BackChannelLogout
from agent.errors import AgentError
from agent.forms import cookies, read_form
from agent.id_token import claims_for_app
from agent.logins import take_login
from agent.relying_party import RelyingParty, SessionOver
from agent.set_cookies import CookieJar, RefreshToken, Session
from agent.tokens import Tokens
from extauthz.cookies.access_token import AccessToken
from extauthz.cookies.envelope import Defect, InvalidCookie


@dataclass(frozen=True, slots=True, kw_only=True)
class V2:
    """One app's API. `require_custom_header`: off for apps that cannot send it."""

    relying_party: RelyingParty
    back_channel: BackChannelLogout
    jar: CookieJar
    origins: Set[str]
    require_custom_header: bool = True

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """The five calls, and the authorization server's."""
        return [
            Endpoint("/login/start", ("POST",), self.login_start),
            Endpoint("/login/end", ("POST",), self.login_end),
            Endpoint("/session", ("GET", "HEAD"), self.session),
            Endpoint("/refresh", ("POST",), self.refresh),
            Endpoint("/logout", ("POST",), self.logout),
            self.back_channel.endpoint,
        ]

    def guard(self, request: Request) -> None:
        """The custom header and a trusted origin. Raises AgentError."""
        if self.require_custom_header:
            guard.require_custom_header(request)
        guard.require_trusted_origin(request, self.origins)

    def error(self, failure: AgentError) -> tuple[int, Members]:
        """Both spellings: `error_code` for the library, `code` for clients of the open-source agents."""
        library = {"error_code": failure.code, "detailed_error": failure.message}
        return failure.status, {**library, "code": failure.code, "message": failure.message}

    async def login_start(self, call: Exchange) -> Members:
        """POST login/start: where to send the browser, and a cookie that remembers what was sent."""
        login, url = await self.relying_party.start(await read_form(call.request))
        call.set_cookies.extend([*self.jar.clear_abandoned(cookies(call.request)), self.jar.set_login(login)])
        return {"authorization_url": url}

    async def login_end(self, call: Exchange) -> Members:
        """POST login/end: all parameters of the authorization response in, session cookies out."""
        given = await read_form(call.request)
        logged_in = await self.relying_party.finish(given, lambda state: take_login(call, self.jar, state))
        tokens = logged_in.tokens
        # Nothing of an earlier session carries over: a new session id, and no refresh token of somebody else's.
        session_id = secrets.token_urlsafe(16)
        line = self._refresh_line(tokens.refresh_token, session_id)
        session = Session(
            claims=logged_in.claims,
            session_id=session_id,
            access_token_expires_at=None,
            marks=self.relying_party.marks(logged_in.claims),
            began=logged_in.began,
        )
        if self._has_ended(session):
            raise AgentError(401, "session_expired", "the session was ended while it began; log in again")
        held = self._signed_in(call, tokens, session)
        call.set_cookies.extend([*self.jar.clear_earlier(), line])
        return _members(held, tokens.expires_in)

    async def session(self, call: Exchange) -> Members:
        """GET session: whether somebody is logged in, and who."""
        held = self._session(call)
        if held is None:
            return {"is_logged_in": False}
        left = self._seconds_left(held)
        if self._has_ended(held) or (left == 0 and self._refresh_token(call) is None):
            call.set_cookies.extend(self.jar.clear_session())
            return {"is_logged_in": False}
        return _members(held, left)

    async def refresh(self, call: Exchange) -> Members:
        """POST refresh: a new access token for the refresh token in the cookie."""
        given = await read_form(call.request)
        kept, held = self._refresh_token(call), self._session(call)
        if kept is None or held is None:
            raise AgentError(401, "unauthorized", "there is no session to refresh")
        if kept.session_id != held.session_id:
            call.set_cookies.extend(self.jar.clear_session())
            raise AgentError(401, "session_expired", "the cookies are of two sessions; log in again")
        if self._has_ended(held):
            raise self._over(call)
        try:
            tokens = await self.relying_party.refresh(kept.token, given)
            # Before anything else can fail: the one in the browser may be spent already. And always, so that the
            # cookies of a session change together, whatever another tab does meanwhile.
            call.set_cookies.append(self._refresh_line(tokens.refresh_token or kept.token, held.session_id))
            claims = await self.relying_party.refreshed_claims(tokens, held.claims)
        except SessionOver as error:
            raise self._over(call) from error
        # A session from before there were marks has none of its own.
        held = replace(held, claims=claims, marks=held.marks or self.relying_party.marks(claims))
        if self._has_ended(held):  # while the authorization server was being asked
            raise self._over(call)
        self._signed_in(call, tokens, held)
        return {} if tokens.expires_in is None else {"access_token_expires_in": tokens.expires_in}

    async def logout(self, call: Exchange) -> Members:
        """POST logout: cookies cleared, and where to end the session at the authorization server."""
        await read_form(call.request)
        call.set_cookies.extend(self.jar.clear_session())
        # Here the user is logged out in any case; over there it may have to wait.
        held, kept = self._left_behind(call)
        for session_id in {one.session_id for one in (held, kept) if one is not None}:
            await self.relying_party.end_own(session_id)
        if kept is not None:
            await self.relying_party.revoke(kept.token)
        url = await self.relying_party.logout_url()
        return {} if url is None else {"logout_url": url}

    def _left_behind(self, call: Exchange) -> tuple[Session | None, RefreshToken | None]:
        """What can be read of the session; who logs out is not told that a cookie was not ours."""
        held, kept = None, None
        with suppress(InvalidCookie):
            held = self.jar.session(cookies(call.request))
        with suppress(InvalidCookie):
            kept = self.jar.refresh_token(cookies(call.request))
        return held, kept

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

    def _has_ended(self, held: Session) -> bool:
        return self.relying_party.has_ended(held.known_by(self.relying_party.app))

    def _over(self, call: Exchange) -> AgentError:
        call.set_cookies[:] = self.jar.clear_session()
        return AgentError(401, "session_expired", "the session is over; log in again")

    def _refresh_line(self, token: str | None, session_id: str) -> str:
        if token is None:
            return self.jar.clear_refresh_token()
        return self.jar.set_refresh_token(RefreshToken(token=token, session_id=session_id))

    def _signed_in(self, call: Exchange, tokens: Tokens, session: Session) -> Session:
        now = int(self.relying_party.clock())
        held = replace(session, access_token_expires_at=None if tokens.expires_in is None else now + tokens.expires_in)
        token = AccessToken(
            token=tokens.access_token,
            issued_at=now,
            session_id=held.session_id,
            marks=held.marks,
            began=held.began,
        )
        lines = [self.jar.set_access_token(token), self.jar.set_session(held)]
        call.set_cookies.extend(lines)  # all or none: one that is too large must not leave half a session
        return held

    def _seconds_left(self, held: Session) -> int | None:
        if held.access_token_expires_at is None:
            return None
        return max(held.access_token_expires_at - int(self.relying_party.clock()), 0)


def _members(held: Session, left: int | None) -> Members:
    members: Members = {"is_logged_in": True, "id_token_claims": claims_for_app(held.claims)}
    return members if left is None else {**members, "access_token_expires_in": left}
