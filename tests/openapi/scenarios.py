"""Ways to bring about an answer of the agent, in either version: a world in, what the browser is answered out."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar
from unittest.mock import patch

import httpx2
from agent_world import Browser, World
from agent_world.v1 import V1Browser, V1World, page

B = TypeVar("B", bound=Browser)


class Site(Protocol[B]):
    """What the worlds of both versions have."""

    def browser(self) -> B:
        """A browser without cookies."""

    async def log_in(self) -> B:
        """A browser somebody is logged in with."""

    async def respond(self, browser: B) -> dict[str, str]:
        """The authorization response of a login begun with it."""


Call = Callable[[B], Awaitable[httpx2.Response]]
Scenario = Callable[[Site[B]], Awaitable[httpx2.Response]]
Happening = Callable[[World], Awaitable[object]]


async def nothing(_world: World) -> None:
    """Nothing happens."""


def by_a_stranger(call: Call[B], after: Happening = nothing) -> Scenario[B]:
    """Nobody is logged in."""

    async def scenario(site: Site[B]) -> httpx2.Response:
        await after(inner(site))
        return await call(site.browser())

    return scenario


def by_somebody(call: Call[B], after: Happening = nothing, *, garbage: bool = False) -> Scenario[B]:
    """Somebody is logged in, and something has happened since. `garbage`: to the cookies, too."""

    async def scenario(site: Site[B]) -> httpx2.Response:
        browser = await site.log_in()
        await after(inner(site))
        return await call(spoilt(browser) if garbage else browser)

    return scenario


def by_a_response(after: Happening = nothing, *, garbage: bool = False, **changes: str) -> Scenario[B]:
    """Somebody comes back from the authorization server, with a few parameters changed; "" takes one away."""

    async def scenario(site: Site[B]) -> httpx2.Response:
        browser = site.browser()
        changed = {**await site.respond(browser), **changes}
        await after(inner(site))
        response = {name: value for name, value in changed.items() if value}
        return await end(spoilt(browser) if garbage else browser, response)

    return scenario


def by_another_site(method: str, call: str) -> Scenario[B]:
    """The browser says that another site makes the call."""
    return by_a_stranger(lambda browser: browser.fetch(method, call, headers=[("sec-fetch-site", "cross-site")]))


def with_json(call: str) -> Scenario[B]:
    """The body is no form."""
    content = [("content-type", "application/json")]
    return by_a_stranger(lambda browser: browser.fetch("POST", call, body=b"{}", headers=content))


def slowly(call: str) -> Scenario[B]:
    """The body does not come in time."""
    return _patched("POST", call, "agent.forms.asyncio.timeout", TimeoutError())


def broken(method: str, call: str, part: str = "agent.guard.require_trusted_origin") -> Scenario[B]:
    """Something fails for a reason nobody has thought of."""
    return _patched(method, call, part, ZeroDivisionError())


def mode(**wishes: object) -> Happening:
    """The provider answers in a way of its own."""
    return lambda world: world.server.mode(**wishes)


def refusal(path: str, error: str) -> Happening:
    """An endpoint of the provider refuses every request."""

    async def happening(world: World) -> None:
        world.server.answers[path] = lambda _: httpx2.Response(400, json={"error": error})

    return happening


async def away(world: World) -> None:
    """The provider cannot be reached."""
    world.server.down = True


async def over(world: World) -> None:
    """The provider ends all sessions, and all access tokens."""
    await world.server.expire(refresh_token="all", access_token="all")


def inner(site: object) -> World:
    """The world with the provider in it."""
    found = site.inner if isinstance(site, V1World) else site
    assert isinstance(found, World)
    return found


def spoilt(browser: B) -> B:
    """Its cookies keep their names, and nothing that opens."""
    for name in browser.names():
        browser.replace(name, "garbage")
    return browser


def end(browser: Browser, response: Mapping[str, str]) -> Awaitable[httpx2.Response]:
    """The page tells the agent what it came back with."""
    return browser.end_login(page(response)) if isinstance(browser, V1Browser) else browser.login_end(response)


def _patched(method: str, call: str, part: str, error: Exception) -> Scenario[B]:
    async def scenario(site: Site[B]) -> httpx2.Response:
        with patch(part, side_effect=error):
            return await site.browser().fetch(method, call)

    return scenario
