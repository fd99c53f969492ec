"""The rules of an OpenID Connect login, as pure functions: parameters in, verdicts out; ID tokens are id_token.py's.

No I/O, clock or randomness: `now` and the random values of a login are arguments. Rule numbers in comments name the
sections they come from.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.authorization import with_query
from agent.errors import AgentError, invalid_request
from extauthz.oauth.client_auth import Form
from extauthz.oauth.errors import InvalidToken

ResponseMode = Literal["query", "jwt"]

LOGIN_SECONDS = 600  # a person may take this long to log in
SKEW_SECONDS = 30.0  # between the authorization server's clock and ours
# What an authorization response is made of; signed, it is claims (JARM section 2.1).
RESPONSE = frozenset({"state", "code", "error", "iss", "id_token", "access_token"})
MAX_AGE = re.compile(r"[0-9]{1,9}", re.ASCII)
# Asked with prompt=none and nobody is logged in: the app should offer a login, not report a failure.
PERSON_NEEDED = ("login_required", "interaction_required", "consent_required", "account_selection_required")
# The AS's `error` is repeated to the app only in the characters RFC 6749 section 4.1.2.1 allows, and not for ever.
MAX_ERROR_CHARACTERS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What the authorization server knows of one app, and what every login asks it for.

    The algorithms: those the client is registered for, None where the server's metadata tells.
    """

    issuer: str
    client_id: str
    redirect_uri: str
    scope: str
    response_mode: ResponseMode = "query"
    resource: tuple[str, ...] = ()
    max_age: int | None = None
    acr_values: str | None = None
    id_token_algorithm: str | None = None
    response_algorithm: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """One login under way; it lives in a cookie of its own. The three values are random, 43 characters each."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    started_at: int
    openid: bool = True  # whether an ID token was asked for
    max_age: int | None = None  # how long ago the person may have authenticated, in seconds

    @property
    def flow(self) -> str:
        """The name of this login's cookie, so that logins in several tabs keep apart."""
        return flow_of(self.state)

    def to_bytes(self) -> bytes:
        """The cookie's plaintext."""
        secrets = {"state": self.state, "nonce": self.nonce, "verifier": self.verifier}
        members = {**secrets, "iat": self.started_at, "openid": self.openid, "max_age": self.max_age}
        return json.dumps(members, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, plaintext: bytes) -> "Login":
        """Read what `to_bytes` wrote; the cookie is authenticated, so nothing else can be in it."""
        members = json.loads(plaintext)
        return cls(
            state=members["state"],
            nonce=members["nonce"],
            verifier=members["verifier"],
            started_at=members["iat"],
            openid=members["openid"],
            max_age=members.get("max_age"),  # absent from cookies of the version before
        )


def flow_of(state: str) -> str:
    """The flow a `state` belongs to: a digest, for cookie names end up in logs."""
    return base64url(hashlib.sha256(b"flow\0" + state.encode("utf-8", "surrogatepass")).digest())[:12]


def authorization_parameters(client: Client, login: Login, extra: Mapping[str, str]) -> Form:
    """The parameters that start the login: code flow with PKCE S256, state and nonce (RFC 9700 section 2.1.1)."""
    challenge = base64url(hashlib.sha256(login.verifier.encode()).digest())
    resource: Form = {"resource": client.resource} if client.resource else {}
    acr = {"acr_values": client.acr_values} if client.acr_values else {}
    lately = {} if login.max_age is None else {"max_age": str(login.max_age)}
    signed = {"response_mode": "jwt"} if client.response_mode == "jwt" else {}
    return {
        "client_id": client.client_id,
        "redirect_uri": client.redirect_uri,
        "response_type": "code",
        "scope": client.scope,
        **resource,
        **acr,
        **extra,
        **lately,
        "state": login.state,
        "nonce": login.nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        **signed,
    }


