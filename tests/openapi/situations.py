"""Who calls the agent while schemathesis tries it, and how things are."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from agent_world import Browser, World, create_world
from agent_world.v1 import create_v1_world
from e2e_v1.v1_agent import V1Agent
from openapi.described import CSRF
from schemathesis.checks import CheckFunction, not_a_server_error
from starlette.types import Receive, Scope, Send

Cookies = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Situation:
    """`cookies`: what the browser sends. `excluded`: checks that cannot hold there."""

    world: World
    cookies: Cookies = field(repr=False)
    excluded: tuple[CheckFunction, ...] = ()


class Stand:
    """Where an application is put to be tried: the tests are collected before there is one."""

    world: World

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.world.agent(scope, receive, send)


def a_stranger(world: World, _session: Cookies) -> Situation:
    """Nobody is logged in."""
    return Situation(world=world, cookies={})


def somebody(world: World, session: Cookies) -> Situation:
    """Somebody is logged in."""
    return Situation(world=world, cookies=session)


def a_forger(world: World, session: Cookies) -> Situation:
    """The cookies are ours by name alone."""
    return Situation(world=world, cookies=dict.fromkeys(session, "garbage"))


def in_trouble(world: World, session: Cookies) -> Situation:
    """Somebody is logged in, and the authorization server cannot be reached any more."""
    world.server.down = True
    return Situation(world=world, cookies=session, excluded=(not_a_server_error,))


SITUATIONS = (a_stranger, somebody, a_forger, in_trouble)
Came = Callable[[World, Cookies], Situation]


def v2_situation(came: Came, folder: Path) -> Situation:
    """In a world without pushed requests, for there any scope is taken."""
    world = create_world(folder, par="never")
    return came(world, anyio.run(_session, world.log_in))


def v1_situation(came: Came, folder: Path) -> Situation:
    """The same with an agent of version 1; the session has the CSRF token that requests are made up with."""
    world = create_v1_world(folder, par="never")
    session = anyio.run(_session, world.log_in)
    return came(world.inner, {**session, "example-csrf": V1Agent(world.key).seal(CSRF)})


async def _session(log_in: Callable[[], Awaitable[Browser]]) -> Cookies:
    return {kept.name: value for kept, value in (await log_in()).cookies.items()}
