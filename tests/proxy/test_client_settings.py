"""Settings of how a client proves itself: what belongs together, who reads what, and what it becomes."""

import copy
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from proxy_world.certificates import Authority
from proxy_world.client_keys import KEYS, pem
from proxy_world.installation import install, loaded, minimal, put

import agent.__main__
import extauthz.__main__
from extauthz.build import build_issuer, build_ways
from extauthz.config import AppConfig, ConfigError, Program
from extauthz.oauth.client_auth import ClientSecretBasic, ClientSecretPost, PrivateKeyJwt, TlsClientAuth

Changes = Mapping[str, Any]

SHOP, UPSTREAM = "apps.shop", "apps.shop.upstream"
SECRET = {"client_auth": "client_secret_post"}
KEY = {"client_auth": "private_key_jwt", "client_key_file": "client.key", "client_secret_file": None}
TLS = {
    "client_auth": "tls_client_auth",
    "client_certificate_file": "client.pem",
    "client_key_file": "tls.key",
    "client_secret_file": None,
}
ISSUER = "https://login.example"


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    """A key for assertions, and a certificate with its own."""
    (tmp_path / "client.key").write_bytes(pem(KEYS["ES256"]))
    pair = Authority(tmp_path).sign("client")
    (tmp_path / "tls.key").write_bytes(pair.key.read_bytes())
    (tmp_path / "client.key").write_bytes(pem(KEYS["ES256"]))


@pytest.mark.parametrize("program", Program)
@pytest.mark.parametrize(
    ("settings", "kind"),
    [({}, ClientSecretBasic), (SECRET, ClientSecretPost), (KEY, PrivateKeyJwt), (TLS, TlsClientAuth)],
)
def test_each_method_of_the_apps_client(tmp_path: Path, settings: Changes, kind: type, program: Program) -> None:
    """What is set is what both programs do; without a word it is client_secret_basic."""
    app = shop(tmp_path, below(SHOP, settings), program)
    client = app.agent_client if program is Program.AGENT else app.proxy_client
    assert client is not None
    assert (client.client_id, client.mutual_tls) == ("shop", kind is TlsClientAuth)
    assert isinstance(client.authentication(lambda: 0.0), kind)


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"client_secret_file": "client.secret"}, ClientSecretBasic),
        (SECRET | {"client_secret_file": "client.secret"}, ClientSecretPost),
        (KEY, PrivateKeyJwt),
        (TLS, TlsClientAuth),
    ],
)
@pytest.mark.parametrize("client_id", [None, "gateway"])
def test_each_method_of_the_proxys_own_client(
    tmp_path: Path, settings: Changes, kind: type, client_id: str | None
) -> None:
    """The proxy may be another client, or the app's with a proof of its own; the agent never opens what is its own."""
    changes = below(UPSTREAM, {**settings, "client_id": client_id}) | {f"{SHOP}.client_secret_file": "nosuch"}
    client = shop(tmp_path, changes).proxy_client
    assert client is not None
    assert client.client_id == (client_id or "shop")
    assert isinstance(client.authentication(lambda: 0.0), kind)
    for name in ("client.key", "tls.key", "client.pem"):
        (tmp_path / name).unlink()
    agents = shop(tmp_path, changes | {f"{SHOP}.client_secret_file": "client.secret"}, Program.AGENT).agent_client
    assert agents is not None
    assert isinstance(agents.authentication(lambda: 0.0), ClientSecretBasic)


@pytest.mark.parametrize("settings", [KEY, TLS])
def test_a_proxy_with_its_own_client_does_not_open_the_apps_key(tmp_path: Path, settings: Changes) -> None:
    """Key and certificate are the agent's alone, as a secret would be."""
    own = {f"{UPSTREAM}.client_id": "gateway", f"{UPSTREAM}.client_secret_file": "client.secret"}
    changes = below(SHOP, settings) | own
    for name in ("client.key", "tls.key", "client.pem"):
        (tmp_path / name).unlink()
    assert shop(tmp_path, changes).agent_client is None
    assert problems(tmp_path, changes, Program.AGENT)


@pytest.mark.parametrize("settings", [KEY, TLS])
def test_who_never_introspects_opens_nothing(tmp_path: Path, settings: Changes) -> None:
    """With `way: jwt` the proxy is nobody's client."""
    (tmp_path / "client.key").unlink()
    (tmp_path / "tls.key").unlink()
    app = shop(tmp_path, below(SHOP, settings) | {f"{UPSTREAM}.way": "jwt"})
    assert app.proxy_client is None
    assert "phantom" not in build_ways(app, build_issuer(app, lambda: 0.0), lambda: 0.0)


@pytest.mark.parametrize("settings", [{}, SECRET, KEY, TLS])
def test_every_method_can_introspect(tmp_path: Path, settings: Changes) -> None:
    """The way `phantom` is there by whatever the client proves itself with."""
    app = shop(tmp_path, below(SHOP, settings))
    assert "phantom" in build_ways(app, build_issuer(app, lambda: 0.0), lambda: 0.0)


