"""The stages of the decision in their order, and at which of them each reason refuses."""

from collections.abc import Mapping
from enum import IntEnum, auto

from extauthz.reason import Reason


class Stage(IntEnum):
    """One chapter of the documented decision."""

    REQUEST = auto()
    APP = auto()
    ROUTE = auto()
    PREFLIGHT = auto()
    AUTHENTICATION = auto()
    AUTHORIZATION = auto()
    CSRF = auto()
    COOKIE = auto()
    OPEN = auto()
    UPSTREAM_TOKEN = auto()
    TOKEN = auto()
    UPSTREAM_HEADERS = auto()

    @property
    def label(self) -> str:
        """Its name on the screen."""
        return self.name.lower().replace("_", " ")


# The first stage that gives the reason. One that a later stage may give as well (a cookie is malformed outside or
# inside) belongs there when that stage has begun.
STAGES: Mapping[Reason, Stage] = {
    Reason.MALFORMED_REQUEST: Stage.REQUEST,
    Reason.DOOR_SECRET: Stage.REQUEST,
    Reason.INTERNAL_ERROR: Stage.REQUEST,
    Reason.UNKNOWN_APP: Stage.APP,
    Reason.AMBIGUOUS_PATH: Stage.ROUTE,
    Reason.ROUTE_SETTING: Stage.ROUTE,
    Reason.TWO_CREDENTIALS: Stage.AUTHORIZATION,
    Reason.MALFORMED_BEARER: Stage.AUTHORIZATION,
    Reason.CSRF_HEADER: Stage.CSRF,
    Reason.CSRF_COOKIE: Stage.CSRF,
    Reason.CSRF_MISMATCH: Stage.CSRF,
    Reason.ORIGIN_MISSING: Stage.CSRF,
    Reason.ORIGIN_UNTRUSTED: Stage.CSRF,
    Reason.CROSS_SITE: Stage.CSRF,
    Reason.NO_CREDENTIALS: Stage.COOKIE,
    Reason.AMBIGUOUS_COOKIE: Stage.COOKIE,
    Reason.MALFORMED_COOKIE: Stage.COOKIE,
    Reason.UNKNOWN_COOKIE_KEY: Stage.COOKIE,
    Reason.UNDECRYPTABLE_COOKIE: Stage.OPEN,
    Reason.SESSION_REVOKED: Stage.OPEN,
    Reason.AS_UNREACHABLE: Stage.UPSTREAM_TOKEN,
    Reason.AS_TIMEOUT: Stage.UPSTREAM_TOKEN,
    Reason.AS_ERROR: Stage.UPSTREAM_TOKEN,
    Reason.AS_BAD_ANSWER: Stage.UPSTREAM_TOKEN,
    Reason.AS_REFUSED_US: Stage.UPSTREAM_TOKEN,
    Reason.TOKEN_INACTIVE: Stage.UPSTREAM_TOKEN,
    Reason.TOKEN_INVALID: Stage.TOKEN,
    Reason.TOKEN_EXPIRED: Stage.TOKEN,
    Reason.WRONG_AUDIENCE: Stage.TOKEN,
    Reason.INSUFFICIENT_SCOPE: Stage.TOKEN,
}
