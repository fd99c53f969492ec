"""The token exchange, RFC 8693, as it is asked for; what the answer means is for the caller to say."""

from collections.abc import Mapping

from extauthz.oauth.client_auth import ClientAuthentication
from extauthz.oauth.http import HttpClient, Reply
from extauthz.oauth.metadata import Discovery, endpoint

# https://www.rfc-editor.org/rfc/rfc8693#section-2.1
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
TOKEN_TYPE = "urn:ietf:params:oauth:token-type:"  # noqa: S105  # what the names of all types start with
ACCESS_TOKEN, JWT = f"{TOKEN_TYPE}access_token", f"{TOKEN_TYPE}jwt"


class TokenExchange:
    """Asks one authorization server for other tokens. `token_type`: the type asked for."""

    def __init__(
        self, discovery: Discovery, http: HttpClient, client: ClientAuthentication, *, token_type: str = ACCESS_TOKEN
    ) -> None:
        self._discovery, self._http, self._client = discovery, http, client
        self._token_type = token_type

    async def ask(self, token: str, wishes: Mapping[str, str]) -> Reply:
        """POST the token and what to exchange it for, with our credentials. Raises AuthorizationServerError."""
        metadata = await self._discovery.metadata()
        url = endpoint(metadata.token_endpoint, "token_endpoint")
        form = {
            **wishes,
            "grant_type": GRANT_TYPE,
            "subject_token": token,
            "subject_token_type": ACCESS_TOKEN,
            "requested_token_type": self._token_type,
        }
        # The token is not used up: asking twice does no more than issue two.
        return await self._http.post(url, form, {"accept": "application/json"}, client=self._client, repeatable=True)
