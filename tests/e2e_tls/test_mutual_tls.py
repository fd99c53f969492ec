"""Envoy and the proxy on a network between them: TLS both ways, each knowing the other by its certificate."""

import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from proxy_world.certificates import Authority, Pair

from demo.browser import Browser
from demo.settings import Settings
from demo.world import LocalWorld, free_places

TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"


@dataclass(frozen=True, slots=True, kw_only=True)
class Encrypted(Settings):
    """The demo with `extauthz.tls`, and an Envoy that shows a certificate of its own."""

    authority: Authority
    server: Pair
    client: Pair

    def write(self) -> None:
        """Write all files."""
        Settings.write(self)
        config = yaml.safe_load(self.config.read_text())
        config["extauthz"]["tls"] = {
            "certificate_file": str(self.server.certificate),
            "key_file": str(self.server.key),
            "client_ca_file": str(self.authority.certificate),
        }
        config["apps"]["shop"]["allow_http"] = True
        self.config.write_text(yaml.safe_dump(config))
        envoy = json.loads(self.envoy.read_text())
        [cluster] = [found for found in envoy["static_resources"]["clusters"] if found["name"] == "extauthz"]
        cluster["transport_socket"] = self._transport_socket()
        self.envoy.write_text(json.dumps(envoy))

    def _transport_socket(self) -> dict[str, Any]:
        own = {
            "certificate_chain": {"filename": str(self.client.certificate)},
            "private_key": {"filename": str(self.client.key)},
        }
        trusted = {
            "trusted_ca": {"filename": str(self.authority.certificate)},
            "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": "localhost"}}],
        }
        context = {"tls_certificates": [own], "validation_context": trusted, "alpn_protocols": ["h2"]}
        return {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {"@type": TLS, "sni": "localhost", "common_tls_context": context},
        }


@pytest.fixture(scope="module", params=["fast", "grpcio"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorld]:
    """All programs, with certificates between Envoy and the proxy."""
    folder: Path = tmp_path_factory.mktemp("tls")
    certificates = tmp_path_factory.mktemp("certificates")
    authority = Authority(certificates)
    settings = Encrypted(
        folder=folder,
        places=free_places(),
        grpc_server=request.param,
        authority=authority,
        server=authority.sign("proxy"),
        client=authority.sign("envoy"),
    )
    with LocalWorld(settings) as running:
        yield running


def test_the_journey_over_mutual_tls(world: LocalWorld) -> None:
    """Health checks, refusals and the JWT all travel encrypted."""
    with Browser(world.origin) as browser:
        assert browser.request("GET", "/api/orders").status_code == 401
        browser.log_in().raise_for_status()
        assert browser.request("GET", "/api/orders").json()["claims"]["sub"] == "ada"


def test_nobody_without_the_certificate_gets_in(world: LocalWorld) -> None:
    """A neighbour on the network can neither ask in the clear nor with a certificate of somebody else's."""
    host, port = world.settings.places.extauthz
    with httpx2.Client(http1=False, http2=True) as client, pytest.raises(httpx2.TransportError):
        client.get(f"http://{host}:{port}/")
    assert isinstance(world.settings, Encrypted)
    anonymous = ssl.create_default_context(cafile=world.settings.authority.certificate)
    with httpx2.Client(verify=anonymous, http2=True) as client, pytest.raises(httpx2.TransportError):
        client.get(f"https://localhost:{port}/")
