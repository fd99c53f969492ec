"""Builds the OAuth Agent from its settings: the application, and for each app its API over a relying party."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from starlette.applications import Starlette

from agent.api import Api
from agent.app import Served, create_app
from agent.authorization import AuthorizationEndpoint
from agent.backchannel import BackChannelLogout
from agent.flow import Client
from agent.refreshes import Refreshes
from agent.relying_party import RelyingParty
from agent.set_cookies import CookieJar
from agent.shared import Shared, build_redis
from agent.tokens import TokenEndpoint
from agent.user_info import UserInfo
from agent.v1 import V1
from agent.v1_cookies import V1Jar
from agent.v1_csrf import CsrfTokens
from agent.v2 import V2
from extauthz.config import AppConfig, Config, Program, cookie_names, v1_cookie_names
from extauthz.config.client import Registration
from extauthz.cookies.aes_gcm import KeyRing
from extauthz.cookies.hpke import Sealer
from extauthz.cookies.purpose import Purpose
from extauthz.cookies.v1 import V1Cookies
from extauthz.oauth.decryption import Decryption
from extauthz.oauth.http import HttpClient
from extauthz.oauth.issuer import Issuer
from extauthz.revocations.revocations import Revocations
from extauthz.revocations.source import build_revocations
from extauthz.revocations.watch import LogWatch
from extauthz.telemetry import Log


def build_app(config: Config, log: Log) -> Starlette:
    """The application over all apps of `config`."""
    issuers = {name: build_issuer(app) for name, app in config.apps.items()}
    shared = build_shared(config, log)
    apps = [
        Served(
            name=name, path=app.agent_path, api=build_api(name, app, issuers[name], shared, log), origins=app.origins
        )
        for name, app in config.apps.items()
    ]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await shared.revocations.start()
        log.note("listening", addresses=config.agent.listen)
        yield
        await shared.close()
        for issuer in issuers.values():
            await issuer.http.aclose()
        log.note("stopped")

    return create_app(apps, log, lifespan)


def build_issuer(app: AppConfig, transport: httpx2.AsyncBaseTransport | None = None) -> Issuer:
    """The app's authorization server. `transport` is for tests."""
    client = _client(app)
    http = HttpClient(ca_file=app.ca_file, certificate=client.certificate, transport=transport)
    return Issuer(app.issuer, http, time.monotonic, mutual_tls=client.mutual_tls, endpoints=app.known_endpoints)


def build_shared(config: Config, log: Log) -> Shared:
    """What replicas have in common."""
    revocations = build_revocations(config, Program.AGENT, time.time, LogWatch(log))
    return Shared(revocations, build_redis(config), lambda error: log.trouble("", "redis", error))


def build_api(name: str, app: AppConfig, issuer: Issuer, shared: Shared, log: Log) -> Api:
    """One app's agent, from its settings."""
    jar = build_v1_jar(name, app) if app.api_version == "v1" else build_jar(name, app)
    refreshes = Refreshes(time.monotonic, shared.refreshes(name, jar.ring))
    party = build_relying_party(name, app, issuer, refreshes, shared.revocations, log)
    if isinstance(jar, V1Jar):
        return V1(
            relying_party=party,
            people=UserInfo(issuer.discovery, issuer.http),
            jar=jar,
            csrf_tokens=CsrfTokens(app.cookie.encryption_keys),
            origins=app.origins,
        )
    return V2(
        relying_party=party,
        back_channel=BackChannelLogout(relying_party=party),
        jar=jar,
        origins=app.origins,
        require_custom_header=app.require_custom_header,
    )


def build_relying_party(
    name: str, app: AppConfig, issuer: Issuer, refreshes: Refreshes, revocations: Revocations, log: Log
) -> RelyingParty:
    """Everything that speaks to the app's authorization server."""

    def warn(detail: str) -> None:
        log.warn("authorization_server", app=name, detail=detail)

    authentication = _client(app).authentication(time.time)
    discovery, http = issuer.discovery, issuer.http
    redirect_uri = app.redirect_uri or app.spa_url
    return RelyingParty(
        app=name,
        client=Client(
            issuer=app.issuer,
            client_id=app.client_id,
            redirect_uri=redirect_uri,
            scope=app.scope,
            response_mode=app.response_mode,
            resource=tuple(app.resource),
            max_age=app.max_age,
            acr_values=app.acr_values,
            id_token_algorithm=app.id_token_signed_response_alg,
            response_algorithm=app.authorization_signed_response_alg,
        ),
        post_logout_redirect_uri=app.post_logout_redirect_uri or app.spa_url,
        authorization_parameters=tuple(app.authorization_parameters),
        refresh_parameters=tuple(app.refresh_parameters),
        discovery=discovery,
        keys=issuer.keys,
        authorization=AuthorizationEndpoint(discovery, http, authentication, app.par, warn),
        tokens=TokenEndpoint(discovery, http, authentication, app.resource),
        refreshes=refreshes,
        revocations=revocations,
        clock=time.time,
        decryption=build_decryption(app),
    )


def build_decryption(app: AppConfig) -> Decryption | None:
    """What opens the JWTs that the authorization server encrypts, None where it encrypts none."""
    keys = [key for key in app.decryption_key_files if key is not None]
    return Decryption(keys, "decryption_key_files") if keys else None


def build_jar(name: str, app: AppConfig) -> CookieJar:
    """The app's cookies, with the keys they are sealed with."""
    names = cookie_names(name, app)
    if app.cookie.public_key_file is None:
        raise AssertionError("validated: the agent has the public key")
    return CookieJar(
        app=name,
        names=names,
        agent_path=app.agent_path,
        parent_domain=app.parent_domain,
        max_age=app.cookie.max_age,
        sealer=Sealer(app.cookie.public_key_file, Purpose(name, names.access_token)),
        ring=KeyRing([key for key in app.cookie.session_key_files if key is not None]),
    )


def build_v1_jar(name: str, app: AppConfig) -> V1Jar:
    """The same for version 1 of the API."""
    keys = app.cookie.encryption_keys
    return V1Jar(
        app=name,
        names=v1_cookie_names(name, app),
        agent_path=app.agent_path,
        parent_domain=app.parent_domain,
        max_age=app.cookie.max_age,
        sealed=V1Cookies(keys),
        ring=KeyRing(keys),
    )


def _client(app: AppConfig) -> Registration:
    if app.agent_client is None:
        raise AssertionError("validated: the agent can prove who it is")
    return app.agent_client
