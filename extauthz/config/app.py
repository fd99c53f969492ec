"""The settings of one single-page app: its key, its type, its default, and what it is for."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator

from extauthz.config.files import (
    AppSecretFile,
    CaFile,
    PrivateKeyFiles,
    Program,
    ProxySecretFile,
    PublicKeyFile,
    Secret,
    SessionKeyFiles,
    proxy_has_own_client,
)
from extauthz.config.section import Section, V, given, needed
from extauthz.config.values import (
    Host,
    Origin,
    Scope,
    ScopeToken,
    Url,
    UrlPath,
    is_loopback,
    origin_of,
)
from extauthz.cookies.names import CookieNames

# What makes a request the agent's own. An app that may choose one of these could redirect codes or downgrade PKCE.
OUR_PARAMETERS = frozenset(
    {
        "client_id",
        "client_secret",
        "code",
        "code_challenge",
        "code_challenge_method",
        "code_verifier",
        "grant_type",
        "nonce",
        "redirect_uri",
        "refresh_token",
        "request",
        "request_uri",
        "response_mode",
        "response_type",
        "state",
    }
)


class CookieConfig(Section):
    """What the cookies of one app are sealed with."""

    public_key_file: PublicKeyFile = None
    private_key_files: PrivateKeyFiles = []
    session_key_files: SessionKeyFiles = []

    @field_validator("public_key_file")
    @classmethod
    def _agent_seals(cls, key: V, info: ValidationInfo) -> V:
        return needed(key, info, Program.AGENT)

    @field_validator("private_key_files")
    @classmethod
    def _proxy_opens(cls, keys: V, info: ValidationInfo) -> V:
        return needed(keys, info, Program.EXTAUTHZ)

    @field_validator("session_key_files")
    @classmethod
    def _agent_keeps(cls, keys: V, info: ValidationInfo) -> V:
        return needed(keys, info, Program.AGENT)


class UpstreamConfig(Section):
    """How the token in the cookie becomes the token the API gets."""

    way: Literal["phantom"] = "phantom"
    client_id: Annotated[
        str | None,
        Field(min_length=1, description="the proxy's own client for introspection; default: the app's"),
    ] = None
    client_secret_file: ProxySecretFile = None
    audience: Annotated[str | None, Field(min_length=1, description="required in the JWT's aud")] = None
    required_scopes: list[ScopeToken] = []
    cache_seconds: Annotated[
        float, Field(ge=0, le=3600, description="how long a revoked token may go on working at most")
    ] = 60.0

    @field_validator("client_secret_file")
    @classmethod
    def _own_client(cls, secret: Secret | None, info: ValidationInfo) -> Secret | None:
        return secret if info.data.get("client_id") is None else needed(secret, info, Program.EXTAUTHZ)


class AppConfig(Section):
    """One single-page app."""

    allow_http: Annotated[
        bool, Field(description="let issuer and app use plain http beyond loopback; for test networks")
    ] = False
    spa_url: Annotated[Url, Field(description="where the app lives; its origin is trusted")]
    issuer: Annotated[Url, Field(description="the authorization server's issuer identifier, for discovery")]
    ca_file: CaFile = None
    client_id: Annotated[str, Field(min_length=1)]
    upstream: UpstreamConfig = UpstreamConfig()
    client_secret_file: AppSecretFile = None
    redirect_uri: Annotated[Url | None, Field(description="below spa_url; default: spa_url itself")] = None
    post_logout_redirect_uri: Annotated[Url | None, Field(description="below spa_url; default: spa_url")] = None
    scope: Scope = "openid profile"
    authorization_parameters: Annotated[
        list[str], Field(description="what the app may add at login/start besides scope")
    ] = []
    refresh_parameters: Annotated[list[str], Field(description="what it may add at refresh besides scope")] = []
    agent_path: UrlPath = "/oauth-agent"
    require_custom_header: Annotated[bool, Field(description="the agent insists on token-handler-version: 1")] = True
    trusted_origins: list[Origin] = []
    hosts: Annotated[list[Host], Field(description="the API's hosts; tells apps apart")] = []
    parent_domain: Annotated[
        Host | None, Field(description="Domain of the cookies when agent and API are on sibling hosts")
    ] = None
    cookie: CookieConfig

    @field_validator("spa_url", "issuer", "trusted_origins")
    @classmethod
    def _https_beyond_loopback(cls, urls: V, info: ValidationInfo) -> V:
        for url in urls if isinstance(urls, list) else [urls]:
            if str(url).startswith("http:") and not is_loopback(str(url)) and not info.data.get("allow_http"):
                raise ValueError("must be https; only a test network may set allow_http")
        return urls

    @field_validator("client_secret_file")
    @classmethod
    def _app_client(cls, secret: Secret | None, info: ValidationInfo) -> Secret | None:
        return secret if proxy_has_own_client(info) else given(secret)

    @field_validator("redirect_uri", "post_logout_redirect_uri")
    @classmethod
    def _below_spa(cls, uri: str | None, info: ValidationInfo) -> str | None:
        # Otherwise the agent could be made to send authorization codes elsewhere (RFC 9700 section 4.1).
        spa = info.data.get("spa_url")
        if uri is not None and spa is not None and origin_of(uri) != origin_of(spa):
            raise ValueError("must have the origin of spa_url")
        return uri

    @field_validator("authorization_parameters", "refresh_parameters")
    @classmethod
    def _not_ours(cls, names: list[str]) -> list[str]:
        ours = OUR_PARAMETERS.intersection(names)
        if ours:
            raise ValueError(f"the agent sets this itself: {', '.join(sorted(ours))}")
        return names

    @field_validator("parent_domain")
    @classmethod
    def _above_spa(cls, domain: str | None, info: ValidationInfo) -> str | None:
        # Browsers drop a cookie whose Domain is not above the host that sets it, and we cannot see that they do.
        host = urlsplit(info.data.get("spa_url", "")).hostname
        if domain is not None and host is not None and not f".{host}".endswith(f".{domain}"):
            raise ValueError("must be the host of spa_url, or a domain above it")
        return domain

    @field_validator("agent_path")
    @classmethod
    def _not_for_probes(cls, path: str) -> str:
        if path == "/healthz":
            raise ValueError("/healthz is where probes ask; choose another path")
        return path

    @property
    def origins(self) -> frozenset[str]:
        """The trusted web origins."""
        return frozenset({origin_of(self.spa_url), *self.trusted_origins})


def cookie_names(name: str, app: AppConfig) -> CookieNames:
    """The cookie names both programs agree on."""
    return CookieNames(name, shared=app.parent_domain is not None)
