"""The fast door before clients that are strict themselves: h2, which tolerates no frame out of place, and TLS."""

import asyncio
import io
import socket
import ssl
from collections import defaultdict
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest
from h2.settings import SettingCodes, Settings
from proxy_world.certificates import Authority
from proxy_world.fakes import Proxy, log_to
from proxy_world.peer import HEAD, MESSAGE, open_house

from extauthz.config import TlsConfig
from extauthz.doors.fast import FastDoor

pytestmark = pytest.mark.anyio


class Client:
    """h2's own connection over a socket; it raises when the server breaks a rule."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.bodies: defaultdict[int, bytes] = defaultdict(bytes)
        self.statuses: dict[int, bytes] = {}

    def begin(self, window: int) -> None:
        """Offer a window of this size for each answer."""
        self.h2.local_settings = Settings(client=True, initial_values={SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.h2.initiate_connection()

    def ask(self) -> int:
        """One call."""
        stream_id: int = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream_id, list(HEAD.items()))
        self.h2.send_data(stream_id, MESSAGE, end_stream=True)
        return stream_id

    async def finish(self, calls: int) -> None:
        """Read until so many calls have a status, giving room for more as it is used."""
        while len(self.statuses) < calls:
            self.writer.write(self.h2.data_to_send())
            async with asyncio.timeout(30):  # only to fail rather than hang
                received = await self.reader.read(65_536)
            assert received, "the server hung up"
            for event in self.h2.receive_data(received):
                self._take(event)

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.DataReceived):
            self.bodies[event.stream_id] += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            self.statuses[event.stream_id] = dict(event.headers)[b"grpc-status"]
        assert not isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated)


@pytest.mark.parametrize("window", [16, 1000, 65_535, 1_000_000])
async def test_a_strict_client(window: int) -> None:
    """Forty calls at once are answered alike, however little room the client gives for an answer."""
    async with open_house() as house:
        reader, writer = await asyncio.open_unix_connection(house.address.removeprefix("unix:"))
        try:
            client = Client(reader, writer)
            client.begin(window)
            asked = [client.ask() for _ in range(40)]
            await client.finish(40)
        finally:
            writer.transport.abort()
        assert client.statuses == dict.fromkeys(asked, b"0")
        assert len(set(client.bodies.values())) == 1


@pytest.mark.parametrize("offered", [["h2"], ["http/1.1"], []], ids=["h2", "http/1.1", "nothing"])
async def test_tls_is_for_http2(tmp_path: Path, offered: list[str]) -> None:
    """A client that does not offer h2 in its TLS handshake is not listened to (RFC 9113 section 3.2)."""
    authority = Authority(tmp_path)
    pair = authority.sign("server")
    tls = TlsConfig.model_construct(certificate_file=str(pair.certificate), key_file=str(pair.key), client_ca_file=None)
    log = io.StringIO()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    door = FastDoor(Proxy().desk(log), log_to(log), tls=tls)
    await door.start([f"127.0.0.1:{port}"])
    try:
        context = ssl.create_default_context(cafile=authority.certificate)
        if offered:
            context.set_alpn_protocols(offered)
        assert await _answered(port, context) == (offered == ["h2"])
    finally:
        await door.stop(0)


async def _answered(port: int, context: ssl.SSLContext) -> bool:
    try:
        reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
    except (ssl.SSLError, ConnectionError):
        return False
    client = Client(reader, writer)
    client.begin(65_535)
    client.ask()
    try:
        await client.finish(1)
    except (AssertionError, ConnectionError):
        return False
    finally:
        writer.transport.abort()
    return True
