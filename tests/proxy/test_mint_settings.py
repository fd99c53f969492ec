"""The settings of way `mint`, its keys on the command line, and where its public keys are served."""

import copy
import io
import json
from pathlib import Path

import httpx2
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from proxy_world import installation
from proxy_world.cases import FULL
from proxy_world.fakes import Proxy, log_to
from proxy_world.http_door import ask_http
from proxy_world.installation import install, minimal, put
from starlette.types import ASGIApp

from extauthz.__main__ import main
from extauthz.build import build_apps, build_issuer, published_keys
from extauthz.config import Config, ConfigError, Program, load
from extauthz.doors import jwks
from extauthz.doors.dialects import ENVOY
from extauthz.doors.http import doors
from extauthz.doors.operations import Operations
from extauthz.metrics import Metrics
from extauthz.oauth.key_ring import key_set, new_key
from extauthz.oauth.signing_key import read_signing_key

MINT = "apps.shop.upstream.mint"
GOOD = {"issuer": "https://tokens.shop.example", "key_files": ["mint-1.pem"], "audience": "api"}
USED = {"apps.shop.upstream.way": "mint", MINT: GOOD}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with keys of every kind."""
    for name, key in {
        "mint-1.pem": new_key("ES256"),
        "mint-2.pem": new_key("EdDSA"),
        "x25519.pem": _pem(x25519.X25519PrivateKey.generate()),
    }.items():
        (tmp_path / name).write_bytes(key)
    return tmp_path


def _pem(key: x25519.X25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def loaded(folder: Path, changes: dict[str, object], program: Program = Program.EXTAUTHZ) -> Config:
    """The minimal configuration with these changes, in order."""
    return installation.loaded(folder, copy.deepcopy(changes), program=program)


def problems(folder: Path, changes: dict[str, object]) -> str:
    """What is wrong with the minimal configuration and these changes."""
    with pytest.raises(ConfigError) as error:
        loaded(folder, changes)
    return "\n".join(error.value.problems)


def test_the_way_can_be_used(folder: Path) -> None:
    """With a group mint, the app and its routes may name the way, and every key is published."""
    config = loaded(folder, {**USED, f"{MINT}.key_files": ["mint-1.pem", "mint-2.pem"]})
    [app] = build_apps(config, {"shop": build_issuer(config.apps["shop"], lambda: 0.0)}, wall=lambda: 0.0)
    assert "mint" in app.policy.ways
    assert "mint" in app.ways
    assert [key.algorithm for key in published_keys(config)] == ["ES256", "EdDSA"]
    other = loaded(folder, {MINT: GOOD, "apps.shop.routes": [{"path": "/api", "upstream": "mint"}]})
    assert other.apps["shop"].upstream.way == "phantom"


def test_the_audience_may_be_the_required_one(folder: Path) -> None:
    """What is required of the token is what the JWT says, so it need not be said twice."""
    short = {name: value for name, value in GOOD.items() if name != "audience"}
    config = loaded(folder, {**USED, MINT: short, "apps.shop.upstream.audience": "api"})
    assert config.apps["shop"].upstream.mint is not None


def test_the_agent_sees_no_key(folder: Path) -> None:
    """Signing keys are the proxy's: the agent starts without their files."""
    config = loaded(folder, {**USED, f"{MINT}.key_files": ["nosuch.pem"]}, program=Program.AGENT)
    mint = config.apps["shop"].upstream.mint
    assert mint is not None
    assert mint.key_files == [None]


def test_keys_have_no_repr(folder: Path) -> None:
    """Neither signing nor decryption keys are in the settings' representation."""
    keys = {"apps.shop.upstream.introspection": "jwt", "apps.shop.upstream.introspection_key_files": ["x25519.pem"]}
    assert "PrivateKey" not in repr(loaded(folder, {**USED, **keys}))


PROBLEMS = {
    "no group": ({"apps.shop.upstream.way": "mint"}, f"{MINT}: is needed with way: mint"),
    "no group, by a route": (
        {"apps.shop.routes": [{"path": "/api", "upstream": "mint"}]},
        "apps.shop.routes: /api: is needed as upstream.mint",
    ),
    "no issuer": ({**USED, f"{MINT}.issuer": None}, f"{MINT}.issuer: is needed"),
    "the server's issuer": (
        {**USED, f"{MINT}.issuer": "https://login.example"},
        "shop: mint.issuer is an authorization",
    ),
    "the server's issuer, nearly": (
        {**USED, f"{MINT}.issuer": "https://LOGIN.example/"},
        "shop: mint.issuer is an authorization",
    ),
    "an issuer without TLS": ({**USED, f"{MINT}.issuer": "http://tokens.example"}, "must be https"),
    "an issuer that is no URL": ({**USED, f"{MINT}.issuer": "shop"}, f"{MINT}.issuer: "),
    "no keys": ({**USED, f"{MINT}.key_files": []}, f"{MINT}.key_files: at least one is needed"),
    "a key that cannot sign": ({**USED, f"{MINT}.key_files": ["x25519.pem"]}, f"{MINT}.key_files[0]: a private key of"),
    "no audience": ({**USED, MINT: {**GOOD, "audience": None}}, f"{MINT}"),
    "a claim that is ours": (
        {**USED, f"{MINT}.claims": ["email", "sub"]},
        f"{MINT}.claims: the proxy sets this itself",
    ),
    "a lifetime too short": ({**USED, f"{MINT}.lifetime_seconds": 5}, f"{MINT}.lifetime_seconds: "),
    "a lifetime too long": ({**USED, f"{MINT}.lifetime_seconds": 7200}, f"{MINT}.lifetime_seconds: "),
    "decryption of unsigned answers": (
        {**USED, "apps.shop.upstream.introspection_key_files": ["x25519.pem"]},
        "introspection_key_files: only signed answers are encrypted",
    ),
    "a decryption key of the wrong type": (
        {
            **USED,
            "apps.shop.upstream.introspection": "jwt",
            "apps.shop.upstream.introspection_key_files": ["mint-2.pem"],
        },
        "introspection_key_files[0]: a private key of the wrong type",
    ),
    "no secret to introspect with": ({**USED, "apps.shop.client_secret_file": None}, "client_secret_file: is needed"),
    "clients of tokens nobody looks into": (
        {"apps.shop.upstream.way": "opaque", "apps.shop.upstream.clients": ["shop"]},
        "apps.shop.upstream.clients: cannot be required",
    ),
    "clients of tokens that are exchanged": (
        {"apps.shop.upstream.way": "exchange", "apps.shop.upstream.clients": ["shop"]},
        "apps.shop.upstream.clients: upstream.clients cannot be required with the way exchange",
    ),
    "clients of tokens that a route exchanges": (
        {"apps.shop.upstream.clients": ["shop"], "apps.shop.routes": [{"path": "/api", "upstream": "exchange"}]},
        "apps.shop.routes: /api: upstream.clients cannot be required with the way exchange",
    ),
}


