"""A sample API: verifies the JWT it is given, and tells what it received.

Any path and method. It knows the issuer and its keys; it has never heard of cookies. What it tells is
shown in a browser, so no answer of it holds a usable token.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import click
import httpx2
import jwt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from demo.listen import Address, listen, listen_option

ALGORITHMS = ["ES256", "RS256", "EdDSA"]
# With and without the prefix under which a gateway may publish the API.
PUBLIC_PATHS = ("/public/", "/api/public/")
FETCH_SECONDS = 5.0
CHALLENGE = {"www-authenticate": 'Bearer error="invalid_token"'}
# Times are compared with our own clock, which tests set; PyJWT would take the system's.
CHECKS: jwt.types.Options = {
    "require": ["exp", "iss", "aud"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}

Claims = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfig:
    """Whose tokens count, and for whom; without a JWKS URL the issuer's metadata names it."""

    issuer: str
    audience: str
    jwks_url: str | None = None
    clock: Callable[[], float] = time.time


class TokenError(Exception):
    """The request carries no acceptable access token; the text says why, never the token."""


class IssuerKeys:
    """The issuer's public keys, fetched when first needed and again for an unknown key id."""

    def __init__(self, config: ApiConfig, transport: httpx2.AsyncBaseTransport | None) -> None:
        self._config = config
        self._transport = transport
        self._keys: dict[str | None, jwt.PyJWK] = {}

    async def find(self, kid: str | None) -> jwt.PyJWK:
        """Return the key of that id."""
        if kid not in self._keys:
            self._keys = await self._fetch()
        if kid not in self._keys:
            raise TokenError("unknown signing key")
        return self._keys[kid]

    async def _fetch(self) -> dict[str | None, jwt.PyJWK]:
        # Never through a proxy: the issuer of a demo is a neighbour.
        http = httpx2.AsyncClient(transport=self._transport, timeout=FETCH_SECONDS, trust_env=False)
        async with http as client:
            answer = await client.get(self._config.jwks_url or await self._discover(client))
        return {key.key_id: key for key in jwt.PyJWKSet.from_dict(answer.raise_for_status().json()).keys}

    async def _discover(self, client: httpx2.AsyncClient) -> str:
        answer = await client.get(f"{self._config.issuer.rstrip('/')}/.well-known/openid-configuration")
        return str(answer.raise_for_status().json()["jwks_uri"])


class Echo:
    """The API itself: an ASGI application, since a route would limit the methods."""

    def __init__(self, config: ApiConfig, keys: IssuerKeys) -> None:
        self._config = config
        self._keys = keys
        self.count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        self.count += 1
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            claims = {} if is_public(request) else await self._claims(bearer_token(request))
        except TokenError as reason:
            return _refusal(401, "unauthorized", str(reason), CHALLENGE)
        except (httpx2.HTTPError, ValueError):
            return _refusal(503, "temporarily_unavailable", "the issuer's keys cannot be fetched", {})
        return JSONResponse(await echo(request, claims), headers={"cache-control": "no-store"})

    async def _claims(self, token: str) -> Claims:
        try:
            key = await self._keys.find(jwt.get_unverified_header(token).get("kid"))
            claims = self._decode(token, key)
        except jwt.PyJWTError as error:
            raise TokenError(f"token refused: {type(error).__name__}") from error
        if not isinstance(claims["exp"], int | float) or claims["exp"] <= self._config.clock():
            raise TokenError("token refused: it has expired")
        return claims

    def _decode(self, token: str, key: jwt.PyJWK) -> Claims:
        return jwt.decode(
            token,
            key,
            algorithms=ALGORITHMS,
            issuer=self._config.issuer,
            audience=self._config.audience,
            options=CHECKS,
        )


def create_api(
    config: ApiConfig, *, transport: httpx2.AsyncBaseTransport | None = None, control: bool = False
) -> Starlette:
    """Build the API; `transport` replaces the network for tests."""
    api = Echo(config, IssuerKeys(config, transport))

    async def requests(_request: Request) -> JSONResponse:
        return JSONResponse({"count": api.count})

    routes: list[BaseRoute] = [Route("/_control/healthz", healthz)]
    if control:
        routes.append(Route("/_control/requests", requests))
    return Starlette(routes=[*routes, Mount("/", api)])


async def healthz(_request: Request) -> PlainTextResponse:
    """Answer that the process serves."""
    return PlainTextResponse("ok\n")


def is_public(request: Request) -> bool:
    """Whether this request needs no token."""
    return request.method in {"GET", "HEAD"} and _raw_path(request).startswith(PUBLIC_PATHS)


def bearer_token(request: Request) -> str:
    """Return the one bearer token (RFC 6750 section 2.1); two Authorization headers are none."""
    values = request.headers.getlist("authorization")
    if len(values) != 1:
        raise TokenError("exactly one Authorization header is needed")
    scheme, _, token = values[0].partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise TokenError("a bearer token is needed")
    return token.strip()


async def echo(request: Request, claims: Claims) -> dict[str, object]:
    """Describe the request as it arrived, headers in order, tokens shortened."""
    tokens = [value.partition(" ")[2].strip() for value in request.headers.getlist("authorization")]
    return {
        "method": request.method,
        "path": _without(tokens, _raw_path(request)),
        "query": _without(tokens, _text(request.scope["query_string"])),
        "headers": [[_text(name), _without(tokens, _text(value))] for name, value in request.headers.raw],
        "claims": claims,
        "body_bytes": sum([len(chunk) async for chunk in request.stream()]),
    }


def shorten(token: str) -> str:
    """Make a token useless but recognisable: a JWT loses its signature, any other token its tail."""
    head, dot, tail = token.rpartition(".")
    return f"{head}{dot}{tail[:8]}…"


def _without(tokens: list[str], text: str) -> str:
    for token in filter(None, tokens):
        text = text.replace(token, shorten(token))
    return text


def _raw_path(request: Request) -> str:
    # As on the wire: decoding would hide what the gateway did or did not normalise.
    return _text(request.scope["raw_path"])


def _text(octets: bytes) -> str:
    return octets.decode("latin-1")


def _refusal(status: int, code: str, message: str, headers: dict[str, str]) -> JSONResponse:
    body = {"code": code, "message": message}
    return JSONResponse(body, status, headers={"cache-control": "no-store", **headers})


@click.command()
@click.option("--issuer", required=True, help="Whose tokens are accepted.")
@click.option("--audience", default="api", show_default=True, help="The audience a token must name.")
@listen_option("127.0.0.1:9001")
@click.option("--jwks-url", help="Where the issuer's keys are; else its metadata tells.")
@click.option("--control", is_flag=True, help="Answer GET /_control/requests, for tests.")
def main(issuer: str, audience: str, address: Address, jwks_url: str | None, control: bool) -> None:
    """Serve an API that accepts any path and method and tells what it received."""
    config = ApiConfig(issuer=issuer, audience=audience, jwks_url=jwks_url)
    listen(create_api(config, control=control), address)


if __name__ == "__main__":
    main()
