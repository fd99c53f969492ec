"""Four apps that differ in everything a policy can say, served by the real authorizer among fakes without a network.

What a credential comes to, its first letter says, so that bytes made at random meet every outcome.
"""

import asyncio
import hashlib
import io
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from extauthz.authorizer import App, Authorizer
from extauthz.cache import Cache
from extauthz.config import LogConfig
from extauthz.cookies.access_token import TOKEN, AccessToken
from extauthz.cookies.envelope import Defect, InvalidCookie
from extauthz.decision import BEARER_JWT, Decision
from extauthz.doors.desk import Desk
from extauthz.identity import IdentityHeaders
from extauthz.memory import Memory
from extauthz.metrics import Metrics
from extauthz.oauth.errors import AuthorizationServerError, Trouble
from extauthz.outcome import Bearer, Outcome, Refused, UpstreamToken
from extauthz.policy import Auth, BearerMode, Cors, Csrf, DoubleSubmit, Policy, Route, Rule
from extauthz.reason import V1_ANSWERS, Reason
from extauthz.request import Request
from extauthz.telemetry import Log, logger
from extauthz.upstream import OneForAll

NOW = 1_000_000.0
ORIGIN = "https://www.shop.example"
# A client cannot make one: the digest is keyed.
OURS = re.compile(r"Bearer ours\.[0-9a-f]{16}", re.ASCII)
# What a token of ours may say of a user who chose a bad name.
CLAIMS: dict[str, object] = {
    "sub": "ada\r\nx-admin: 1\0",
    "name": "J\u00fcrgen \u2603\ud800, \u0085",
    "roles": ["a,b", "\u00fc\n", 7, True, None, ["x"]],
    "tenant": {"no": "text"},
    "auth_time": 1.5,
}
IDENTITY = IdentityHeaders({"x-user-id": "sub", "x-user-roles": "roles", "tenant": "tenant", "x-name": "name"})


class Foreseen(Exception):
    """A fault the fakes make on purpose, to see that it is answered like any other."""


class FakeOpener:
    """Opens what looks like a token to that token, and refuses the rest at every stage there is."""

    def admit(self, value: str) -> None:
        """The cheap check. Raises InvalidCookie."""
        if value[:1] in ("", "m", "%"):
            raise InvalidCookie(Defect.MALFORMED)
        if value[:1] == "k":
            raise InvalidCookie(Defect.UNKNOWN_KEY)

    def open(self, value: str) -> AccessToken:
        """The token. Raises InvalidCookie."""
        if value[:1] == "u" or not TOKEN.fullmatch(value):
            raise InvalidCookie(Defect.UNDECRYPTABLE)
        return AccessToken(token=value)

    def open_text(self, value: str) -> str:
        """The CSRF token, which is the value without its first letter. Raises InvalidCookie."""
        self.admit(value)
        return value[1:]


class Exchange(OneForAll):
    """Any way there is."""

    async def __call__(self, token: str, rule: Rule) -> UpstreamToken | Refused:
        """The first letter decides. Raises AuthorizationServerError, and what nobody expects."""
        del rule
        match token[:1]:
            case "i":
                return Refused(Reason.TOKEN_INACTIVE)
            case "v":
                return Refused(Reason.TOKEN_INVALID, "its issuer\r\nis not ours")
            case "t":
                raise AuthorizationServerError(Trouble.TIMEOUT, "no answer")
            case "z":
                raise Foreseen
        digest = hashlib.blake2s(token.encode(), key=b"known to nobody outside", digest_size=8).hexdigest()
        return UpstreamToken(
            bearer=Bearer(f"ours.{digest}"),
            expires_at={"e": NOW, "o": math.inf}.get(token[:1], NOW + 300),
            scopes=frozenset() if token[:1] == "s" else frozenset({"orders", "admin"}),
            audiences=frozenset() if token[:1] == "a" else frozenset({"bank"}),
            claims=CLAIMS,
        )


@dataclass
class Report:
    """Keeps the faults that nobody foresaw."""

    faults: list[Exception] = field(default_factory=list)

    def trouble(self, app: str, reason: Reason, error: Exception) -> None:
        """Keep it, unless it is trouble over there or made on purpose."""
        del app
        if reason is Reason.INTERNAL_ERROR and not isinstance(error, Foreseen):
            self.faults.append(error)


