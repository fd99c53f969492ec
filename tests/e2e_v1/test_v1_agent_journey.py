"""A page of version 1 before our agent, our proxy and a real Envoy: login, calls, refresh, logout, changes of keys."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from e2e_v1.v1_agent import V1Agent
from e2e_v1.v1_world import V1World, v1_cookie

from demo.browser import Browser

CSRF = "x-example-csrf"
OURS = {"example-at", "example-csrf", "example-auth", "example-id"}


class Page:
    """The app in one browser; `csrf`: what it knows."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.csrf: str | None = None

    def call(self, method: str, path: str, body: object = None, **headers: str) -> httpx2.Response:
        """A call with axios: JSON, and the CSRF token once it is known."""
        known = {} if self.csrf is None else {CSRF: self.csrf}
        return self.browser.request(method, path, json=body, headers=known | headers)

    def load(self, query: str = "") -> dict[str, Any]:
        """What the page does when it is loaded."""
        answer = self.call("POST", "/oauth-agent/login/end", {"pageUrl": f"{self.browser.origin}/{query}"})
        members: dict[str, Any] = answer.raise_for_status().json()
        self.csrf = members.get("csrf")
        return members

    def log_in(self) -> dict[str, Any]:
        """From the click to the CSRF token."""
        started = self.call("POST", "/oauth-agent/login/start", {"extraParams": []}).raise_for_status()
        response = self.browser.authorize(started.json()["authorizationRequestUrl"])
        return self.load(f"?{urlencode(response)}")


@pytest.fixture
def page(world: V1World) -> Iterator[Page]:
    """A page nobody has logged in with."""
    with Browser(world.origin) as browser:
        yield Page(browser)


@pytest.fixture
def changing_keys(world: V1World) -> Iterator[V1World]:
    """A world whose keys are put back."""
    yield world
    world.change_keys(v1_cookie("first"))


def test_the_whole_journey(page: Page) -> None:
    """Nobody, Ada, her calls, a refresh, her calls again, and nobody."""
    assert page.load() == {"handled": False, "isLoggedIn": False}
    assert page.call("GET", "/api/orders").status_code == 401
    assert page.log_in() == {"handled": True, "isLoggedIn": True, "csrf": page.csrf}
    assert set(page.browser.cookies()) >= OURS
    assert calls(page) == [200, 200]
    before = page.browser.cookies()["example-at"]
    assert page.call("POST", "/oauth-agent/refresh").status_code == 204
    assert page.browser.cookies()["example-at"] != before
    assert calls(page) == [200, 200]
    url = page.call("POST", "/oauth-agent/logout").raise_for_status().json()["url"]
    assert OURS.isdisjoint(page.browser.cookies())
    assert page.browser.visit(url).status_code == 303
    assert calls(page) == [401, 401]


def test_the_api_sees_a_jwt_and_no_cookie(page: Page) -> None:
    """Not even of a login under way in another tab, though a browser of another mind sent it."""
    page.log_in()
    cookie = "; ".join(f"{name}={value}" for name, value in page.browser.cookies().items() if name in OURS)
    answer = page.call("GET", "/api/orders", cookie=f"theme=dark; {cookie}; example-login-Zm9vYmFyYmF6=x")
    received = answer.raise_for_status().json()["headers"]
    assert [value for name, value in received if name == "cookie"] == ["theme=dark"]
    [authorization] = [value for name, value in received if name == "authorization"]
    assert authorization.startswith("Bearer eyJ")


def test_who_is_logged_in(page: Page) -> None:
    """Claims come from the cookie, user info from the identity provider; both are Ada's."""
    page.log_in()
    told = [page.call("GET", f"/oauth-agent/{call}").raise_for_status().json() for call in ("claims", "userInfo")]
    assert [members["name"] for members in told] == ["Ada Lovelace"] * 2


@pytest.mark.parametrize("csrf", [None, "0" * 64])
def test_without_the_csrf_token_nothing_changes(page: Page, csrf: str | None) -> None:
    """Neither at the API nor at the agent, which still know who it is."""
    page.log_in()
    page.csrf = csrf
    assert calls(page) == [200, 401]
    for call in ("refresh", "logout"):
        answer = page.call("POST", f"/oauth-agent/{call}")
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized_request")
    assert page.load()["isLoggedIn"] is True


def test_a_session_of_an_earlier_agent_goes_on(
    page: Page, agent: V1Agent, new_tokens: Callable[[], dict[str, str]]
) -> None:
    """Its cookies, sealed with the same key, are loaded, refreshed, used at the API and cleared by ours."""
    tokens, earlier = new_tokens(), agent.log_in("x")
    page.csrf = earlier.csrf_header[CSRF]
    sealed = {"example-at": agent.seal(tokens["access_token"]), "example-csrf": earlier.cookies["example-csrf"]}
    own = {"example-auth": agent.seal(tokens["refresh_token"])}
    refreshed = page.call("POST", "/oauth-agent/refresh", cookie=cookie_header(sealed | own))
    assert refreshed.status_code == 204
    renewed = sealed | {"example-at": page.browser.cookies()["example-at"]}
    changed = page.call("POST", "/api/orders", cookie=cookie_header(renewed))
    assert changed.raise_for_status().json()["claims"]["sub"] == "ada"
    claims = {"example-id": agent.seal(tokens["id_token"])}
    told = page.call("GET", "/oauth-agent/claims", cookie=cookie_header(claims))
    assert told.raise_for_status().json()["sub"] == "ada"
    assert "url" in page.call("POST", "/oauth-agent/logout", cookie=cookie_header(renewed)).raise_for_status().json()
    assert OURS.isdisjoint(page.browser.cookies())


def test_a_change_of_keys_logs_nobody_out(changing_keys: V1World, page: Page) -> None:
    """First both learn the new key, then it seals: all the while the page reads, changes and refreshes."""
    page.log_in()
    for cookie in (v1_cookie("first", previous="second"), v1_cookie("second", previous="first")):
        changing_keys.change_keys(cookie)
        assert calls(page) == [200, 200]
        assert page.call("POST", "/oauth-agent/refresh").status_code == 204
        assert page.load()["isLoggedIn"] is True
        assert calls(page) == [200, 200]
    changing_keys.change_keys(v1_cookie("second"))
    assert page.load() == {"handled": False, "isLoggedIn": False}  # its CSRF cookie is of before
    assert page.log_in()["isLoggedIn"] is True
    assert calls(page) == [200, 200]


def test_no_program_writes_a_secret(world: V1World, page: Page) -> None:
    """No log has a cookie, a token or a CSRF token of the journey in it."""
    page.log_in()
    cookies = page.browser.cookies()
    assert calls(page) == [200, 200]
    assert page.call("POST", "/oauth-agent/refresh").status_code == 204
    page.call("POST", "/oauth-agent/logout").raise_for_status()
    logs = world.logs()
    assert "/oauth-agent/refresh" in logs
    assert [value for name, value in cookies.items() if name in OURS and value in logs] == []
    assert page.csrf is not None
    assert page.csrf not in logs


def calls(page: Page) -> list[int]:
    """What a read and a change are answered."""
    return [page.call("GET", "/api/orders").status_code, page.call("POST", "/api/orders").status_code]


def cookie_header(cookies: dict[str, str]) -> str:
    """The Cookie header."""
    return "; ".join(f"{name}={value}" for name, value in cookies.items())
