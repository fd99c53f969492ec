"""The authorization endpoint: who is it, and does the application get a code."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from demo.idp.authorization_request import AuthorizationRequest, check_request
from demo.idp.errors import OAuthError, PageError, RefusalError
from demo.idp.forms import read_form, read_parameters, with_parameters
from demo.idp.grants import Grant
from demo.idp.mode import override
from demo.idp.pages import error_page, login_page
from demo.idp.people import find_person
from demo.idp.provider import Provider
from demo.idp.sessions import Session

COOKIE = "demo-idp-session"
# Cookies are shared by all ports of a host: at `/` ours would go to the application on localhost, too.
COOKIE_PATHS = ("/authorize", "/logout")
CODE_SECONDS = 60


class Authorize:
    """GET shows the login page (or answers at once), POST is a click on it."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def get(self, request: Request) -> Response:
        """GET /authorize."""
        wish = self._checked(request)
        session = self._usable_session(request, wish)
        if session:
            return self._grant(request, wish, session)
        if "none" in wish.prompt:
            raise wish.refusal("login_required", "nobody is signed in")
        self._provider.pushed.show(_request_uri(request))
        return login_page(wish)

    async def post(self, request: Request) -> Response:
        """POST /authorize with the same query: `user` signs in, `cancel` does not."""
        wish = self._checked(request)
        form = await read_form(request)
        if "cancel" in form:
            raise wish.refusal("access_denied", "the person chose not to sign in")
        person = find_person(form.get("user"))
        if person is None:
            raise PageError("Nobody of that name lives here.")
        session = self._provider.sessions.open(person, wish.acr)
        return remember(self._grant(request, wish, session), session.cookie, secure=self._is_https())

    def _checked(self, request: Request) -> AuthorizationRequest:
        try:
            parameters = self._pushed(read_parameters(request.url.query))
        except OAuthError as error:
            raise PageError(f"The application's request is malformed: {error.description}.") from error
        return check_request(parameters, self._provider.config)

    def _pushed(self, parameters: dict[str, str]) -> dict[str, str]:
        """RFC 9126 section 4: what was pushed is all that counts."""
        if "request_uri" not in parameters:
            if self._provider.mode.require_par:
                raise PageError("Applications have to push their requests here.")
            return parameters
        pushed = self._provider.pushed.find(parameters["request_uri"], parameters.get("client_id"))
        if pushed is None:
            raise PageError("The application's request has expired, or has been answered already. Please start again.")
        return pushed

    def _usable_session(self, request: Request, wish: AuthorizationRequest) -> Session | None:
        session = self._provider.sessions.find(request.cookies.get(COOKIE))
        if session is None or wish.prompt - {"none"} or wish.acr not in (None, session.acr):
            return None
        is_recent = wish.max_age is None or self._provider.now() - session.auth_time <= wish.max_age
        return session if is_recent else None

    def _grant(self, request: Request, wish: AuthorizationRequest, session: Session) -> Response:
        client_id = wish.client.client_id
        grant = Grant(client_id, wish.redirect_uri, wish.scope, wish.code_challenge, wish.nonce, session, wish.resource)
        code = self._provider.grants.issue("code", grant, expires=self._provider.now() + CODE_SECONDS)
        answer = {"code": code.value, "state": wish.state}
        return self._answer(request, wish.redirect_uri, answer, wish.signed_for)

    def refused(self, request: Request, refusal: Exception) -> Response:
        """Tell the application by redirect; RFC 9207 section 2: `iss` is part of error answers too."""
        assert isinstance(refusal, RefusalError)
        answer = {"error": refusal.error, "error_description": refusal.description, "state": refusal.state}
        return self._answer(request, refusal.redirect_uri, answer, refusal.signed_for)

    def _answer(
        self, request: Request, redirect_uri: str, answer: Mapping[str, str | None], signed_for: str | None
    ) -> Response:
        provider = self._provider
        provider.pushed.spend(_request_uri(request))
        whole: dict[str, str | None] = {**answer, "iss": provider.config.issuer}
        if signed_for is None:
            return redirect(redirect_uri, whole)
        # JARM: https://openid.net/specs/oauth-v2-jarm.html section 2.1
        claims = {name: value for name, value in whole.items() if value is not None}
        signed = override(
            {**claims, "aud": signed_for, "exp": provider.now() + CODE_SECONDS}, provider.mode.jarm_overrides
        )
        return redirect(redirect_uri, {"response": provider.encrypted(provider.sign(signed, "JWT"), signed_for)})

    def _is_https(self) -> bool:
        return self._provider.config.issuer.startswith("https:")


def _request_uri(request: Request) -> str:
    return request.query_params.get("request_uri", "")


def redirect(uri: str, parameters: Mapping[str, str | None]) -> Response:
    """RFC 9700 section 4.12: 303, so that a form is never posted on to the application."""
    headers = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
    return RedirectResponse(with_parameters(uri, parameters), 303, headers)


def remember(response: Response, cookie: str, *, secure: bool) -> Response:
    """Set the session cookie."""
    for path in COOKIE_PATHS:
        response.set_cookie(COOKIE, cookie, path=path, secure=secure, httponly=True, samesite="lax")
    return response


def forget(response: Response) -> Response:
    """Clear the session cookie."""
    for path in COOKIE_PATHS:
        response.delete_cookie(COOKIE, path=path, httponly=True, samesite="lax")
    return response


def show_error(_request: Request, error: Exception) -> HTMLResponse:
    """Tell the person."""
    assert isinstance(error, PageError)
    return error_page(error.message)
