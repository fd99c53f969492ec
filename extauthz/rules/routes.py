"""Which rule holds for a request: the app's own, that of a path in the configuration, what the route itself says.

The gateway's route speaks last: it has matched the request, we have only looked at its path.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from extauthz.paths import AmbiguousPath
from extauthz.policy import EXCHANGE, JWT, OPAQUE, Auth, BearerMode, Csrf, Policy, Rule
from extauthz.reason import Reason
from extauthz.request import Request

SCOPE = re.compile(r"[\x20\x21\x23-\x5B\x5D-\x7E]*", re.ASCII)  # RFC 6749 section 3.3
# RFC 8707 section 2: an absolute URI (RFC 3986 section 4.3), which has no fragment.
RESOURCE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?@!$&'()*+,;=%\[\]-]+", re.ASCII)


def rule_for(request: Request, policy: Policy) -> Rule | Reason:
    """The rule, or why there is none to go by."""
    if not request.context and not policy.routes:
        return policy.rule
    settings = {key: value for key, value in request.context.items() if key != "app"}
    if not settings and not policy.routes:
        return policy.rule
    try:
        # The gateway may have chosen its route by a path that climbs out of it.
        rule = policy.rule_at(request.path)
    except AmbiguousPath:
        return Reason.AMBIGUOUS_PATH
    return changed(rule, settings, policy) if settings else rule


def changed(rule: Rule, settings: Mapping[str, str], policy: Policy) -> Rule | Reason:
    """`rule` with the settings of a route, by their documented names and values."""
    try:
        changes = dict(_SETTINGS[key](value) for key, value in settings.items())
    except (KeyError, ValueError):
        # A setting we do not know may have been meant to protect something.
        return Reason.ROUTE_SETTING
    new = replace(rule, **changes)
    if new.way not in policy.ways or (new.csrf is Csrf.DOUBLE_SUBMIT and policy.double_submit is None):
        return Reason.ROUTE_SETTING
    if new.way == OPAQUE and (changes.get("scopes") or changes.get("audience")):
        return Reason.ROUTE_SETTING  # that way looks into no token
    if new.way != EXCHANGE and "resource" in changes:
        return Reason.ROUTE_SETTING  # no other way asks for one
    if new.way == JWT and new.audience is None and policy.bearer is not BearerMode.DENY:
        return Reason.ROUTE_SETTING  # a client's JWT must be meant for us (RFC 9068 section 4)
    return new


def _scope(text: str) -> tuple[str, frozenset[str]]:
    if not SCOPE.fullmatch(text):
        raise ValueError("not a list of scope tokens")  # it is told to clients, in a header
    return ("scopes", frozenset(text.split(" ")) - {""})


def _audience(text: str) -> tuple[str, str]:
    if not text:
        raise ValueError("an empty audience")
    return ("audience", text)


def _resource(text: str) -> tuple[str, str]:
    if not RESOURCE.fullmatch(text):
        raise ValueError("not an absolute URI without a fragment")
    return ("resource", text)


_SETTINGS: Mapping[str, Callable[[str], tuple[str, Any]]] = {
    "auth": lambda text: ("auth", Auth(text)),
    "csrf": lambda text: ("csrf", Csrf(text)),
    "upstream": lambda text: ("way", text),
    "scope": _scope,
    "audience": _audience,
    "resource": _resource,
}
