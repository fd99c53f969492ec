"""What introspection says of a token, in either of two forms: plain JSON (RFC 7662), or a signed JWT (RFC 9701).

Which of the two is configured, and the content type has to agree: a server that was asked to sign, and answers with
JSON, has not been understood or is not the one that was meant. A signed answer is for the proxy. It is no access token,
and never goes upstream.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from extauthz.oauth.decryption import Decryption
from extauthz.oauth.errors import AuthorizationServerError, InvalidToken, Trouble
from extauthz.oauth.http import Reply, require_success
from extauthz.oauth.jwks import KeySet
from extauthz.upstream.claims import SKEW_SECONDS, audiences, number

JSON = "application/json"
SIGNED = "application/token-introspection+jwt"
TYPES = ("token-introspection+jwt", SIGNED)
PARTS_OF_JWE = 5
MAX_AGE_SECONDS = 300.0


class Answer(Protocol):
    """One of the two forms."""

    @property
    def accept(self) -> str:
        """What to ask for."""

    async def read(self, reply: Reply) -> Mapping[str, Any]:
        """The members of RFC 7662 section 2.2. Raises AuthorizationServerError."""


class JsonAnswer:
    """Plain JSON; its word is as good as the TLS connection it came over."""

    accept = JSON

    async def read(self, reply: Reply) -> Mapping[str, Any]:
        """The members."""
        require_answer(reply)
        if reply.content_type != JSON:
            raise bad(f"introspection was asked for JSON and answered {_named(reply)}")
        return reply.json()


class SignedAnswer:
    """A JWT with the members inside, signed by the issuer for us, and encrypted for us where `decryption` is there.

    `clock`: seconds since the epoch.
    """

    accept = SIGNED

    def __init__(
        self,
        *,
        keys: KeySet,
        issuer: str,
        client_id: str,
        clock: Callable[[], float],
        decryption: Decryption | None = None,
    ) -> None:
        self._keys, self._issuer, self._client_id = keys, issuer, client_id
        self._clock, self._decryption = clock, decryption

    async def read(self, reply: Reply) -> Mapping[str, Any]:
        """The members, once the signature and what the JWT says of itself are good."""
        require_answer(reply)
        if reply.content_type != SIGNED:
            raise bad(f"introspection was asked for a signed answer and gave {_named(reply)}: introspection: json?")
        try:
            header, claims = await self._keys.verify(self._decrypted(reply.body.decode("latin-1").strip()))
            return self._judged(header, claims)
        except InvalidToken as error:
            raise bad(f"the signed introspection answer: {error}") from error

    def _decrypted(self, text: str) -> str:
        if text.count(".") + 1 != PARTS_OF_JWE:
            return text
        if self._decryption is None:
            raise InvalidToken("it is encrypted, and there is no introspection_key_files")
        return self._decryption.open(text)

    def _judged(self, header: Mapping[str, Any], claims: Mapping[str, Any]) -> Mapping[str, Any]:
        # RFC 9701 section 5; the type keeps other JWTs of the issuer from passing for an answer (section 8.1).
        members = claims.get("token_introspection")
        if str(header.get("typ", "")).lower() not in TYPES:
            raise InvalidToken("its type is not that of an introspection answer")
        if claims.get("iss") != self._issuer:
            raise InvalidToken("its issuer is not the configured one")
        if self._client_id not in audiences(claims):
            raise InvalidToken("it is not meant for our client")
        now = self._clock()
        # A recorded answer must not speak for another token, or for one that has been revoked since.
        if not now - MAX_AGE_SECONDS < number(claims, "iat", None) <= now + SKEW_SECONDS:
            raise InvalidToken("it was not issued just now: compare the clocks")
        if not number(claims, "nbf", 0.0) - SKEW_SECONDS <= now < number(claims, "exp", now) + SKEW_SECONDS:
            raise InvalidToken("it is not valid now: compare the clocks")
        if not isinstance(members, dict):
            raise InvalidToken("it has no object token_introspection")
        return members


def require_answer(reply: Reply) -> None:
    """Raise AuthorizationServerError unless introspection answered with status 200."""
    try:
        require_success(reply, "introspection")
    except AuthorizationServerError as error:
        if reply.status == 400 and error.trouble is Trouble.ERROR:
            # RFC 9701 section 4 leaves the form to registration; a client registered for one gets no other.
            hint = "is our client registered for signed answers (way: mint with introspection: jwt)?"
            raise AuthorizationServerError(Trouble.ERROR, f"{error}: {hint}") from error
        raise


def bad(message: str) -> AuthorizationServerError:
    """An answer that cannot be used."""
    return AuthorizationServerError(Trouble.BAD_ANSWER, message)


def _named(reply: Reply) -> str:
    """What came instead, in words of ours."""
    return {JSON: "unsigned JSON", SIGNED: "a signed answer (introspection: jwt?)", "application/jwt": "a JWT"}.get(
        reply.content_type, "something else"
    )