@pytest.mark.parametrize(("changes", "words"), PROBLEMS.values(), ids=PROBLEMS)
def test_settings_that_do_not_fit(folder: Path, changes: dict[str, object], words: str) -> None:
    """Each is told by its key before anything listens."""
    assert words in problems(folder, changes)


def test_no_audience_is_told(folder: Path) -> None:
    """Without any audience the JWT would be for everybody."""
    short = {name: value for name, value in GOOD.items() if name != "audience"}
    assert "audience is needed" in problems(folder, {**USED, MINT: short})


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_every_curve_signs_and_decrypts(folder: Path, curve: ec.EllipticCurve) -> None:
    """Those of RFC 7518 are taken for either use."""
    pem = _pem(ec.generate_private_key(curve))
    (folder / "mint-1.pem").write_bytes(pem)
    keys = {"apps.shop.upstream.introspection": "jwt", "apps.shop.upstream.introspection_key_files": ["mint-1.pem"]}
    upstream = loaded(folder, {**USED, **keys}).apps["shop"].upstream
    assert upstream.mint is not None
    assert None not in [*upstream.introspection_key_files, *upstream.mint.key_files]


@pytest.mark.filterwarnings("ignore")
def test_a_short_rsa_key_is_refused(folder: Path) -> None:
    """RFC 7518 sections 3.3 and 4.3: 2048 bits or more."""
    pem = _pem(rsa.generate_private_key(65537, 1024))  # noqa: S505  # that is the point
    (folder / "short.pem").write_bytes(pem)
    keys = {"apps.shop.upstream.introspection": "jwt", "apps.shop.upstream.introspection_key_files": ["short.pem"]}
    told = problems(folder, {**USED, **keys, f"{MINT}.key_files": ["short.pem"]})
    assert told.count("2048 bits or more") == 2


# The command line


def test_mint_keygen(tmp_path: Path) -> None:
    """A key is made that the proxy reads, for its owner's eyes only, and never over another."""
    file = tmp_path / "secrets" / "mint-1.pem"
    result = CliRunner().invoke(main, ["mint-keygen", str(file)])
    assert result.exit_code == 0
    assert read_signing_key(file.read_bytes()).thumbprint() in result.output
    assert file.stat().st_mode & 0o077 == 0
    again = CliRunner().invoke(main, ["mint-keygen", str(file)])
    assert (again.exit_code, again.stderr) == (2, f"extauthz: {file}: File exists\n")


# Where the keys are served


DOCUMENT = key_set([read_signing_key(new_key("ES256"))])
QUIET = log_to(io.StringIO())


def both() -> dict[str, ASGIApp]:
    """The HTTP doors, with a secret nobody here knows, and the operations listener."""
    public: dict[str, ASGIApp] = {jwks.PATH: jwks.Jwks(DOCUMENT)}
    desk = Proxy([FULL]).desk(io.StringIO())
    return {
        "doors": doors([ENVOY], desk, QUIET, secret="s3cret", wait=1, more=public),
        "operations": Operations(Metrics(), more=public).application(),
    }


@pytest.mark.anyio
@pytest.mark.parametrize("where", ["doors", "operations"])
async def test_the_keys_are_public(where: str) -> None:
    """Anybody may fetch them, on either listener, and is told for how long they are good."""
    answer = await ask_http(both()[where], "GET", f"{jwks.PATH}?x=1", [("host", "extauthz")])
    assert answer.status == 200
    assert json.loads(answer.body) == json.loads(DOCUMENT)
    assert answer.get("content-type") == ["application/json"]
    assert answer.get("cache-control") == ["public, max-age=300"]
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=both()[where])) as http:
        assert (await http.head(f"http://extauthz{jwks.PATH}")).status_code == 200
        assert (await http.post(f"http://extauthz{jwks.PATH}")).status_code == 405


def test_without_mint_there_are_no_keys(tmp_path: Path) -> None:
    """Where nothing is signed, nothing is published."""
    assert published_keys(load(install(tmp_path, put(minimal(), "log.level", "info")), Program.EXTAUTHZ, {})) == []
