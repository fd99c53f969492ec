"""Where the browser is sent to log in: with the parameters, or with a reference to pushed ones (RFC 9126).

Pushed, they are hidden from the browser and nobody can change them on the way.
"""

from typing import Any, Literal
from urllib.parse import urlencode

from agent.errors import AgentError
from extauthz.oauth.client_auth import ClientAuthentication, Form
from extauthz.oauth.errors import AuthorizationServerError, Trouble
from extauthz.oauth.http import REFUSALS, HttpClient, Reply, require_success
from extauthz.oauth.metadata import Discovery, Metadata, endpoint

Par = Literal["auto", "never", "required"]

WHAT = "the pushed authorization request endpoint"
# RFC 6749 section 4.1.2.1, RFC 8707, RFC 9126 section 2.3: the words that are repeated; any other may say anything.
ERRORS = ("access_denied", "invalid_request", "invalid_scope", "invalid_target", "unsupported_response_type")


class AuthorizationEndpoint:
    """Sends browsers to one authorization server, for one client."""

    def __init__(self, discovery: Discovery, http: HttpClient, client: ClientAuthentication, par: Par) -> None:
        self._discovery, self._http, self._client, self._par = discovery, http, client, par

    async def url(self, parameters: Form) -> str:
        """The URL that starts a login. Raises AgentError, AuthorizationServerError."""
        metadata = await self._discovery.metadata()
        url = endpoint(metadata.authorization_endpoint, "authorization_endpoint")
        if self._pushes(metadata):
            request_uri = await self._push(metadata, parameters)
            parameters = {"client_id": parameters["client_id"], "request_uri": request_uri}
        return with_query(url, parameters)

    def _pushes(self, metadata: Metadata) -> bool:
        if self._par == "auto":
            return metadata.requires_par or metadata.pushed_authorization_request_endpoint is not None
        return self._par == "required"

    async def _push(self, metadata: Metadata, parameters: Form) -> str:
        url = endpoint(metadata.pushed_authorization_request_endpoint, "pushed_authorization_request_endpoint")
        # Repeatable: a reference that nobody uses expires.
        reply = await self._http.post(
            url, parameters, {"accept": "application/json"}, client=self._client, repeatable=True
        )
        if reply.status == 400 and (error := reply.json().get("error")) not in REFUSALS:
            raise _refusal(error)
        require_success(reply, WHAT, status=201)
        return _request_uri(reply)


def with_query(endpoint: str, parameters: Form) -> str:
    """`endpoint` with parameters added; a query it has is kept (RFC 6749 section 3.1)."""
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters, doseq=True)}"


def _refusal(error: Any) -> AgentError:
    word = error if error in ERRORS else "an unknown error"
    return AgentError(400, "authorization_error", f"the authorization server did not accept the login: {word}")


def _request_uri(reply: Reply) -> str:
    members = reply.json()
    request_uri, expires_in = members.get("request_uri"), members.get("expires_in")
    lives = isinstance(expires_in, int | float) and not isinstance(expires_in, bool) and expires_in > 0
    if not isinstance(request_uri, str) or not request_uri or not request_uri.isprintable() or not lives:
        raise AuthorizationServerError(Trouble.BAD_ANSWER, f"{WHAT} answered without a usable request_uri")
    return request_uri
