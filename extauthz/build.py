"""From the settings to the parts that decide: policies, ways, openers and the cache. Starts nothing."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from extauthz.authorizer import App, OpensCookies
from extauthz.cache import Cache
from extauthz.config import AppConfig, Config, CorsConfig, RouteConfig, cookie_names, v1_cookie_names
from extauthz.config.mint import MintConfig
from extauthz.cookies.access_token import SealedAccessTokens
from extauthz.cookies.hpke import Opener
from extauthz.cookies.purpose import Purpose
from extauthz.cookies.v1 import V1Cookies
from extauthz.decision import BEARER_JWT
from extauthz.identity import IdentityHeaders
from extauthz.memory import Memory
from extauthz.oauth.decryption import Decryption
from extauthz.oauth.http import HttpClient
from extauthz.oauth.introspection import Introspection
from extauthz.oauth.issuer import Issuer
from extauthz.oauth.jwks import KeySet
from extauthz.oauth.signing_key import SigningKey
from extauthz.oauth.token_exchange import TOKEN_TYPE, TokenExchange
from extauthz.outcome import Outcome
from extauthz.policy import EXCHANGE, JWT, OPAQUE, BearerMode, Cors, Csrf, DoubleSubmit, Policy, Route, Rule
from extauthz.reason import V1_ANSWERS, Reason
from extauthz.rules.routes import changed
from extauthz.upstream import UpstreamWay
from extauthz.upstream.answers import Answer, JsonAnswer, SignedAnswer
from extauthz.upstream.clients import OfClients
from extauthz.upstream.exchange import Exchange
from extauthz.upstream.introspected import Introspected
from extauthz.upstream.jwt import VerifiedJwt
from extauthz.upstream.mint import Mint
from extauthz.upstream.opaque import Opaque
from extauthz.upstream.phantom import Phantom

Clock = Callable[[], float]

PHANTOM = "phantom"
MINT = "mint"
# Refusals are small and short-lived; this many are remembered beside the sessions.
MAX_REFUSALS = 10_000


def build_memory(config: Config, steady: Clock) -> Memory:
    """One memory for all apps. `steady`: seconds of any origin."""
    bounds = config.extauthz.cache
    answers: Cache[Outcome] = Cache(max_entries=bounds.max_entries, max_bytes=bounds.max_bytes, clock=steady)
    refusals: Cache[Outcome] = Cache(
        max_entries=min(bounds.max_entries, MAX_REFUSALS), max_bytes=bounds.max_bytes, clock=steady
    )
    return Memory(answers, refusals)


def build_apps(
    config: Config,
    issuers: Mapping[str, Issuer],
    *,
    wall: Clock,
    told: frozenset[str] = frozenset(),
) -> list[App]:
    """All apps. `wall`: seconds since the epoch; `told`: claims that doors tell by themselves."""
    apps = [build_app(name, app, issuers[name], wall=wall, told=told) for name, app in config.apps.items()]
    cookies = frozenset[str]().union(*(app.policy.own_cookies for app in apps))
    prefixes = tuple(prefix for app in apps for prefix in app.policy.login_cookie_prefixes)
    return [
        replace(app, policy=replace(app.policy, own_cookies=cookies, login_cookie_prefixes=prefixes)) for app in apps
    ]


def build_app(name: str, app: AppConfig, issuer: Issuer, *, wall: Clock, told: frozenset[str] = frozenset()) -> App:
    """Everything one app needs, from its settings. `wall` and `told` as for `build_apps`."""
    return App(
        policy=build_policy(name, app),
        opener=build_opener(name, app),
        ways=build_ways(app, issuer, wall),
        max_seconds=app.upstream.cache_seconds,
        stale_seconds=app.upstream.stale_if_error_seconds,
        claims=told.union(app.identity_headers.values()),
    )


def build_policy(name: str, app: AppConfig) -> Policy:
    """The slice of the settings that decisions need."""
    upstream = app.upstream
    own = _v1_cookies(name, app) if app.cookie.format == "aes-gcm" else _cookies(name, app)
    policy = replace(
        own,
        trusted_origins=app.origins,
        hosts=frozenset(app.hosts),
        rule=Rule(
            csrf=Csrf(app.csrf_mode),
            way=upstream.way,
            scopes=frozenset(upstream.required_scopes),
            audience=upstream.audience,
            resource=upstream.resource,
        ),
        ways=_way_names(app),
        bearer=BearerMode(upstream.bearer),
        cors=None if app.cors is None else _cors(app.cors),
        identity=IdentityHeaders(app.identity_headers),
        dry_run=app.dry_run,
    )
    return replace(policy, routes=tuple(_route(policy, route) for route in app.routes))


def build_opener(name: str, app: AppConfig) -> OpensCookies:
    """What opens the app's access token cookies."""
    if app.cookie.format == "aes-gcm":
        return V1Cookies(app.cookie.encryption_keys)
    keys = [key for key in app.cookie.private_key_files if key is not None]
    return SealedAccessTokens(Opener(keys, Purpose(name, cookie_names(name, app).access_token)))


