"""The command line: exit status, one clear line for each mistake, and keys that are never lost."""

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from proxy_world.door import CHECK, by_map
from proxy_world.installation import install, minimal, put

from extauthz import __version__
from extauthz.__main__ import main
from extauthz._pb.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.cookies.hpke import Opener, Sealer
from extauthz.cookies.keys import UnusableKey, read_private_key, read_public_key, read_session_key
from extauthz.cookies.purpose import Purpose

SCRIPT = Path(sys.executable).with_name("extauthz")
PRIVATE = "apps.shop.cookie.private_key_files[0]"


def run(*arguments: str | Path) -> Result:
    """The command line, in process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_check_says_what_is_good(tmp_path: Path) -> None:
    """A configuration without mistakes is called good, with its apps, and exit status 0."""
    result = run("config", "check", "--config", install(tmp_path))
    assert (result.exit_code, result.output) == (0, f"{tmp_path / 'token-handler.yaml'} is good: shop\n")


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, password: str = "") -> bytes:
    """A private key as a file, encrypted when there is a password."""
    encryption: KeySerializationEncryption = NoEncryption()
    if password:
        encryption = BestAvailableEncryption(password.encode())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


P256 = ec.generate_private_key(ec.SECP256R1())
BAD_KEYS = {
    "garbage": (b"\x00\xff garbage", "no PEM private key in it"),
    "empty": (b"", "no PEM private key in it"),
    "PEM around garbage": (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "cannot be read"),
    "an RSA key": (pem(rsa.generate_private_key(65537, 2048)), "of the wrong type; an X25519 or P-256 key is needed"),
    "an Ed25519 key": (pem(ed25519.Ed25519PrivateKey.generate()), "of the wrong type"),
    "a P-384 key": (pem(ec.generate_private_key(ec.SECP384R1())), "of the wrong type"),
    "an encrypted key": (pem(P256, "secret"), "encrypted with a password"),
}


@pytest.mark.parametrize(("contents", "words"), BAD_KEYS.values(), ids=BAD_KEYS.keys())
def test_a_private_key_that_cannot_serve(tmp_path: Path, contents: bytes, words: str) -> None:
    """A key file that is no usable private key is one line on standard error, and exit status 2."""
    path = install(tmp_path)
    (tmp_path / "cookie-private.pem").write_bytes(contents)
    _assert_one_line(run("config", "check", "--config", path), f"extauthz: {PRIVATE}: ", words)


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1(), ec.SECP256K1()], ids=lambda curve: curve.name)
def test_a_public_key_that_cannot_serve(curve: ec.EllipticCurve) -> None:
    """A key of another curve is refused at the start, and not when the first user logs in."""
    public = ec.generate_private_key(curve).public_key()
    with pytest.raises(UnusableKey, match="of the wrong type"):
        read_public_key(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def test_the_public_key_in_the_place_of_the_private_one(tmp_path: Path) -> None:
    """The proxy cannot open with the public key, and says so."""
    path = install(tmp_path)
    (tmp_path / "cookie-private.pem").write_bytes((tmp_path / "cookie-public.pem").read_bytes())
    _assert_one_line(run("config", "check", "--config", path), f"extauthz: {PRIVATE}: ", "no PEM private key in it")


def test_an_unreadable_key_is_not_shown(tmp_path: Path) -> None:
    """What is in a key file never appears in a complaint about it."""
    path = install(tmp_path)
    (tmp_path / "cookie-private.pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n")
    assert "canary" not in run("config", "check", "--config", path).output


def test_serve_with_mistakes_does_not_listen(tmp_path: Path) -> None:
    """With five mistakes there are five lines, exit status 2, and no listener was opened."""
    document = minimal()
    for key, value in {
        "extauthz.listen": [f"unix:{tmp_path}/s"],
        "extauthz.drain_seconds": -1,
        "log.format": "xml",
        "apps.shop.issuer": "http://login.example",
        "apps.shop.client_secret_file": "nosuch",
        "apps.shop.unknown": 1,
    }.items():
        put(document, key, value)
    result = run("serve", "--config", install(tmp_path, document))
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert len(lines) == 5
    assert all(line.startswith("extauthz: ") for line in lines)
    assert not (tmp_path / "s").exists()


def test_serve_where_it_cannot_listen(tmp_path: Path) -> None:
    """A listener that cannot be opened is one line that names it, and exit status 2."""
    path = install(tmp_path, put(minimal(), "extauthz.listen", ["unix:/nosuch/s"]))
    _assert_one_line(run("serve", "--config", path), "extauthz: cannot listen on unix:/nosuch/s", "")


def test_no_configuration_named() -> None:
    """Without a file to read, the option and the variable that name it are told."""
    result = CliRunner(env={"TOKEN_HANDLER_CONFIG": None}).invoke(main, ["serve"])
    assert result.exit_code == 2
    assert "--config" in result.stderr


def test_the_configuration_named_by_the_environment(tmp_path: Path) -> None:
    """TOKEN_HANDLER_CONFIG stands in for --config."""
    runner = CliRunner(env={"TOKEN_HANDLER_CONFIG": str(install(tmp_path))})
    assert runner.invoke(main, ["config", "check"]).exit_code == 0


def test_schema_is_json() -> None:
    """The schema is printed as JSON, about the settings of the file."""
    assert "apps" in json.loads(run("config", "schema").output)["properties"]


def test_version() -> None:
    """The version is the package's."""
    assert __version__ in run("--version").output


