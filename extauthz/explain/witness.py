"""Lets the proxy's own authorizer decide one request, and looks on: what was opened, what was asked, what went wrong.

Each run has a memory of its own, so nothing is answered from a cache.
"""

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from extauthz.authorizer import App, Authorizer, OpensCookies, Pending
from extauthz.build import build_apps, build_issuer, build_memory
from extauthz.config import AppConfig, Config, Program
from extauthz.cookies.access_token import AccessToken
from extauthz.decision import Credential, Decision
from extauthz.explain.stage import Stage
from extauthz.oauth.errors import AuthorizationServerError
from extauthz.oauth.issuer import Issuer
from extauthz.outcome import Refused, UpstreamToken
from extauthz.policy import OPAQUE, Policy, Rule
from extauthz.reason import Reason
from extauthz.request import Request
from extauthz.revocations.revocations import Revocations, RevocationsUnavailable
from extauthz.revocations.source import build_revocations
from extauthz.revocations.watch import NoWatch
from extauthz.upstream import OneForAll, UpstreamWay


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What is taken from outside. `wall`: seconds since the epoch; `steady`: seconds of any origin."""

    issuer: Callable[[AppConfig], Issuer] = lambda app: build_issuer(app, time.monotonic)
    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic


@dataclass(slots=True, kw_only=True)
class Witness:
    """What was seen. `begun`: the last stage that was seen to begin; `asked`: not stopped short of asking.

    `unknown`: why it is not known which sessions have ended.
    """

    begun: Stage = Stage.REQUEST
    asked: bool = True
    opened: AccessToken | None = field(default=None, repr=False)
    outcome: UpstreamToken | Refused | None = None
    seconds: float = 0.0
    told: str = ""
    unknown: str = ""

    def trouble(self, app: str, reason: Reason, error: Exception) -> None:
        """Keep what may be shown: our own words, of anything else only the type."""
        del app, reason
        self.told = str(error) if isinstance(error, AuthorizationServerError) else type(error).__name__


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One decision, and all that is needed to tell how it came about."""

    request: Request
    config: Config
    policies: tuple[Policy, ...]
    decision: Decision
    credential: Credential | None
    witness: Witness = field(repr=False)
    now: float


async def decide(config: Config, request: Request, *, live: bool, world: World) -> Case:
    """The decision of `extauthz serve`; without `live`, up to where the authorization server would be asked."""
    witness = Witness()
    async with AsyncExitStack() as stack:
        issuers = {name: world.issuer(settings) for name, settings in config.apps.items()}
        for issuer in issuers.values():
            stack.push_async_callback(issuer.http.aclose)
        built = build_apps(config, issuers, wall=world.wall)
        apps = [_watched(app, witness, live, world) for app in built]
        revocations = await _revocations(config, witness, world)
        memory = build_memory(config, world.steady)
        authorizer = Authorizer(apps, memory, witness, world.wall, revocations=revocations)
        found = authorizer.decide(request)
        # Each call is bounded as in the server; Envoy's own deadline, which comes with its question, we do not know.
        decision = await authorizer.complete(found) if isinstance(found, Pending) else found
    return Case(
        request=request,
        config=config,
        policies=tuple(app.policy for app in apps),
        decision=decision,
        credential=found.credential if isinstance(found, Pending) else None,
        witness=witness,
        now=world.wall(),
    )


async def _revocations(config: Config, witness: Witness, world: World) -> Revocations:
    """What the proxies know; where that cannot be read now, nothing, and that is told."""
    revocations = build_revocations(config, Program.EXTAUTHZ, world.wall, NoWatch())
    try:
        await revocations.read()
    except RevocationsUnavailable as error:
        witness.unknown = str(error)
    finally:
        await revocations.stop()
    return revocations


def _watched(app: App, witness: Witness, live: bool, world: World) -> App:
    ways = {name: _WatchedWay(way, witness, world.steady, ask=live or name == OPAQUE) for name, way in app.ways.items()}
    return replace(app, opener=_Watched(app.opener, witness), ways=ways)


@dataclass(frozen=True, slots=True)
class _WatchedWay(OneForAll):
    """A way that is looked at, or only stood at."""

    way: UpstreamWay = field(repr=False)
    witness: Witness = field(repr=False)
    clock: Callable[[], float]
    ask: bool

    async def __call__(self, token: str, rule: Rule) -> UpstreamToken | Refused:
        self.witness.begun, self.witness.asked = Stage.UPSTREAM_TOKEN, self.ask
        if not self.ask:
            return Refused(Reason.INTERNAL_ERROR)  # never told: that it was reached is all there is to know
        started = self.clock()
        try:
            self.witness.outcome = await self.way(token, rule)
        finally:
            self.witness.seconds = self.clock() - started
        return self.witness.outcome


@dataclass(frozen=True, slots=True)
class _Watched:
    """An opener that is looked at."""

    opener: OpensCookies = field(repr=False)
    witness: Witness = field(repr=False)

    def admit(self, value: str) -> None:
        self.witness.begun = Stage.COOKIE
        self.opener.admit(value)

    def open(self, value: str) -> AccessToken:
        self.witness.begun = Stage.OPEN
        self.witness.opened = self.opener.open(value)
        return self.witness.opened
