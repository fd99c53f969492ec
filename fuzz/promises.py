"""What holds of every answer to a gateway, whatever was asked: written from the documentation, not from the code.

An answer is judged beside the request and the decision it answers. The first promise that does not hold is raised.
"""

import json
import re
from collections.abc import Iterable, Sequence

from extauthz._pb.envoy.config.core.v3.base_pb2 import HeaderValueOption
from extauthz._pb.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.decision import Allow, Decision, Deny, Passage
from extauthz.doors.dialects import REMOVE_HEADER, Reply
from extauthz.policy import Policy
from extauthz.request import Request
from fuzz.world import OURS, World

Headers = Sequence[tuple[str, str]]

NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)  # a token (RFC 9110 section 5.6.2) in lower case
CHECKED_BY_GATEWAYS = {"forward": {200, 400, 401, 403}, "nginx": {200, 401, 403}, "envoy": {200, 204, 400, 401, 403}}
TROUBLE = {500, 503}


class BrokenPromise(AssertionError):
    """Something that was promised does not hold."""


def promise(holds: object, what: str) -> None:
    """Raise BrokenPromise unless it holds."""
    if not holds:
        raise BrokenPromise(what)


def check_world(world: World) -> None:
    """No fault of ours was swallowed on the way, and each request has one line in the log, whole and clean."""
    faults = world.report.faults
    promise(not faults, f"no fault of ours: {faults!r}")
    lines = world.log.getvalue().splitlines()
    events = [json.loads(line) for line in lines]
    promise([event["event"] for event in events] == ["decision"], f"one line a decision: {lines}")
    promise(all(line.isascii() and line.isprintable() for line in lines), f"log lines are printable: {lines}")


def check_response(message: bytes, request: Request, decision: Decision, world: World) -> None:
    """The answer of the gRPC door."""
    response = CheckResponse.FromString(message)
    allowed, denied = response.ok_response, response.denied_response
    promise((response.status.code == 0) is isinstance(decision, Allow), "a status of zero lets through, and only that")
    _check_options(allowed.headers, ())
    _check_options(allowed.response_headers_to_add, ("vary",))
    _check_options(denied.headers, ())
    promise(all(map(NAME.fullmatch, allowed.headers_to_remove)), f"names: {list(allowed.headers_to_remove)!r}")
    if isinstance(decision, Allow):
        promise(response.WhichOneof("http_response") == "ok_response", "an answer to let through has no other")
        _check_passage(_pairs(allowed.headers), allowed.headers_to_remove, request, decision, world)
    else:
        promise(response.WhichOneof("http_response") == "denied_response", "a refusal has its answer for the client")
        promise(denied.status.code == 204 or 400 <= denied.status.code <= 599, f"status {denied.status.code}")
        promise(not set(dict(_pairs(denied.headers))) & {"authorization", "cookie", "set-cookie"}, "no secrets")


def check_reply(dialect: str, reply: Reply, request: Request, decision: Decision, world: World) -> None:
    """The answer of an HTTP door."""
    headers = reply.headers
    promise(all(NAME.fullmatch(name) for name, _ in headers), f"names: {headers!r}")
    promise(not any(set(value) & set("\r\n\0") or value != value.strip(" \t") for _, value in headers), f"{headers!r}")
    names = [name for name, _ in headers]
    promise(len(set(names)) == len(names), f"each header once: {names}")
    if dialect == "resolve":
        _check_resolved(reply, decision)
        return
    promise(reply.status in CHECKED_BY_GATEWAYS[dialect] | TROUBLE, f"status {reply.status}")
    if reply.status != 200:
        promise(not isinstance(decision, Allow) and "authorization" not in names, "a refusal lets nothing through")
    elif dialect == "envoy":
        promise(isinstance(decision, Allow), "200 lets through")
        removed = dict(headers).get(REMOVE_HEADER, "").split(", ")
        ours = [pair for pair in headers if pair[0] != REMOVE_HEADER and pair not in _response_headers(decision)]
        _check_passage(ours, removed, request, decision, world)
    else:
        _check_copied(headers, request, decision, world)


def may_pass_unauthenticated(request: Request, passage: Passage, policy: Policy) -> bool:
    """Whether somebody has said that such a request needs no session."""
    path = f"{request.path.partition('?')[0]}/"
    routes = [route for route in policy.routes if route.path == "/" or path.startswith(f"{route.path}/")]
    by_path = max(routes, key=lambda route: len(route.path)).rule.auth if routes else policy.rule.auth
    said = request.context.get("auth", by_path)
    match passage:
        case Passage.AUTH_OFF:
            return said == "off"
        case Passage.ANONYMOUS:
            return said == "optional" and not _has_two_credentials(request, policy)
        case Passage.PREFLIGHT:
            return request.method == "OPTIONS" and {"origin", "access-control-request-method"} <= set(request.headers)
        case Passage.DRY_RUN:
            return policy.dry_run
        case _:
            return False


