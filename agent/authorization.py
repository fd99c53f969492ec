"""Where the browser is sent to log in: with the parameters, or with a reference to pushed ones (RFC 9126).

Pushed, they are hidden from the browser and nobody can change them on the way.
"""

from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import urlencode

from agent.errors import AgentError
from extauthz.oauth.client_auth import ClientAuthentication, Form
from extauthz.oauth.errors import AuthorizationServerError, Trouble
from extauthz.oauth.http import REFUSALS, HttpClient, Reply, require_success
from extauthz.oauth.metadata import Discovery, Metadata, endpoint

Par = Literal["auto", "never", "required"]

NO_PKCE = "the metadata has no S256 in code_challenge_methods_supported"
WHAT = "the pushed authorization request endpoint"
# RFC 6749 section 4.1.2.1, RFC 8707, RFC 9126 section 2.3: the words that are repeated; any other may say anything.
ERRORS = ("access_denied", "invalid_request", "invalid_scope", "invalid_target", "unsupported_response_type")


class AuthorizationEndpoint:
    """Sends browsers to one authorization server, for one client."""

    def __init__(
        self,
        discovery: Discovery,
        http: HttpClient,
        client: ClientAuthentication,
        par: Par,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._discovery, self._http, self._client, self._par = discovery, http, client, par
        self._warn, self._warned = warn, False

    async def url(self, parameters: Form, *, openid: bool) -> str:
        """The URL that starts a login, `openid`: for an ID token. Raises AgentError, AuthorizationServerError."""
        metadata = await self._discovery.metadata()
        self._check_pkce(metadata, openid=openid)
        url = endpoint(metadata.authorization_endpoint, "authorization_endpoint")
        if self._pushes(metadata):
            request_uri = await self._push(metadata, parameters)
            parameters = {"client_id": parameters["client_id"], "request_uri": request_uri}
        return with_query(url, parameters)

    def _check_pkce(self, metadata: Metadata, *, openid: bool) -> None:
        """RFC 9700 section 4.7.1: whoever relies on PKCE makes sure that the server supports it.

        With an ID token the nonce protects as well. Servers that know PKCE and do not say so are many.
        """
        methods = metadata.challenge_methods
        if methods is not None and "S256" in methods:
            return
        if methods is not None and not openid:
            raise AuthorizationServerError(Trouble.BAD_ANSWER, f"{NO_PKCE}, and without openid nothing else protects")
        if not self._warned:
            self._warned = True
            self._warn(NO_PKCE)

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
    if error == "unmet_authentication_requirements":
        # The one that the app can do something about: log the user in some other way.
        message = "the authorization server does not authenticate in this way"
        return AgentError(400, "unmet_authentication_requirements", message)
    word = error if error in ERRORS else "an unknown error"
    return AgentError(400, "authorization_error", f"the authorization server did not accept the login: {word}")


def _request_uri(reply: Reply) -> str:
    members = reply.json()
    request_uri, expires_in = members.get("request_uri"), members.get("expires_in")
    lives = isinstance(expires_in, int | float) and not isinstance(expires_in, bool) and expires_in > 0
    if not isinstance(request_uri, str) or not request_uri or not request_uri.isprintable() or not lives:
        raise AuthorizationServerError(Trouble.BAD_ANSWER, f"{WHAT} answered without a usable request_uri")
    return request_uri
