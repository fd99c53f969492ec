"""Way `opaque`: the access token goes upstream as it is.

For what introspects by itself, such as the authorization server's own user info endpoint. Nothing is known of the
token, so no scope and no audience can be required of it.
"""

import math

from extauthz.outcome import Bearer, Refused, UpstreamToken
from extauthz.policy import Rule
from extauthz.upstream import OneForAll


class Opaque(OneForAll):
    """Passes tokens on; their characters were checked when the cookie or header was read."""

    async def __call__(self, token: str, rule: Rule) -> UpstreamToken | Refused:
        """The same token."""
        del rule
        return UpstreamToken(bearer=Bearer(token), expires_at=math.inf)
