"""Token exchange (RFC 8693): for a live access token a JWT that is meant for another API."""

import secrets
from collections.abc import Mapping

from demo.idp.authorization_request import is_within
from demo.idp.claims import access_token_claims
from demo.idp.config import Client
from demo.idp.errors import OAuthError
from demo.idp.grants import Token
from demo.idp.mode import override
from demo.idp.provider import Provider

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
TYPE = "urn:ietf:params:oauth:token-type:"
ACCESS_TOKEN = f"{TYPE}access_token"
ISSUED = (ACCESS_TOKEN, f"{TYPE}jwt")  # both are the same here


class Exchange:
    """The grant, for the clients that may use it: all of them."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def exchange(self, form: Mapping[str, str], client: Client) -> dict[str, object]:
        """Return the members of the answer."""
        requested = form.get("requested_token_type", ACCESS_TOKEN)
        if form.get("subject_token_type") != ACCESS_TOKEN or requested not in ISSUED:
            raise OAuthError("invalid_request", "an access token is exchanged for an access token")
        subject = self._provider.grants.find(form.get("subject_token"))
        if subject is None or subject.kind != "access_token":
            # Section 2.2.2: this, and not invalid_grant.
            raise OAuthError("invalid_request", "the subject token is not active")
        audiences = self._audiences(form, client)
        scope = form.get("scope") or subject.scope
        if not is_within(scope, subject.scope):
            raise OAuthError("invalid_scope", "scope goes beyond that of the subject token")
        return {
            "access_token": self._jwt(subject, client, audiences, scope),
            "issued_token_type": requested,
            "token_type": "Bearer",
            "expires_in": subject.expires - self._provider.now(),
            "scope": scope,
        }

    def _audiences(self, form: Mapping[str, str], client: Client) -> list[str]:
        known = (self._provider.config.audience, *client.audiences)
        wanted = [*form.get("audience", "").split(), *form.get("resource", "").split()]
        if not set(wanted) <= set(known):
            raise OAuthError("invalid_target", "no audience of this client")
        return wanted or [self._provider.config.audience]

    def _jwt(self, subject: Token, client: Client, audiences: list[str], scope: str) -> str:
        now = self._provider.now()
        claims = access_token_claims(self._provider.config, subject) | {
            "aud": audiences[0] if len(audiences) == 1 else audiences,
            "client_id": client.client_id,
            "scope": scope,
            "iat": now,
            "nbf": now,
            "jti": secrets.token_urlsafe(12),
        }
        return self._provider.sign(override(claims, self._provider.mode.jwt_overrides), "at+jwt")