def _has_two_credentials(request: Request, policy: Policy) -> bool:
    pairs = [pair.partition("=") for line in request.cookies.lines for pair in line.split(";")]
    names = [name.strip(" \t") for name, equals, _ in pairs if equals]
    return "authorization" in request.headers and policy.cookie_name in names


def _check_options(options: Iterable[HeaderValueOption], may_be_appended: Sequence[str]) -> None:
    for option in options:
        name, value = option.header.key, option.header.value
        promise(NAME.fullmatch(name), f"a header's name: {name!r}")
        promise(value and not set(value) & set("\r\n\0"), f"a header's value: {value!r}")
        promise(not option.header.raw_value, "Envoy ignores raw_value")
        append = name in may_be_appended
        promise(option.HasField("append") and option.append.value is append, f"append of {name}")
        promise(
            option.append_action
            == (HeaderValueOption.APPEND_IF_EXISTS_OR_ADD if append else HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD),
            f"append_action of {name}",
        )


def _check_passage(given: Headers, removed: Iterable[str], request: Request, decision: Decision, world: World) -> None:
    """What a request that is let through becomes for the API."""
    if not isinstance(decision, Allow):
        raise BrokenPromise("only what is allowed is let through")
    policy, gone, names = world.policies[decision.app], set(removed), [name for name, _ in given]
    promise(len(set(names)) == len(names) and not gone & set(names), f"set or removed, and once: {names}, {gone}")
    _check_credential([value for name, value in given if name == "authorization"], request, decision, policy)
    promise(decision.authenticated or "authorization" in gone, "without our token there is no Authorization")
    promise(not names or set(names) <= {"authorization", "cookie", *policy.identity.claims}, f"only these: {names}")
    _check_cookies([value for name, value in given if name == "cookie"], gone, request, policy)
    for sent in {*policy.identity.claims, *request.headers}:
        if _spelling(sent) in policy.identity.claims:
            promise(sent in gone or sent in names, f"nobody else sends {sent}")
    promise(decision.authenticated or not set(names) & set(policy.identity.claims), "nobody has no identity")
    promise("token-handler-version" in gone, "the CSRF header is for us")


def _check_credential(tokens: list[str], request: Request, decision: Allow, policy: Policy) -> None:
    if decision.authenticated:
        promise(len(tokens) == 1 and OURS.fullmatch(tokens[0]), f"one token, and ours: {tokens}")
        return
    promise(not tokens, f"no token where nobody was authenticated: {tokens}")
    promise(may_pass_unauthenticated(request, decision.passage, policy), f"who has said so: {decision.passage}")


def _check_cookies(values: list[str], gone: set[str], request: Request, policy: Policy) -> None:
    promise(("cookie" in gone) is not bool(values), "cookies are rewritten, or removed")
    seams = ";," if request.cookies.comma_joined else ";"
    for value in values:
        names = [part.partition("=")[0].strip(" \t") for part in re.split(f"[{seams}]", value) if "=" in part]
        ours = [name for name in names if name in policy.own_cookies or name.startswith(policy.login_cookie_prefixes)]
        promise(not ours, f"none of our cookies: {ours}")


def _check_copied(headers: Headers, request: Request, decision: Decision, world: World) -> None:
    """Where gateways copy what we answer over what the client sent: there is nothing to remove, only to give."""
    given = dict(headers)
    if isinstance(decision, Allow):
        policy = world.policies[decision.app]
        tokens = [given[name] for name in ("authorization",) if name in given]
        _check_credential(tokens, request, decision, policy)
        cookies = [given[name] for name in ("cookie",) if name in given]
        _check_cookies(cookies, set() if cookies else {"cookie"}, request, policy)
    else:
        promise(not isinstance(decision, Deny) and set(given) <= {"cache-control"}, "a preflight, with nothing of ours")


def _check_resolved(reply: Reply, decision: Decision) -> None:
    given = dict(reply.headers)
    promise(reply.status in {200, *TROUBLE}, f"the resolver refuses nobody: {reply.status}")
    promise(not {"authorization", "cookie"} & set(given), "the resolver gives no token away")
    logged_in = isinstance(decision, Allow) and decision.authenticated
    promise((given.get("x-authgear-session-valid") == "true") is logged_in, "a session is one of ours")
    promise(logged_in or not [name for name in given if name.startswith("x-authgear-user")], "nobody has no identity")


def _response_headers(decision: Decision) -> Headers:
    return decision.response_headers if isinstance(decision, Allow) else ()


def _pairs(options: Iterable[HeaderValueOption]) -> list[tuple[str, str]]:
    return [(option.header.key, option.header.value) for option in options]


def _spelling(name: str) -> str:
    """As a server that builds variables from header names would tell them apart: not at all."""
    return re.sub(r"[_.]", "-", name.lower())
