"""The calls to the authorization server: what is sent, what is taken for an answer, and what is trouble."""

import asyncio
import base64
import gzip
import socket
import ssl
from pathlib import Path

import httpx2
import pytest
from proxy_world.authorization_server import DISCOVERY, INTROSPECT, ISSUER, SECRET, Server, token
from proxy_world.certificates import Authority

from extauthz.oauth.client_auth import ClientSecretBasic
from extauthz.oauth.errors import AuthorizationServerError, Trouble
from extauthz.oauth.http import HttpClient
from extauthz.policy import Rule

pytestmark = pytest.mark.anyio


async def test_the_token_is_form_encoded() -> None:
    """The token reaches the server as it was, with `&`, `+`, `%`, `=` and blanks in it."""
    server = Server()
    server.introspects(token())
    nasty = "a&b+c%20d =&token=e"
    await server.phantom()(nasty, Rule())
    assert server.form() == {"token": nasty, "token_type_hint": "access_token"}
    assert server.asked_at(INTROSPECT)[0].headers["content-type"] == "application/x-www-form-urlencoded"


async def test_client_secret_basic() -> None:
    """Id and secret are form-encoded before base64, so a colon, a plus, a blank and an é in them survive."""
    server = Server()
    server.introspects(token())
    await server.phantom()("opaque", Rule())
    scheme, _, value = server.asked_at(INTROSPECT)[0].headers["authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(value) == b"the+proxy:a%2Bb%25%3A%2F+%C3%A9"
    assert SECRET not in repr(ClientSecretBasic("the proxy", SECRET))


async def test_a_jwt_is_asked_for() -> None:
    """The Accept header names the JWT form, and no compression, which could unfold to any size."""
    server = Server()
    server.introspects(token())
    await server.phantom()("opaque", Rule())
    headers = server.asked_at(INTROSPECT)[0].headers
    assert headers["accept"] == "application/jwt"
    assert headers["accept-encoding"] == "identity"


async def test_only_introspection_hears_the_secret() -> None:
    """Metadata and keys are fetched without credentials."""
    server = Server()
    server.introspects(token())
    await server.phantom()("opaque", Rule())
    assert [request.url.path for request in server.asked if "authorization" in request.headers] == [INTROSPECT]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    """A redirect is trouble, and token and secret go nowhere else."""
    server = Server()
    server.answers[INTROSPECT] = httpx2.Response(status, headers={"location": "https://evil.example/"})
    assert await _trouble(server) is Trouble.ERROR
    assert {request.url.host for request in server.asked} == {"as.example"}


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        (400, Trouble.ERROR),
        (401, Trouble.REFUSED_US),
        (403, Trouble.REFUSED_US),
        (404, Trouble.ERROR),
        (429, Trouble.ERROR),
        (500, Trouble.ERROR),
        (502, Trouble.ERROR),
        (503, Trouble.ERROR),
        (201, Trouble.ERROR),
    ],
)
async def test_a_status_that_is_no_answer(status: int, trouble: Trouble) -> None:
    """Any status but 200 and 204 is trouble, whatever the body says; 401 and 403 mean our own client."""
    server = Server()
    server.introspects(token(), status=status)
    assert await _trouble(server) is trouble


@pytest.mark.parametrize(
    ("failure", "trouble"),
    [
        pytest.param(httpx2.ConnectError("refused"), Trouble.UNREACHABLE, id="no connection"),
        pytest.param(httpx2.ReadError("reset"), Trouble.UNREACHABLE, id="cut off"),
        pytest.param(httpx2.RemoteProtocolError("no HTTP"), Trouble.UNREACHABLE, id="not HTTP"),
        pytest.param(httpx2.ConnectTimeout("slow"), Trouble.TIMEOUT, id="slow to connect"),
        pytest.param(httpx2.ReadTimeout("slow"), Trouble.TIMEOUT, id="slow to answer"),
        pytest.param(httpx2.PoolTimeout("full"), Trouble.TIMEOUT, id="no free connection"),
    ],
)
async def test_a_server_that_cannot_be_asked(failure: Exception, trouble: Trouble) -> None:
    """A connection that fails is trouble of its kind, and the message carries nothing of the library's."""
    server = Server()
    server.answers[INTROSPECT] = failure
    assert await _trouble(server) is trouble
    server.answers[DISCOVERY] = failure
    assert await _trouble(server) is trouble


@pytest.mark.parametrize("url", ["https://as.example:x/jwks", "https://\x00/"])
async def test_a_url_that_is_none_is_the_servers_trouble(url: str) -> None:
    """An address in the metadata that leads nowhere is an answer of 503, and no fault of ours."""
    with pytest.raises(AuthorizationServerError) as trouble:
        await Server().http().get(url)
    assert trouble.value.trouble is Trouble.UNREACHABLE


