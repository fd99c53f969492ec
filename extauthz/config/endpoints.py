"""The settings of an authorization server that publishes no metadata: where its endpoints are."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from extauthz.config.section import Section
from extauthz.config.values import Endpoint, is_loopback


class EndpointsConfig(Section):
    """What would stand in the metadata document. Its abilities are not told: what may be missing may be missing."""

    authorization: Endpoint | None = None
    token: Endpoint | None = None
    jwks_uri: Annotated[Endpoint | None, Field(description="the keys it signs with")] = None
    introspection: Endpoint | None = None
    userinfo: Endpoint | None = None
    revocation: Endpoint | None = None
    end_session: Endpoint | None = None
    pushed_authorization_request: Endpoint | None = None

    def require_https(self, *, allow_http: bool) -> None:
        """ValueError where credentials and tokens would travel in plain text."""
        for name, url in self.given().items():
            if url.startswith("http:") and not allow_http and not is_loopback(url.partition("?")[0]):
                raise ValueError(f"{name} must be https; only a test network may set allow_http")

    def require(self, names: set[str]) -> None:
        """ValueError that tells which of `names` are missing."""
        missing = names - self.given().keys()
        if missing:
            raise ValueError(f"{', '.join(sorted(missing))} is needed in it, for no metadata document is read")

    def given(self) -> Mapping[str, str]:
        """Those that are set, by name."""
        return {name: url for name, url in self if url is not None}