def test_k1_the_key_id_is_the_thumbprint_or_what_is_set(tmp_path: Path) -> None:
    """Where the authorization server has named the key itself, that name is used."""
    for key_id in (None, "from-the-server"):
        client = shop(tmp_path, below(SHOP, KEY | {"client_key_id": key_id})).proxy_client
        assert client is not None
        authentication = client.authentication(lambda: 0.0)
        assert isinstance(authentication, PrivateKeyJwt)
        assert authentication.key_id == (key_id or authentication.key.thumbprint())


def test_k1_the_audience_is_the_issuer(tmp_path: Path) -> None:
    """Exactly as it is configured, for the proxy's own client as well."""
    for where in (SHOP, UPSTREAM):
        client = shop(tmp_path, below(where, KEY)).proxy_client
        assert client is not None
        assert client.audience == ISSUER


def test_k3_an_older_servers_audience(tmp_path: Path) -> None:
    """Its token endpoint can be set."""
    client = shop(tmp_path, below(SHOP, KEY | {"client_assertion_audience": f"{ISSUER}/token"})).proxy_client
    assert client is not None
    assert client.audience == f"{ISSUER}/token"


ONLY = "is of use with client_auth"
MISTAKES: list[tuple[str, Changes, str]] = [
    ("an unknown method", {"client_auth": "none"}, "client_auth: must be 'client_secret_basic', 'client_secret_post'"),
    ("no key", KEY | {"client_key_file": None}, "client_key_file: is needed for client_auth private_key_jwt"),
    ("no TLS key", TLS | {"client_key_file": None}, "client_key_file: is needed for client_auth tls_client_auth"),
    (
        "no certificate",
        TLS | {"client_certificate_file": None},
        "client_certificate_file: is needed for client_auth tls_client_auth",
    ),
    (
        "no secret for post",
        SECRET | {"client_secret_file": None},
        "client_secret_file: is needed for client_auth client_secret_post",
    ),
    (
        "a secret beside a key",
        KEY | {"client_secret_file": "client.secret"},
        f"client_secret_file: {ONLY} client_secret_basic or client_secret_post only, and client_auth is private_key",
    ),
    (
        "a secret beside a certificate",
        TLS | {"client_secret_file": "client.secret"},
        f"client_secret_file: {ONLY} client_secret_basic or client_secret_post only, and client_auth is tls_client",
    ),
    (
        "a key without its method",
        {"client_key_file": "client.key"},
        f"client_key_file: {ONLY} private_key_jwt or tls_client_auth only, and client_auth is client_secret_basic",
    ),
    (
        "a certificate beside assertions",
        KEY | {"client_certificate_file": "client.pem"},
        f"client_certificate_file: {ONLY} tls_client_auth only, and client_auth is private_key_jwt",
    ),
    (
        "a key id for TLS",
        TLS | {"client_key_id": "k"},
        f"client_key_id: {ONLY} private_key_jwt only, and client_auth is tls_client_auth",
    ),
    (
        "an audience for a secret",
        SECRET | {"client_assertion_audience": "a", "client_secret_file": "client.secret"},
        f"client_assertion_audience: {ONLY} private_key_jwt only, and client_auth is client_secret_post",
    ),
    ("an empty key id", KEY | {"client_key_id": ""}, "client_key_id: a text is needed"),
    ("no such key", KEY | {"client_key_file": "nosuch"}, "client_key_file: no such file"),
    ("no such TLS key", TLS | {"client_key_file": "nosuch"}, "client_key_file: no such file"),
    ("no name", TLS | {"client_key_file": ""}, "client_key_file: a file name is needed"),
    ("a number", KEY | {"client_key_file": 7}, "client_key_file: a file name is needed"),
    ("a certificate that is a number", TLS | {"client_certificate_file": 7}, "client_certificate_file: a file name"),
    (
        "a cookie key",
        KEY | {"client_key_file": "cookie-private.pem"},
        "client_key_file: a private key of the wrong type",
    ),
    ("no key in it", KEY | {"client_key_file": "client.pem"}, "client_key_file: no PEM private key in it"),
    (
        "no certificate in it",
        TLS | {"client_certificate_file": "tls.key"},
        "client_certificate_file: no readable PEM certificate in it",
    ),
    (
        "the key of another certificate",
        TLS | {"client_key_file": "client.key"},
        "client_key_file: not the private key of client_certificate_file, in PEM without a password",
    ),
]


@pytest.mark.parametrize("where", [SHOP, UPSTREAM])
@pytest.mark.parametrize(("settings", "line"), [case[1:] for case in MISTAKES], ids=[case[0] for case in MISTAKES])
def test_what_does_not_fit_together_is_one_line(tmp_path: Path, where: str, settings: Changes, line: str) -> None:
    """It starts with the key, for the app's client and for the proxy's own."""
    found = problems(tmp_path, below(where, settings))
    assert [problem for problem in found if problem.startswith(f"{where}.{line}")], found
    assert len(found) == 1


