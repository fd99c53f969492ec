"""An authorization request, checked (RFC 6749 section 4.1.1, RFC 7636, OpenID Connect Core 3.1.2.1)."""

import re
from dataclasses import dataclass

from demo.idp.config import Client, IdpConfig
from demo.idp.errors import PageError, RefusalError

RESPONSE_MODES = ("query", "jwt", "query.jwt")  # with code, jwt means query.jwt (JARM section 2.3.4)
ACR_VALUES = ("password", "second-factor")
# BASE64URL(SHA256(verifier)) without padding (RFC 7636 section 4.2).
S256_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A request that may be granted as soon as somebody signs in. `signed_for`: who wants the answer signed."""

    client: Client
    redirect_uri: str
    scope: str
    state: str
    nonce: str | None
    code_challenge: str
    prompt: frozenset[str]
    max_age: int | None
    acr: str | None
    signed_for: str | None
    resource: tuple[str, ...]

    def refusal(self, error: str, description: str) -> RefusalError:
        """Say no to this request."""
        return RefusalError(self.redirect_uri, self.state, error, description, self.signed_for)


def check_request(parameters: dict[str, str], config: IdpConfig) -> AuthorizationRequest:
    """Check everything; PageError until client and redirect URI are known, RefusalError after that."""
    client = config.client(parameters.get("client_id"))
    if client is None:
        raise PageError("No application of that name is registered here.")
    redirect_uri = parameters.get("redirect_uri", "")
    # RFC 9700 section 4.1.3: exact comparison, or we would be somebody's open redirector.
    if redirect_uri not in client.redirect_uris:
        raise PageError("The application asked to be called back at an address it has not registered.")
    problem = _problem(parameters, client, config.audience)
    if problem:
        raise RefusalError(redirect_uri, parameters.get("state"), *problem, _signed_for(parameters))
    return _request(parameters, client, redirect_uri)


def _problem(parameters: dict[str, str], client: Client, audience: str) -> tuple[str, str] | None:
    given = parameters.get
    prompt = given("prompt", "").split()
    challenge = S256_CHALLENGE.fullmatch(given("code_challenge", ""))
    known_target = {*given("resource", "").split()} <= {audience, *client.audiences}
    asked = given("acr_values", "").split()
    known_scope = is_within(given("scope", ""), client.scope)
    rules = (
        (given("response_type") == "code", "unsupported_response_type", "response_type must be code"),
        (given("response_mode", "query") in RESPONSE_MODES, "invalid_request", "unknown response_mode"),
        ("state" in parameters, "invalid_request", "state is required"),
        (given("code_challenge_method") == "S256", "invalid_request", "code_challenge_method must be S256"),
        (challenge, "invalid_request", "code_challenge is required"),
        (given("max_age", "0").isdecimal(), "invalid_request", "max_age must be a number of seconds"),
        ("none" not in prompt or len(prompt) == 1, "invalid_request", "prompt=none stands alone"),
        # As RFC 9470 section 5 has it: what nobody here can do is not done in some other way.
        (not asked or {*asked} & {*ACR_VALUES}, "unmet_authentication_requirements", "no class of this provider"),
        (known_target, "invalid_target", "no resource of this client"),
        (known_scope, "invalid_scope", "scope not registered for this client"),
    )
    return next(((error, description) for met, error, description in rules if not met), None)


def _request(parameters: dict[str, str], client: Client, redirect_uri: str) -> AuthorizationRequest:
    max_age = parameters.get("max_age")
    return AuthorizationRequest(
        client=client,
        redirect_uri=redirect_uri,
        scope=parameters.get("scope") or client.scope,
        state=parameters["state"],
        nonce=parameters.get("nonce"),
        code_challenge=parameters["code_challenge"],
        prompt=frozenset(parameters.get("prompt", "").split()),
        max_age=int(max_age) if max_age else None,
        acr=next((acr for acr in parameters.get("acr_values", "").split() if acr in ACR_VALUES), None),
        signed_for=_signed_for(parameters),
        resource=tuple(parameters.get("resource", "").split()),
    )


def _signed_for(parameters: dict[str, str]) -> str | None:
    return parameters["client_id"] if parameters.get("response_mode") in RESPONSE_MODES[1:] else None


def is_within(scope: str, granted: str) -> bool:
    """Whether every value of a scope was granted."""
    return set(scope.split()) <= set(granted.split())
