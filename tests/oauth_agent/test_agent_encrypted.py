"""ID tokens and signed responses that come encrypted (JWE): opened with our keys, and never believed for that alone."""

import json
import warnings
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from agent_world import ISSUER, START, Browser, RemoteError, World, create_world, read
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.errors import SecurityWarning
from joserfc.jwe import JWERegistry, encrypt_compact
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from agent.__main__ import main
from extauthz.config import ConfigError, Program, load

pytestmark = pytest.mark.anyio

KEYS: dict[str, Any] = {
    "P-256": lambda: (ECKey, ec.generate_private_key(ec.SECP256R1())),
    "X25519": lambda: (OKPKey, x25519.X25519PrivateKey.generate()),
    "RSA": lambda: (RSAKey, rsa.generate_private_key(65537, 2048)),
}
MODES = pytest.mark.parametrize("response_mode", ["query", "jwt"])


@MODES
@pytest.mark.parametrize("kind", KEYS)
async def test_a_login_with_all_encrypted_succeeds(tmp_path: Path, kind: str, response_mode: str) -> None:
    """The provider encrypts what it signs to our registered key; a refresh brings another encrypted ID token."""
    world = encrypting(tmp_path, kind, response_mode=response_mode)
    await world.server.mode(encrypt=True)
    browser = world.browser()
    response = await world.respond(browser)
    assert response.get("response", "....").count(".") == 4
    assert read(await browser.login_end(response))["id_token_claims"]["sub"] == "ada"
    assert read(await browser.refresh()) == {"access_token_expires_in": 300}


@MODES
async def test_what_is_signed_alone_is_taken_as_well(tmp_path: Path, response_mode: str) -> None:
    """One key serves both: a client may have registered encryption for either."""
    await encrypting(tmp_path, response_mode=response_mode).log_in()


async def test_t1_an_encrypted_id_token_is_refused_where_none_is_expected(tmp_path: Path) -> None:
    """Without a key of ours the refusal says which setting is missing."""
    world = encrypting(tmp_path, decryption_key_files=[])
    await world.server.mode(encrypt=True)
    browser = world.browser()
    error = await refused(browser, await world.respond(browser))
    assert (error.code, error.details) == ("invalid_id_token", "it is encrypted, and there is no decryption_key_files")


async def test_an_encrypted_response_is_refused_where_none_is_expected(tmp_path: Path) -> None:
    """The same for JARM, and no code is redeemed."""
    world = encrypting(tmp_path, decryption_key_files=[], response_mode="jwt")
    await world.server.mode(encrypt=True)
    browser = world.browser()
    error = await refused(browser, await world.respond(browser))
    assert "decryption_key_files" in error.details
    assert world.server.asked("/token") == []


async def test_what_is_for_another_key_is_refused(tmp_path: Path) -> None:
    """The operator reads which setting's keys did not fit."""
    world = encrypting(tmp_path, response_mode="jwt")
    (tmp_path / "other").mkdir()
    other = encrypting(tmp_path / "other", response_mode="jwt")
    await other.server.mode(encrypt=True)
    browser = world.browser()
    await world.start(browser)
    error = await refused(browser, await other.respond(other.browser()))
    assert error.details.endswith("it cannot be decrypted with any key of decryption_key_files")


async def test_a_replaced_key_still_opens(tmp_path: Path) -> None:
    """Rotation is a list."""
    (tmp_path / "new.pem").write_bytes(pem(KEYS["P-256"]()[1]))
    world = encrypting(tmp_path, decryption_key_files=["new.pem", "encryption.pem"])
    await world.server.mode(encrypt=True)
    await world.log_in()


HOSTILE = ["unsigned inside", "signed by a stranger", "rubbish inside", "compressed", "symmetric", "RSA1_5", "cut"]


@pytest.mark.parametrize("how", HOSTILE)
async def test_encryption_alone_proves_nothing(tmp_path: Path, how: str) -> None:
    """Anybody has the key to encrypt with: neither that nor an algorithm nobody agreed on logs anybody in."""
    kind = "RSA" if how == "RSA1_5" else "P-256"
    world = encrypting(tmp_path, kind)
    browser = world.browser()
    url = await world.start(browser)
    response = await world.server.visit(url, user="ada")
    claims = {"iss": ISSUER, "sub": "eve", "aud": "shop", "exp": int(START) + 300, "iat": int(START)}
    claims["nonce"] = world.asked_for(url)["nonce"]
    await world.server.mode(token_overrides={"id_token": forge(how, claims, tmp_path, await world.server.key_id())})
    assert (await refused(browser, response)).code == "invalid_id_token"
    assert browser.cookies == {}


