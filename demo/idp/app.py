"""The provider as an application: which path leads where, and how errors leave."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from demo.idp.authorize import Authorize, show_error
from demo.idp.config import IdpConfig
from demo.idp.control import Control
from demo.idp.discovery import Discovery
from demo.idp.errors import OAuthError, PageError, RefusalError
from demo.idp.introspection import Introspection
from demo.idp.logout import Logout
from demo.idp.provider import Provider, create_provider
from demo.idp.pushed import PushedEndpoint
from demo.idp.token_endpoint import NO_STORE, TokenEndpoint
from demo.idp.userinfo import UserInfo

Endpoint = Callable[[Request], Awaitable[Response]]


def create_idp(config: IdpConfig, *, control: bool = False) -> Starlette:
    """Build a provider with no memory of any other."""
    provider = create_provider(config)
    authorize = Authorize(provider)
    routes = _routes(provider, authorize)
    return Starlette(
        routes=[*routes, Control(provider).mount()] if control else routes,
        exception_handlers={OAuthError: oauth_error, PageError: show_error, RefusalError: authorize.refused},
    )


def _routes(provider: Provider, authorize: Authorize) -> list[BaseRoute]:
    discovery, introspection, logout = Discovery(provider), Introspection(provider), Logout(provider)

    def route(path: str, method: str, name: str, endpoint: Endpoint) -> Route:
        async def counted(request: Request) -> Response:
            provider.counters[name] += 1
            return await endpoint(request)

        return Route(path, counted, methods=[method], name=name)

    return [
        Route("/healthz", healthz),
        route("/.well-known/openid-configuration", "GET", "discovery", discovery.metadata),
        route("/jwks", "GET", "jwks", discovery.jwks),
        route("/authorize", "GET", "authorize", authorize.get),
        route("/authorize", "POST", "authorize", authorize.post),
        route("/par", "POST", "par", PushedEndpoint(provider).post),
        route("/token", "POST", "token", TokenEndpoint(provider).post),
        route("/userinfo", "GET", "userinfo", UserInfo(provider).get),
        route("/introspect", "POST", "introspect", introspection.introspect),
        route("/revoke", "POST", "revoke", introspection.revoke),
        route("/logout", "GET", "logout", logout.get),
        route("/logout", "POST", "logout", logout.post),
    ]


async def healthz(_request: Request) -> PlainTextResponse:
    """Answer that the process serves."""
    return PlainTextResponse("ok\n")


def oauth_error(_request: Request, error: Exception) -> JSONResponse:
    """RFC 6749 section 5.2; a 401 says how to authenticate."""
    assert isinstance(error, OAuthError)
    challenge = {"www-authenticate": 'Basic realm="demo-idp", charset="UTF-8"'} if error.status == 401 else {}
    body = {"error": error.error, "error_description": error.description}
    return JSONResponse(body, error.status, headers={**NO_STORE, **challenge})
