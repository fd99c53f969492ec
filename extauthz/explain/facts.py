"""What is to be seen at each stage of a decision: names, counts and times, never a value that could be a secret.

Decides nothing: the rules' own small functions are asked what they made of the request.
"""

from collections.abc import Callable, Mapping

from extauthz.cookies.header import OWS, AmbiguousCookie
from extauthz.decision import BEARER_JWT, Allow
from extauthz.explain.display import fetch_site, key_id, listed, moment, origin, outside, setting
from extauthz.explain.stage import Stage
from extauthz.explain.witness import Case
from extauthz.outcome import Refused, UpstreamToken
from extauthz.paths import AmbiguousPath, PathPrefixes
from extauthz.policy import EXCHANGE, JWT, OPAQUE, Auth, BearerMode, Csrf, Policy, Rule
from extauthz.reason import Reason
from extauthz.request import Request
from extauthz.rules import apps, cors, routes
from extauthz.rules.bearer import bearer_token
from extauthz.rules.csrf import CSRF_HEADER, CSRF_VALUE
from extauthz.telemetry import clean

_PREFIXES = ("__Host-Http-", "__Host-", "__Secure-", "")
_ASKED = {BEARER_JWT: "the keys", JWT: "the keys", EXCHANGE: "the token endpoint"}
SHOWN_OF_SESSION = 4  # characters: enough to find it again, too few to be taken for it


def policy_of(case: Case) -> Policy:
    """The app, where there is one."""
    found = apps.select(case.request, case.policies)
    assert not isinstance(found, Reason), "past the stage that finds it"  # noqa: S101
    return found


def rule_of(case: Case) -> Rule:
    """The rule, where there is one."""
    found = routes.rule_for(case.request, policy_of(case))
    assert not isinstance(found, Reason), "past the stage that finds it"  # noqa: S101
    return found


def request(case: Case) -> str:
    """Method, host, path."""
    asked = case.request
    path, host = clean(asked.path.partition("?")[0]) or "(no path)", clean(asked.host) or "(no host)"
    characters = sum(map(len, asked.cookies.lines))
    cookies = f"{characters} characters of cookies" if characters else "no cookies"
    return f"{clean(asked.method) or '(no method)'} {path} on {host}; {cookies}"


def app(case: Case) -> str:
    """Which, and why."""
    found, named = apps.select(case.request, case.policies), case.request.context.get("app")
    if isinstance(found, Reason):
        known = (f"{policy.app} ({listed(sorted(policy.hosts), 'any host')})" for policy in case.policies)
        by_route = f"the route names {clean(named)}; " if named is not None else ""
        return f"{by_route}there are {listed(known)}"
    if named is not None:
        return f"{found.app}, named by the route"
    return f"{found.app}, by its host" if found.hosts else f"{found.app}, the only one that takes any host"


def route(case: Case) -> str:
    """Which path prefix, and what holds there."""
    policy = policy_of(case)
    found = routes.rule_for(case.request, policy)
    settings = [setting(*pair) for pair in case.request.context.items() if pair[0] != "app"]
    where = _prefix(case.request, policy) + (f", with the route's own {listed(settings)}" if settings else "")
    if isinstance(found, Reason):
        return where
    told = f"{where}: auth {found.auth}, csrf {found.csrf}, upstream {found.way}"
    wanted = f", scopes {listed(found.scopes, 'any')}, audience {clean(found.audience or 'any')}"
    asked = f", resource {clean(found.resource)}" if found.way == EXCHANGE and found.resource else ""
    return told if found.way == OPAQUE else told + wanted + asked


def preflight(case: Case) -> str:
    """Whether it is one, and who answers it."""
    policy = policy_of(case)
    if not cors.is_preflight(case.request):
        return "no"
    seen = origin(case.request, policy)
    if policy.cors is None:
        return f"yes, {seen}; cors is not set: what trusted origins ask goes on to the API, without credentials"
    return f"yes, {seen}; answered here, with CORS headers for trusted origins only"


def authentication(case: Case) -> str:
    """Whether it is needed."""
    return {
        Auth.REQUIRED: "required",
        Auth.OPTIONAL: "optional: without credentials it passes as nobody's, with bad ones it does not",
        Auth.OFF: "off: it passes as nobody's, whatever it carries",
    }[rule_of(case).auth]


def authorization(case: Case) -> str:
    """What the client sent itself. Its scheme is not told: who forgets it sends the token in its place."""
    policy = policy_of(case)
    if "authorization" not in case.request.headers:
        return "none from the client"
    token = bearer_token(case.request)
    if token is None:
        seen = "of another scheme than Bearer"
    else:
        seen = "Bearer, not one token" if isinstance(token, Reason) else f"one bearer token of {len(token)} characters"
    if case.request.cookies.mentions(policy.cookie_name):
        return f"{seen}, beside the cookie {policy.cookie_name}"
    return f"{seen}; counts for nothing (bearer: deny)" if policy.bearer is BearerMode.DENY else seen


