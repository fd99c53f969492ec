"""The app on one origin, agent and API on another of the same site: a person's day, and nothing there to steal."""

import json
import re

from playwright.sync_api import BrowserContext, Page, expect
from worlds.idp import IdpControl
from worlds.pages import NOTHING, READABLE, cookies, fetch, post, shows, sign_in

from demo.settings import APP
from demo.world import LocalWorld

# Every answer that a script of the page gets: its URL, the headers it may read, and its body.
OVERHEAR = """
const really = window.fetch;
window.fetch = async (...request) => {
    const answer = await really(...request);
    await overhear([answer.url, ...[...answer.headers].flat(), await answer.clone().text()].join("\\n"));
    return answer;
};
"""
AT = f"__Host-Http-{APP}-at"


def test_a_day_across_two_origins(apart: LocalWorld, page: Page) -> None:
    """Log in, call the API with and without a body, refresh, reload, log out: every call crosses origins, and works."""
    page.goto(apart.origin)
    shows(page, "signed-out")
    sign_in(page)
    assert page.url == f"{apart.origin}/"
    page.click("#call-api")
    expect(page.locator("#api-answer")).to_contain_text("Bearer eyJ")
    assert post(page, f"{apart.api_origin}/api/orders", "a=1").status == 200
    before = cookies(page, APP)[AT]
    page.click("#refresh")
    expect(page.locator("#status")).to_contain_text("Refreshed")
    assert cookies(page, APP)[AT] != before
    page.reload()
    shows(page, "signed-in")
    with page.expect_navigation(url=f"{apart.origin}/"):
        page.click("#logout")
    shows(page, "signed-out")
    assert cookies(page, APP) == {}
    assert fetch(page, f"{apart.api_origin}/api/orders").status == 401


def test_cookies_stay_with_the_api_s_host(apart: LocalWorld, person: BrowserContext, page: Page) -> None:
    """No host beside the API's gets them, not even the page's own."""
    page.goto(apart.origin)
    sign_in(page)
    kept = [found for found in person.cookies() if APP in found["name"]]
    assert {found["domain"] for found in kept} == {"api.shop.localhost"}
    assert {(found["httpOnly"], found["secure"], found["sameSite"]) for found in kept} == {(True, True, "Strict")}


def test_a_reload_asks_the_agent_without_a_word_to_the_person(
    apart: LocalWorld, person: BrowserContext, page: Page, idp: IdpControl
) -> None:
    """A reload, and a new tab, find the session by the cookies alone; the identity provider is not asked."""
    page.goto(apart.origin)
    sign_in(page)
    idp.reset()
    page.reload()
    shows(page, "signed-in")
    second = person.new_page()
    second.goto(apart.origin)
    shows(second, "signed-in")
    expect(second.locator("#claims")).to_contain_text("ada@example.com")
    assert (idp.count("authorize"), idp.count("token")) == (0, 0)


def test_a_script_finds_nothing_to_steal(apart: LocalWorld, page: Page, idp: IdpControl) -> None:
    """No storage holds anything; no body and no URL a script could see holds a token, a JWT or a cookie's value."""
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url))
    page.expose_function("overhear", lambda text: seen.append(text))
    page.add_init_script(OVERHEAR)
    page.goto(apart.origin)
    sign_in(page)
    kept = set(cookies(page, APP).values())
    page.click("#call-api")
    expect(page.locator("#api-answer")).to_contain_text("Bearer eyJ")
    page.click("#refresh")
    expect(page.locator("#status")).to_contain_text("Refreshed")
    kept |= set(cookies(page, APP).values())
    page.reload()
    shows(page, "signed-in")
    assert page.evaluate(READABLE) == NOTHING
    seen += page.evaluate("() => performance.getEntries().map(({name}) => name)")
    text = "\n".join([*seen, page.content(), json.dumps(page.evaluate("() => [location.href, document.referrer]"))])
    # The way there names the pushed request, the way back a code: of use to nobody without the login's cookie.
    [pushed] = {name for url in seen for name in re.findall(r"request_uri=[^&\s\"]+%3A([^&\s\"]+)", url)}
    secrets = kept | {secret for secret in idp.secrets() if secret != pushed and not secret.startswith("_0C_")}
    assert len([secret for secret in secrets if secret.startswith(("_0XA_", "_1XR_", "eyJ"))]) >= 6
    assert [secret for secret in secrets if secret in text] == []
    heard = ("/login/start", "/login/end", "/session", "/refresh", '"claims"', "id_token_claims")
    assert [word for word in heard if word not in text] == []


def test_an_expired_access_token_is_renewed_on_the_way(apart: LocalWorld, page: Page, idp: IdpControl) -> None:
    """The API says 401, the app refreshes and calls again, and the person only sees the answer."""
    page.goto(apart.origin)
    sign_in(page)
    idp.reset()
    idp.expire_access_tokens()
    statuses: list[tuple[str, int]] = []
    page.on("response", lambda answer: statuses.append((answer.url.rpartition("/")[2], answer.status)))
    page.click("#call-api")
    expect(page.locator("#api-answer")).to_contain_text("Bearer eyJ")
    assert statuses == [("hello?from=spa", 401), ("refresh", 200), ("hello?from=spa", 200)]
    assert idp.count("token") == 1


def test_a_session_that_is_over_everywhere_ends_in_the_page_too(apart: LocalWorld, page: Page, idp: IdpControl) -> None:
    """When the refresh token is spent as well, the app says so, and no cookie is left."""
    page.goto(apart.origin)
    sign_in(page)
    idp.expire_access_tokens()
    idp.expire_refresh_tokens()
    page.click("#call-api")
    shows(page, "signed-out")
    expect(page.locator("#status")).to_contain_text("Your session expired")
    assert cookies(page, APP) == {}
