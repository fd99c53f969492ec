"""The agent as a Starlette application: routes, what guards every call, and the form of every answer."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Lifespan

from agent.endpoints import Agent, Exchange, Members
from agent.errors import AgentError, forbidden
from extauthz.oauth.errors import AuthorizationServerError
from extauthz.telemetry import Log

CSRF_HEADER = "token-handler-version"
CSRF_VALUE = "1"
RETRY_AFTER_SECONDS = 5
PREFLIGHT_SECONDS = 86_400  # how long browsers may remember a preflight's answer; they cap it lower

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

Call = Callable[[Exchange], Awaitable[Members]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """One app's agent with what protects it."""

    name: str
    path: str
    agent: Agent
    origins: frozenset[str]
    require_custom_header: bool


def create_app(apps: list[Guarded], log: Log, lifespan: Lifespan[Starlette] | None = None) -> Starlette:
    """All apps' agents in one application, each at its own path. `/healthz` is for probes."""
    routes = [Route("/healthz", _healthy), *(_mount(app, log) for app in apps)]
    application = Starlette(routes=routes, lifespan=lifespan)
    # Starlette would answer a path without its slash with a redirect to whatever the Host header says.
    application.router.redirect_slashes = False
    return application


def _mount(app: Guarded, log: Log) -> Mount:
    cors = Middleware(
        CORSMiddleware,
        allow_origins=sorted(app.origins),
        allow_credentials=True,
        allow_methods=["GET", "POST"],
        expose_headers=["retry-after"],
        allow_headers=["*"],  # echoed, to trusted origins only: apps add tracing headers of their own
        max_age=PREFLIGHT_SECONDS,
    )
    return Mount(app.path, routes=_routes(app, log), middleware=[cors])


def _routes(app: Guarded, log: Log) -> list[BaseRoute]:
    agent = app.agent
    calls: list[tuple[str, tuple[str, ...], Call]] = [
        ("/login/start", ("POST",), agent.login_start),
        ("/login/end", ("POST",), agent.login_end),
        ("/session", ("GET", "HEAD"), agent.session),
        ("/refresh", ("POST",), agent.refresh),
        ("/logout", ("POST",), agent.logout),
        # Last: whatever else is called is told so in the form of every other error.
        ("/{path:path}", METHODS, _unknown),
    ]
    return [Route(path, _endpoint(app, log, path, methods, call), methods=METHODS) for path, methods, call in calls]


def _endpoint(
    app: Guarded, log: Log, path: str, methods: tuple[str, ...], call: Call
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        exchange = Exchange(request)
        try:
            _check_method(request, methods)
            _guard(app, request)
            response = _answer(200, await call(exchange), exchange)
        except Exception as error:  # every answer is JSON of ours, whatever went wrong
            failure = _failure(app, log, error)
            log.answered(app.name, path, failure.status, failure.code, failure.message)
            return _answer(failure.status, _error_members(failure), exchange, failure.headers)
        log.answered(app.name, path, 200, "ok")
        return response

    return answer


def _check_method(request: Request, methods: tuple[str, ...]) -> None:
    if request.method not in methods:
        allow = ", ".join(methods)
        raise AgentError(405, "method_not_allowed", f"this call takes {allow}", {"allow": allow})


def _guard(app: Guarded, request: Request) -> None:
    """No other site can make a browser pass this (RFC 10017 section 6.1.3.3). Raises AgentError."""
    if app.require_custom_header and request.headers.getlist(CSRF_HEADER) != [CSRF_VALUE]:
        raise forbidden(f"the header {CSRF_HEADER}: {CSRF_VALUE} is missing")
    origins = request.headers.getlist("origin")
    if request.method not in ("GET", "HEAD") and not origins:
        raise forbidden("the header Origin is missing")
    if any(origin not in app.origins for origin in origins):
        raise forbidden("the origin is not trusted")
    if "cross-site" in request.headers.get("sec-fetch-site", ""):
        raise forbidden("another site made this request")


def _failure(app: Guarded, log: Log, error: Exception) -> AgentError:
    match error:
        case AgentError():
            if error.status >= 500:
                log.trouble(app.name, error.code, error)
            return error
        case ClientDisconnect():
            return AgentError(400, "invalid_request", "the client went away before its request was complete")
        case AuthorizationServerError():
            log.trouble(app.name, error.trouble, error)
            message = "the authorization server is in trouble; try again"
            return AgentError(503, "temporarily_unavailable", message, {"retry-after": str(RETRY_AFTER_SECONDS)})
        case _:
            log.trouble(app.name, "internal_error", error)
            return AgentError(500, "server_error", "a technical problem occurred in the OAuth Agent")


def _error_members(failure: AgentError) -> Members:
    # Both spellings: `error_code` for the v2 library, `code` for clients of the open-source agents.
    v2 = {"error_code": failure.code, "detailed_error": failure.message}
    return {**v2, "code": failure.code, "message": failure.message}


def _answer(status: int, members: Members, exchange: Exchange, headers: Mapping[str, str] | None = None) -> Response:
    # The library compares the content type with "application/json" exactly: no charset.
    response = JSONResponse(members, status, headers={"cache-control": "no-store", **(headers or {})})
    for line in exchange.set_cookies:
        response.headers.append("set-cookie", line)
    return response


async def _unknown(_call: Exchange) -> Members:
    raise AgentError(404, "not_found", "the OAuth Agent has no such call")


async def _healthy(_request: Request) -> Response:
    return PlainTextResponse("ok")
