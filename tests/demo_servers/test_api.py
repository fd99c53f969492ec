"""The sample API: whom it answers, and that its answer holds no usable token."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from demo.api import ApiConfig, create_api, shorten
from demo.idp.keys import KeyRing

pytestmark = pytest.mark.anyio

ISSUER = "http://idp.test"
NOW = 1_000_000
CLAIMS: dict[str, object] = {"iss": ISSUER, "aud": "api", "sub": "ada", "exp": NOW + 60, "iat": NOW}


class Issuer:
    """An issuer that is nothing but its keys."""

    def __init__(self) -> None:
        self.keys = KeyRing()
        self.status = 200
        self.fetches = 0

    def app(self) -> Starlette:
        """Discovery and JWKS."""
        return Starlette(routes=[Route("/.well-known/openid-configuration", self.metadata), Route("/keys", self.jwks)])

    async def metadata(self, _request: Request) -> JSONResponse:
        return JSONResponse({"jwks_uri": f"{ISSUER}/keys"})

    async def jwks(self, _request: Request) -> JSONResponse:
        self.fetches += 1
        return JSONResponse(self.keys.jwks(), self.status)

    def token(self, **changes: object) -> str:
        """Sign an access token."""
        claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
        return self.keys.current.sign(claims, "at+jwt")


@dataclass
class World:
    """The API, its issuer and a caller."""

    http: httpx2.AsyncClient
    issuer: Issuer

    async def call(self, token: str, path: str = "/orders") -> httpx2.Response:
        """Call with a bearer token."""
        return await self.http.get(path, headers={"authorization": f"Bearer {token}"})


@pytest.fixture
def anyio_backend() -> str:
    """One event loop is enough."""
    return "asyncio"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A fresh API."""
    issuer = Issuer()
    api = create_api(
        ApiConfig(issuer=ISSUER, audience="api", clock=lambda: NOW),
        transport=httpx2.ASGITransport(app=issuer.app()),
        control=True,
    )
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=api), base_url="http://api.test") as http:
        yield World(http, issuer)


async def test_a_good_token_is_answered_with_its_claims(world: World) -> None:
    """A token of the issuer for this audience is accepted and its claims are told."""
    answer = await world.call(world.issuer.token())
    assert answer.status_code == 200
    assert answer.json()["claims"] == CLAIMS


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "http://other.test"},
        {"iss": None},
        {"aud": "shop"},
        {"aud": None},
        {"exp": NOW},
        {"exp": None},
        {"exp": "tomorrow"},
    ],
)
async def test_a_wrong_token_is_refused(world: World, changes: dict[str, object]) -> None:
    """A token of another issuer, for another audience, or past its time is a 401."""
    answer = await world.call(world.issuer.token(**changes))
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_another_signature_is_refused(world: World) -> None:
    """A token signed by somebody else is a 401, whatever it claims."""
    assert (await world.call(Issuer().token())).status_code == 401
    head = world.issuer.token().rpartition(".")[0]
    assert (await world.call(f"{head}.{world.issuer.token(sub='eve').rpartition('.')[2]}")).status_code == 401


@pytest.mark.parametrize("value", ["", "Basic eDp5", "Bearer", "Bearer opaque", "Bearer a.b.c"])
async def test_anything_but_a_jwt_is_refused(world: World, value: str) -> None:
    """Other credentials, and none, are a 401."""
    headers = {"authorization": value} if value else {}
    assert (await world.http.get("/orders", headers=headers)).status_code == 401


async def test_two_authorization_headers_are_refused(world: World) -> None:
    """A second Authorization header is never ignored, even when both are good."""
    bearer = ("authorization", f"Bearer {world.issuer.token()}")
    assert (await world.http.get("/orders", headers=[bearer, bearer])).status_code == 401


async def test_the_answer_holds_no_usable_token(world: World) -> None:
    """The token is told without most of its signature, wherever the caller put it."""
    token = world.issuer.token()
    headers = {"authorization": f"Bearer {token}", "x-copy": f"<{token}>"}
    answer = await world.http.get(f"/{token}", params={"t": token}, headers=headers)
    assert token not in answer.text
    assert ["authorization", f"Bearer {shorten(token)}"] in answer.json()["headers"]
    assert shorten(token) == f"{token.rpartition('.')[0]}.{token.rpartition('.')[2][:8]}…"


async def test_the_request_is_told_as_it_arrived(world: World) -> None:
    """Method, path and query are told undecoded, headers in order with duplicates, and the body by size."""
    headers = [
        (b"authorization", f"Bearer {world.issuer.token()}".encode()),
        (b"x-twice", b"one"),
        (b"cookie", b"a=1"),
        (b"x-twice", b"tw\xf6"),
    ]
    answer = await world.http.request("PATCH", "/a%2Fb%20c?q=%20&q=", headers=headers, content=b"12345")
    told = answer.json()
    sent = [pair for pair in told["headers"] if pair[0] in {"x-twice", "cookie"}]
    assert (told["method"], told["query"], told["body_bytes"]) == ("PATCH", "q=%20&q=", 5)
    assert told["path"] == "/a%2Fb%20c"
    assert sent == [["x-twice", "one"], ["cookie", "a=1"], ["x-twice", "twö"]]


async def test_a_new_key_is_fetched_when_it_is_first_seen(world: World) -> None:
    """Keys are fetched once, and once more for a key id nobody has seen."""
    await world.call(world.issuer.token())
    await world.call(world.issuer.token())
    assert world.issuer.fetches == 1
    world.issuer.keys.rotate()
    assert (await world.call(world.issuer.token())).status_code == 200
    assert world.issuer.fetches == 2


async def test_an_issuer_that_is_down_is_not_the_callers_fault(world: World) -> None:
    """Without keys the API answers 503, not 401."""
    world.issuer.status = 500
    assert (await world.call(world.issuer.token())).status_code == 503


@pytest.mark.parametrize("path", ["/public/hello", "/api/public/hello"])
async def test_public_paths_need_no_token(world: World, path: str) -> None:
    """A GET below public needs no token, and what it is given is not told whole."""
    assert (await world.http.get(path)).json()["claims"] == {}
    assert "opaque-token" not in (await world.call("an-opaque-token", path)).text
    assert (await world.http.post(path)).status_code == 401
    assert (await world.http.get("/publicity")).status_code == 401


async def test_requests_are_counted_when_asked_for(world: World) -> None:
    """Every request but those to control is counted, and without control there is no counter."""
    await world.http.get("/public/hello")
    await world.http.delete("/orders")
    await world.http.get("/_control/healthz")
    assert (await world.http.get("/_control/requests")).json() == {"count": 2}
    bare = httpx2.ASGITransport(app=create_api(ApiConfig(issuer=ISSUER, audience="api")))
    async with httpx2.AsyncClient(transport=bare, base_url="http://api.test") as http:
        assert (await http.get("/_control/requests")).status_code == 401
        assert (await http.get("/_control/healthz")).status_code == 200
