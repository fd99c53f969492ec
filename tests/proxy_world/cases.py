"""One table of requests and what becomes of them, for the core and every door."""

from dataclasses import dataclass, field, replace

from extauthz.cookies.envelope import Defect, InvalidCookie
from extauthz.identity import IdentityHeaders
from extauthz.oauth.errors import AuthorizationServerError, Trouble
from extauthz.outcome import Bearer, Refused, UpstreamToken
from extauthz.policy import Auth, BearerMode, Cors, Csrf, DoubleSubmit, Policy, Route, Rule
from extauthz.reason import V1_ANSWERS, Reason
from extauthz.request import Request
from proxy_world.asking import BANK, COOKIE, ORIGIN, OURS, SHOP, SOLE, ask, with_headers
from proxy_world.fakes import NOW, Proxy

EVIL = "https://evil.example"
GOOD = UpstreamToken(
    bearer=Bearer("h.p.s"),
    expires_at=NOW + 300,
    scopes=frozenset({"orders"}),
    audiences=frozenset({"api"}),
    claims={"sub": "ada", "roles": ["admin"]},
)


class FakeCsrfCookies:
    """Opens "sealed-x" to "x", and nothing else."""

    def open_text(self, value: str) -> str:
        """What the cookie holds."""
        if not value.startswith("sealed-"):
            raise InvalidCookie(Defect.UNDECRYPTABLE)
        return value.removeprefix("sealed-")


