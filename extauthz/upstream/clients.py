"""A way for the tokens of some clients only: one server serves many, and not all of them are meant to call this API."""

from collections.abc import Collection

from extauthz.outcome import Refused, UpstreamToken
from extauthz.policy import Rule
from extauthz.reason import Reason
from extauthz.upstream import UpstreamWay
from extauthz.upstream.claims import client


class OfClients:
    """Takes what `way` gives, if it was issued to one of `clients`."""

    def __init__(self, way: UpstreamWay, clients: Collection[object]) -> None:
        self._way, self._clients = way, tuple(clients)  # what a claim holds may have no hash

    def varies_by(self, rule: Rule) -> tuple[str, ...]:
        """As the way itself."""
        return self._way.varies_by(rule)

    async def __call__(self, token: str, rule: Rule) -> UpstreamToken | Refused:
        """Exchange `token`. Raises AuthorizationServerError."""
        found = await self._way(token, rule)
        if isinstance(found, Refused):
            return found
        if client(found.claims) in self._clients:
            return found
        return Refused(Reason.TOKEN_INVALID, "it was issued to a client that upstream.clients does not name")