def test_a_key_of_the_environment(tmp_path: Path) -> None:
    """CLIENT_KEY holds the PEM itself, and is shown nowhere."""
    key = pem(KEYS["EdDSA"]).decode()
    changes = below(SHOP, KEY | {"client_key_file": None})
    for name, where in (("SHOP", SHOP), ("SHOP__UPSTREAM", UPSTREAM)):
        environ = {f"TOKEN_HANDLER__APPS__{name}__CLIENT_KEY": key}
        config = loaded(
            tmp_path, copy.deepcopy(changes | below(where, KEY | {"client_key_file": None})), environ=environ
        )
        client = config.apps["shop"].proxy_client
        assert client is not None
        assert client.key is not None
        assert client.key.algorithm == "EdDSA"
        assert key.splitlines()[1] not in repr(config) + repr(client)


def test_a_tls_key_must_be_a_file(tmp_path: Path) -> None:
    """OpenSSL reads it from there."""
    changes = below(SHOP, TLS | {"client_key_file": None})
    with pytest.raises(ConfigError, match=r"shop\.client_key_file: must be a file for client_auth tls_client_auth"):
        loaded(tmp_path, copy.deepcopy(changes), environ={"TOKEN_HANDLER__APPS__SHOP__CLIENT_KEY": "x"})


def test_a_key_written_into_the_file_is_refused_and_not_repeated(tmp_path: Path) -> None:
    """A secret has no place in the configuration, under either name."""
    text = pem(KEYS["ES256"]).decode()
    [written] = problems(tmp_path, {f"{SHOP}.client_key": text})
    assert written == "apps.shop.client_key: a secret does not belong in this file; use client_key_file"
    for settings in (KEY, TLS):
        [misplaced] = problems(tmp_path, below(SHOP, settings | {"client_key_file": text}))
        assert misplaced.startswith("apps.shop.client_key_file: ")
        assert "PRIVATE" not in misplaced
        assert text.splitlines()[1] not in misplaced


@pytest.mark.parametrize("settings", [SECRET, KEY, TLS])
def test_no_repr_shows_a_secret(tmp_path: Path, settings: Changes) -> None:
    """Configuration, app and client can be printed."""
    config = loaded(tmp_path, copy.deepcopy(dict(below(SHOP, settings))))
    app = config.apps["shop"]
    for part in (config, app, app.proxy_client, app.upstream):
        assert "s3cr3t" not in repr(part)
        assert "PrivateKey object" not in repr(part)


COMMANDS = [(agent.__main__.main, SHOP), (extauthz.__main__.main, SHOP), (extauthz.__main__.main, UPSTREAM)]


@pytest.mark.parametrize(("program", "where"), COMMANDS, ids=["agent", "proxy", "proxy's own"])
def test_the_key_to_register_is_printed(tmp_path: Path, program: Any, where: str) -> None:
    """Each program prints the JWK Set of the client it is, with the key id of its assertions and nothing private."""
    told = run(program, tmp_path, below(where, KEY))
    [key] = json.loads(told)["keys"]
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")
    assert "d" not in key
    app = shop(tmp_path, below(where, KEY))
    assert app.proxy_client is not None
    assert app.proxy_client.key is not None
    assert key["kid"] == app.proxy_client.key.thumbprint()


def test_there_may_be_no_key_to_print(tmp_path: Path) -> None:
    """One line says why, for a client with another method and for an app there is not."""
    program = extauthz.__main__.main
    for changes in ({}, below(SHOP, TLS)):
        assert "the client of shop has no key" in run(program, tmp_path, changes, status=2)
    assert "--app is one of shop" in run(program, tmp_path, below(SHOP, KEY), "--app", "bank", status=2)


def run(program: Any, folder: Path, changes: Changes, *options: str, status: int = 0) -> str:
    """What `config client-jwks` says."""
    path = configured(folder, changes)
    done = CliRunner().invoke(program, ["config", "client-jwks", "--config", str(path), *options], env=dict(os.environ))
    assert done.exit_code == status, done.output
    return str(done.output)


def below(where: str, settings: Changes) -> dict[str, Any]:
    """The settings by their dotted keys; None removes one."""
    return {f"{where}.{name}": value for name, value in settings.items()}


def configured(folder: Path, changes: Changes) -> Path:
    """A configuration file with `changes`."""
    document = minimal()
    for key, value in copy.deepcopy(dict(changes)).items():
        put(document, key, value)
    return install(folder, document)


def shop(folder: Path, changes: Changes, program: Program = Program.EXTAUTHZ) -> AppConfig:
    """The shop's settings."""
    return loaded(folder, copy.deepcopy(dict(changes)), program=program).apps["shop"]


def problems(folder: Path, changes: Changes, program: Program = Program.EXTAUTHZ) -> list[str]:
    """What is wrong."""
    with pytest.raises(ConfigError) as refused:
        shop(folder, changes, program)
    return refused.value.problems
