"""What `envoy-config` prints: the pieces of the reference, for the listeners and apps of this configuration."""

import json
import secrets
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from proxy_world.certificates import Authority
from proxy_world.installation import Document, install, minimal, put

from extauthz.__main__ import main

REFERENCE = yaml.safe_load((Path(__file__).parent.parent.parent / "envoy" / "envoy.yaml").read_text())


def printed(folder: Path, document: Document, *options: str) -> dict[str, Any]:
    """The command's output, read."""
    result = CliRunner().invoke(main, ["envoy-config", "--config", str(install(folder, document)), *options])
    assert result.exit_code == 0, result.stderr
    pieces: dict[str, Any] = yaml.safe_load(result.output)
    return pieces


def refused(folder: Path, document: Document, *options: str) -> str:
    """The one line that says why nothing is printed."""
    result = CliRunner().invoke(main, ["envoy-config", "--config", str(install(folder, document)), *options])
    assert (result.exit_code, result.output) == (2, result.stderr)
    (line,) = result.stderr.splitlines()
    return line


def endpoints(pieces: dict[str, Any]) -> list[str]:
    """Where Envoy would find the workers."""
    [cluster] = pieces["clusters"]
    [locality] = cluster["load_assignment"]["endpoints"]
    addresses = [one["endpoint"]["address"] for one in locality["lb_endpoints"]]
    return [
        "{address}:{port_value}".format(**one["socket_address"]) if "socket_address" in one else one["pipe"]["path"]
        for one in addresses
    ]


def test_it_is_the_reference(tmp_path: Path) -> None:
    """For the default listener, filter and cluster are those of envoy/envoy.yaml, which all end-to-end tests run."""
    resources = REFERENCE["static_resources"]
    manager = resources["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    [filter_] = [one for one in manager["http_filters"] if one["name"].endswith("ext_authz")]
    [cluster] = [one for one in resources["clusters"] if one["name"] == "extauthz"]
    assert printed(tmp_path, minimal()) == {"http_filters": [filter_], "clusters": [cluster]}


def test_an_endpoint_for_each_worker(tmp_path: Path) -> None:
    """By the first listener, with the option or the setting, as TCP ports in a row or as sockets with numbers."""
    document = put(minimal(), "extauthz.listen", ["10.0.0.7:9191", "unix:/run/x.sock"])
    three = ["10.0.0.7:9191", "10.0.0.7:9192", "10.0.0.7:9193"]
    assert endpoints(printed(tmp_path, document, "--workers", "3")) == three
    put(document, "extauthz.workers", 2)
    assert endpoints(printed(tmp_path, document)) == three[:2]
    put(document, "extauthz.listen", ["unix:/run/x.sock", "10.0.0.7:9191"])
    pieces = printed(tmp_path, document)
    assert endpoints(pieces) == ["/run/x-0.sock", "/run/x-1.sock"]
    assert pieces["clusters"][0]["type"] == "STATIC"  # Envoy takes no pipe in a cluster that it looks up names for


@pytest.mark.parametrize("address", ["0.0.0.0:9191", "[::]:9191"])
def test_every_address_is_none(tmp_path: Path, address: str) -> None:
    """Where the proxy listens on all addresses, it has to be said how Envoy finds it."""
    document = put(minimal(), "extauthz.listen", [address])
    assert "--host" in refused(tmp_path, document)
    assert endpoints(printed(tmp_path, document, "--host", "proxy.internal")) == ["proxy.internal:9191"]


def test_a_socket_has_no_host(tmp_path: Path) -> None:
    """A host for a unix socket is a mistake to be told about."""
    assert "/run/x.sock" in refused(tmp_path, put(minimal(), "extauthz.listen", ["unix:/run/x.sock"]), "--host", "a")


def test_an_ipv6_address(tmp_path: Path) -> None:
    """Envoy wants it without the brackets."""
    document = put(minimal(), "extauthz.listen", ["[::1]:9191"])
    assert endpoints(printed(tmp_path, document)) == ["::1:9191"]


def test_the_csrf_header_of_earlier_token_handlers_reaches_the_proxy(tmp_path: Path) -> None:
    """An app whose CSRF token has a header of its own gets it allowed; without it all its writes would be refused."""
    (tmp_path / "v1.key").write_text(secrets.token_hex(32))
    document = put(
        minimal(), "apps.shop.cookie", {"format": "aes-gcm", "encryption_key_file": "v1.key", "prefix": "th"}
    )
    config = printed(tmp_path, document)["http_filters"][0]["typed_config"]
    assert {"exact": "x-th-csrf"} in config["allowed_headers"]["patterns"]


@pytest.mark.parametrize("mutual", [False, True], ids=["tls", "mutual"])
def test_a_listener_with_tls_is_asked_over_tls(tmp_path: Path, mutual: bool) -> None:
    """Envoy verifies who answers, by the name it was told, and shows a certificate where one is wanted."""
    authority = Authority(tmp_path)
    pair = authority.sign("proxy.internal")
    tls = {"certificate_file": pair.certificate.name, "key_file": pair.key.name}
    document = put(minimal(), "extauthz.tls", tls | ({"client_ca_file": authority.certificate.name} if mutual else {}))
    [cluster] = printed(tmp_path, document, "--host", "proxy.internal")["clusters"]
    settings = cluster["transport_socket"]["typed_config"]
    assert settings["sni"] == "proxy.internal"
    common = settings["common_tls_context"]
    [name] = common["validation_context"]["match_typed_subject_alt_names"]
    assert name["matcher"] == {"exact": "proxy.internal"}
    assert ("tls_certificates" in common) is mutual


@pytest.mark.parametrize(("listen", "host"), [("127.0.0.1:9191", "127.0.0.1"), ("[::1]:9191", "::1")])
def test_a_certificate_for_an_address(tmp_path: Path, listen: str, host: str) -> None:
    """Where Envoy finds the proxy by its address, the certificate is for that, and no name is asked for."""
    pair = Authority(tmp_path).sign(host)
    document = put(minimal(), "extauthz.tls", {"certificate_file": pair.certificate.name, "key_file": pair.key.name})
    [cluster] = printed(tmp_path, put(document, "extauthz.listen", [listen]))["clusters"]
    settings = cluster["transport_socket"]["typed_config"]
    assert "sni" not in settings
    assert settings["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"] == [
        {"san_type": "IP_ADDRESS", "matcher": {"exact": host}}
    ]


def test_no_secret_is_printed(tmp_path: Path) -> None:
    """What goes to Envoy's configuration holds nothing of ours."""
    assert "s3cr3t" not in json.dumps(printed(tmp_path, minimal()))