class Drip(httpx2.AsyncByteStream):
    """A body of one chunk over and over, or of a long silence when the chunk is empty."""

    def __init__(self, chunk: bytes) -> None:
        self.chunk, self.taken, self.closed = chunk, 0, False

    async def __aiter__(self):  # type: ignore[no-untyped-def]
        """Yield the chunk, more often than anyone should ask for it."""
        for _ in range(1000):
            await asyncio.sleep(0)
            self.taken += 1
            if self.chunk:
                yield self.chunk

    async def aclose(self) -> None:
        """The reader has had enough."""
        self.closed = True


async def test_an_endless_body_is_cut_off() -> None:
    """Reading stops at 256 KB, and the connection is given up."""
    body = Drip(b"x" * 65_536)
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, stream=body))
    with pytest.raises(AuthorizationServerError) as trouble:
        await HttpClient(transport=transport).get(ISSUER)
    assert trouble.value.trouble is Trouble.BAD_ANSWER
    assert (body.taken, body.closed) == (5, True)


async def test_a_slow_body_is_bounded_in_time() -> None:
    """A server that sends its head and then nothing is a timeout, and the connection is given up."""
    body = Drip(b"")
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, stream=body))
    with pytest.raises(AuthorizationServerError) as trouble:
        await HttpClient(transport=transport, total_seconds=0.0).get(ISSUER)
    assert trouble.value.trouble is Trouble.TIMEOUT


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(b"x" * 300_000, "application/jwt", id="300 KB"),
        pytest.param(b'{"active":false,"x":"' + b"x" * 300_000 + b'"}', "application/json", id="300 KB of JSON"),
        pytest.param(gzip.compress(b'{"active":false}'), "application/json", id="compressed although not asked to"),
        pytest.param(b"<html>Sign in</html>", "text/html; charset=utf-8", id="a page"),
        pytest.param(b'{"active":false}', "text/html", id="JSON that says it is a page"),
        pytest.param(b'{"active":false}', "", id="JSON that says nothing"),
        pytest.param(b'{"active":false}', "application/problem+json", id="JSON that describes a problem"),
        pytest.param(b"", "application/json", id="nothing, as JSON"),
        pytest.param(b"", "application/jwt", id="nothing, as JWT"),
        pytest.param(b"[]", "application/json", id="an array"),
        pytest.param(b"null", "application/json", id="null"),
        pytest.param(b"[" * 100_000, "application/json", id="deep nesting"),
        pytest.param(b"\xff\xfe", "application/json", id="bytes that are no text"),
    ],
)
async def test_a_body_that_is_no_answer(body: bytes, content_type: str) -> None:
    """What is not the answer asked for is trouble, and never taken for `inactive`, which would log a user out."""
    server = Server()
    headers = {"content-type": content_type, "content-encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}
    server.answers[INTROSPECT] = lambda _: httpx2.Response(
        200, stream=httpx2.ByteStream(body), headers=headers or {"content-type": content_type}
    )
    assert await _trouble(server) is Trouble.BAD_ANSWER


async def _trouble(server: Server) -> Trouble:
    with pytest.raises(AuthorizationServerError) as failure:
        await server.phantom()("opaque-canary", Rule())
    assert "canary" not in str(failure.value)
    assert SECRET not in str(failure.value)
    return failure.value.trouble


async def test_why_a_server_cannot_be_reached(tmp_path: Path) -> None:
    """Network, DNS and TLS are told apart, by real connections that fail."""
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    pair = authority.sign("server")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    http = HttpClient(ca_file=str(stranger.certificate))
    secure = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0, ssl=context)
    plain = await asyncio.start_server(_speaks_plainly, "127.0.0.1", 0)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        nobody = probe.getsockname()[1]
    told = {
        f"http://127.0.0.1:{nobody}": "connection refused",
        "http://no-such-host.invalid": "the name is not known",
        f"https://127.0.0.1:{_port(secure)}": "TLS, the certificate is not trusted",
        f"https://127.0.0.1:{_port(plain)}": "TLS, the other side does not speak it",
    }
    async with secure, plain:
        for url, why in told.items():
            with pytest.raises(AuthorizationServerError, match=why):
                await http.get(url)
        await http.aclose()


def _speaks_plainly(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    writer.close()


def _port(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


async def test_a_burst_of_calls_is_answered_over_the_connections_of_the_one_before() -> None:
    """Connections are kept, as many as were open at a time: no name is looked up and no TLS begun again."""
    burst, connections = 50, []
    everybody = asyncio.Barrier(burst)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        while await reader.readline():
            while await reader.readline() not in (b"\r\n", b""):
                pass
            await everybody.wait()  # all at a time, so that each needs a connection of its own
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = HttpClient()
        for _ in range(2):
            await asyncio.gather(*(client.get(f"http://127.0.0.1:{port}/") for _ in range(burst)))
        await client.aclose()
        server.close()
    assert len(connections) == burst
