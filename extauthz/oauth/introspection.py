"""The introspection call, RFC 7662, as it is sent; what the answer means is for the caller to say."""

from extauthz.oauth.client_auth import ClientAuthentication
from extauthz.oauth.http import HttpClient, Reply
from extauthz.oauth.metadata import Discovery, endpoint


class Introspection:
    """Asks one authorization server about access tokens."""

    def __init__(self, discovery: Discovery, http: HttpClient, client: ClientAuthentication) -> None:
        self._discovery, self._http, self._client = discovery, http, client

    async def ask(self, token: str, *, accept: str) -> Reply:
        """POST the token, form-encoded, with our client credentials. Raises AuthorizationServerError."""
        metadata = await self._discovery.metadata()
        url = endpoint(metadata.introspection_endpoint, "introspection_endpoint")
        form = {"token": token, "token_type_hint": "access_token"}
        return await self._http.post(url, form, {"accept": accept}, client=self._client, repeatable=True)
