"""An authorizer among fakes: the opener, the upstream way, the clock and the log are a few lines each."""

import asyncio
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

from extauthz.authorizer import App, Authorizer, OpensCookies, Pending
from extauthz.cache import Cache
from extauthz.config import LogConfig
from extauthz.cookies.access_token import AccessToken
from extauthz.cookies.marks import Kind, mark
from extauthz.decision import BEARER_JWT, Decision
from extauthz.doors.desk import Desk
from extauthz.memory import Memory
from extauthz.metrics import Metrics
from extauthz.outcome import Bearer, Outcome, Refused, UpstreamToken
from extauthz.policy import Policy, Rule
from extauthz.reason import Reason
from extauthz.request import Request
from extauthz.revocations.known import Revocation
from extauthz.revocations.revocations import Revocations
from extauthz.revocations.watch import NoWatch
from extauthz.telemetry import Log, logger
from extauthz.upstream import OneForAll
from proxy_world.asking import SHOP

NOW = 1_000_000.0
FOREVER = 2**50


@dataclass
class Clock:
    """The time, in seconds; it moves when told."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class FakeOpener:
    """Opens every cookie to a token and a session of its own name; `rejects` is raised by `admit`, `fails` by `open`.

    `marks` and `began` are what the sessions are known by besides, and since when they are.
    """

    rejects: Exception | None = None
    fails: Exception | None = None
    marks: tuple[str, ...] = ()
    began: int = int(NOW * 1000)
    opened: list[str] = field(default_factory=list)

    def admit(self, value: str) -> None:
        """The cheap check."""
        del value
        if self.rejects is not None:
            raise self.rejects

    def open(self, value: str) -> AccessToken:
        """The expensive one."""
        self.opened.append(value)
        if self.fails is not None:
            raise self.fails
        return AccessToken(
            token=f"opaque-{value}", issued_at=int(NOW), session_id=value, marks=self.marks, began=self.began
        )


@dataclass
class FakeUpstream(OneForAll):
    """Answers every token with `answer`, or raises it; not before `gate` is set."""

    answer: UpstreamToken | Refused | Exception = UpstreamToken(  # noqa: RUF009  # frozen
        bearer=Bearer("h.p.s"),
        expires_at=NOW + 300,
        scopes=frozenset({"orders"}),
    )
    gate: asyncio.Event | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[str] = field(default_factory=list)

    async def __call__(self, token: str, rule: Rule) -> UpstreamToken | Refused:
        """Exchange `token`."""
        del rule
        self.asked.append(token)
        self.arrived.set()
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def good_for(self, seconds: float, *, scopes: frozenset[str] = frozenset({"orders"}), jwt: str = "h.p.s") -> None:
        """Answer a token that runs out in `seconds`."""
        self.answer = UpstreamToken(bearer=Bearer(jwt), expires_at=NOW + seconds, scopes=scopes)


@dataclass
class FakeReport:
    """Keeps what it is told."""

    troubles: list[tuple[str, Reason, Exception]] = field(default_factory=list)

    def trouble(self, app: str, reason: Reason, error: Exception) -> None:
        """Keep it."""
        self.troubles.append((app, reason, error))


class Proxy:
    """An authorizer over one app or more that share these fakes."""

    def __init__(
        self,
        policies: Sequence[Policy] = (SHOP,),
        *,
        max_seconds: float = 60.0,
        stale_seconds: float = 0.0,
        claims: frozenset[str] = frozenset({"sub", "roles"}),
    ) -> None:
        self.clock, self.steady = Clock(), Clock(0.0)
        self.opener, self.upstream, self.report = FakeOpener(), FakeUpstream(), FakeReport()
        self.cache: Cache[Outcome] = Cache(max_entries=1000, max_bytes=1_000_000, clock=self.steady)
        self.refusals: Cache[Outcome] = Cache(max_entries=100, max_bytes=1_000_000, clock=self.steady)
        self.revocations = Revocations(None, keep_seconds=3600, clock=self.clock, watch=NoWatch())
        self._policies, self._max_seconds, self._stale_seconds = policies, max_seconds, stale_seconds
        self._claims, self.chance = claims, 0.0
        self.use(self.opener)

    def use(self, opener: OpensCookies) -> None:
        """Open cookies with `opener` from now on."""
        ways = dict.fromkeys(("phantom", "opaque", "jwt", BEARER_JWT), self.upstream)
        apps = [
            App(
                policy=policy,
                opener=opener,
                ways=ways,
                max_seconds=self._max_seconds,
                stale_seconds=self._stale_seconds,
                claims=self._claims,
            )
            for policy in self._policies
        ]
        memory = Memory(self.cache, self.refusals)
        self.authorizer = Authorizer(
            apps, memory, self.report, self.clock, chance=lambda: self.chance, revocations=self.revocations
        )

    def end_session(self, cookie: str = "sealed") -> None:
        """End the shop's session of this cookie, as its agent would."""
        self.revocations.known.add(Revocation(mark("shop", Kind.SESSION, cookie), int(self.clock.now * 1000), FOREVER))

    def wait(self, seconds: float) -> None:
        """Let time pass, on the wall and in the machine."""
        self.clock.now += seconds
        self.steady.now += seconds

    async def settle(self, request: Request, budget: float | None = None) -> Decision:
        """The decision, waited for where need be."""
        decision = self.authorizer.decide(request)
        return await self.authorizer.complete(decision, budget) if isinstance(decision, Pending) else decision

    def desk(self, log: io.StringIO) -> Desk:
        """What a door needs, logging to `log`."""
        return Desk(self.authorizer, log_to(log), Metrics())


def log_to(stream: io.StringIO) -> Log:
    """The product's own log, in JSON at the lowest level, written to `stream`."""
    return Log(logger(LogConfig(level="debug", format="json"), stream))
