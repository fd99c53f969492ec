"""Pages of somebody else in the browser of a person who is signed in: what they try does not arrive, or is refused.

Three kinds: another site; another site below the same top-level name; and an origin of the app's own site that nobody
trusts, to which SameSite is no obstacle, so that its requests carry the cookies.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.sync_api import BrowserContext, Page
from worlds.idp import IdpControl
from worlds.pages import CUSTOM_HEADER, FORM, cookies, fetch, post, shows, sign_in, submit

from demo.browser import Browser as HeadlessBrowser
from demo.settings import APP
from demo.world import LocalWorld

AGENT = "/oauth-agent"
SAME_SITE = "evil.shop.localhost"
HOSTS = [SAME_SITE, "evil.localhost", "127.0.0.1"]
CALLS = ["login/start", "login/end", "refresh", "logout"]
PATHS = ["/api/orders", *(f"{AGENT}/{call}" for call in CALLS)]
FRAME = """url => new Promise(resolve => {
    const frame = Object.assign(document.createElement("iframe"), {src: url, onload: () => resolve(true)});
    document.body.append(frame);
})"""


def test_a_stranger_s_forms_are_refused(apart: LocalWorld, victim: Page, evil: Page, idp: IdpControl) -> None:
    """Login, refresh and logout by a form of another page: 403, nothing at the provider, and the session as it was."""
    before = cookies(victim, APP)
    for call in CALLS:
        assert submit(evil, f"{apart.api_origin}{AGENT}/{call}", code="c", state="s") == 403
        evil.go_back()
    assert cookies(victim, APP) == before
    assert (idp.count("token"), idp.count("par"), idp.count("revoke")) == (0, 0, 0)
    assert fetch(victim, f"{apart.api_origin}/api/orders").status == 200


def test_a_stranger_s_form_does_not_reach_the_api(apart: LocalWorld, victim: Page, evil: Page) -> None:
    """An order by a form of another page never arrives."""
    before = api_requests(apart)
    assert submit(evil, f"{apart.api_origin}/api/orders", item="yacht") == 403
    assert api_requests(apart) == before
    assert fetch(victim, f"{apart.api_origin}/api/orders").status == 200
    assert api_requests(apart) == before + 1


def test_a_stranger_s_script_may_not_send_the_custom_header(
    apart: LocalWorld, victim: Page, evil: Page, idp: IdpControl
) -> None:
    """The browser asks first, is not told yes, and sends nothing."""
    before, requests = cookies(victim, APP), api_requests(apart)
    for path in PATHS:
        answer = fetch(evil, apart.api_origin + path, "POST", headers={**CUSTOM_HEADER, **FORM}, body="a=1")
        assert answer.status == 0
        assert "Failed to fetch" in answer.text
    assert cookies(victim, APP) == before
    assert (idp.count("token"), idp.count("par"), api_requests(apart)) == (0, 0, requests)


def test_a_stranger_s_script_that_nobody_asks_about_is_refused(
    apart: LocalWorld, victim: Page, evil: Page, idp: IdpControl
) -> None:
    """A request simple enough for no preflight is sent, is refused, and its answer cannot be read."""
    before, requests = cookies(victim, APP), api_requests(apart)
    for path in PATHS:
        assert fetch(evil, apart.api_origin + path, "POST", headers=FORM, body="a=1").status == 0
        with evil.expect_response(apart.api_origin + path) as refusal:
            assert fetch(evil, apart.api_origin + path, "POST", headers=FORM, body="a=1", mode="no-cors") == (0, "")
        assert refusal.value.status == 403
    assert cookies(victim, APP) == before
    assert (idp.count("token"), idp.count("par"), api_requests(apart)) == (0, 0, requests)


def test_a_stranger_s_script_reads_nothing(apart: LocalWorld, victim: Page, evil: Page) -> None:
    """Neither who is signed in nor what the API says, with the custom header or without."""
    for path in ("/api/orders", f"{AGENT}/session"):
        assert fetch(evil, apart.api_origin + path, headers={}).status == 0
        assert fetch(evil, apart.api_origin + path).status == 0
        assert fetch(victim, apart.api_origin + path).status == 200


@pytest.mark.parametrize("host", [*HOSTS, "shop.localhost", "www.shop.localhost.evil.test"])
def test_a_preflight_of_a_stranger_is_told_nothing(apart: LocalWorld, host: str) -> None:
    """No CORS header names it, at any path; the app's own page is named at each."""
    for path in PATHS:
        for origin in (f"http://{host}", apart.origin.replace("www.shop.localhost", host)):
            assert "access-control-allow-origin" not in preflight(apart, path, origin).headers
        granted = preflight(apart, path, apart.origin)
        assert granted.headers["access-control-allow-origin"] == apart.origin
        assert granted.headers["access-control-allow-credentials"] == "true"


def test_a_stranger_s_frames_stay_empty(apart: LocalWorld, victim: Page, evil: Page) -> None:
    """Neither the app's page nor an answer of agent or API can be put into a frame, to be clicked or shown."""
    for url in (f"{apart.api_origin}{AGENT}/session", f"{apart.api_origin}/api/orders"):
        with evil.expect_response(url) as answer:
            evil.evaluate(FRAME, url)
        assert answer.value.status == 403
    loaded = evil.evaluate(FRAME, f"{apart.origin}/")
    assert loaded is True
    assert [frame.url for frame in evil.frames if frame.url == f"{apart.origin}/"] == []
    shows(victim, "signed-in")


