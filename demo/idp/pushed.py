"""The endpoint of pushed authorization requests (RFC 9126)."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from demo.idp.authorization_request import check_request
from demo.idp.clients import authenticate
from demo.idp.errors import OAuthError, PageError, RefusalError
from demo.idp.forms import read_form
from demo.idp.provider import Provider
from demo.idp.pushed_requests import PUSHED_SECONDS

NO_STORE = {"cache-control": "no-store"}
CREDENTIALS = {"client_secret", "client_assertion", "client_assertion_type"}


class PushedEndpoint:
    """POST /par, for authenticated clients only."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def post(self, request: Request) -> Response:
        """Check a request now, and keep it for the browser that will come."""
        form = await read_form(request)
        client_id = authenticate(request, form, self._provider).client_id
        if self._provider.mode.par_status is not None:
            return self._provider.mode.forced(self._provider.mode.par_status)
        if "request_uri" in form or form.get("client_id", client_id) != client_id:
            raise OAuthError("invalid_request", "neither request_uri nor another client_id has a place here")
        given = {name: value for name, value in form.items() if name not in CREDENTIALS}
        parameters = {**given, "client_id": client_id}
        self._check(parameters)
        uri = self._provider.pushed.keep(parameters)
        return JSONResponse({"request_uri": uri, "expires_in": PUSHED_SECONDS}, 201, headers=NO_STORE)

    def _check(self, parameters: dict[str, str]) -> None:
        try:
            check_request(parameters, self._provider.config)
        except PageError as error:
            raise OAuthError("invalid_request", error.message) from error
        except RefusalError as error:
            raise OAuthError(error.error, error.description) from error