def _policies(opener: FakeOpener) -> tuple[Policy, ...]:
    shop = Policy(
        app="shop",
        cookie_name="__Host-Http-shop-at",
        own_cookies=frozenset({"__Host-Http-shop-at", "__Secure-shop-rt", "__Host-Http-shop-id"}),
        login_cookie_prefixes=("__Host-Http-shop-login-",),
        trusted_origins=frozenset({ORIGIN}),
        hosts=frozenset({"api.shop.example"}),
        rule=Rule(scopes=frozenset({"orders"})),
        routes=(
            Route(path="/public", rule=Rule(auth=Auth.OFF)),
            Route(path="/public/not", rule=Rule(scopes=frozenset({"admin"}))),
            Route(path="/feed", rule=Rule(auth=Auth.OPTIONAL, csrf=Csrf.ORIGIN)),
            Route(path="/me", rule=Rule(way="opaque")),
        ),
        ways=frozenset({"phantom", "exchange", "opaque", "jwt"}),
        identity=IDENTITY,
    )
    mall = Policy(
        app="mall",
        cookie_name="mall-at",
        own_cookies=frozenset({"mall-at", "mall-csrf", "mall-auth", "mall-id", "mall-login"}),
        trusted_origins=frozenset({ORIGIN, "https://www.mall.example"}),
        hosts=frozenset({"api.mall.example", "[::1]"}),
        rule=Rule(csrf=Csrf.DOUBLE_SUBMIT),
        bearer=BearerMode.INTROSPECT,
        double_submit=DoubleSubmit(cookie="mall-csrf", header="x-mall-csrf", opener=opener),
        cors=Cors(allow_methods=("GET", "POST"), allow_headers=(), expose_headers=("x-total",), max_age=600),
        answers=V1_ANSWERS,
    )
    bank = Policy(
        app="bank",
        cookie_name="__Secure-bank-at",
        own_cookies=frozenset({"__Secure-bank-at", "__Secure-bank-rt", "__Host-Http-bank-id"}),
        login_cookie_prefixes=("__Host-Http-bank-login-",),
        trusted_origins=frozenset({ORIGIN}),
        hosts=frozenset({"api.bank.example"}),
        rule=Rule(csrf=Csrf.ORIGIN, audience="bank"),
        routes=(Route(path="/", rule=Rule(auth=Auth.OPTIONAL, audience="bank")),),
        bearer=BearerMode.JWT,
        cors=Cors(allow_methods=("GET",), allow_headers=("x-a", "x-b"), expose_headers=(), max_age=0),
        identity=IdentityHeaders({"x-user-id": "sub"}),
    )
    lab = Policy(
        app="lab",
        cookie_name="__Host-Http-lab-at",
        own_cookies=frozenset({"__Host-Http-lab-at", "__Secure-lab-rt", "__Host-Http-lab-id"}),
        login_cookie_prefixes=("__Host-Http-lab-login-",),
        trusted_origins=frozenset({ORIGIN}),
        hosts=frozenset({"api.lab.example"}),
        identity=IDENTITY,
        dry_run=True,
    )
    return (shop, mall, bank, lab)


class World:
    """One process that serves all four apps. `ask` waits for the decision; whatever it learns is remembered."""

    def __init__(self) -> None:
        opener = FakeOpener()
        self.policies = {policy.app: policy for policy in _policies(opener)}
        self.report = Report()
        self.memory = Memory(_cache(), _cache())
        apps = [
            App(
                policy=policy,
                opener=opener,
                ways=dict.fromkeys(("phantom", "exchange", "opaque", "jwt", BEARER_JWT), Exchange()),
                max_seconds=60.0,
                claims=frozenset(CLAIMS),
            )
            for policy in self.policies.values()
        ]
        self.log = io.StringIO()
        log = Log(logger(LogConfig(level="debug", format="json"), self.log))
        self.desk = Desk(Authorizer(apps, self.memory, self.report, lambda: NOW), log, Metrics())
        self._runner = asyncio.Runner()

    def close(self) -> None:
        """End the event loop."""
        self._runner.close()

    def ask(self, request: Request, door: str = "fuzz") -> Decision:
        """The decision, as a door gets it; the log has the lines of this request alone."""
        self.log.seek(0)
        self.log.truncate()
        return self._runner.run(self.desk.decide(request, door, None))


def _cache() -> Cache[Outcome]:
    clock: Callable[[], float] = lambda: 0.0  # noqa: E731
    return Cache(max_entries=100, max_bytes=100_000, clock=clock)