def logout_url(endpoint: str, client_id: str, post_logout_redirect_uri: str) -> str:
    """Where the browser ends the session at the authorization server.

    OpenID Connect RP-Initiated Logout 1.0 section 2; `client_id` stands in for the ID token, which is not kept.
    https://openid.net/specs/openid-connect-rpinitiated-1_0.html
    """
    return with_query(endpoint, {"client_id": client_id, "post_logout_redirect_uri": post_logout_redirect_uri})


def allowed_parameters(given: Mapping[str, str], allowed: Sequence[str]) -> Mapping[str, str]:
    """What the app may add to a request: `scope`, and what its configuration lists. Raises AgentError."""
    for name in given:
        if name != "scope" and name not in allowed:
            raise invalid_request(f"parameter not allowed: {name[:MAX_ERROR_CHARACTERS]}")
    return given


def max_age(client: Client, extra: Mapping[str, str]) -> int | None:
    """How long ago the person may have authenticated: the app may ask for less than its settings say, not for more."""
    asked = extra.get("max_age")
    if asked is None:
        return client.max_age
    if not MAX_AGE.fullmatch(asked):
        raise invalid_request("max_age must be a number of seconds")
    return int(asked) if client.max_age is None else min(int(asked), client.max_age)


def authorization_code(response: Mapping[str, str], login: Login, *, issuer: str, sends_iss: bool, now: float) -> str:
    """The code in an authorization response, checked in the order iss, state, error, code. Raises AgentError."""
    _check_issuer(response, issuer, sends_iss=sends_iss)
    if response.get("state") != login.state or now > login.started_at + LOGIN_SECONDS:
        raise invalid_request("the response does not belong to a login under way")
    if "response" in response:
        raise invalid_request("the response is signed, which was not asked for")
    if "error" in response:
        raise _authorization_error(response["error"])
    if "id_token" in response or "access_token" in response:
        raise invalid_request("the response carries tokens, which were not asked for")
    code = response.get("code")
    if not code:
        raise invalid_request("the response carries neither code nor error")
    return code


def signed_response(given: Mapping[str, str], issuer: str) -> str:
    """The JWT of a response that was asked for signed, which is all that may be in it. Raises AgentError.

    An `iss` beside it is not needed, but a wrong one is wrong.
    """
    if "response" not in given or given.keys() & RESPONSE - {"iss"}:
        raise invalid_request("the response is not signed, which was asked for")
    _check_issuer(given, issuer, sends_iss=False)
    return given["response"]


def response_in(claims: Mapping[str, Any], client: Client, *, now: float) -> Mapping[str, str]:
    """The authorization response that a JWT carries, the signature having been verified. Raises InvalidToken.

    https://openid.net/specs/oauth-v2-jarm.html section 2.4
    """
    audience, expires = claims.get("aud"), claims.get("exp")
    if claims.get("iss") != client.issuer:
        raise InvalidToken("another issuer")
    if client.client_id not in (audience if isinstance(audience, list) else [audience]):
        raise InvalidToken("meant for another client")
    if isinstance(expires, bool) or not isinstance(expires, int | float):
        raise InvalidToken("its exp is not a time")
    if expires <= now - SKEW_SECONDS:
        raise InvalidToken("it has expired")
    response = {name: claims[name] for name in RESPONSE if name in claims}
    if not all(isinstance(value, str) and value.isascii() for value in response.values()):
        raise InvalidToken("a parameter that is no ASCII text")
    return response


def base64url(data: bytes) -> str:
    """base64url without padding (RFC 7515 appendix C)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _check_issuer(response: Mapping[str, str], issuer: str, *, sends_iss: bool) -> None:
    # RFC 9207 section 2.4, before anything else in the response is believed, errors included.
    if "iss" not in response and sends_iss:
        raise invalid_request("the response does not say who issued it")
    if response.get("iss", issuer) != issuer:
        raise invalid_request("the response was issued by another authorization server")


def _authorization_error(error: str) -> AgentError:
    clean = "".join(c for c in error[:MAX_ERROR_CHARACTERS] if c.isascii() and (c.isalnum() or c in "_-."))
    status = 401 if clean in PERSON_NEEDED else 400
    return AgentError(status, clean or "authorization_error", "the authorization server did not grant the login")
