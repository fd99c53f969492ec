"""The settings of way `mint`: the proxy as an issuer of its own."""

from typing import Annotated

from pydantic import Field, field_validator

from extauthz.config.files import SigningKeyFiles
from extauthz.config.section import Section
from extauthz.config.values import Issuer

# Whose token it is, for whom and until when, we say ourselves; the others would make it another kind of token.
OURS = frozenset(
    {
        "active",
        "at_hash",
        "aud",
        "client_id",
        "cnf",
        "events",
        "exp",
        "iat",
        "iss",
        "jti",
        "nbf",
        "nonce",
        "scope",
        "sub",
        "token_introspection",
        "token_type",
    }
)


class MintConfig(Section):
    """JWTs that the proxy signs for the API."""

    issuer: Annotated[Issuer, Field(description="what the API finds in iss: a URL of ours, never the server's")]
    key_files: Annotated[SigningKeyFiles, Field(min_length=1, description="the first signs, all are published")]
    audience: Annotated[
        str | None,
        Field(min_length=1, description="the JWT's aud where neither app nor route requires one of the token"),
    ] = None
    claims: Annotated[
        list[Annotated[str, Field(min_length=1)]], Field(description="what introspection says that the JWT repeats")
    ] = []
    lifetime_seconds: Annotated[
        float, Field(ge=30, le=3600, description="the longest a JWT is good for; never past the token's own exp")
    ] = 300.0

    @field_validator("claims")
    @classmethod
    def _not_ours(cls, names: list[str]) -> list[str]:
        ours = OURS.intersection(names)
        if ours:
            raise ValueError(f"the proxy sets this itself, or never: {', '.join(sorted(ours))}")
        return names
