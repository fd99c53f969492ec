"""What the decision has to know of an app: values only, made from the configuration, one slice for each app."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from extauthz.identity import IdentityHeaders
from extauthz.paths import PathPrefixes
from extauthz.reason import ANSWERS, Answer, Reason

# The way that looks into no token, so that nothing can be required of one.
OPAQUE = "opaque"
# The way of tokens that are JWTs already.
JWT = "jwt"
# The way that asks for what a rule requires, and so the only one that can ask for a resource.
EXCHANGE = "exchange"


class Auth(StrEnum):
    """Whether a request needs a session."""

    REQUIRED = "required"
    OPTIONAL = "optional"  # without credentials it passes as nobody's; credentials that are bad are refused
    OFF = "off"  # passes as nobody's, whatever it carries


class Csrf(StrEnum):
    """How a request proves that no other site made the browser send it (RFC 10017 section 6.1.3.3)."""

    HEADER = "header"  # token-handler-version: 1, which only a preflighted fetch can send across origins
    DOUBLE_SUBMIT = "double-submit"  # a header that repeats what an encrypted cookie holds, on unsafe methods
    ORIGIN = "origin"  # Origin alone; for WebSocket and EventSource, which cannot send headers of their own


class BearerMode(StrEnum):
    """What becomes of an Authorization header the client sent."""

    DENY = "deny"
    INTROSPECT = "introspect"  # an opaque token goes the same way as one from a cookie
    JWT = "jwt"  # a JWT access token is verified here (RFC 9068)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What holds for one request: the app's own settings, or those of a route.

    `scopes` and `audience` are required of the token, unless its way is opaque; `resource` (RFC 8707) is what the
    way exchange asks for besides.
    """

    auth: Auth = Auth.REQUIRED
    csrf: Csrf = Csrf.HEADER
    way: str = "phantom"
    scopes: frozenset[str] = frozenset()
    audience: str | None = None
    resource: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A rule for a path prefix of whole segments."""

    path: str
    rule: Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """CORS answered by us. `allow_headers`: empty echoes what was asked for; `max_age`: seconds."""

    allow_methods: tuple[str, ...]
    allow_headers: tuple[str, ...]
    expose_headers: tuple[str, ...]
    max_age: int


class OpensCsrfCookies(Protocol):
    """The secret side of the CSRF cookie."""

    def open_text(self, value: str) -> str:
        """What the cookie holds. Raises InvalidCookie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubleSubmit:
    """The cookie and the header that have to agree."""

    cookie: str
    header: str
    opener: OpensCsrfCookies = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One app. `ways` are those a route may name.

    `own_cookies`, and those that begin with a login prefix, never reach the API; they are those of all apps of the
    proxy, for apps may share a host, and to the API of one the cookie of another is no less of a password.
    """

    app: str
    cookie_name: str
    own_cookies: frozenset[str]
    login_cookie_prefixes: tuple[str, ...] = ()
    trusted_origins: frozenset[str]
    hosts: frozenset[str] = frozenset()
    rule: Rule = Rule()
    routes: tuple[Route, ...] = ()
    _paths: PathPrefixes = field(init=False, repr=False, compare=False)
    ways: frozenset[str] = frozenset({"phantom"})
    bearer: BearerMode = BearerMode.DENY
    double_submit: DoubleSubmit | None = None
    cors: Cors | None = None
    identity: IdentityHeaders = field(default_factory=IdentityHeaders)
    answers: Mapping[Reason, Answer] = field(default_factory=lambda: ANSWERS, repr=False)
    dry_run: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "_paths", PathPrefixes(route.path for route in self.routes))

    def rule_at(self, path: str) -> Rule:
        """The rule for a path. Raises AmbiguousPath."""
        prefix = self._paths.longest_match(path)
        return next((route.rule for route in self.routes if route.path == prefix), self.rule)

    def is_ours(self, cookie: str) -> bool:
        """Whether a cookie of this name is the token handler's own."""
        return cookie in self.own_cookies or cookie.startswith(self.login_cookie_prefixes)