@pytest.mark.parametrize("kind", ["x25519", "p-256"])
def test_keygen(tmp_path: Path, kind: str) -> None:
    """The three files fit together, only their owner may read them, and each is said to be whose."""
    folder = tmp_path / "new" / "keys"
    result = run("keygen", "--out", folder, "--type", kind)
    assert result.exit_code == 0
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(files) == {"cookie-private.pem", "cookie-public.pem", "session.key"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    purpose = Purpose("shop", "c")
    sealed = Sealer(read_public_key(files["cookie-public.pem"]), purpose).seal(b"text")
    assert Opener([read_private_key(files["cookie-private.pem"])], purpose).open(sealed) == b"text"
    assert len(read_session_key(files["session.key"])) == 32
    for setting in ("cookie.private_key_files", "cookie.public_key_file", "cookie.session_key_files"):
        assert setting in result.output


def test_keygen_makes_new_keys_each_time(tmp_path: Path) -> None:
    """No two installations get the same keys."""
    for name in ("a", "b"):
        run("keygen", "--out", tmp_path / name)
    for name in ("cookie-private.pem", "cookie-public.pem", "session.key"):
        assert (tmp_path / "a" / name).read_bytes() != (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("kept", ["cookie-private.pem", "cookie-public.pem", "session.key"])
def test_keygen_never_overwrites(tmp_path: Path, kept: str) -> None:
    """A key that is there stays as it is, and the command fails with a line that names it."""
    (tmp_path / kept).write_bytes(b"precious")
    result = run("keygen", "--out", tmp_path)
    assert result.exit_code == 2
    assert result.stderr == f"extauthz: {tmp_path / kept}: File exists\n"
    assert (tmp_path / kept).read_bytes() == b"precious"


@pytest.mark.parametrize("command", [[str(SCRIPT)], [sys.executable, "-m", "extauthz"]], ids=["script", "module"])
def test_the_program_serves_and_stops(tmp_path: Path, command: list[str]) -> None:
    """Started, it says where it listens and answers; on SIGTERM it drains and leaves with status 0."""
    with tempfile.TemporaryDirectory() as folder:
        address = f"unix:{folder}/s"
        document = put(put(minimal(), "extauthz.listen", [address]), "extauthz.drain_seconds", 0)
        put(document, "apps.shop.upstream", {"way": "opaque"})  # or it would tell that the issuer cannot be reached
        environ = {**os.environ, "TOKEN_HANDLER__LOG__FORMAT": "json"}
        with subprocess.Popen(
            [*command, "serve", "--config", str(install(tmp_path, document))], stderr=subprocess.PIPE, env=environ
        ) as process:
            assert process.stderr is not None
            first = json.loads(process.stderr.readline())
            assert (first["event"], first["addresses"]) == ("listening", address)
            with grpc.insecure_channel(address) as channel:
                check: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(CHECK)
                answer = check(by_map(usual=()).SerializeToString())
            assert CheckResponse.FromString(answer).denied_response.status.code == 403
            process.send_signal(signal.SIGTERM)
            events = [json.loads(line)["event"] for line in process.stderr]
        assert events == ["decision", "draining", "stopped"]
        assert process.returncode == 0


@pytest.mark.parametrize("secret", [None, "client.secret"], ids=["open", "with a secret"])
def test_a_door_open_to_strangers_is_told(tmp_path: Path, secret: str | None) -> None:
    """A door on the network that asks nobody who he is gets a warning at the start; one on loopback does not."""
    document = put(minimal(), "extauthz.http.listen", ["0.0.0.0:0", "127.0.0.1:0", "[::1]:0"])
    put(document, "extauthz.http.shared_secret_file", secret)
    put(document, "extauthz.listen", ["127.0.0.1:0"])
    command = [str(SCRIPT), "serve", "--config", str(install(tmp_path, document))]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        lines = [json.loads(process.stderr.readline())]
        while lines[-1]["event"] != "listening":
            lines.append(json.loads(process.stderr.readline()))
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
    assert [(line["event"], line.get("address")) for line in lines[:-1]] == ([] if secret else [("open", "0.0.0.0:0")])


def test_the_program_takes_descriptors_for_all_its_connections(tmp_path: Path) -> None:
    """The limit most systems start with, 1024, is raised as far as the process may."""
    document = put(minimal(), "extauthz.listen", ["127.0.0.1:0"])
    command = [str(SCRIPT), "serve", "--config", str(install(tmp_path, document))]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = ["sh", "-c", 'ulimit -S -n 256; exec "$@"', "sh"]
    with subprocess.Popen([*few, *command], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        process.stderr.readline()
        soft, _ = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
    assert soft == (65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536))


def _assert_one_line(result: Result, start: str, words: str) -> None:
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(start)
    assert words in line
