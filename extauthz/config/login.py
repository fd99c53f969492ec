"""The settings of what a login asks the authorization server for, and how its answers come."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from extauthz.config.files import AppDecryptionKeyFiles
from extauthz.config.section import Section
from extauthz.config.values import Resource, Scope

# What makes a request the agent's own. An app that may choose one of these could redirect codes or downgrade PKCE.
OUR_PARAMETERS = frozenset(
    {
        "client_assertion",
        "client_assertion_type",
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
# By the names of the client's registration. What is signed with a secret would be good by what the server knows, too.
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


class LoginConfig(Section):
    """The part of an app's settings that is the agent's alone."""

    scope: Scope = "openid profile"
    par: Annotated[
        Literal["auto", "never", "required"],
        Field(description="whether login parameters are pushed (RFC 9126); auto: where the server offers it"),
    ] = "auto"
    response_mode: Annotated[
        Literal["query", "jwt"], Field(description="jwt: the authorization response is a signed JWT (JARM)")
    ] = "query"
    resource: Annotated[
        list[Resource], Field(description="what the access token is for: absolute URIs (RFC 8707), asked for each time")
    ] = []
    authorization_parameters: Annotated[
        list[str], Field(description="what the app may add at login/start besides scope")
    ] = []
    refresh_parameters: Annotated[list[str], Field(description="what it may add at refresh besides scope")] = []
    max_age: Annotated[
        int | None, Field(ge=0, le=10**9 - 1, description="seconds since the user has authenticated, at most")
    ] = None
    acr_values: Annotated[
        Scope | None, Field(description="how the user should authenticate; the answer is the claim acr")
    ] = None
    id_token_signed_response_alg: Annotated[
        Algorithm | None, Field(description="what ID tokens are signed with; default: what the server publishes")
    ] = None
    authorization_signed_response_alg: Annotated[
        Algorithm | None, Field(description="the same for response_mode jwt")
    ] = None
    decryption_key_files: Annotated[
        AppDecryptionKeyFiles, Field(description="open ID tokens and signed responses that are encrypted for us")
    ] = []

    @field_validator("authorization_parameters", "refresh_parameters")
    @classmethod
    def _not_ours(cls, names: list[str], info: ValidationInfo) -> list[str]:
        # Where the app's settings name resources, they are the same at login and at refresh.
        named = {"resource"} if info.data.get("resource") else set()
        ours = (OUR_PARAMETERS | named).intersection(names)
        if ours:
            raise ValueError(f"the agent sets this itself: {', '.join(sorted(ours))}")
        return names

    @field_validator("max_age")
    @classmethod
    def _has_id_token(cls, max_age: int | None, info: ValidationInfo) -> int | None:
        if max_age is not None and "openid" not in info.data.get("scope", "openid").split():
            raise ValueError("is kept to by the ID token: scope must have openid")
        return max_age


def called_at_login(settings: Mapping[str, Any]) -> set[str]:
    """The endpoints a login cannot do without, by what is known of the settings."""
    openid = "openid" in settings.get("scope", "").split()
    keys = {"jwks_uri"} if openid or settings.get("response_mode") == "jwt" else set()
    pushed = {"pushed_authorization_request"} if settings.get("par") == "required" else set()
    return {"authorization", "token"} | keys | pushed
