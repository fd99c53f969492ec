"""Which rule holds for a request: the app's own, that of a path in the configuration, what the route itself says.

The gateway's route speaks last: it has matched the request, we have only looked at its path.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from extauthz.policy import OPAQUE, Auth, Csrf, Policy, Rule
from extauthz.reason import Reason
from extauthz.request import Request
from extauthz.rules.paths import AmbiguousPath, longest_match

SCOPE = re.compile(r"[\x20\x21\x23-\x5B\x5D-\x7E]*", re.ASCII)  # RFC 6749 section 3.3


def rule_for(request: Request, policy: Policy) -> Rule | Reason:
    """The rule, or why there is none to go by."""
    rule = policy.rule
    if policy.routes:
        rules = {route.path: route.rule for route in policy.routes}
        try:
            rule = rules.get(longest_match(request.path, rules) or "", rule)
        except AmbiguousPath:
            return Reason.AMBIGUOUS_PATH
    settings = {key: value for key, value in request.context.items() if key != "app"}
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
    return new


def _scope(text: str) -> tuple[str, frozenset[str]]:
    if not SCOPE.fullmatch(text):
        raise ValueError("not a list of scope tokens")  # it is told to clients, in a header
    return ("scopes", frozenset(text.split(" ")) - {""})


def _audience(text: str) -> tuple[str, str]:
    if not text:
        raise ValueError("an empty audience")
    return ("audience", text)


_SETTINGS: Mapping[str, Callable[[str], tuple[str, Any]]] = {
    "auth": lambda text: ("auth", Auth(text)),
    "csrf": lambda text: ("csrf", Csrf(text)),
    "upstream": lambda text: ("way", text),
    "scope": _scope,
    "audience": _audience,
}
