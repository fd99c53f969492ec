"""Back-channel logout: the authorization server itself tells us that a session is over, or all sessions of a user.

Called by a server, not by a browser: no cookie, origin or custom header is looked at, the signed token says it all. The
same for every version of the API whose cookies name a session.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from agent.api import Endpoint, Exchange, Members
from agent.errors import invalid_request
from agent.forms import read_form
from agent.logout_token import FRESH_SECONDS
from agent.relying_party import RelyingParty

MAX_REMEMBERED = 10_000  # of tokens that are fresh, some two minutes; replaying an older one is refused


@dataclass(frozen=True, slots=True, kw_only=True)
class BackChannelLogout:
    """One app's endpoint."""

    relying_party: RelyingParty
    _done: OrderedDict[tuple[str, str], float] = field(default_factory=OrderedDict, init=False, repr=False)

    @property
    def endpoint(self) -> Endpoint:
        """POST backchannel-logout."""
        return Endpoint("/backchannel-logout", ("POST",), self._logout, guarded=False, oauth_errors=True)

    async def _logout(self, call: Exchange) -> Members:
        given = await read_form(call.request)
        if not given.get("logout_token"):
            raise invalid_request("logout_token is missing")
        logout = await self.relying_party.logout(given["logout_token"])
        mark = logout.mark(self.relying_party.app)
        # Sent once more, it changes nothing: a user who has logged in since stays so. A server that gives one `jti` to
        # several tokens has them all done.
        if (logout.jti, mark) not in self._done:
            await self.relying_party.end(mark)
            self._remember(logout.jti, mark)
        return {}

    def _remember(self, jti: str, mark: str) -> None:
        """Only once it is done: what failed may be sent again."""
        now = self.relying_party.clock()
        self._done[jti, mark] = now + 2 * FRESH_SECONDS
        while self._done and (next(iter(self._done.values())) <= now or len(self._done) > MAX_REMEMBERED):
            self._done.popitem(last=False)
