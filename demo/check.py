"""The journey of one user without a screen: each step says what the browser sent and what the API received."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2

from demo.browser import CUSTOM_HEADER, Browser
from demo.serve import content_security_policy
from demo.settings import APP
from demo.world import LocalWorld

ACCESS_TOKEN_COOKIE = f"__Host-Http-{APP}-at"
NEIGHBOUR = "theme=dark"  # a cookie of somebody else's, which has to arrive as it was sent


class StepFailed(Exception):
    """A step did not turn out as it must; the message says how."""


@dataclass(slots=True)
class Journey:
    """One browser in one world, and the lines the current step prints. Each step's docstring is its name."""

    world: LocalWorld
    browser: Browser
    lines: list[str] = field(default_factory=list)

    def steps(self) -> list[Callable[[], None]]:
        """Every step, in order."""
        return [
            self.open_page,
            self.call_without_cookie,
            self.log_in,
            self.call_api,
            self.call_again,
            self.forge,
            self.call_from_another_site,
            self.refresh,
            self.log_out,
        ]

    def open_page(self) -> None:
        """open the app's page"""
        page = self.browser.visit(f"{self.browser.origin}/")
        expect(page.status_code, 200)
        policy = content_security_policy(self.world.settings.places.api_origin or "")
        expect(page.headers["content-security-policy"], policy)

    def call_without_cookie(self) -> None:
        """call the API without a cookie: 401"""
        response = self.api()
        expect(response.status_code, 401)
        expect(response.headers["www-authenticate"], f'Bearer realm="{APP}"')

    def log_in(self) -> None:
        """log in: cookies no script can read"""
        response = self.browser.log_in()
        expect(response.status_code, 200)
        expect(response.json()["id_token_claims"]["name"], "Ada Lovelace")
        for line in response.headers.get_list("set-cookie"):
            self.lines.append(f"agent set      {shorten_set_cookie(line)}")
            expect([word for word in ("Secure", "HttpOnly", "SameSite=Strict") if word not in line], [])

    def call_api(self) -> None:
        """call the API: it receives a JWT and none of our cookies"""
        response = self.api()
        expect(response.status_code, 200)
        echo = response.json()
        expect(len(received(echo, "authorization")), 1)
        expect(received(echo, "cookie"), [f"cookie: {NEIGHBOUR}"])
        expect(echo["claims"]["sub"], "ada")

    def call_again(self) -> None:
        """call it again: answered from the cache"""
        before = self.introspections()
        expect(self.api().status_code, 200)
        expect(self.introspections(), before)
        self.lines.append(f"IdP counted    {before} introspection, as before")

    def forge(self) -> None:
        """forge an Authorization header: refused"""
        expect(self.api(authorization="Bearer forged").status_code, 400)

    def call_from_another_site(self) -> None:
        """call without the custom header, as another site would have to: 403"""
        response = self.browser.request("GET", "/api/orders", headers={"accept": "*/*"})
        self.lines.append("browser sent   GET /api/orders  without token-handler-version")
        self.lines.append(f"browser got    {response.status_code} {response.text}")
        expect(response.status_code, 403)

    def refresh(self) -> None:
        """refresh: a new cookie, and the API still answers"""
        before = self.browser.cookies()[ACCESS_TOKEN_COOKIE]
        expect(self.browser.agent("refresh").status_code, 200)
        expect(self.browser.cookies()[ACCESS_TOKEN_COOKIE] == before, False)
        expect(self.api().status_code, 200)

    def log_out(self) -> None:
        """log out: cookies gone, 401 again"""
        response = self.browser.agent("logout")
        expect(response.status_code, 200)
        expect([name for name in self.browser.cookies() if APP in name], [])
        expect(self.browser.visit(response.json()["logout_url"]).status_code, 303)
        expect(self.api().status_code, 401)

    def introspections(self) -> int:
        """How often the identity provider was asked about a token."""
        count: int = httpx2.get(f"{self.world.control('idp')}/counters").json()["introspect"]
        return count

    def api(self, **headers: str) -> httpx2.Response:
        """Call the API as the app does; `headers` are added."""
        ours = self.browser.cookies()
        cookie = "; ".join([NEIGHBOUR, *(f"{n}={v}" for n, v in ours.items() if n == ACCESS_TOKEN_COOKIE)])
        response = self.browser.request("GET", "/api/orders", headers={**CUSTOM_HEADER, "cookie": cookie, **headers})
        self.lines.append(f"browser sent   GET /api/orders  cookie: {shorten_cookies(cookie)}")
        self.lines += [f"               {name}: {value}" for name, value in headers.items()]
        if response.status_code == 200:
            self.lines += [f"API received   {line}" for line in received(response.json(), "authorization", "cookie")]
        else:
            self.lines.append(f"browser got    {response.status_code} {response.text}")
        return response


def run(world: LocalWorld, say: Callable[[str], None]) -> int:
    """Take every step; the number of those that failed."""
    failed = passed = 0
    with Browser(world.origin, world.resolve, api_origin=world.api_origin) as browser:
        journey = Journey(world, browser)
        for step in journey.steps():
            journey.lines.clear()
            problem = _attempt(step)
            failed, passed = failed + (problem is not None), passed + (problem is None)
            say(f"{'  ok  ' if problem is None else 'FAILED'} {step.__doc__}")
            for line in journey.lines:
                say(f"         {line}")
            if problem is not None:
                say(f"         {problem}")
    say(f"\n{passed} passed, {failed} failed")
    return failed


def expect(found: object, wanted: object) -> None:
    """Fail the step unless both are equal."""
    if found != wanted:
        raise StepFailed(f"expected {wanted!r}, found {found!r}")


def received(echo: dict[str, Any], *names: str) -> list[str]:
    """Headers the API received, as lines, the token shortened."""
    lines = [f"{name}: {value}" for name, value in echo["headers"] if name in names]
    return [line if len(line) < 80 else f"{line[:40]}...{line[-12:]}" for line in lines]


def shorten_cookies(header: str) -> str:
    """A Cookie header with long values replaced by their length."""
    pairs = (pair.partition("=") for pair in header.split("; "))
    return "; ".join(f"{name}={value if len(value) < 20 else f'({len(value)} characters)'}" for name, _, value in pairs)


def shorten_set_cookie(line: str) -> str:
    """A Set-Cookie line with a long value replaced by its length."""
    cookie, semicolon, attributes = line.partition("; ")
    return shorten_cookies(cookie) + semicolon + attributes


def _attempt(step: Callable[[], None]) -> str | None:
    try:
        step()
    except (StepFailed, httpx2.HTTPError, KeyError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return None
