"""The settings of an authorization server that publishes no metadata: where its endpoints are."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from extauthz.config.section import Section
from extauthz.config.values import Endpoint, is_loopback
from extauthz.oauth.metadata import Metadata


class EndpointsConfig(Section):
    """What would stand in the metadata document. Its abilities are not told: what may be missing may be missing."""

    authorization: Endpoint | None = None
    token: Endpoint | None = None
    jwks_uri: Annotated[Endpoint | None, Field(description="the keys it signs with")] = None
    introspection: Endpoint | None = None
    revocation: Endpoint | None = None
    end_session: Endpoint | None = None
    pushed_authorization_request: Endpoint | None = None

    def require_https(self, *, allow_http: bool) -> None:
        """ValueError where credentials and tokens would travel in plain text."""
        for name, url in self._given():
            if url.startswith("http:") and not allow_http and not is_loopback(url.partition("?")[0]):
                raise ValueError(f"{name} must be https; only a test network may set allow_http")

    def require(self, names: set[str]) -> None:
        """ValueError that tells which of `names` are missing."""
        missing = names - {name for name, _ in self._given()}
        if missing:
            raise ValueError(f"{', '.join(sorted(missing))} is needed in it, for no metadata document is read")

    def metadata(self, issuer: str) -> Metadata:
        """What we know of the server."""
        return Metadata(
            issuer=issuer,
            jwks_uri=self.jwks_uri,
            authorization_endpoint=self.authorization,
            pushed_authorization_request_endpoint=self.pushed_authorization_request,
            token_endpoint=self.token,
            introspection_endpoint=self.introspection,
            end_session_endpoint=self.end_session,
            revocation_endpoint=self.revocation,
        )

    def _given(self) -> Iterator[tuple[str, str]]:
        return ((name, url) for name, url in self if url is not None)
