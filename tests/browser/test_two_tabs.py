"""One person, two tabs, one set of cookies: whatever both do at once, both stay what they are."""

import httpx2
import pytest
from playwright.sync_api import BrowserContext, Page, expect
from worlds.idp import IdpControl
from worlds.pages import cookies, fetch, post, shows, sign_in
from worlds.waiting import until

from demo.settings import APP
from demo.world import LocalWorld

AGENT = "/oauth-agent"
REFRESH_TOKEN = f"__Secure-{APP}-rt"


def test_logins_in_two_tabs_both_succeed(apart: LocalWorld, tabs: list[Page]) -> None:
    """Both begin before either ends, and the one that began first does not end first."""
    first, second = tabs
    for tab in tabs:
        tab.goto(apart.origin)
        shows(tab, "signed-out")
    for tab in tabs:
        tab.click("#login")
        tab.wait_for_url(f"{apart.issuer}/**")
    second.get_by_role("button", name="Ada Lovelace").click()
    shows(second, "signed-in")
    first.get_by_role("button", name="Ada Lovelace").click()
    shows(first, "signed-in")
    for tab in tabs:
        assert fetch(tab, f"{apart.api_origin}/api/orders").status == 200
        assert post(tab, f"{apart.api_origin}{AGENT}/refresh").status == 200
    assert len(cookies(first, APP)) == 3  # no login's cookie is left


def test_logins_of_two_tabs_that_end_at_the_same_moment_both_succeed(
    apart: LocalWorld, tabs: list[Page], idp: IdpControl
) -> None:
    """Both codes are under way to the identity provider together; whoever is last, the session is whole."""
    for tab in tabs:
        tab.goto(apart.origin)
        tab.click("#login")
        tab.wait_for_url(f"{apart.issuer}/**")
    with idp.holding_tokens():
        for number, tab in enumerate(tabs, 1):
            tab.get_by_role("button", name="Ada Lovelace").click()
            at_the_agent(apart, number)
    for tab in tabs:
        shows(tab, "signed-in")
        assert fetch(tab, f"{apart.api_origin}/api/orders").status == 200
        assert post(tab, f"{apart.api_origin}{AGENT}/refresh").status == 200


def test_two_tabs_that_refresh_at_once_spend_one_refresh_token(
    apart: LocalWorld, tabs: list[Page], idp: IdpControl
) -> None:
    """Both send the same cookie; the provider sees it once, for a second time would end the session."""
    signed_in(apart, tabs)
    idp.reset()
    carried = []
    with idp.holding_tokens():
        for number, tab in enumerate(tabs, 1):
            with tab.expect_request("**/refresh") as request:
                tab.click("#refresh")
            at_the_agent(apart, number)
            carried.append(request.value)
    for tab in tabs:
        expect(tab.locator("#status")).to_contain_text("Refreshed")
    first, second = (request.all_headers()["cookie"] for request in carried)
    assert REFRESH_TOKEN in first
    assert first == second
    assert idp.count("token") == 1
    # The rotated token still works, and so does what it gives: nothing was revoked.
    for tab in tabs:
        assert post(tab, f"{apart.api_origin}{AGENT}/refresh").status == 200
        assert fetch(tab, f"{apart.api_origin}/api/orders").status == 200


def test_a_refresh_token_used_twice_does_end_the_session(apart: LocalWorld, tabs: list[Page]) -> None:
    """The provider's reuse detection is on: a spent token, brought back after the agent forgot, costs everything."""
    [tab, _] = signed_in(apart, tabs)
    spent = [kept for kept in tab.context.cookies() if kept["name"] == REFRESH_TOKEN]
    assert post(tab, f"{apart.api_origin}{AGENT}/refresh").status == 200
    apart.stop("agent")  # and what it remembers of the refresh just done
    apart.start("agent")
    tab.context.add_cookies(spent)  # type: ignore[arg-type]  # what cookies() gives, add_cookies() takes
    assert post(tab, f"{apart.api_origin}{AGENT}/refresh").status == 401
    assert cookies(tab, APP) == {}


def test_a_logout_in_one_tab_is_found_out_by_the_other(apart: LocalWorld, tabs: list[Page]) -> None:
    """Cookies gone, the API says 401 to both tabs, and the other one's next look at the session tells it."""
    first, second = signed_in(apart, tabs)
    first.click("#logout")
    first.wait_for_url(f"{apart.origin}/")
    shows(first, "signed-out")
    assert cookies(first, APP) == {}
    shows(second, "signed-in")  # nobody has told it yet
    assert fetch(second, f"{apart.api_origin}/api/orders").status == 401
    assert post(second, f"{apart.api_origin}{AGENT}/refresh").status == 401
    second.reload()
    shows(second, "signed-out")


@pytest.fixture
def tabs(person: BrowserContext) -> list[Page]:
    """Two tabs of one person."""
    return [person.new_page(), person.new_page()]


def signed_in(apart: LocalWorld, tabs: list[Page]) -> list[Page]:
    """Both tabs at the app, signed in."""
    first, second = tabs
    first.goto(apart.origin)
    sign_in(first)
    second.goto(apart.origin)
    shows(second, "signed-in")
    return tabs


def at_the_agent(apart: LocalWorld, number: int) -> None:
    """Wait until so many requests are under way there, cookies and all."""
    gauge = "cluster.agent.upstream_rq_active"
    admin = "http://{}:{}".format(*apart.settings.places.admin)
    until(lambda: f"{gauge}: {number}\n" in httpx2.get(f"{admin}/stats?filter={gauge}").text)