def test_an_attacker_s_login_cannot_be_ended_in_another_s_browser(
    apart: LocalWorld, page: Page, attacker: HeadlessBrowser
) -> None:
    """Login CSRF: the app's page, opened with an attacker's code and state, does not sign the person in as him."""
    response = attacker.authorize(attacker.start_login(), "grace")
    query = str(httpx2.QueryParams(response))
    page.goto(f"{apart.origin}/?{query}")
    shows(page, "signed-out")
    assert cookies(page, APP) == {}
    assert attacker.agent("login/end", response).status_code == 200  # the code was good, in his own browser


def test_an_attacker_s_login_does_not_replace_a_session(
    apart: LocalWorld, victim: Page, attacker: HeadlessBrowser
) -> None:
    """A person who is signed in stays the one they are when they follow an attacker's link."""
    before = cookies(victim, APP)
    response = attacker.authorize(attacker.start_login(), "grace")
    victim.goto(f"{apart.origin}/?{httpx2.QueryParams(response)}")
    shows(victim, "signed-in")
    assert "ada@example.com" in victim.inner_text("#claims")
    assert cookies(victim, APP) == before


@pytest.mark.parametrize("signed_in", [False, True])
def test_cookies_planted_by_a_sibling_host_do_not_become_the_session(
    apart: LocalWorld, page: Page, attacker: HeadlessBrowser, stranger_port: int, signed_in: bool
) -> None:
    """Session fixation: an attacker's own, well-sealed cookies, set for the parent domain, sign nobody in as him."""
    page.goto(apart.origin)
    if signed_in:
        sign_in(page)
    attacker.log_in("grace").raise_for_status()
    planted = plant(page, stranger_port, attacker.cookies())
    assert planted == {f"__Secure-{APP}-rt"}
    page.goto(apart.origin)
    page.wait_for_function("() => document.body.dataset.state !== 'loading'")
    assert "grace" not in page.content()
    post(page, f"{apart.api_origin}{AGENT}/refresh")
    answer = fetch(page, f"{apart.api_origin}/api/orders")
    assert "grace" not in answer.text
    assert answer.status == (200 if signed_in else 401)


def test_a_login_planted_by_a_sibling_host_is_not_ended(
    apart: LocalWorld, page: Page, attacker: HeadlessBrowser, stranger_port: int
) -> None:
    """Login CSRF with the cookie of the attacker's login planted beside the link to its end."""
    response = attacker.authorize(attacker.start_login(), "grace")
    plant(page, stranger_port, attacker.cookies())
    page.goto(f"{apart.origin}/?{httpx2.QueryParams(response)}")
    page.wait_for_function("() => document.body.dataset.state !== 'loading'")
    assert "grace" not in page.content()
    assert fetch(page, f"{apart.api_origin}/api/orders").status == 401


@pytest.fixture
def victim(apart: LocalWorld, page: Page, idp: IdpControl) -> Page:
    """A tab at the app, somebody signed in; from here on the provider counts."""
    page.goto(apart.origin)
    sign_in(page)
    idp.reset()
    return page


@pytest.fixture(params=HOSTS)
def evil(request: pytest.FixtureRequest, person: BrowserContext, stranger_port: int) -> Page:
    """Another tab of the same browser, at a page of somebody else."""
    tab = person.new_page()
    tab.goto(f"http://{request.param}:{stranger_port}/")
    return tab


@pytest.fixture
def attacker(apart: LocalWorld) -> Iterator[HeadlessBrowser]:
    """Somebody with an account and a browser of his own."""
    with HeadlessBrowser(apart.origin, apart.resolve, api_origin=apart.api_origin) as browser:
        yield browser


def plant(page: Page, port: int, chosen: dict[str, str]) -> set[str]:
    """Let a sibling host set cookies for the parent domain, more specific in path than any; those the browser took."""
    tab = page.context.new_page()
    tab.goto(f"http://{SAME_SITE}:{port}/")
    for name, value in ((name, value) for name, value in chosen.items() if APP in name):
        for path in ("/", AGENT, f"{AGENT}/session", f"{AGENT}/refresh", f"{AGENT}/login/end"):
            line = f"{name}={value}; Domain=shop.localhost; Path={path}; Secure"
            tab.evaluate("line => { document.cookie = line; }", line)
    tab.close()
    return {kept["name"] for kept in page.context.cookies() if kept["domain"] == ".shop.localhost"}


def preflight(apart: LocalWorld, path: str, origin: str) -> httpx2.Response:
    """What a browser asks before a cross-origin request; it knows no cookies."""
    host, port = apart.settings.places.envoy
    asked = {
        "host": urlsplit(apart.api_origin).netloc,
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "token-handler-version",
    }
    return httpx2.options(f"http://{host}:{port}{path}", headers=asked)


def api_requests(apart: LocalWorld) -> int:
    """How many requests have reached the API."""
    count: int = httpx2.get(f"{apart.control('api')}/requests").json()["count"]
    return count
