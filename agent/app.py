"""The agents of all apps as one Starlette application: routes, CORS, and answers in the form of each app's API."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route, request_response
from starlette.types import Lifespan, Receive, Scope, Send

from agent.api import Api, Endpoint, Exchange, Members
from agent.cors import Cors
from agent.errors import AgentError
from extauthz.oauth.errors import AuthorizationServerError
from extauthz.revocations.revocations import RevocationsUnavailable
from extauthz.telemetry import Log

RETRY_AFTER_SECONDS = 5
PREFLIGHT_SECONDS = 86_400  # how long browsers may remember a preflight's answer; they cap it lower

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One app's API, where it is served, and the origins whose pages may read its answers."""

    name: str
    path: str
    api: Api
    origins: frozenset[str]


def create_app(apps: list[Served], log: Log, lifespan: Lifespan[Starlette] | None = None) -> Starlette:
    """All apps' agents in one application, each at its own path. `/healthz` is for probes."""
    routes = [Route("/healthz", _healthy), *(_mount(app, log) for app in apps)]
    application = Starlette(routes=routes, lifespan=lifespan)
    # Starlette would answer a path without its slash with a redirect to whatever the Host header says.
    application.router.redirect_slashes = False
    return application


def _mount(app: Served, log: Log) -> Mount:
    cors = Middleware(
        Cors,
        allow_origins=sorted(app.origins),
        allow_credentials=True,
        allow_methods=["GET", "POST"],
        expose_headers=["retry-after"],
        allow_headers=["*"],  # echoed, to trusted origins only: apps add tracing headers of their own
        max_age=PREFLIGHT_SECONDS,
    )
    return Mount(app.path, routes=_routes(app, log), middleware=[cors])


def _routes(app: Served, log: Log) -> list[BaseRoute]:
    # Last: whatever else is called is told so in the form of every other error.
    endpoints = [*app.api.endpoints, Endpoint("/{path:path}", METHODS, _unknown)]
    return [Route(endpoint.path, _EveryMethod(_answering(app, log, endpoint))) for endpoint in endpoints]


class _EveryMethod:
    """An endpoint for all methods, TRACE and those of tomorrow too: what a Route refuses itself is not in our form."""

    def __init__(self, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self._app = request_response(answer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def _answering(app: Served, log: Log, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        exchange = Exchange(request)
        try:
            _check_method(request, endpoint.methods)
            if endpoint.guarded:
                app.api.guard(request)
            response = _success(await endpoint.call(exchange), exchange)
        except Exception as error:  # every answer is ours, whatever went wrong
            failure = _failure(app, log, error)
            status, members = _error(app, endpoint, failure)
            log.answered(app.name, endpoint.path, status, failure.code, failure.message)
            return _answer(status, members, exchange, failure.headers)
        log.answered(app.name, endpoint.path, response.status_code, "ok")
        return response

    return answer


def _error(app: Served, endpoint: Endpoint, failure: AgentError) -> tuple[int, Members]:
    status, members = app.api.error(failure)
    if not endpoint.oauth_errors:
        return status, members
    return failure.status, {"error": failure.code, "error_description": failure.message, **members}


def _check_method(request: Request, methods: tuple[str, ...]) -> None:
    if request.method not in methods:
        allow = ", ".join(methods)
        raise AgentError(405, "method_not_allowed", f"this call takes {allow}", {"allow": allow})


def _failure(app: Served, log: Log, error: Exception) -> AgentError:
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
        case RevocationsUnavailable():  # logged where it came up
            message = "not everybody could be told; try again"
            return AgentError(503, "temporarily_unavailable", message, {"retry-after": str(RETRY_AFTER_SECONDS)})
        case _:
            log.trouble(app.name, "internal_error", error)
            return AgentError(500, "server_error", "a technical problem occurred in the OAuth Agent")


def _success(members: Members | None, exchange: Exchange) -> Response:
    return _answer(204 if members is None else 200, members, exchange)


def _answer(
    status: int, members: Members | None, exchange: Exchange, headers: Mapping[str, str] | None = None
) -> Response:
    headers = {"cache-control": "no-store", **(headers or {})}
    response = Response(None, status, headers) if members is None else _Json(members, status, headers)
    for line in exchange.set_cookies:
        response.headers.append("set-cookie", line)
    return response


class _Json(JSONResponse):
    """JSON in ASCII: half a letter, as a name ends that was cut, is in no UTF-8.

    The library compares the content type with "application/json" exactly: no charset.
    """

    def render(self, content: Members) -> bytes:
        """The body."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


async def _unknown(_call: Exchange) -> Members:
    raise AgentError(404, "not_found", "the OAuth Agent has no such call")


async def _healthy(_request: Request) -> Response:
    return PlainTextResponse("ok")
