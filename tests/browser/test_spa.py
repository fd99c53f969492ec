"""A person with a browser: logs in by clicking, and nothing a script can read ever holds a token."""

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from demo.settings import APP
from demo.world import LocalWorld

AT = f"__Host-Http-{APP}-at"
VISIBLE = """() => ({
    cookie: document.cookie, local: {...localStorage}, session: {...sessionStorage}, url: location.href,
    globals: JSON.stringify(Object.keys(window).filter(name => /token|jwt/i.test(name))),
})"""


def test_a_day_at_the_shop(world: LocalWorld, page: Page) -> None:
    """Log in, see the claims, call the API, refresh, reload, log out; scripts see nothing at any step."""
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if "Content Security" in message.text else None)
    page.goto(world.origin)
    expect(page.locator("body")).to_have_attribute("data-state", "signed-out")
    nothing_to_see(page, world)

    page.click("#login")
    picture(page, "login")
    page.get_by_role("button", name="Ada Lovelace").click()
    expect(page.locator("body")).to_have_attribute("data-state", "signed-in")
    expect(page.locator("#claims")).to_contain_text("ada@example.com")
    nothing_to_see(page, world)

    page.click("#call-api")
    expect(page.locator("#api-answer")).to_contain_text("Bearer eyJ")
    nothing_to_see(page, world)
    picture(page, "signed-in")

    before = cookie(page, AT)
    page.click("#refresh")
    expect(page.locator("#status")).to_contain_text("Refreshed")
    assert cookie(page, AT)["value"] != before["value"]
    nothing_to_see(page, world)

    page.reload()
    expect(page.locator("body")).to_have_attribute("data-state", "signed-in")
    nothing_to_see(page, world)

    # Away to the identity provider, and back again.
    with page.expect_navigation(url=f"{world.origin}/"):
        page.click("#logout")
    expect(page.locator("body")).to_have_attribute("data-state", "signed-out")
    nothing_to_see(page, world)
    assert [kept["name"] for kept in page.context.cookies() if APP in kept["name"]] == []
    picture(page, "signed-out")
    assert problems == []


def test_the_browser_keeps_the_cookies_as_meant(world: LocalWorld, page: Page) -> None:
    """Chromium accepts every prefix, and keeps all cookies HttpOnly, Secure, SameSite=Strict, each at its path."""
    page.goto(world.origin)
    page.click("#login")
    page.get_by_role("button", name="Alan Turing").click()
    expect(page.locator("body")).to_have_attribute("data-state", "signed-in")
    kept = {found["name"]: found for found in page.context.cookies() if APP in found["name"]}
    paths = {AT: "/", f"__Secure-{APP}-rt": "/oauth-agent", f"__Host-Http-{APP}-id": "/"}
    assert {name: found["path"] for name, found in kept.items()} == paths
    for found in kept.values():
        assert (found["httpOnly"], found["secure"], found["sameSite"]) == (True, True, "Strict")
        assert found["expires"] == -1  # gone when the browser closes


@pytest.mark.parametrize("call", ["/api/orders", "/oauth-agent/session"])
def test_another_origin_cannot_read_an_answer(world: LocalWorld, page: Page, call: str) -> None:
    """A page of another origin on the same site, where SameSite does not help, gets no answer to read."""
    page.goto(world.issuer + "/healthz")
    read = "url => fetch(url, {credentials: 'include', headers: {'token-handler-version': '1'}}).then(r => r.status)"
    with pytest.raises(Exception, match="Failed to fetch"):
        page.evaluate(read, world.origin + call)


def nothing_to_see(page: Page, world: LocalWorld) -> None:
    """What a script on the page can read holds no token, nor does the address bar."""
    seen: dict[str, Any] = page.evaluate(VISIBLE)
    empty: dict[str, Any] = {"cookie": "", "local": {}, "session": {}, "url": f"{world.origin}/", "globals": "[]"}
    assert seen == empty
    for panel in ("#seen-cookie", "#seen-local", "#seen-session"):
        expect(page.locator(panel)).to_have_text("empty")


def cookie(page: Page, name: str) -> Any:
    """One cookie, as the browser keeps it, out of any script's reach."""
    return next(found for found in page.context.cookies() if found["name"] == name)


def picture(page: Page, name: str) -> None:
    """A screenshot, for people, when SCREENSHOTS names a folder."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
