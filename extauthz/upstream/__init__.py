"""Ways from the access token in the cookie to the token put upstream: one file each, one call.

A way takes the token and gives an `UpstreamToken`, or `Refused` when the token does not serve. Trouble at
the authorization server it raises.
"""

from typing import Protocol

from extauthz.outcome import Refused, UpstreamToken


class UpstreamWay(Protocol):
    """How one app's access tokens become upstream tokens."""

    async def __call__(self, token: str) -> UpstreamToken | Refused:
        """Exchange `token`. Raises AuthorizationServerError."""
