"""A user's day through a real Envoy: log in, call the API, refresh, log out."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from worlds.idp import IdpControl
from worlds.waiting import until

from demo.browser import CUSTOM_HEADER, Browser
from demo.settings import APP

AT = f"__Host-Http-{APP}-at"


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_the_api_receives_one_jwt_and_no_cookie_of_ours(new_browser: Callable[..., Browser], http2: bool) -> None:
    """Whatever HTTP the browser speaks, the API gets exactly one Authorization header and the neighbour's cookie."""
    browser = new_browser(http2=http2)
    browser.log_in().raise_for_status()
    cookie = f'a="quoted, with comma"; {AT}={browser.cookies()[AT]}; __Secure-{APP}-rt=x; theme=d%20ark=='
    response = call(browser, cookie=cookie)
    assert response.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
    assert response.status_code == 200, response.text
    assert received(response, "cookie") == ['a="quoted, with comma"; theme=d%20ark==']
    [authorization] = received(response, "authorization")
    assert authorization.startswith("Bearer eyJ")
    assert received(response, "token-handler-version") == []
    assert response.json()["claims"]["sub"] == "ada"


def test_the_cookie_header_is_gone_when_nothing_is_left(ada: Browser) -> None:
    """With only our cookie in the request, the API receives no Cookie header at all."""
    assert received(call(ada), "cookie") == []


def test_login_answers_like_the_contract(browser: Browser) -> None:
    """login/end gives claims and seconds left as exactly application/json, and session repeats them."""
    answer = browser.log_in("grace")
    assert answer.headers["content-type"] == "application/json"
    members = answer.json()
    assert members["is_logged_in"] is True
    assert members["id_token_claims"]["sub"] == "grace"
    assert members["access_token_expires_in"] == 300
    session = browser.agent("session").json()
    assert session["id_token_claims"] == members["id_token_claims"]
    assert 290 <= session["access_token_expires_in"] <= 300


def test_one_introspection_serves_many_calls(ada: Browser, idp: IdpControl) -> None:
    """Two calls with one session make one introspection request."""
    assert [call(ada).status_code for _ in range(2)] == [200, 200]
    assert idp.count("introspect") == 1


@pytest.mark.anyio
async def test_200_concurrent_first_calls_make_one_introspection(ada: Browser, envoy: str, idp: IdpControl) -> None:
    """A page that fires 200 requests at once does not fire 200 at the authorization server."""
    headers = {**CUSTOM_HEADER, "host": "localhost:10000", "cookie": f"{AT}={ada.cookies()[AT]}"}
    async with httpx2.AsyncClient(timeout=30) as client:
        calls = (client.get(f"http://{envoy}/api/orders", headers=headers) for _ in range(200))
        answers = await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} == {200}
    assert idp.count("introspect") == 1


def test_two_users_never_share_an_answer(new_browser: Callable[..., Browser]) -> None:
    """Each session gets its own user's JWT, cached or not."""
    ada, alan = new_browser(), new_browser()
    ada.log_in("ada")
    alan.log_in("alan")
    subjects = [call(browser).json()["claims"]["sub"] for browser in (ada, alan, ada, alan)]
    assert subjects == ["ada", "alan", "ada", "alan"]


def test_an_expired_token_is_401_and_refresh_mends_it(new_browser: Callable[..., Browser], idp: IdpControl) -> None:
    """A session whose access token runs out while it is cached gets 401 in time, and 200 after refresh."""
    idp.misbehave(access_token_seconds=4)
    browser = new_browser()
    browser.log_in().raise_for_status()
    assert call(browser).status_code == 200
    until(lambda: call(browser).status_code == 401)
    idp.misbehave(access_token_seconds=300)
    assert browser.agent("refresh").json() == {"access_token_expires_in": 300}
    assert call(browser).status_code == 200


def test_refresh_rotates(ada: Browser) -> None:
    """Each refresh brings a new access and refresh token cookie; the old refresh token is spent."""
    before = ada.cookies()
    assert ada.agent("refresh").status_code == 200
    after = ada.cookies()
    assert all(before[name] != after[name] for name in (AT, f"__Secure-{APP}-rt"))
    assert call(ada).status_code == 200


def test_a_session_that_is_over_is_401_and_leaves_no_cookie(ada: Browser, idp: IdpControl) -> None:
    """When the refresh token is spent, refresh answers 401 session_expired and clears the session's cookies."""
    idp.expire_refresh_tokens()
    answer = ada.agent("refresh")
    assert (answer.status_code, answer.json()["error_code"]) == (401, "session_expired")
    assert [name for name in ada.cookies() if APP in name] == []


def test_logout_ends_the_session_everywhere(ada: Browser) -> None:
    """After logout the cookies are gone, the API answers 401, and the identity provider asks for a login again."""
    assert call(ada).status_code == 200
    url = ada.agent("logout").json()["logout_url"]
    assert [name for name in ada.cookies() if APP in name] == []
    assert ada.visit(url).headers["location"] == f"{ada.origin}/"
    assert call(ada).status_code == 401
    assert ada.agent("session").json() == {"is_logged_in": False}


def test_a_copy_of_the_session_ends_with_logout(ada: Browser, new_browser: Callable[..., Browser]) -> None:
    """Cookies copied before the logout are worth nothing at refresh after it."""
    thief = new_browser()
    for cookie in ada.jar:
        thief.jar.set_cookie(cookie)
    ada.agent("logout").raise_for_status()
    answer = thief.agent("refresh")
    assert (answer.status_code, answer.json()["error_code"]) == (401, "session_expired")


def test_logins_in_two_tabs_both_finish(browser: Browser) -> None:
    """Two logins begun in one browser each end well, in either order."""
    first, second = browser.start_login(), browser.start_login()
    for url in (second, first):
        assert browser.agent("login/end", browser.authorize(url)).json()["is_logged_in"] is True


def test_a_login_response_is_used_once(browser: Browser) -> None:
    """The same authorization response, brought again, is refused."""
    response = browser.authorize(browser.start_login())
    assert browser.agent("login/end", response).status_code == 200
    assert browser.agent("login/end", response).status_code == 400


def call(browser: Browser, **headers: str) -> httpx2.Response:
    """Call the API as the app does."""
    return browser.request("GET", "/api/orders", headers={**CUSTOM_HEADER, **headers})


def received(response: httpx2.Response, name: str) -> list[str]:
    """The values of one header as the API received them."""
    echo: dict[str, Any] = response.json()
    return [value for key, value in echo["headers"] if key == name]