def build_issuer(app: AppConfig, steady: Clock) -> Issuer:
    """The app's authorization server. `steady`: seconds of any origin."""
    client = app.proxy_client
    http = HttpClient(ca_file=app.ca_file, certificate=client.certificate if client else None)
    mutual_tls = client is not None and client.mutual_tls
    return Issuer(app.issuer, http, steady, mutual_tls=mutual_tls, endpoints=app.known_endpoints)


def build_ways(app: AppConfig, issuer: Issuer, wall: Clock) -> Mapping[str, UpstreamWay]:
    """Every way that a route of this app may name."""
    keys = issuer.keys
    ways: dict[str, UpstreamWay] = {
        OPAQUE: Opaque(),
        JWT: VerifiedJwt(keys=keys, issuer=app.issuer, clock=wall, profile=False),
        BEARER_JWT: VerifiedJwt(keys=keys, issuer=app.issuer, clock=wall, profile=True),
    }
    if app.proxy_client is not None:
        client = app.proxy_client.authentication(wall)
        introspection = Introspection(issuer.discovery, issuer.http, client)
        ways[PHANTOM] = Phantom(introspection=introspection, keys=keys, issuer=app.issuer, clock=wall)
        wanted = app.upstream.exchange
        exchange = TokenExchange(
            issuer.discovery, issuer.http, client, token_type=TOKEN_TYPE + wanted.requested_token_type
        )
        ways[EXCHANGE] = Exchange(
            exchange=exchange, keys=keys if wanted.verify else None, issuer=app.issuer, clock=wall
        )
        if app.upstream.mint is not None:
            ways[MINT] = build_mint(app, app.upstream.mint, introspection, keys, wall)
    clients = app.upstream.clients
    return {name: OfClients(way, clients) if clients and name != OPAQUE else way for name, way in ways.items()}


def build_mint(app: AppConfig, mint: MintConfig, introspection: Introspection, keys: KeySet, wall: Clock) -> Mint:
    """The way that signs JWTs of our own."""
    introspected = Introspected(
        introspection=introspection, answer=_answer(app, keys, wall), issuer=app.issuer, clock=wall
    )
    return Mint(
        introspected=introspected,
        key=signing_keys(mint)[0],
        issuer=mint.issuer,
        audience=mint.audience or app.upstream.audience,
        claims=mint.claims,
        lifetime=mint.lifetime_seconds,
        clock=wall,
    )


def signing_keys(mint: MintConfig) -> list[SigningKey]:
    """All keys whose public halves are published; the first signs."""
    return [key for key in mint.key_files if key is not None]


def published_keys(config: Config) -> list[SigningKey]:
    """The keys that any app signs with, or will, or did."""
    mints = (app.upstream.mint for app in config.apps.values())
    return [key for mint in mints if mint is not None for key in signing_keys(mint)]


def _answer(app: AppConfig, keys: KeySet, wall: Clock) -> Answer:
    upstream = app.upstream
    if upstream.introspection == "json":
        return JsonAnswer()
    decryption = [key for key in upstream.introspection_key_files if key is not None]
    return SignedAnswer(
        keys=keys,
        issuer=app.issuer,
        client_id=upstream.client_id or app.client_id,
        clock=wall,
        decryption=Decryption(decryption) if decryption else None,
    )


def asks(policy: Policy) -> bool:
    """Whether requests of this app are a matter for its authorization server."""
    rules = (policy.rule, *(route.rule for route in policy.routes))
    return policy.bearer is not BearerMode.DENY or any(rule.way != OPAQUE for rule in rules)


def _way_names(app: AppConfig) -> frozenset[str]:
    asking = [PHANTOM, EXCHANGE, *([] if app.upstream.mint is None else [MINT])]
    return frozenset({OPAQUE, JWT, *(asking if app.proxy_client else [])})


def _cookies(name: str, app: AppConfig) -> Policy:
    names = cookie_names(name, app)
    return Policy(
        app=name,
        cookie_name=names.access_token,
        own_cookies=names.lasting,
        login_cookie_prefixes=(names.login_prefix,),
        trusted_origins=frozenset(),
    )


def _v1_cookies(name: str, app: AppConfig) -> Policy:
    names = v1_cookie_names(name, app)
    return Policy(
        app=name,
        cookie_name=names.access_token,
        own_cookies=names.lasting,
        login_cookie_prefixes=(names.login_prefix,),
        double_submit=DoubleSubmit(
            cookie=names.csrf, header=names.csrf_header, opener=V1Cookies(app.cookie.encryption_keys)
        ),
        trusted_origins=frozenset(),
        answers=V1_ANSWERS,
    )


def _cors(cors: CorsConfig) -> Cors:
    return Cors(
        allow_methods=tuple(cors.allow_methods),
        allow_headers=tuple(cors.allow_headers),
        expose_headers=tuple(cors.expose_headers),
        max_age=cors.max_age,
    )


def _route(policy: Policy, route: RouteConfig) -> Route:
    settings = route.model_dump(exclude={"path"}, exclude_none=True)
    rule = changed(policy.rule, settings, policy)
    assert not isinstance(rule, Reason), f"validated: {route.path}"  # noqa: S101
    return Route(path=route.path, rule=rule)
