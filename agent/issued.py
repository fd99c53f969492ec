"""JWTs that the authorization server has issued to this client: decrypted where they are encrypted, verified always."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from extauthz.oauth.errors import InvalidToken
from extauthz.oauth.jwks import ALGORITHMS, KeySet

JWE_PARTS = 5  # RFC 7516 section 3.1; a signed JWT has three
# OpenID Connect Core section 3.1.3.7 item 7 and JARM section 3: of a server that says nothing.
DEFAULT_ALGORITHMS = ("RS256",)


class OpensJwe(Protocol):
    """Our decryption keys."""

    def open(self, jwe: str) -> str:
        """The text inside. Raises InvalidToken."""


def accepted_algorithms(registered: str | None, published: Sequence[str]) -> Sequence[str]:
    """What may sign: the one the client is registered for, else what the server publishes, else the standard's."""
    return (registered,) if registered else published or DEFAULT_ALGORITHMS


async def verify(
    jwt: str, keys: KeySet, algorithms: Sequence[str], decryption: OpensJwe | None = None
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and claims of a JWT of our issuer. Raises InvalidToken, AuthorizationServerError.

    Encryption proves nothing, for anybody has the key to encrypt with; the JWT inside has to be signed like any other.
    """
    header, claims = await keys.verify(decrypted(jwt, decryption))
    algorithm = str(header["alg"])
    if algorithm not in algorithms:
        accepted = ", ".join(one for one in algorithms if one in ALGORITHMS)
        raise InvalidToken(f"it is signed with {algorithm}, and accepted is {accepted or 'none we know'}")
    return header, claims


def decrypted(jwt: str, decryption: OpensJwe | None) -> str:
    """The signed JWT that was encrypted, or `jwt` itself where it was not. Raises InvalidToken."""
    if jwt.count(".") + 1 != JWE_PARTS:
        return jwt
    if decryption is None:
        raise InvalidToken("it is encrypted, and there is no decryption_key_files")
    return decryption.open(jwt)
