"""What tests do at a page of a real browser: sign in, fetch as a script would, and look at what a script can see."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from playwright.sync_api import Page, expect

CUSTOM_HEADER = {"token-handler-version": "1"}
FORM = {"content-type": "application/x-www-form-urlencoded"}

FETCH = """async ([url, options]) => {
    try {
        const answer = await fetch(url, {credentials: "include", ...options});
        return [answer.status, await answer.text()];
    } catch (error) {
        return [0, String(error)];
    }
}"""
SUBMIT = """([action, fields]) => {
    const form = Object.assign(document.createElement("form"), {method: "POST", action});
    for (const [name, value] of Object.entries(fields))
        form.append(Object.assign(document.createElement("input"), {name, value}));
    document.body.append(form);
    form.submit();
}"""
# Everything in which a page can keep something, or find something kept.
READABLE = """async () => ({
    cookie: document.cookie, local: {...localStorage}, session: {...sessionStorage}, name: window.name,
    databases: (await indexedDB.databases()).map(({name}) => name), caches: await caches.keys(),
    workers: (await navigator.serviceWorker.getRegistrations()).length, history: history.state,
})"""
NOTHING = {
    "cookie": "",
    "local": {},
    "session": {},
    "name": "",
    "databases": [],
    "caches": [],
    "workers": 0,
    "history": None,
}


class Answer(NamedTuple):
    """What a script gets from a fetch; status 0: nothing, the browser did not let it."""

    status: int
    text: str


def sign_in(page: Page, person: str = "Ada Lovelace") -> None:
    """Sign in at the app's page, by clicks."""
    page.click("#login")
    page.get_by_role("button", name=person).click()
    shows(page, "signed-in")


def shows(page: Page, state: str) -> None:
    """The app's page has settled, and says so."""
    expect(page.locator("body")).to_have_attribute("data-state", state)


def fetch(
    page: Page, url: str, method: str = "GET", *, headers: Mapping[str, str] = CUSTOM_HEADER, **options: Any
) -> Answer:
    """A fetch with cookies by a script on the page."""
    status, text = page.evaluate(FETCH, [url, {"method": method, "headers": dict(headers), **options}])
    return Answer(status, text)


def post(page: Page, url: str, form: str = "") -> Answer:
    """A form posted by the app's library: custom header and all."""
    return fetch(page, url, "POST", headers={**CUSTOM_HEADER, **FORM}, body=form)


def submit(page: Page, url: str, **fields: str) -> int:
    """A form submitted by the page, to which the browser goes; the answer's status."""
    with page.expect_response(url) as answer, page.expect_navigation():
        page.evaluate(SUBMIT, [url, fields])
    return answer.value.status


def cookies(page: Page, app: str) -> dict[str, str]:
    """The app's cookies, as the browser keeps them, out of any script's reach."""
    return {kept["name"]: kept["value"] for kept in page.context.cookies() if app in kept["name"]}
