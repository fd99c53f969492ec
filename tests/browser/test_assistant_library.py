"""token-handler-js-assistant itself, unchanged, in Chromium, at another origin than the agent: all six calls."""

import json
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route
from worlds.assistant_package import as_module, library
from worlds.idp import IdpControl
from worlds.pages import cookies, fetch, shows

from demo.settings import APP
from demo.world import LocalWorld

CALL = """async ([base, call, parameters]) => {
    const {OAuthAgentClient, OAuthAgentRemoteError} = await import("/assistant.mjs");
    const client = new OAuthAgentClient({oauthAgentBaseUrl: base});
    if (call === "endLogin") parameters = {searchParams: new URLSearchParams(parameters)};
    try {
        // As JSON: what is undefined does not arrive.
        return {given: JSON.parse(JSON.stringify(await client[call](...(parameters === null ? [] : [parameters]))))};
    } catch (error) {
        if (error instanceof OAuthAgentRemoteError) return {thrown: [error.status, error.code, error.details]};
        return {failed: String(error)};
    }
}"""
LOGGED_OUT = {"given": {"isLoggedIn": False}}


def test_a_whole_session(apart: LocalWorld, app: Page) -> None:
    """onPageLoad, startLogin, onPageLoad of the URL the person comes back to, session, refresh, logout."""
    assert call(apart, app, "onPageLoad", app.url) == LOGGED_OUT
    back = come_back(apart, app, call(apart, app, "startLogin")["given"]["authorizationUrl"])
    told = call(apart, app, "onPageLoad", back)["given"]
    assert (told["isLoggedIn"], told["idTokenClaims"]["name"]) == (True, "Ada Lovelace")
    assert 0 < told["accessTokenExpiresIn"] <= 300
    session = call(apart, app, "session")["given"]
    assert (session["isLoggedIn"], session["idTokenClaims"]) == (True, told["idTokenClaims"])
    assert call(apart, app, "refresh")["given"]["accessTokenExpiresIn"] == 300
    assert call(apart, app, "onPageLoad", app.url)["given"]["isLoggedIn"] is True
    assert call(apart, app, "logout")["given"]["logoutUrl"].startswith(f"{apart.issuer}/logout?")
    assert call(apart, app, "session") == LOGGED_OUT
    assert cookies(app, APP) == {}


def test_extra_parameters_and_end_login(apart: LocalWorld, app: Page) -> None:
    """startLogin sends what the app adds, and endLogin takes the parameters by themselves."""
    extra = {"extraAuthorizationParameters": {"scope": "openid orders"}}
    back = come_back(apart, app, call(apart, app, "startLogin", extra)["given"]["authorizationUrl"])
    assert call(apart, app, "endLogin", back.partition("?")[2])["given"]["isLoggedIn"] is True
    answer = fetch(app, f"{apart.api_origin}/api/orders")
    assert json.loads(answer.text)["claims"]["scope"] == "openid orders"


def test_what_it_throws(apart: LocalWorld, app: Page, idp: IdpControl) -> None:
    """OAuthAgentRemoteError with status, code and details: 400, 401, 503."""
    status, code, details = call(apart, app, "startLogin", {"extraAuthorizationParameters": {"claims": "x"}})["thrown"]
    assert (status, code) == (400, "invalid_request")
    assert "claims" in details
    assert call(apart, app, "endLogin", "code=c&state=s")["thrown"][:2] == [400, "invalid_request"]
    page = f"{app.url}?error=access_denied&state=s"
    assert call(apart, app, "onPageLoad", page)["thrown"][:2] == [400, "invalid_request"]
    assert call(apart, app, "refresh")["thrown"][:2] == [401, "unauthorized"]
    back = come_back(apart, app, call(apart, app, "startLogin")["given"]["authorizationUrl"])
    call(apart, app, "onPageLoad", back)
    idp.misbehave(token_status=503)
    status, code, details = call(apart, app, "refresh")["thrown"]
    assert (status, code) == (503, "temporarily_unavailable")
    assert "try again" in details
    idp.reset()
    idp.expire_refresh_tokens()
    assert call(apart, app, "refresh")["thrown"][:2] == [401, "session_expired"]
    assert call(apart, app, "session") == LOGGED_OUT


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The library."""
    return library(tmp_path_factory.mktemp("npm"))


@pytest.fixture
def app(source: str, apart: LocalWorld, person: BrowserContext) -> Page:
    """A page of the app's origin, with the library beside it."""
    module = as_module(source)

    def serve(route: Route) -> None:
        route.fulfill(content_type="text/javascript", body=module)

    page = person.new_page()
    page.route("**/assistant.mjs", serve)
    page.goto(apart.origin)
    shows(page, "signed-out")
    return page


def call(apart: LocalWorld, page: Page, name: str, parameters: Any = None) -> dict[str, Any]:
    """What the library gives or throws."""
    told: dict[str, Any] = page.evaluate(CALL, [f"{apart.api_origin}/oauth-agent", name, parameters])
    return told


def come_back(apart: LocalWorld, page: Page, url: str) -> str:
    """Sign in at the provider in a tab without the app's script, so that the response is still to be used; its URL."""
    tab = page.context.new_page()
    tab.route(f"{apart.origin}/app.js", lambda route: route.abort())
    tab.goto(url)
    if tab.url.startswith(apart.issuer):
        tab.get_by_role("button", name="Ada Lovelace").click()
    tab.wait_for_url(f"{apart.origin}/?*")
    back = tab.url
    tab.close()
    return back
