"""What the authorization server says of a user to whoever has the access token (OpenID Connect Core section 5.3).

https://openid.net/specs/openid-connect-core-1_0.html#UserInfo
"""

from dataclasses import dataclass
from typing import Any

from agent.errors import AgentError
from extauthz.oauth.http import HttpClient, require_success
from extauthz.oauth.metadata import Discovery, endpoint


@dataclass(frozen=True, slots=True)
class UserInfo:
    """The userinfo endpoint of one authorization server."""

    discovery: Discovery
    http: HttpClient

    async def of(self, access_token: str) -> dict[str, Any]:
        """The members of its answer. Raises AgentError, AuthorizationServerError."""
        url = endpoint((await self.discovery.metadata()).userinfo_endpoint, "userinfo_endpoint")
        reply = await self.http.get(url, bearer=access_token)
        if reply.status == 401:
            raise AgentError(401, "token_expired", "the access token has expired; refresh it")
        if reply.status in (400, 403):  # RFC 6750 section 3.1: the request or the scope; neither we nor the server
            raise AgentError(400, "authorization_error", "a request sent to the authorization server was rejected")
        require_success(reply, "the userinfo endpoint")
        return reply.json()
