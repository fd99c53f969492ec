"""Ways from the access token in the cookie to the token put upstream: one file each, one call.

A way takes the token and gives an `UpstreamToken`, or `Refused` when the token does not serve. Trouble at
the authorization server it raises.
"""

from typing import Protocol

from extauthz.outcome import Refused, UpstreamToken
from extauthz.policy import Rule


class UpstreamWay(Protocol):
    """How one app's access tokens become upstream tokens."""

    def varies_by(self, rule: Rule) -> tuple[str, ...]:
        """What of the rule changes the answer; answers for other values are remembered apart."""

    async def __call__(self, token: str, rule: Rule) -> UpstreamToken | Refused:
        """Exchange `token` for a request under `rule`. Raises AuthorizationServerError."""


class OneForAll:
    """A way whose answer is the same under every rule; what the rule requires is checked afterwards."""

    def varies_by(self, rule: Rule) -> tuple[str, ...]:
        """Nothing."""
        del rule
        return ()