async def test_a_good_token_in_a_forger_s_encryption_is_good(tmp_path: Path) -> None:
    """The forgeries above fail by what they change: the same hand, encrypting the provider's own ID token, succeeds."""
    world = encrypting(tmp_path)
    browser = world.browser()
    url = await world.start(browser)
    response = await world.server.visit(url, user="ada")
    key = ECKey.import_key((tmp_path / "encryption.pem").read_bytes())
    claims = {"iss": ISSUER, "sub": "ada", "aud": "shop", "exp": int(START) + 300, "iat": int(START)}
    stranger = ec.generate_private_key(ec.SECP256R1())
    public = {**jwt.algorithms.ECAlgorithm.to_jwk(stranger.public_key(), as_dict=True), "kid": "k", "use": "sig"}
    world.server.answers["/jwks"] = lambda _: httpx2.Response(200, json={"keys": [public]})
    signed = jwt.encode({**claims, "nonce": world.asked_for(url)["nonce"]}, stranger, "ES256", headers={"kid": "k"})
    await world.server.mode(token_overrides={"id_token": jwe({"alg": "ECDH-ES", "enc": "A256GCM"}, signed, key)})
    assert (await browser.login_end(response)).status_code == 200


@pytest.mark.parametrize("kind", KEYS)
async def test_the_key_to_register_is_printed(tmp_path: Path, kind: str) -> None:
    """What `config client-jwks` prints is public, and a server that encrypts to it is understood."""
    encrypting(tmp_path, kind)
    printed = CliRunner().invoke(main, ["config", "client-jwks", "--app", "shop", "--config", str(config(tmp_path))])
    (key,) = json.loads(printed.stdout)["keys"]
    assert key["use"] == "enc"
    assert not {"d", "p", "q", "dp", "dq", "qi"} & set(key)
    registered = {name: value for name, value in key.items() if name != "use"}
    world = create_world(tmp_path, encryption_jwk=registered, decryption_key_files=["encryption.pem"])
    await world.server.mode(encrypt=True)
    await world.log_in()


def test_the_proxy_never_opens_the_agent_s_keys(tmp_path: Path) -> None:
    """A file that is not there is the agent's mistake alone."""
    with pytest.raises(ConfigError, match=r"apps\.shop\.decryption_key_files\[0\]: no such file"):
        create_world(tmp_path, decryption_key_files=["absent.pem"])
    with pytest.raises(ConfigError) as thrown:
        load(config(tmp_path), Program.EXTAUTHZ, {})
    assert "decryption_key_files" not in str(thrown.value)


def config(folder: Path) -> Path:
    """The configuration file of a world."""
    return folder / "token-handler.yaml"


def encrypting(folder: Path, kind: str = "P-256", **settings: Any) -> World:
    """A world whose provider knows the public half of the agent's decryption key."""
    importer, key = KEYS[kind]()
    (folder / "encryption.pem").write_bytes(pem(key))
    public = importer.import_key(pem(key)).as_dict(private=False)
    return create_world(folder, encryption_jwk=public, **{"decryption_key_files": ["encryption.pem"], **settings})


def pem(key: Any) -> bytes:
    """A private key as a file has it."""
    octets: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return octets


def forge(how: str, claims: dict[str, Any], folder: Path, kid: str) -> str:
    """What somebody with the public key can make."""
    octets = (folder / "encryption.pem").read_bytes()
    key: Any = (RSAKey if how == "RSA1_5" else ECKey).import_key(octets)
    header = {"alg": "RSA1_5" if how == "RSA1_5" else "ECDH-ES", "enc": "A256GCM", "cty": "JWT"}
    stranger = jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256", headers={"kid": kid})
    match how:
        case "unsigned inside":
            return jwe(header, json.dumps(claims), key)
        case "rubbish inside":
            return jwe(header, "a.b.c", key)
        case "compressed":
            return jwe({**header, "zip": "DEF"}, stranger, key)
        case "symmetric":
            return jwe({**header, "alg": "dir"}, stranger, OctKey.import_key(b"k" * 32))
        case "cut":
            return jwe(header, stranger, key)[:-4]
        case _:
            return jwe(header, stranger, key)


def jwe(header: dict[str, str], text: str, key: Any) -> str:
    """A JWE in compact form, with any algorithm."""
    names = [header["alg"], header["enc"], *([header["zip"]] if "zip" in header else [])]
    with warnings.catch_warnings(category=SecurityWarning, action="ignore"):
        return encrypt_compact(header, text, key, registry=JWERegistry(algorithms=names))


async def refused(browser: Browser, response: dict[str, str]) -> RemoteError:
    """The error login/end answers."""
    with pytest.raises(RemoteError) as thrown:
        read(await browser.login_end(response))
    return thrown.value
