"""Authorization server metadata: OpenID Connect Discovery 1.0 and RFC 8414, fetched when needed and kept.

The authorization server being down never stops a program from starting: the first request that needs the metadata
fetches it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from extauthz.oauth.errors import AuthorizationServerError, Trouble
from extauthz.oauth.http import HttpClient, require_success
from extauthz.oauth.refreshed import Refreshed

KEEP_SECONDS = 3600.0
MAX_ISSUER = 200  # characters of what a server calls itself that are repeated
# What we call as a client; where the browser is sent stays where it is.
CALLED = (
    "token_endpoint",
    "introspection_endpoint",
    "revocation_endpoint",
    "pushed_authorization_request_endpoint",
    "userinfo_endpoint",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What we use of the metadata document; a member that the server does not offer is None."""

    issuer: str
    jwks_uri: str | None = None
    authorization_endpoint: str | None = None
    pushed_authorization_request_endpoint: str | None = None
    token_endpoint: str | None = None
    introspection_endpoint: str | None = None
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    revocation_endpoint: str | None = None
    requires_par: bool = False  # RFC 9126: authorization requests are taken in no other way
    sends_iss: bool = False  # RFC 9207: every authorization response carries `iss`
    challenge_methods: tuple[str, ...] | None = None  # of PKCE; None: the server does not say
    id_token_algorithms: tuple[str, ...] = ()
    response_algorithms: tuple[str, ...] = ()  # of signed authorization responses (JARM)


class Discovery:
    """The metadata of one issuer, shared by all who need it.

    `clock`: seconds, any origin; `mutual_tls`: our certificate authenticates us, at endpoints that ask for one;
    `known`: of a server that has no document, which is not asked for then.
    """

    def __init__(
        self,
        issuer: str,
        http: HttpClient,
        clock: Callable[[], float],
        *,
        mutual_tls: bool = False,
        known: Metadata | None = None,
    ) -> None:
        self._issuer, self._http, self._mutual_tls, self._known = issuer, http, mutual_tls, known
        self._document = Refreshed(self._fetch, clock)

    @property
    def issuer(self) -> str:
        """The configured issuer identifier."""
        return self._issuer

    async def metadata(self) -> Metadata:
        """The metadata, at most an hour old while the server answers. Raises AuthorizationServerError."""
        return self._known or await self._document.get(KEEP_SECONDS)

    async def _fetch(self) -> Metadata:
        url = self._issuer.rstrip("/") + "/.well-known/openid-configuration"
        reply = await self._http.get(url)
        require_success(reply, f"discovery at {url}")
        document = reply.json()
        return read(_with_aliases(document) if self._mutual_tls else document, self._issuer)


def read(document: dict[str, Any], issuer: str) -> Metadata:
    """Check a metadata document. The issuer in it must be the configured one, exactly (RFC 8414 section 3.3)."""
    if document.get("issuer") != issuer:
        says = document.get("issuer")
        of = (
            f"of issuer {says}"
            if isinstance(says, str) and says.isprintable() and len(says) < MAX_ISSUER
            else "of no issuer"
        )
        raise AuthorizationServerError(Trouble.BAD_ANSWER, f"the metadata is {of}, not of the configured {issuer}")
    return Metadata(
        issuer=issuer,
        jwks_uri=_url(document, "jwks_uri"),
        authorization_endpoint=_url(document, "authorization_endpoint"),
        pushed_authorization_request_endpoint=_url(document, "pushed_authorization_request_endpoint"),
        token_endpoint=_url(document, "token_endpoint"),
        introspection_endpoint=_url(document, "introspection_endpoint"),
        userinfo_endpoint=_url(document, "userinfo_endpoint"),
        end_session_endpoint=_url(document, "end_session_endpoint"),
        revocation_endpoint=_url(document, "revocation_endpoint"),
        requires_par=document.get("require_pushed_authorization_requests") is True,
        sends_iss=document.get("authorization_response_iss_parameter_supported") is True,
        challenge_methods=_texts(document, "code_challenge_methods_supported"),
        id_token_algorithms=_texts(document, "id_token_signing_alg_values_supported") or (),
        response_algorithms=_texts(document, "authorization_signing_alg_values_supported") or (),
    )


def described(issuer: str, endpoints: Mapping[str, str]) -> Metadata:
    """What is known of a server that publishes nothing: its endpoints, by the names of the settings."""
    return Metadata(
        issuer=issuer,
        jwks_uri=endpoints.get("jwks_uri"),
        authorization_endpoint=endpoints.get("authorization"),
        pushed_authorization_request_endpoint=endpoints.get("pushed_authorization_request"),
        token_endpoint=endpoints.get("token"),
        introspection_endpoint=endpoints.get("introspection"),
        userinfo_endpoint=endpoints.get("userinfo"),
        end_session_endpoint=endpoints.get("end_session"),
        revocation_endpoint=endpoints.get("revocation"),
    )


def endpoint(url: str | None, name: str) -> str:
    """`url`, or an AuthorizationServerError that names the endpoint the metadata lacks."""
    if url is None:
        raise AuthorizationServerError(Trouble.BAD_ANSWER, f"the metadata names no {name}")
    return url


def _with_aliases(document: dict[str, Any]) -> dict[str, Any]:
    """RFC 8705 section 5: endpoints that ask for a certificate, in place of those that do not."""
    aliases = document.get("mtls_endpoint_aliases")
    if not isinstance(aliases, dict):
        return document
    return {**document, **{name: aliases[name] for name in CALLED if isinstance(aliases.get(name), str)}}


def _url(document: dict[str, Any], name: str) -> str | None:
    value = document.get(name)
    if not isinstance(value, str):
        return None
    if not value.startswith("https://") and document["issuer"].startswith("https://"):
        # Our client secret and the users' tokens go there.
        raise AuthorizationServerError(Trouble.BAD_ANSWER, f"the metadata's {name} is not https")
    return value if value.startswith(("https://", "http://")) else None


def _texts(document: dict[str, Any], name: str) -> tuple[str, ...] | None:
    value = document.get(name)
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else None
