"""The settings of one single-page app: its key, its type, its default, and what it is for."""

from collections.abc import Mapping
from itertools import combinations
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator

from extauthz.config.client import (
    DEFAULT,
    AppCertificate,
    AppKey,
    AppSecret,
    AssertionAudience,
    ClientAuth,
    ClientKeyId,
    Registration,
    given_for_method,
    registration,
)
from extauthz.config.cookie import CookieConfig
from extauthz.config.endpoints import EndpointsConfig
from extauthz.config.files import CaFile, Program, loading, proxy_needs_no_app_client
from extauthz.config.login import LoginConfig, called_at_login
from extauthz.config.routes import CorsConfig, Csrf, RouteConfig
from extauthz.config.section import V
from extauthz.config.upstream import UpstreamConfig, called_by_way, fits_route
from extauthz.config.values import (
    Host,
    IdentityHeader,
    Issuer,
    Origin,
    Url,
    UrlPath,
    is_loopback,
    origin_of,
)
from extauthz.cookies.names import CookieNames, V1CookieNames

# Each version of the agent's API has its cookies.
COOKIES_OF = {"v1": "aes-gcm", "v2": "hpke"}


class AppConfig(LoginConfig):
    """One single-page app."""

    allow_http: Annotated[
        bool, Field(description="let issuer and app use plain http beyond loopback; for test networks")
    ] = False
    spa_url: Annotated[Url, Field(description="where the app lives; its origin is trusted")]
    issuer: Annotated[Issuer, Field(description="the authorization server's issuer identifier, for discovery")]
    ca_file: CaFile = None
    client_id: Annotated[str, Field(min_length=1)]
    upstream: UpstreamConfig = UpstreamConfig()
    cookie: CookieConfig
    api: Annotated[
        Literal["v1", "v2"] | None,
        Field(description="the agent's API; default: v2, and v1 with cookie.format aes-gcm"),
    ] = None
    csrf: Annotated[Csrf | None, Field(description="default: header, and double-submit with cookie.format aes-gcm")] = (
        None
    )
    routes: list[RouteConfig] = []
    client_auth: ClientAuth = DEFAULT
    client_secret_file: AppSecret = None
    client_certificate_file: AppCertificate = None
    client_key_file: AppKey = None
    client_key_id: ClientKeyId = None
    client_assertion_audience: AssertionAudience = None
    redirect_uri: Annotated[Url | None, Field(description="below spa_url; default: spa_url itself")] = None
    post_logout_redirect_uri: Annotated[Url | None, Field(description="below spa_url; default: spa_url")] = None
    agent_path: UrlPath = "/oauth-agent"
    require_custom_header: Annotated[bool, Field(description="the agent insists on token-handler-version: 1")] = True
    trusted_origins: list[Origin] = []
    hosts: Annotated[list[Host], Field(description="the API's hosts; tells apps apart")] = []
    parent_domain: Annotated[
        Host | None, Field(description="Domain of the cookies when agent and API are on sibling hosts")
    ] = None
    identity_headers: Annotated[
        dict[IdentityHeader, Annotated[str, Field(min_length=1)]],
        Field(description="headers for the API, each with the claim it takes its value from"),
    ] = {}
    cors: CorsConfig | None = None
    dry_run: Annotated[bool, Field(description="decide, log and count, but let everything through")] = False
    endpoints: Annotated[
        EndpointsConfig | None, Field(description="for servers without discovery: in place of their document")
    ] = None

    @field_validator("spa_url", "issuer", "trusted_origins")
    @classmethod
    def _https_beyond_loopback(cls, urls: V, info: ValidationInfo) -> V:
        for url in urls if isinstance(urls, list) else [urls]:
            if str(url).startswith("http:") and not is_loopback(str(url)) and not info.data.get("allow_http"):
                raise ValueError("must be https; only a test network may set allow_http")
        return urls

    @field_validator("upstream")
    @classmethod
    def _own_issuer(cls, upstream: UpstreamConfig, info: ValidationInfo) -> UpstreamConfig:
        if upstream.mint is not None:
            cls._https_beyond_loopback(upstream.mint.issuer, info)
        return upstream

    @field_validator("client_secret_file", "client_certificate_file", "client_key_file")
    @classmethod
    def _proves_itself(cls, value: V, info: ValidationInfo) -> V:
        return value if proxy_needs_no_app_client(info) else given_for_method(value, info)

    @field_validator("endpoints")
    @classmethod
    def _endpoints_fit(cls, endpoints: EndpointsConfig | None, info: ValidationInfo) -> EndpointsConfig | None:
        if endpoints is not None:
            endpoints.require_https(allow_http=bool(info.data.get("allow_http")))
            endpoints.require(_called(info))
        return endpoints

    @field_validator("api")
    @classmethod
    def _api_fits(cls, api: str | None, info: ValidationInfo) -> str | None:
        cookie = info.data.get("cookie")
        if api is not None and cookie is not None and cookie.format != COOKIES_OF[api]:
            raise ValueError(f"{api} needs cookie.format {COOKIES_OF[api]}, for its cookies are of that format")
        return api

    @field_validator("csrf")
    @classmethod
    def _csrf_fits(cls, csrf: Csrf | None, info: ValidationInfo) -> Csrf | None:
        cookie = info.data.get("cookie")
        if csrf == "double-submit" and cookie is not None and cookie.format != "aes-gcm":
            raise ValueError("double-submit needs cookie.format aes-gcm, which has the CSRF cookie")
        return csrf

    @field_validator("routes")
    @classmethod
    def _routes_apart(cls, routes: list[RouteConfig]) -> list[RouteConfig]:
        for one, other in combinations([route.path for route in routes], 2):
            if one == other:
                raise ValueError(f"{one} stands twice")
            if one.casefold() == other.casefold():
                raise ValueError(
                    f"{one} and {other} differ in capitals only, and every request for either would be refused"
                )
        return routes

    @field_validator("routes")
    @classmethod
    def _routes_fit(cls, routes: list[RouteConfig], info: ValidationInfo) -> list[RouteConfig]:
        for route in routes:
            try:
                cls._csrf_fits(route.csrf, info)
                if "upstream" in info.data:
                    fits_route(info.data["upstream"], route)
            except ValueError as error:
                raise ValueError(f"{route.path}: {error}") from None
        return routes

    @field_validator("redirect_uri", "post_logout_redirect_uri")
    @classmethod
    def _below_spa(cls, uri: str | None, info: ValidationInfo) -> str | None:
        # Otherwise the agent could be made to send authorization codes elsewhere (RFC 9700 section 4.1).
        spa = info.data.get("spa_url")
        if uri is not None and spa is not None and origin_of(uri) != origin_of(spa):
            raise ValueError("must have the origin of spa_url")
        return uri

    @field_validator("parent_domain")
    @classmethod
    def _above_hosts(cls, domain: str | None, info: ValidationInfo) -> str | None:
        # Browsers drop a cookie whose Domain is not above the host that sets it, and we cannot see that they do.
        host, cookie = urlsplit(info.data.get("spa_url", "")).hostname, info.data.get("cookie")
        # The earlier agents' cookies have the API's host for Domain; with another, sessions would be there twice.
        earlier = cookie is not None and cookie.format == "aes-gcm"
        hosts = [host, *(info.data.get("hosts", []) if earlier else [])]
        if domain is not None and host is not None and not any(f".{one}".endswith(f".{domain}") for one in hosts):
            raise ValueError(f"must be the host of spa_url, {'one of hosts, ' if earlier else ''}or a domain above it")
        return domain

    @field_validator("agent_path")
    @classmethod
    def _not_for_probes(cls, path: str) -> str:
        if path == "/healthz":
            raise ValueError("/healthz is where probes ask; choose another path")
        return path

    @property
    def agent_client(self) -> Registration | None:
        """The client the agent is; the proxy knows it only where it is the proxy's as well."""
        return registration(self, client_id=self.client_id, issuer=self.issuer)

    @property
    def proxy_client(self) -> Registration | None:
        """The client the proxy asks as, None where it has nobody to ask."""
        own, client_id = self.upstream.own_client, self.upstream.client_id or self.client_id
        return registration(self.upstream, client_id=client_id, issuer=self.issuer) if own else self.agent_client

    @property
    def known_endpoints(self) -> Mapping[str, str] | None:
        """Where the authorization server's endpoints are, None where it tells itself."""
        return None if self.endpoints is None else self.endpoints.given()

    @property
    def api_version(self) -> str:
        """The version of the agent's API."""
        return self.api or next(api for api, format_ in COOKIES_OF.items() if format_ == self.cookie.format)

    @property
    def csrf_mode(self) -> Csrf:
        """The app's own mode, or the one its cookie format came with."""
        return self.csrf or ("double-submit" if self.cookie.format == "aes-gcm" else "header")

    @property
    def origins(self) -> frozenset[str]:
        """The trusted web origins."""
        return frozenset({origin_of(self.spa_url), *self.trusted_origins})


def _called(info: ValidationInfo) -> set[str]:
    """The endpoints that the program being configured cannot do without, as far as the other settings are good."""
    if loading(info).program is Program.AGENT:
        return called_at_login(info.data)
    upstream, routes = info.data.get("upstream"), info.data.get("routes")
    if upstream is None or routes is None:
        return set()
    return set().union(
        *(called_by_way(upstream, way) for way in {upstream.way, *(r.upstream for r in routes)} - {None})
    )


def cookie_names(name: str, app: AppConfig) -> CookieNames:
    """The cookie names both programs agree on."""
    return CookieNames(app.cookie.prefix or name, shared=app.parent_domain is not None)


def v1_cookie_names(name: str, app: AppConfig) -> V1CookieNames:
    """The same for the format aes-gcm."""
    return V1CookieNames(app.cookie.prefix or name)
