"""The resolver dialect: it refuses nobody. Headers tell whether there is a session, and whose; the API decides.

Three states, in the manner of Authgear's resolver: no credentials, no headers; credentials that do not serve, only
`session-valid: false`; a session, `true` and what is known of the user.
"""

from collections.abc import Mapping
from typing import assert_never

from extauthz.decision import Allow, Decision, Deny, Headers, Passage, Preflight
from extauthz.doors.dialects import NO_STORE, Asked, Dialect, Reply, request
from extauthz.identity import header_value
from extauthz.reason import Reason
from extauthz.request import Request

PATH = "/resolve"
# The claims are Authgear's own; the second names are those of OpenID Connect Core section 5.1, or in common use.
USER = "https://authgear.com/claims/user/"
FLAGS = {
    "user-anonymous": (f"{USER}is_anonymous",),
    "user-verified": (f"{USER}is_verified", "email_verified", "phone_number_verified"),
    "user-can-reauthenticate": (f"{USER}can_reauthenticate",),
}
ROLES = (f"{USER}roles", "roles")
CLAIMS = frozenset({"sub", "amr", "auth_time", *ROLES, *(name for names in FLAGS.values() for name in names)})


def dialect(prefix: str) -> Dialect:
    """The resolver, its header names starting with `prefix`."""

    def write(decision: Decision) -> Reply:
        match decision:
            case Allow() if decision.authenticated and "sub" in decision.claims:
                return _reply(_session(decision.claims, prefix))
            case Allow(passage=Passage.ANONYMOUS, waived=None) | Preflight():
                return _reply(())
            case Deny() if decision.status >= 500 or decision.reason is Reason.DOOR_SECRET:
                # Trouble, or a gateway that may not ask: neither must look like a user who is logged out.
                return Reply(status=decision.status, headers=(NO_STORE,))
            case Allow() | Deny():
                # Refused, or nobody's: where nobody looks into tokens, we do not vouch for them.
                return _reply(((f"{prefix}session-valid", "false"),))
            case _:
                assert_never(decision)

    return Dialect(name="resolve", path=PATH, read=read, write=write)


def read(asked: Asked) -> Request:
    """What came is the request itself. Only X-Original-Method, if it is there, tells what the client is about to do;
    a method that is not known may change something.
    """
    method = asked.headers.get("x-original-method", "UNKNOWN")
    host = asked.headers.get("host", "")
    # Optional: missing credentials are a state here, not a refusal.
    return request(asked, method=method, host=host, path=PATH, context={"auth": "optional"})


def _session(claims: Mapping[str, object], prefix: str) -> Headers:
    amr, roles = claims.get("amr"), _first(claims, ROLES)
    members = {
        "session-valid": "true",
        "user-id": header_value(claims.get("sub")),
        **{name: header_value(any(claims.get(claim) is True for claim in names)) for name, names in FLAGS.items()},
        "user-roles": header_value(roles) if isinstance(roles, list) else "",
        "session-amr": " ".join(filter(None, map(header_value, amr))) if isinstance(amr, list) else "",
        "session-authenticated-at": header_value(claims.get("auth_time")),
    }
    # Only the methods are there even when there are none.
    return tuple((f"{prefix}{name}", value) for name, value in members.items() if value or name == "session-amr")


def _first(claims: Mapping[str, object], names: tuple[str, ...]) -> object:
    return next((claims[name] for name in names if name in claims), None)


def _reply(headers: Headers) -> Reply:
    return Reply(status=200, headers=(*headers, NO_STORE))
