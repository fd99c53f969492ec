"""RP-Initiated Logout 1.0: the end of a session, and of everything granted in it."""

from starlette.requests import Request
from starlette.responses import Response

from demo.idp.authorize import COOKIE, forget, redirect
from demo.idp.backchannel import tell_clients
from demo.idp.config import Client
from demo.idp.errors import OAuthError, PageError
from demo.idp.forms import read_form, read_parameters
from demo.idp.pages import signed_out_page
from demo.idp.provider import Provider


class Logout:
    """GET and POST /logout. A real provider might ask the person first; the demo does not."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def get(self, request: Request) -> Response:
        """Parameters in the query."""
        return await self._leave(request, _readable(request.url.query))

    async def post(self, request: Request) -> Response:
        """Parameters in a form."""
        return await self._leave(request, await read_form(request))

    async def _leave(self, request: Request, parameters: dict[str, str]) -> Response:
        hint = self._hint(parameters.get("id_token_hint"))
        client = self._client(parameters.get("client_id"), hint)
        session = self._provider.sessions.find(request.cookies.get(COOKIE))
        for sid in {session.sid if session else None, hint.get("sid")}:
            await self._end(sid)
        uri = parameters.get("post_logout_redirect_uri")
        if client and uri in client.post_logout_redirect_uris:
            return forget(redirect(uri, {"state": parameters.get("state")}))
        return forget(signed_out_page())

    def _hint(self, id_token: str | None) -> dict[str, object]:
        self._provider.canary.seen(id_token)
        # Section 4 of the specification: an expired hint is still a hint.
        return (self._provider.keys.verify(id_token, self._provider.config.issuer) or {}) if id_token else {}

    def _client(self, client_id: str | None, hint: dict[str, object]) -> Client | None:
        audience = hint.get("aud")
        if client_id and audience and client_id != audience:
            raise PageError("The sign-out request names two different applications.")
        return self._provider.config.client(client_id or (str(audience) if audience else None))

    async def _end(self, sid: object) -> None:
        if isinstance(sid, str):
            self._provider.sessions.close(sid)
            self._provider.grants.revoke_session(sid)
            await tell_clients(self._provider, sid)


def _readable(query: str) -> dict[str, str]:
    try:
        return read_parameters(query)
    except OAuthError as error:
        raise PageError(f"The sign-out request is malformed: {error.description}.") from error