FULL = replace(
    SHOP,
    identity=IdentityHeaders({"x-user-id": "sub"}),
    ways=frozenset({"phantom", "opaque", "jwt"}),
    routes=(
        Route(path="/public", rule=Rule(auth=Auth.OFF)),
        Route(path="/feed", rule=Rule(auth=Auth.OPTIONAL, scopes=frozenset({"orders"}))),
        Route(path="/admin", rule=Rule(scopes=frozenset({"admin"}))),
        Route(path="/other-api", rule=Rule(audience="other")),
        Route(path="/events", rule=Rule(csrf=Csrf.ORIGIN)),
        Route(path="/me", rule=Rule(way="opaque")),
    ),
)
MOBILE = replace(FULL, bearer=BearerMode.INTROSPECT)
JWT = replace(FULL, bearer=BearerMode.JWT)
CORS = replace(
    FULL, cors=Cors(allow_methods=("GET", "PUT"), allow_headers=(), expose_headers=("x-total",), max_age=600)
)
DRY = replace(FULL, dry_run=True)
V1 = replace(
    FULL,
    rule=Rule(csrf=Csrf.DOUBLE_SUBMIT, scopes=frozenset({"orders"})),
    double_submit=DoubleSubmit(cookie="shop-csrf", header="x-shop-csrf", opener=FakeCsrfCookies()),
    answers=V1_ANSWERS,
)
CSRF_PAIR = (f"{OURS}; shop-csrf=sealed-t0ken",)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A request, the apps, what happens behind, and the word the log has for it."""

    request: Request
    word: str
    status: int
    policies: tuple[Policy, ...] = (FULL, BANK)
    answer: UpstreamToken | Refused | Exception = GOOD
    rejects: Exception | None = None
    fails: Exception | None = None
    # Only some doors can say it: route settings travel over gRPC alone; a map has neither lines nor bytes.
    by_map: bool = True
    over_http: bool = field(default=True)
    # Whether the session was ended before the request came.
    ended: bool = False
    # An opaque token nobody has called good is not remembered.
    remembered: bool = True

    def proxy(self) -> Proxy:
        """An authorizer for this case."""
        proxy = Proxy(self.policies)
        proxy.upstream.answer = self.answer
        proxy.opener.rejects, proxy.opener.fails = self.rejects, self.fails
        if self.ended:
            proxy.end_session()
        return proxy


def refused(reason: Reason, status: int, request: Request, **more: object) -> Case:
    """A case that ends with a reason."""
    return Case(request=request, word=reason.value, status=status, **more)  # type: ignore[arg-type]


def passes(request: Request, word: str = "allow", **more: object) -> Case:
    """A case that gets through."""
    return Case(request=request, word=word, status=200, **more)  # type: ignore[arg-type]


def fault(trouble: Trouble) -> AuthorizationServerError:
    """Trouble at the authorization server."""
    return AuthorizationServerError(trouble, "in trouble")


PREFLIGHT = ask(method="OPTIONS", cookies=(), access_control_request_method="PUT", token_handler_version=None)
MOBILE_REQUEST = ask(cookies=(), authorization="Bearer 0paque", token_handler_version=None, origin=None)

CASES = {
    # let through
    "a session": passes(ask()),
    "a session that changes something": passes(ask(method="DELETE")),
    "a session asked for by HEAD": passes(ask(method="HEAD")),
    "a session beside foreign cookies": passes(ask(cookies=(f'a="1,2"; {OURS}; theme=d%20ark==',))),
    "a session in the second of two lines": passes(ask(cookies=("a=1", f"b=2; {OURS}")), by_map=False),
    "the same cookie twice": passes(ask(cookies=(f"{OURS}; {OURS}",))),
    "a session with a query": passes(ask(path="/orders?auth=off&access_token=x")),
    "a session without Origin": passes(ask(origin=None)),
    "a spoofed identity": passes(with_headers(ask(), {"x-user-id": "root", "x.user.id": "root"})),
    "a foreign header twice": passes(ask(x_other="1,2")),
    "by the host with a port": passes(ask(host="API.shop.example:8443")),
    "the only app": passes(ask(host="any.example"), policies=(SOLE,)),
    "named by the route": passes(ask(context={"app": "shop"}), over_http=False),
    "a neighbour that is not UTF-8": passes(ask(cookies=(f"b=\udcff; {OURS}",)), by_map=False),
    "a WebSocket": passes(ask(path="/events/x", token_handler_version=None, upgrade="websocket")),
    "an opaque way": passes(
        ask(path="/me"), answer=replace(GOOD, scopes=frozenset(), audiences=frozenset()), remembered=False
    ),
    "an opaque way by the route": passes(ask(context={"upstream": "opaque"}), over_http=False, remembered=False),
    "a double submit": passes(
        ask(method="POST", cookies=CSRF_PAIR, token_handler_version=None, x_shop_csrf="t0ken"), policies=(V1,)
    ),
    "a mobile client": passes(MOBILE_REQUEST, policies=(MOBILE,)),
    "a mobile client with a JWT": passes(replace(MOBILE_REQUEST, method="POST"), policies=(JWT,)),
    "a mobile app's user in a browser": passes(ask(), policies=(MOBILE,)),
    "a session where CORS is ours": passes(ask(), policies=(CORS,)),
    "a session on an optional route": passes(ask(path="/feed/x")),
    # let through as nobody
    "a public path": passes(ask(path="/public/x", cookies=()), "auth_off"),
    "a public path with credentials": passes(ask(path="/public/x", authorization="Bearer x"), "auth_off"),
    "a public path by the route": passes(ask(context={"auth": "off"}, cookies=()), "auth_off", over_http=False),
    "an optional path without credentials": passes(ask(path="/feed", cookies=()), "anonymous"),
    "an optional path without a header": passes(ask(path="/feed", token_handler_version=None), "anonymous"),
    "a trusted preflight": passes(PREFLIGHT, "preflight"),
    "a dry run without a cookie": passes(ask(cookies=()), "dry_run", policies=(DRY,)),
    "a dry run with a forged token": passes(ask(authorization="Bearer x"), "dry_run", policies=(DRY,)),
    "a dry run while the AS is away": passes(ask(), "dry_run", policies=(DRY,), answer=fault(Trouble.UNREACHABLE)),
    # answered by us
    "a preflight where CORS is ours": Case(request=PREFLIGHT, word="preflight", status=204, policies=(CORS,)),
    # no credentials, or bad ones
    "no cookie": refused(Reason.NO_CREDENTIALS, 401, ask(cookies=())),
    "no cookie, asked by HEAD": refused(Reason.NO_CREDENTIALS, 401, ask(method="HEAD", cookies=())),
    "an empty cookie": refused(Reason.NO_CREDENTIALS, 401, ask(cookies=(f"{COOKIE}=",))),
    "another app's cookie": refused(Reason.NO_CREDENTIALS, 401, ask(cookies=("__Host-Http-bank-at=x",))),
    "a token where none is taken": refused(Reason.NO_CREDENTIALS, 401, ask(cookies=(), authorization="Bearer x")),
    "another scheme": refused(Reason.NO_CREDENTIALS, 401, ask(cookies=(), authorization="Basic x"), policies=(MOBILE,)),
    "two cookies": refused(Reason.AMBIGUOUS_COOKIE, 401, ask(cookies=(f"{OURS}; {COOKIE}=other",))),
    "two lines with different cookies": refused(Reason.AMBIGUOUS_COOKIE, 401, ask(cookies=(OURS, f"{COOKIE}=x"))),
    "a malformed cookie": refused(Reason.MALFORMED_COOKIE, 401, ask(), rejects=InvalidCookie(Defect.MALFORMED)),
    "a cookie of an unknown key": refused(
        Reason.UNKNOWN_COOKIE_KEY, 401, ask(), rejects=InvalidCookie(Defect.UNKNOWN_KEY)
    ),
    "a cookie that does not open": refused(
        Reason.UNDECRYPTABLE_COOKIE, 401, ask(), fails=InvalidCookie(Defect.UNDECRYPTABLE)
    ),
    "a session that was ended": refused(Reason.SESSION_REVOKED, 401, ask(), ended=True),
    "a session that was ended, on an optional path": refused(
        Reason.SESSION_REVOKED, 401, ask(path="/feed"), ended=True
    ),
    "a session that was ended, the opaque way": refused(Reason.SESSION_REVOKED, 401, ask(path="/me"), ended=True),
    "a session that was ended, in a dry run": passes(ask(), "dry_run", policies=(DRY,), ended=True),
    "a session that was ended, on a public path": passes(ask(path="/public"), "auth_off", ended=True),
    "a bad cookie on an optional path": refused(
        Reason.MALFORMED_COOKIE, 401, ask(path="/feed"), rejects=InvalidCookie(Defect.MALFORMED)
    ),
    "an inactive token": refused(Reason.TOKEN_INACTIVE, 401, ask(), answer=Refused(Reason.TOKEN_INACTIVE)),
    "an expired token": refused(Reason.TOKEN_EXPIRED, 401, ask(), answer=replace(GOOD, expires_at=NOW)),
    "a JWT that does not verify": refused(
        Reason.TOKEN_INVALID, 401, MOBILE_REQUEST, policies=(JWT,), answer=Refused(Reason.TOKEN_INVALID, "signature")
    ),
    # forgery
    "no custom header": refused(Reason.CSRF_HEADER, 403, ask(token_handler_version=None)),
    "the custom header twice": refused(Reason.CSRF_HEADER, 403, ask(token_handler_version="1,1")),
    "no Origin on a changing method": refused(Reason.ORIGIN_MISSING, 403, ask(method="POST", origin=None)),
    "an unknown method without Origin": refused(Reason.ORIGIN_MISSING, 403, ask(method="BREW", origin=None)),
    "a method in lower case without Origin": refused(Reason.ORIGIN_MISSING, 403, ask(method="get", origin=None)),
    "a method override": refused(
        Reason.ORIGIN_MISSING, 403, ask(method="POST", origin=None, x_http_method_override="GET")
    ),
    "another origin": refused(Reason.ORIGIN_UNTRUSTED, 403, ask(origin=EVIL)),
    "the null origin": refused(Reason.ORIGIN_UNTRUSTED, 403, ask(origin="null")),
    "two origins": refused(Reason.ORIGIN_UNTRUSTED, 403, ask(origin=f"{ORIGIN},{ORIGIN}")),
    "another site": refused(Reason.CROSS_SITE, 403, ask(sec_fetch_site="cross-site")),
    "a WebSocket of another origin": refused(
        Reason.ORIGIN_UNTRUSTED, 403, ask(path="/events", origin=EVIL, upgrade="websocket")
    ),
    "a stranger's preflight": refused(
        Reason.CSRF_HEADER, 403, replace(PREFLIGHT, headers={**PREFLIGHT.headers, "origin": EVIL})
    ),
    "an OPTIONS that is no preflight": refused(Reason.NO_CREDENTIALS, 401, ask(method="OPTIONS", cookies=())),
    "a double submit without its cookie": refused(
        Reason.CSRF_COOKIE, 401, ask(method="POST", x_shop_csrf="t0ken"), policies=(V1,)
    ),
    "a double submit without its header": refused(
        Reason.CSRF_HEADER, 401, ask(method="POST", cookies=CSRF_PAIR), policies=(V1,)
    ),
    "a double submit that differs": refused(
        Reason.CSRF_MISMATCH, 401, ask(method="POST", cookies=CSRF_PAIR, x_shop_csrf="0ther"), policies=(V1,)
    ),
    "two credentials in the v1 profile": refused(
        Reason.TWO_CREDENTIALS, 401, ask(authorization="Bearer x"), policies=(V1,)
    ),
    # rights
    "too little scope": refused(Reason.INSUFFICIENT_SCOPE, 403, ask(), answer=replace(GOOD, scopes=frozenset())),
    "too little scope for the path": refused(Reason.INSUFFICIENT_SCOPE, 403, ask(path="/admin/x")),
    "another audience": refused(Reason.WRONG_AUDIENCE, 403, ask(path="/other-api")),
    "another audience by the route": refused(
        Reason.WRONG_AUDIENCE, 403, ask(context={"audience": "other"}), over_http=False
    ),
    # what contradicts itself, or is no request
    "two credentials": refused(Reason.TWO_CREDENTIALS, 400, ask(authorization="Bearer x")),
    "a malformed token": refused(
        Reason.MALFORMED_BEARER, 400, ask(cookies=(), authorization="Bearer a,Bearer b"), policies=(MOBILE,)
    ),
    "dot segments": refused(Reason.AMBIGUOUS_PATH, 400, ask(path="/public/../admin")),
    "escaped dot segments": refused(Reason.AMBIGUOUS_PATH, 400, ask(path="/public/%2e%2e/admin")),
    "an escaped letter": refused(Reason.AMBIGUOUS_PATH, 400, ask(path="/%61dmin")),
    "a path in capitals": refused(Reason.AMBIGUOUS_PATH, 400, ask(path="/ADMIN")),
    "no method": refused(Reason.MALFORMED_REQUEST, 400, ask(method="")),
    "no path": refused(Reason.MALFORMED_REQUEST, 400, ask(path="")),
    "two hosts": refused(Reason.MALFORMED_REQUEST, 400, ask(host="api.shop.example,evil.example")),
    "too many cookies": refused(Reason.MALFORMED_REQUEST, 400, ask(cookies=("a=1; " * 300 + OURS,))),
    "60 KB of cookies": refused(Reason.MALFORMED_REQUEST, 400, ask(cookies=(f"a={'x' * 60_000}; {OURS}",))),
    "a host of no app": refused(Reason.UNKNOWN_APP, 403, ask(host="other.example")),
    "a host with a trailing dot": refused(Reason.UNKNOWN_APP, 403, ask(host="api.shop.example.")),
    "a route of no app": refused(Reason.UNKNOWN_APP, 403, ask(context={"app": "mall"}), over_http=False),
    "a route of another host's app": refused(Reason.UNKNOWN_APP, 403, ask(context={"app": "bank"}), over_http=False),
    "an unknown route setting": refused(Reason.ROUTE_SETTING, 500, ask(context={"auht": "off"}), over_http=False),
    "an unknown value of a route": refused(Reason.ROUTE_SETTING, 500, ask(context={"auth": "no"}), over_http=False),
    # trouble
    **{
        f"the AS in trouble: {trouble.value}": refused(Reason(trouble), 503, ask(), answer=fault(trouble))
        for trouble in Trouble
    },
    "a fault of ours in the opener": refused(Reason.INTERNAL_ERROR, 500, ask(), fails=ZeroDivisionError()),
    "a fault of ours in the check": refused(Reason.INTERNAL_ERROR, 500, ask(), rejects=ZeroDivisionError()),
    "a fault of ours in the way": refused(Reason.INTERNAL_ERROR, 500, ask(), answer=ZeroDivisionError()),
}
