"""How we prove to the authorization server who we are: one way a class, alike for every call of both programs.

With `tls_client_auth` the proof is the HTTP client's certificate, and `oauth.metadata` names the endpoints that ask for
it.
"""

import base64
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote_plus

from extauthz.oauth.signing_key import SigningKey

ASSERTION_SECONDS = 60  # long enough for a slow connection and a clock that is a little off
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
JTI_BYTES = 16

Headers = Mapping[str, str]
Form = Mapping[str, str | Sequence[str]]  # a list: the parameter is repeated


class ClientAuthentication(Protocol):
    """Adds our credentials to one request; a second request needs others."""

    def authenticate(self, form: Form) -> tuple[Headers, Form]:
        """The headers to send, and `form` with what our credentials add to it."""


@dataclass(frozen=True, slots=True)
class ClientSecretBasic:
    """RFC 6749 section 2.3.1: id and secret are form-encoded before base64, so that a colon or é survives.

    https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
    """

    client_id: str
    client_secret: str = field(repr=False)

    def authenticate(self, form: Form) -> tuple[Headers, Form]:
        """The Authorization header."""
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}"
        return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}, form


@dataclass(frozen=True, slots=True)
class ClientSecretPost:
    """RFC 6749 section 2.3.1, for servers that read no Authorization header."""

    client_id: str
    client_secret: str = field(repr=False)

    def authenticate(self, form: Form) -> tuple[Headers, Form]:
        """Id and secret in the form."""
        return {}, {**form, "client_id": self.client_id, "client_secret": self.client_secret}


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateKeyJwt:
    """RFC 7523 section 2.2: a JWT signed with our key, of which the server knows the public half.

    `audience` is the issuer, as one string: an assertion for one server must be worth nothing at another (RFC 10070).
    `clock`: seconds since the epoch.
    """

    client_id: str
    audience: str
    key: SigningKey
    key_id: str
    clock: Callable[[], float]

    def authenticate(self, form: Form) -> tuple[Headers, Form]:
        """A new assertion in the form."""
        assertion = self._assertion(secrets.token_urlsafe(JTI_BYTES))
        own = {"client_id": self.client_id, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
        return {}, {**form, **own}

    def _assertion(self, jti: str) -> str:
        now = int(self.clock())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.audience,
            "jti": jti,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
        }
        return self.key.sign(claims, typ="client-authentication+jwt", kid=self.key_id)


@dataclass(frozen=True, slots=True)
class TlsClientAuth:
    """RFC 8705 section 2: the certificate of the connection proves it, the form only says whose it is.

    https://www.rfc-editor.org/rfc/rfc8705#section-2
    """

    client_id: str

    def authenticate(self, form: Form) -> tuple[Headers, Form]:
        """The client id in the form."""
        return {}, {**form, "client_id": self.client_id}
