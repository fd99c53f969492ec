"""tls_client_auth over real connections: one door of a server shows its metadata, the other asks for certificates.

RFC 8705 section 5: the endpoints that ask for a certificate are aliases of those that do not.
"""

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl

import pytest
from proxy_world.certificates import Authority, Pair

from agent.tokens import TokenEndpoint
from agent.user_info import UserInfo
from extauthz.oauth.client_auth import TlsClientAuth
from extauthz.oauth.errors import AuthorizationServerError, Trouble
from extauthz.oauth.http import HttpClient
from extauthz.oauth.introspection import Introspection
from extauthz.oauth.metadata import Discovery

pytestmark = pytest.mark.anyio


@dataclass
class Asked:
    """One request: the door it came to, its path, the common name of the client's certificate, and its form."""

    door: str
    path: str
    client: str | None
    form: dict[str, str]


@dataclass
class World:
    """Two listeners of one authorization server. `aliases`: whether the metadata names the second."""

    folder: Path
    authority: Authority
    issuer: str = ""
    strict: str = ""
    aliases: bool = True
    asked: list[Asked] = field(default_factory=list)
    clients: list[HttpClient] = field(default_factory=list)

    def metadata(self) -> dict[str, Any]:
        """The document at the open door."""
        paths = {f"{name}_endpoint": f"/{name}" for name in ("token", "introspection", "revocation", "userinfo")}
        document = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks"}
        document |= {name: f"{self.issuer}{path}" for name, path in paths.items()}
        aliases = {name: f"{self.strict}{path}" for name, path in paths.items()}
        return {**document, **({"mtls_endpoint_aliases": aliases} if self.aliases else {})}

    def http(self, pair: Pair | None) -> HttpClient:
        """The product's client, with a certificate or without."""
        certificate = None if pair is None else (str(pair.certificate), str(pair.key))
        self.clients.append(HttpClient(ca_file=str(self.authority.certificate), certificate=certificate))
        return self.clients[-1]

    def door(self, name: str, wanted: ssl.VerifyMode, pair: Pair) -> ThreadingHTTPServer:
        """A listener; a connection is one request."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.authority.certificate)
        context.load_cert_chain(pair.certificate, pair.key)
        context.verify_mode = wanted
        server = Quiet(("127.0.0.1", 0), partial(Handler, self, name))
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server


class Quiet(ThreadingHTTPServer):
    """Says nothing about clients whose certificates it refuses, and hears them out.

    Closed with something unread, a connection is reset, and the alert that says why may be lost on the way.
    """

    def handle_error(self, request: Any, client_address: object) -> None:
        """Read what is left, below TLS."""
        del client_address
        request.settimeout(5.0)
        with suppress(OSError):
            while socket.recv(request, 65536):
                pass


class Handler(BaseHTTPRequestHandler):
    """Metadata, or a token response for everything else."""

    def __init__(self, world: World, door: str, *connection: Any) -> None:
        self.world, self.door = world, door
        super().__init__(*connection)

    def do_GET(self) -> None:  # http.server's name for it
        """Metadata."""
        self.answer(self.world.metadata())

    def do_POST(self) -> None:  # http.server's name for it
        """A call."""
        self.answer({"access_token": "t", "token_type": "Bearer"})

    def answer(self, members: dict[str, Any]) -> None:
        """Note what was asked, and send JSON."""
        form = dict(parse_qsl(self.rfile.read(int(self.headers.get("content-length", 0))).decode()))
        certificate: Any = self.connection.getpeercert()
        names = {name: value for [(name, value)] in certificate["subject"]} if certificate else {}
        self.world.asked.append(Asked(self.door, self.path, names.get("commonName"), form))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(members).encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Both doors on ports of their own."""
    authority = Authority(tmp_path)
    world, pair = World(tmp_path, authority), authority.sign("server")
    doors = [world.door("open", ssl.CERT_NONE, pair), world.door("strict", ssl.CERT_REQUIRED, pair)]
    world.issuer, world.strict = [f"https://127.0.0.1:{door.server_address[1]}" for door in doors]
    yield world
    for client in world.clients:
        await client.aclose()
    for door in doors:
        door.shutdown()
        door.server_close()


async def test_the_certificate_and_the_client_id_reach_the_alias(world: World) -> None:
    """Token endpoint, revocation and introspection are called where the certificate is asked for, and it is ours."""
    http = world.http(world.authority.sign("the-shop"))
    discovery = Discovery(world.issuer, http, lambda: 0.0, mutual_tls=True)
    client = TlsClientAuth("shop")
    tokens = TokenEndpoint(discovery, http, client)
    await tokens.refresh("r", {})
    await tokens.revoke("r")
    await Introspection(discovery, http, client).ask("t", accept="application/jwt")
    called = [asked for asked in world.asked if "well-known" not in asked.path]
    assert [(asked.door, asked.path, asked.client) for asked in called] == [
        ("strict", "/token", "the-shop"),
        ("strict", "/revocation", "the-shop"),
        ("strict", "/introspection", "the-shop"),
    ]
    assert {asked.form["client_id"] for asked in called} == {"shop"}
    assert not any({"client_secret", "client_assertion"} & asked.form.keys() for asked in called)


async def test_user_info_is_asked_for_at_the_alias(world: World) -> None:
    """A token that is bound to our certificate is good for nothing elsewhere."""
    http = world.http(world.authority.sign("the-shop"))
    await UserInfo(Discovery(world.issuer, http, lambda: 0.0, mutual_tls=True), http).of("t")
    asked = world.asked[-1]
    assert (asked.door, asked.path, asked.client) == ("strict", "/userinfo", "the-shop")


async def test_without_aliases_the_endpoints_are_the_usual_ones(world: World) -> None:
    """A server that asks for certificates everywhere has none to name."""
    world.aliases = False
    http = world.http(world.authority.sign("the-shop"))
    discovery = Discovery(world.issuer, http, lambda: 0.0, mutual_tls=True)
    await TokenEndpoint(discovery, http, TlsClientAuth("shop")).refresh("r", {})
    assert world.asked[-1].door == "open"


@pytest.mark.parametrize("kind", ["no certificate", "of another authority"])
async def test_n4_a_certificate_that_is_refused_is_ours_to_mend(world: World, kind: str) -> None:
    """The refusal comes in the handshake, and is told as one of our credentials, not as an outage."""
    pair = None if kind == "no certificate" else Authority(world.folder, "stranger").sign("the-shop")
    http = world.http(pair)
    discovery = Discovery(world.issuer, http, lambda: 0.0, mutual_tls=True)
    with pytest.raises(AuthorizationServerError) as refused:
        await TokenEndpoint(discovery, http, TlsClientAuth("shop")).refresh("canary", {})
    assert refused.value.trouble is Trouble.REFUSED_US
    assert str(refused.value) == f"{world.strict}/token wants a TLS certificate, or another than ours"
    assert [asked.door for asked in world.asked] == ["open"]
