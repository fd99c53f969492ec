"""The settings of what becomes of a token on its way to the API, and what is required of it."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from extauthz.config.client import (
    DEFAULT,
    AssertionAudience,
    ClientAuth,
    ClientKeyId,
    ProxyCertificate,
    ProxyKey,
    ProxySecret,
    given_for_method,
)
from extauthz.config.files import DecryptionKeyFiles, Program, loading
from extauthz.config.mint import MintConfig
from extauthz.config.routes import RouteConfig, Way
from extauthz.config.section import Section, V, given
from extauthz.config.values import Resource, ScopeToken

# RFC 9068 section 4: a token that is not meant for this API is to be refused.
NEEDS_AUDIENCE = "where clients send JWTs of their own, to tell which are meant for this API"


class ExchangeConfig(Section):
    """What the way exchange asks for, and what it makes of the answer."""

    requested_token_type: Annotated[
        Literal["access_token", "jwt"], Field(description="of urn:ietf:params:oauth:token-type:")
    ] = "access_token"  # noqa: S105  # a type of them
    verify: Annotated[
        bool, Field(description="it is a JWT, and is verified by the issuer's keys; false looks into no token")
    ] = True


class UpstreamConfig(Section):
    """How the token in the cookie becomes the token the API gets."""

    way: Annotated[
        Way,
        Field(
            description="phantom: introspection gives a JWT; mint: the proxy signs one by what introspection says; "
            "exchange: the token endpoint gives another token; jwt: the token is a JWT; opaque: pass the token on"
        ),
    ] = "phantom"
    client_id: Annotated[
        str | None,
        Field(min_length=1, description="the proxy's own client for introspection and exchange; default: the app's"),
    ] = None
    client_auth: ClientAuth = DEFAULT
    client_secret_file: ProxySecret = None
    client_certificate_file: ProxyCertificate = None
    client_key_file: ProxyKey = None
    client_key_id: ClientKeyId = None
    client_assertion_audience: AssertionAudience = None
    introspection: Annotated[
        Literal["json", "jwt"], Field(description="how the server answers for way mint; jwt: signed, by RFC 9701")
    ] = "json"
    introspection_key_files: Annotated[
        DecryptionKeyFiles, Field(description="open signed answers that the server has encrypted for us")
    ] = []
    clients: Annotated[
        list[Annotated[str, Field(min_length=1)]],
        Field(description="whose tokens are taken; empty: any client's"),
    ] = []
    bearer: Annotated[
        Literal["deny", "introspect", "jwt"],
        Field(description="what becomes of a client's own Authorization: Bearer"),
    ] = "deny"
    audience: Annotated[str | None, Field(min_length=1, description="required in the JWT's aud")] = None
    mint: MintConfig | None = None
    required_scopes: list[ScopeToken] = []
    resource: Annotated[Resource | None, Field(description="asked for with the way exchange (RFC 8707)")] = None
    exchange: ExchangeConfig = ExchangeConfig()
    cache_seconds: Annotated[
        float, Field(ge=0, le=3600, description="how long a revoked token may go on working at most")
    ] = 60.0
    stale_if_error_seconds: Annotated[
        float,
        Field(ge=0, le=86_400, description="how much longer a known session serves while the server is in trouble"),
    ] = 0.0

    @field_validator("client_secret_file", "client_certificate_file", "client_key_file")
    @classmethod
    def _proves_itself(cls, value: V, info: ValidationInfo) -> V:
        own = info.data.get("client_id") is not None or info.data.get("client_auth") != DEFAULT
        return given_for_method(value, info) if own and loading(info).program is Program.EXTAUTHZ else value

    @field_validator("introspection_key_files")
    @classmethod
    def _keys_fit(cls, keys: V, info: ValidationInfo) -> V:
        if keys and info.data.get("introspection") != "jwt":
            raise ValueError("only signed answers are encrypted: introspection: jwt")
        return keys

    @field_validator("bearer")
    @classmethod
    def _bearer_fits(cls, bearer: str, info: ValidationInfo) -> str:
        if bearer == "introspect" and info.data.get("way") == "opaque":
            raise ValueError("introspect needs a way that looks into tokens, and opaque passes them on as they came")
        return bearer

    @field_validator("audience")
    @classmethod
    def _audience_fits(cls, audience: str | None, info: ValidationInfo) -> str | None:
        if takes_jwts(info.data.get("bearer", "deny"), info.data.get("way", "phantom")):
            return given(audience, NEEDS_AUDIENCE)
        return _looked_into(audience, info)

    @field_validator("mint")
    @classmethod
    def _mint_fits(cls, mint: MintConfig | None, info: ValidationInfo) -> MintConfig | None:
        if info.data.get("way") == "mint":
            given(mint, "with way: mint")
        if mint is not None and mint.audience is None and info.data.get("audience") is None:
            raise ValueError("audience is needed in it, or upstream.audience")
        return mint

    @field_validator("clients")
    @classmethod
    def _clients_are_told(cls, clients: list[str], info: ValidationInfo) -> list[str]:
        return told_of_clients(clients, info.data.get("way", "phantom"))

    @field_validator("required_scopes", "clients")
    @classmethod
    def _tokens_are_looked_into(cls, required: list[str], info: ValidationInfo) -> list[str]:
        return _looked_into(required, info)

    @field_validator("resource")
    @classmethod
    def _resource_fits(cls, resource: str | None, info: ValidationInfo) -> str | None:
        return asked_for(resource, info.data.get("way", "exchange"))

    @property
    def own_client(self) -> bool:
        """Whether the proxy asks as a client of its own, or with a proof of its own."""
        return self.client_id is not None or self.client_auth != DEFAULT or self.client_secret_file is not None


def told_of_clients(clients: list[str], way: str) -> list[str]:
    """`clients`, or a ValueError where the token that comes names ourselves as its client."""
    if clients and way == "exchange":
        raise ValueError(
            "upstream.clients cannot be required with the way exchange: its tokens are issued to our client"
        )
    return clients


def asked_for(resource: str | None, way: str) -> str | None:
    """`resource`, or a ValueError where nobody would ask for it."""
    if resource is not None and way != "exchange":
        raise ValueError(f"only the way exchange asks for a resource, and this is {way}")
    return resource


def called_by_way(upstream: UpstreamConfig, way: str) -> set[str]:
    """The authorization server's endpoints that a way cannot do without."""
    bearer = {"jwks_uri"} if takes_jwts(upstream.bearer, way) else set()
    return (
        bearer
        | {
            "phantom": {"introspection", "jwks_uri"},
            "mint": {"introspection", *(["jwks_uri"] if upstream.introspection == "jwt" else [])},
            "exchange": {"token", *(["jwks_uri"] if upstream.exchange.verify else [])},
            "jwt": {"jwks_uri"},
            "opaque": set(),
        }[way]
    )


def takes_jwts(bearer: str, way: str) -> bool:
    """Whether clients may send JWTs of their own."""
    return bearer == "jwt" or (bearer != "deny" and way == "jwt")


def _looked_into(required: V, info: ValidationInfo) -> V:
    if required and info.data.get("way") == "opaque":
        raise ValueError("cannot be required, for the way opaque looks into no token; leave it out")
    return required


def fits_route(upstream: UpstreamConfig, route: RouteConfig) -> None:
    """ValueError where what the route asks for is nothing its way can give."""
    way = route.upstream or upstream.way
    if way == "opaque" and (route.scope or route.audience):
        raise ValueError("neither scope nor audience can be required, for the way opaque looks into no token")
    asked_for(route.resource, way)
    told_of_clients(upstream.clients, way)
    if way == "mint":
        given(upstream.mint, "as upstream.mint")
    if takes_jwts(upstream.bearer, way):
        given(route.audience or upstream.audience, f"as audience {NEEDS_AUDIENCE}")
