"""Metadata of the authorization server: fetched when needed, kept while it is down, believed if its own."""

import asyncio

import httpx2
import pytest
from proxy_world.authorization_server import DISCOVERY, ISSUER, Server
from proxy_world.fakes import Clock

from extauthz.oauth.errors import AuthorizationServerError, Trouble
from extauthz.oauth.metadata import Discovery
from extauthz.oauth.refreshed import Refreshed
from extauthz.policy import Rule

pytestmark = pytest.mark.anyio

DOWN = httpx2.Response(500)


async def test_fetched_when_first_needed_and_kept_for_an_hour() -> None:
    """Nothing is fetched before it is needed, nor again within the hour."""
    server = Server()
    discovery = server.discovery()
    assert server.asked == []
    for _ in range(3):
        assert (await discovery.metadata()).jwks_uri == f"{ISSUER}/jwks"
    assert len(server.asked) == 1
    server.describe(jwks_uri=f"{ISSUER}/new")
    server.clock.now += 3600
    assert (await discovery.metadata()).jwks_uri == f"{ISSUER}/new"
    assert len(server.asked) == 2


async def test_one_fetch_for_all_who_wait() -> None:
    """Many first requests are one fetch."""
    server = Server()
    discovery = server.discovery()
    await asyncio.gather(*(discovery.metadata() for _ in range(50)))
    assert len(server.asked) == 1


async def test_the_old_document_serves_while_the_server_is_down() -> None:
    """A server that is down after the hour changes nothing, is asked once a second, and is believed when back."""
    server = Server()
    discovery = server.discovery()
    before = await discovery.metadata()
    server.clock.now += 3600
    server.answers[DISCOVERY] = DOWN
    assert await discovery.metadata() == before
    assert await discovery.metadata() == before
    assert len(server.asked) == 2
    server.describe(introspection_endpoint=None)
    server.clock.now += 1
    assert (await discovery.metadata()).introspection_endpoint is None


async def test_the_old_document_serves_while_the_server_hangs() -> None:
    """A server that takes its time after the hour does not make users wait: a gateway waits two seconds for us."""
    fetched: list[asyncio.Future[str]] = []

    def fetch() -> asyncio.Future[str]:
        fetched.append(asyncio.get_running_loop().create_future())
        if len(fetched) == 1:
            fetched[0].set_result("old")
        return fetched[-1]

    clock = Clock()
    document = Refreshed(fetch, clock)
    assert await document.get(60) == "old"
    clock.now += 60
    assert await asyncio.wait_for(document.get(60), 1.5) == "old"
    fetched[1].set_result("new")
    assert await document.get(60, or_older=False) == "new"


async def test_who_gives_up_waiting_takes_nothing_from_the_others() -> None:
    """The first to need a document may run out of time; those who wait with it still get the document."""
    arrives: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    document = Refreshed(lambda: arrives, Clock())
    first, second = (asyncio.create_task(document.get(60)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    arrives.set_result("fetched")
    assert await second == "fetched"


async def test_a_failure_is_remembered_for_a_second() -> None:
    """A server that was never up is asked once a second, not once a request, and then serves at once."""
    server = Server()
    discovery = server.discovery()
    server.answers[DISCOVERY] = DOWN
    for _ in range(5):
        with pytest.raises(AuthorizationServerError) as failure:
            await discovery.metadata()
        assert failure.value.trouble is Trouble.ERROR
    assert len(server.asked) == 1
    server.describe()
    server.clock.now += 0.9
    with pytest.raises(AuthorizationServerError):
        await discovery.metadata()
    server.clock.now += 0.1
    assert (await discovery.metadata()).issuer == ISSUER


@pytest.mark.parametrize(
    "issuer",
    [f"{ISSUER}/", "https://AS.example", "http://as.example", "https://evil.example", None, 7, [ISSUER]],
)
async def test_metadata_of_another_issuer(issuer: object) -> None:
    """A document that names another issuer, however alike, is not believed (RFC 8414 section 3.3)."""
    server = Server()
    server.describe(issuer=issuer)
    assert await _trouble(server) is Trouble.BAD_ANSWER


@pytest.mark.parametrize("issuer", ["x" * 200, "x\nevent=listening"])
async def test_what_a_server_calls_itself_is_repeated_in_moderation(issuer: str) -> None:
    """Neither a long name nor one that would begin a new line gets into the log."""
    server = Server()
    server.describe(issuer=issuer)
    with pytest.raises(AuthorizationServerError) as failure:
        await server.discovery().metadata()
    assert issuer not in str(failure.value)


@pytest.mark.parametrize("jwks_uri", [None, 7, "", "/jwks", "file:///etc/passwd", "javascript:alert(1)"])
async def test_an_endpoint_that_is_no_url(jwks_uri: object) -> None:
    """A key set that is nowhere on the web is the same as none at all."""
    server = Server()
    server.describe(jwks_uri=jwks_uri)
    with pytest.raises(AuthorizationServerError) as failure:
        await server.key_set().fetch()
    assert failure.value.trouble is Trouble.BAD_ANSWER


async def test_no_introspection_endpoint() -> None:
    """A server without introspection is told about when introspection is needed."""
    server = Server()
    server.describe(introspection_endpoint=None)
    with pytest.raises(AuthorizationServerError, match="introspection_endpoint"):
        await server.phantom()("opaque", Rule())


@pytest.mark.parametrize("body", ["[]", "null", "<html>", "", '"x"'])
async def test_no_metadata_at_all(body: str) -> None:
    """What is no JSON object is no metadata."""
    server = Server()
    server.answers[DISCOVERY] = httpx2.Response(200, content=body.encode())
    assert await _trouble(server) is Trouble.BAD_ANSWER


async def test_the_issuers_path_is_kept() -> None:
    """The well-known path follows the issuer's own, with one slash between them."""
    server = Server()
    issuer = f"{ISSUER}/realms/shop/"
    server.answers["/realms/shop" + DISCOVERY] = httpx2.Response(
        200, json={"issuer": issuer, "jwks_uri": f"{ISSUER}/jwks"}
    )
    assert (await Discovery(issuer, server.http(), server.clock).metadata()).issuer == issuer


@pytest.mark.parametrize(("value", "sends"), [(True, True), (False, False), (None, False), ("true", False), (1, False)])
async def test_rfc_9207_is_a_boolean(value: object, sends: bool) -> None:
    """Only a server that says true sends `iss`."""
    server = Server()
    server.describe(authorization_response_iss_parameter_supported=value)
    assert (await server.discovery().metadata()).sends_iss is sends


async def _trouble(server: Server) -> Trouble:
    with pytest.raises(AuthorizationServerError) as failure:
        await server.discovery().metadata()
    return failure.value.trouble
