"""The tests' hand on the provider; exists only when asked for at start."""

from collections.abc import Mapping
from typing import cast

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from demo.idp.backchannel import logout_token
from demo.idp.errors import OAuthError
from demo.idp.grants import Kind
from demo.idp.mode import Mode
from demo.idp.provider import Provider

COUNTED = ("discovery", "jwks", "authorize", "par", "token", "introspect", "revoke", "logout")
EXPIRABLE: tuple[Kind, ...] = ("access_token", "refresh_token")


class Control:
    """Everything below /_control."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def mount(self) -> Mount:
        """Return the routes."""
        return Mount(
            "/_control",
            routes=[
                Route("/counters", self.counters),
                Route("/secrets", self.secrets),
                Route("/reset", self.reset, methods=["POST"]),
                Route("/mode", self.mode, methods=["POST"]),
                Route("/expire", self.expire, methods=["POST"]),
                Route("/rotate-keys", self.rotate_keys, methods=["POST"]),
                Route("/logout-token", self.logout_token, methods=["POST"]),
            ],
        )

    async def counters(self, _request: Request) -> JSONResponse:
        """How often each endpoint was called since start or reset."""
        return JSONResponse({name: self._provider.counters[name] for name in COUNTED})

    async def secrets(self, _request: Request) -> JSONResponse:
        """Every secret issued or seen."""
        return JSONResponse({"values": self._provider.canary.values()})

    async def reset(self, _request: Request) -> JSONResponse:
        """Forget counters and misbehaviour, keep sessions and tokens."""
        self._provider.counters.clear()
        self._provider.mode = Mode()
        return JSONResponse({})

    async def mode(self, request: Request) -> JSONResponse:
        """Change the behaviour; members not named stay as they are."""
        try:
            self._provider.mode = self._provider.mode.changed(await _object(request))
        except ValueError as error:
            raise OAuthError("invalid_request", str(error)) from error
        return JSONResponse({})

    async def expire(self, request: Request) -> JSONResponse:
        """Let access or refresh tokens expire now: "all", or one by value."""
        wishes = await _object(request)
        expired = {
            kind: self._provider.grants.expire(kind, None if wishes[kind] == "all" else str(wishes[kind]))
            for kind in EXPIRABLE
            if kind in wishes
        }
        return JSONResponse({"expired": expired})

    async def logout_token(self, request: Request) -> JSONResponse:
        """A logout token for the test to send: for `client_id`, with `claims` over the usual ones, and a `typ`."""
        wishes = await _object(request)
        claims = cast("dict[str, object]", wishes.get("claims", {}))
        typ = str(wishes.get("typ", "logout+jwt"))
        return JSONResponse({"logout_token": logout_token(self._provider, str(wishes["client_id"]), claims, typ)})

    async def rotate_keys(self, _request: Request) -> JSONResponse:
        """Sign with a new key; the JWKS keeps the one before."""
        return JSONResponse({"kid": self._provider.keys.rotate().kid})


async def _object(request: Request) -> Mapping[str, object]:
    try:
        document: object = await request.json()
    except ValueError as error:
        raise OAuthError("invalid_request", "a JSON object is expected") from error
    if not isinstance(document, dict):
        raise OAuthError("invalid_request", "a JSON object is expected")
    return cast("dict[str, object]", document)