def csrf(case: Case) -> str:
    """The mode, and all it looks at."""
    policy, mode, headers = policy_of(case), rule_of(case).csrf, case.request.headers
    seen = [f"mode {mode}"]
    if mode is Csrf.HEADER:
        sent = headers.get(CSRF_HEADER)
        seen.append(f"{CSRF_HEADER} {'absent' if sent is None else '1' if sent == CSRF_VALUE else 'is not 1'}")
    if mode is Csrf.DOUBLE_SUBMIT and policy.double_submit is not None:
        pair = policy.double_submit
        seen.append(f"cookie {pair.cookie} {'there' if case.request.cookies.mentions(pair.cookie) else 'absent'}")
        seen.append(f"header {pair.header} {'there' if headers.get(pair.header) else 'absent'}")
    return "; ".join([*seen, origin(case.request, policy), fetch_site(case.request)])


def cookie(case: Case) -> str:
    """Whether ours is there, and what can be seen of it from outside."""
    policy, header = policy_of(case), case.request.cookies
    name = policy.cookie_name
    try:
        value = header.find(name)
    except AmbiguousCookie:
        return f"{name} came with more than one value"
    if value:
        return f"{name}, {len(value)} characters, {outside(value, case.config.apps[policy.app])}"
    if value is not None:
        return f"{name} is empty"
    others = sum(bool(part.strip(OWS)) for line in header.lines for part in line.split(";"))
    base = next(name.removeprefix(prefix) for prefix in _PREFIXES if name.startswith(prefix))
    similar = [prefix + base for prefix in _PREFIXES if header.mentions(prefix + base)]
    hint = f"; but {listed(similar)} is: compare parent_domain and format" if similar else ""
    return f"{name} is not among {others} cookies{hint}"


def opened(case: Case) -> str:
    """What was in it, without what it is for."""
    found, policy = case.witness.opened, policy_of(case)
    value = case.request.cookies.find(policy.cookie_name) or ""
    known = key_id(value)
    with_key = f"key {known}, " if known else ""
    if found is None:
        return f"{with_key}app {policy.app}, cookie {policy.cookie_name}"
    token = f"{with_key}a token of {len(found.token)} characters"
    if not found.issued_at and not found.session_id:
        return token  # the format holds nothing else
    unknown = f"; whether it was ended is not known: {clean(case.witness.unknown)}" if case.witness.unknown else ""
    session = clean(found.session_id[:SHOWN_OF_SESSION])
    return f"{token}, issued {moment(found.issued_at)}, session {session}...{unknown}"


def upstream_token(case: Case) -> str:
    """Who was asked, and how that went."""
    witness, credential = case.witness, case.credential
    assert credential is not None, "past the stage that finds it"  # noqa: S101
    issuer = case.config.apps[credential.policy.app].issuer
    if credential.way == OPAQUE:
        return "goes on as it is (opaque), nobody is asked"
    if not witness.asked:
        return f"not asked; add --live to ask {issuer}"
    what = _ASKED.get(credential.way, "introspection")
    why = f": {witness.outcome.detail}" if isinstance(witness.outcome, Refused) and witness.outcome.detail else ""
    told = clean(witness.told or f"answered{why}")
    return f"{credential.way}, by {what} of {issuer}, in {witness.seconds:.2f} s: {told}"


def token(case: Case) -> str:
    """What the token says, and what the rule requires."""
    outcome, rule = case.witness.outcome, rule_of(case)
    if not isinstance(outcome, UpstreamToken):
        return clean(outcome.detail) if isinstance(outcome, Refused) else ""
    if case.credential is not None and case.credential.way == OPAQUE:
        return "not looked into"
    left = outcome.expires_at - case.now
    return (
        f"expires {moment(outcome.expires_at)}, {f'in {left:.0f} s' if left > 0 else f'{-left:.0f} s ago'}; "
        f"scopes {listed(outcome.scopes)} (required: {listed(rule.scopes)}); "
        f"audience {listed(outcome.audiences)} (required: {clean(rule.audience or 'any')}); "
        + (f"issuer {clean(str(outcome.claims.get('iss')))}" if outcome.claims else "not looked into, but asked for")
    )


def upstream_headers(case: Case) -> str:
    """Which are set and removed."""
    assert isinstance(case.decision, Allow), "told of what passes"  # noqa: S101
    names = [name for name, _ in case.decision.set_headers]
    return f"sets {listed(names)}; removes {listed(case.decision.remove_headers)}"


FACTS: Mapping[Stage, Callable[[Case], str]] = {
    Stage.REQUEST: request,
    Stage.APP: app,
    Stage.ROUTE: route,
    Stage.PREFLIGHT: preflight,
    Stage.AUTHENTICATION: authentication,
    Stage.AUTHORIZATION: authorization,
    Stage.CSRF: csrf,
    Stage.COOKIE: cookie,
    Stage.OPEN: opened,
    Stage.UPSTREAM_TOKEN: upstream_token,
    Stage.TOKEN: token,
    Stage.UPSTREAM_HEADERS: upstream_headers,
}


def _prefix(request: Request, policy: Policy) -> str:
    prefixes = [route.path for route in policy.routes]
    if not prefixes:
        return "the app's own"
    try:
        found = PathPrefixes(prefixes).longest_match(request.path)
    except AmbiguousPath:
        return f"not to be told among {listed(prefixes)}"
    return "no path of routes, so the app's own" if found is None else f"path {found}"
