"""The settings of cookies, ways, routes, CORS and doors: what they accept, and every mistake in one line."""

import copy
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from proxy_world import installation
from proxy_world.certificates import Authority
from proxy_world.installation import install, minimal, put

from extauthz.config import AppConfig, Config, ConfigError, Program, load
from extauthz.cookies import keys

KEY, OLD_KEY = (hashlib.sha256(name).hexdigest() for name in (b"a key for tests", b"the key before"))
V1: dict[str, object] = {
    "apps.shop.cookie": {"format": "aes-gcm", "prefix": "example", "encryption_key_file": "encryption.key"}
}
COOKIE, ROUTES, CORS = "apps.shop.cookie", "apps.shop.routes", "apps.shop.cors"
CLIENTS_JWT = "where clients send JWTs of their own, to tell which are meant for this API"
UPSTREAM, HTTP = "apps.shop.upstream", "extauthz.http"


def keep(folder: Path, **files: str) -> None:
    """Put keys and secrets beside the configuration; `x_y` is the file x.y."""
    usual = {"encryption_key": KEY, "old_key": f"{OLD_KEY}\n", "door_secret": "open sesame\n"}
    for name, contents in (usual | files).items():
        (folder / name.replace("_", ".")).write_text(contents)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """An authority, two pairs it has signed, and one of their keys behind a password."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder)
    pairs = [authority.sign(name) for name in ("door", "other")]
    private = load_pem_private_key(pairs[0].key.read_bytes(), None)
    locked = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password"))
    (folder / "locked.key").write_bytes(locked)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(autouse=True)
def files(tmp_path: Path, certificates: Mapping[str, bytes]) -> None:
    """Every file that a setting in these tests names."""
    keep(tmp_path)
    for name, contents in certificates.items():
        (tmp_path / name).write_bytes(contents)


# --- what a setting is when it is left out

DEFAULTS: dict[str, tuple[Callable[[Config], object], Mapping[str, object]]] = {
    "an app": (
        lambda config: config.apps["shop"],
        {"routes": [], "identity_headers": {}, "cors": None, "dry_run": False, "csrf": None, "csrf_mode": "header"},
    ),
    "its cookie": (
        lambda config: config.apps["shop"].cookie,
        {"format": "hpke", "prefix": None, "encryption_key_file": None, "previous_encryption_key_file": None},
    ),
    "its upstream": (
        lambda config: config.apps["shop"].upstream,
        {
            "way": "phantom",
            "audience": None,
            "required_scopes": [],
            "bearer": "deny",
            "client_id": None,
            "resource": None,
        },
    ),
    "its exchange": (
        lambda config: config.apps["shop"].upstream.exchange,
        {"requested_token_type": "access_token", "verify": True},
    ),
    "the HTTP doors": (
        lambda config: config.extauthz.http,
        {
            "listen": [],
            "tls": None,
            "shared_secret_file": None,
            "timeout_seconds": 2.0,
            "resolver_prefix": "x-authgear-",
        },
    ),
    "TLS for gRPC": (lambda config: config.extauthz, {"tls": None}),
    "operations": (lambda config: config.extauthz.operations, {"listen": []}),
}


@pytest.mark.parametrize(("section", "expected"), DEFAULTS.values(), ids=DEFAULTS.keys())
def test_defaults(tmp_path: Path, section: Callable[[Config], object], expected: Mapping[str, object]) -> None:
    """What is left out is as the documentation says."""
    found = section(loaded(tmp_path))
    assert {name: getattr(found, name) for name in expected} == expected


def test_defaults_of_a_route(tmp_path: Path) -> None:
    """A route that says nothing but its path is like the app."""
    [route] = shop(tmp_path, {ROUTES: [{"path": "/api"}]}).routes
    assert route.model_dump() == {
        "path": "/api",
        "auth": "required",
        "upstream": None,
        "scope": None,
        "audience": None,
        "resource": None,
        "csrf": None,
    }


def test_defaults_of_cors(tmp_path: Path) -> None:
    """CORS without a word is all methods, whatever headers the app asks for, and a day."""
    cors = shop(tmp_path, {CORS: {}}).cors
    assert cors is not None
    assert cors.model_dump() == {
        "allow_methods": ["OPTIONS", "HEAD", "GET", "POST", "PUT", "PATCH", "DELETE"],
        "allow_headers": [],
        "expose_headers": [],
        "max_age": 86_400,
    }


# --- what is accepted

GOOD: list[tuple[str, object, object]] = [
    (f"{COOKIE}.prefix", "Example_1.x-y", "Example_1.x-y"),
    (f"{COOKIE}.prefix", "a" * 64, "a" * 64),
    (f"{UPSTREAM}.way", "jwt", "jwt"),
    (f"{UPSTREAM}.way", "opaque", "opaque"),
    (f"{UPSTREAM}.way", "exchange", "exchange"),
    (f"{UPSTREAM}.exchange.requested_token_type", "jwt", "jwt"),
    (f"{UPSTREAM}.exchange.verify", False, False),
    (f"{UPSTREAM}.audience", "https://api.example.com", "https://api.example.com"),
    (f"{UPSTREAM}.required_scopes", ["orders", "urn:x:y"], ["orders", "urn:x:y"]),
    (f"{UPSTREAM}.bearer", "introspect", "introspect"),
    ("apps.shop.csrf", "header", "header"),
    ("apps.shop.csrf", "origin", "origin"),
    ("apps.shop.dry_run", True, True),
    ("apps.shop.identity_headers", {"x-user-id": "sub", "x-a-b-c-d-e": "e"}, {"x-user-id": "sub", "x-a-b-c-d-e": "e"}),
    (f"{CORS}.allow_methods", ["GET"], ["GET"]),
    (f"{CORS}.allow_headers", ["x-example-csrf", "content-type"], ["x-example-csrf", "content-type"]),
    (f"{CORS}.expose_headers", ["retry-after"], ["retry-after"]),
    (f"{CORS}.max_age", 0, 0),
    (
        f"{HTTP}.listen",
        ["127.0.0.1:9192", "[::1]:9192", "unix:/run/x"],
        ["127.0.0.1:9192", "[::1]:9192", "unix:/run/x"],
    ),
    (f"{HTTP}.timeout_seconds", 0.5, 0.5),
    (f"{HTTP}.timeout_seconds", 60, 60.0),
    (f"{HTTP}.resolver_prefix", "x-session-", "x-session-"),
    ("extauthz.operations.listen", ["localhost:9193"], ["localhost:9193"]),
]


@pytest.mark.parametrize(("key", "value", "expected"), GOOD, ids=[f"{key}: {value}"[:70] for key, value, _ in GOOD])
def test_good_values(tmp_path: Path, key: str, value: object, expected: object) -> None:
    """Each value the documentation names is taken as it stands."""
    assert seen(loaded(tmp_path, {key: value}), key) == expected


ROUTE_PATHS = ["/", "/api", "/api/v1.2/~me_x-y", "/API", "/a/b/c"]


@pytest.mark.parametrize("path", ROUTE_PATHS)
def test_route_paths(tmp_path: Path, path: str) -> None:
    """A route's path is whole segments of plain characters, or the root."""
    assert shop(tmp_path, {ROUTES: [{"path": path}]}).routes[0].path == path


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("auth", "optional"),
        ("auth", "off"),
        ("upstream", "jwt"),
        ("upstream", "opaque"),
        ("upstream", "exchange"),
        ("scope", "orders admin"),
        ("scope", ""),
        ("audience", "api"),
        ("csrf", "origin"),
    ],
)
def test_settings_of_a_route(tmp_path: Path, setting: str, value: str) -> None:
    """Each setting of a route takes the values the documentation names; an empty scope requires none."""
    [route] = shop(tmp_path, {ROUTES: [{"path": "/api", setting: value}]}).routes
    assert getattr(route, setting) == value


def test_the_earlier_format(tmp_path: Path) -> None:
    """One key file and `aes-gcm`: double submit is then how requests prove themselves, unless said otherwise."""
    app = shop(tmp_path, V1)
    assert app.cookie.encryption_keys == [bytes.fromhex(KEY)]
    assert app.csrf_mode == "double-submit"
    assert shop(tmp_path, V1 | {"apps.shop.csrf": "header"}).csrf_mode == "header"


def test_the_key_before(tmp_path: Path) -> None:
    """The present key comes first; digits may be capitals, and an editor's newline does not count."""
    keep(tmp_path, old_key=f"{OLD_KEY.upper()}\r\n")
    app = shop(tmp_path, V1 | {f"{COOKIE}.previous_encryption_key_file": "old.key"})
    assert app.cookie.encryption_keys == [bytes.fromhex(KEY), bytes.fromhex(OLD_KEY)]


def test_the_key_from_the_environment(tmp_path: Path) -> None:
    """Both keys may come as variables; files named in the configuration are then not opened."""
    environ = {
        "TOKEN_HANDLER__APPS__SHOP__COOKIE__ENCRYPTION_KEY": KEY,
        "TOKEN_HANDLER__APPS__SHOP__COOKIE__PREVIOUS_ENCRYPTION_KEY": OLD_KEY,
    }
    for name in (None, "nosuch"):
        changes = V1 | {f"{COOKIE}.encryption_key_file": name}
        app = loaded(tmp_path, changes, environ=environ).apps["shop"]
        assert app.cookie.encryption_keys == [bytes.fromhex(KEY), bytes.fromhex(OLD_KEY)]


def test_a_shared_secret(tmp_path: Path) -> None:
    """The HTTP doors' secret comes from a file or the environment, and its repr is silent."""
    by_file = loaded(tmp_path, {f"{HTTP}.shared_secret_file": "door.secret"})
    by_variable = loaded(tmp_path, environ={"TOKEN_HANDLER__EXTAUTHZ__HTTP__SHARED_SECRET": "open sesame"})
    for config in (by_file, by_variable):
        secret = config.extauthz.http.shared_secret_file
        assert secret is not None
        assert secret.reveal() == "open sesame"
        assert "sesame" not in repr(config)


@pytest.mark.parametrize("key", ["extauthz.tls", f"{HTTP}.tls"])
def test_certificates(tmp_path: Path, key: str) -> None:
    """A certificate with its key, and the authority of clients where they need one, are found beside the file."""
    pair: dict[str, object] = {f"{key}.certificate_file": "door.pem", f"{key}.key_file": "door.key"}
    for changes in (pair, pair | {f"{key}.client_ca_file": "ca.pem"}):
        tls = seen(loaded(tmp_path, changes), key)
        assert tls.certificate_file == str(tmp_path / "door.pem")
        assert (tls.client_ca_file is not None) == (len(changes) == 3)


def test_a_jwt_of_a_client_beside_opaque_cookies(tmp_path: Path) -> None:
    """With `bearer: jwt` an audience can be required even where the tokens in cookies are looked into by nobody."""
    app = shop(tmp_path, {UPSTREAM: {"way": "opaque", "bearer": "jwt", "audience": "api"}})
    assert app.upstream.audience == "api"


def test_a_routes_audience_will_do_for_clients_jwts(tmp_path: Path) -> None:
    """It need not be the app's."""
    routes = [{"path": "/a", "upstream": "jwt", "audience": "api"}]
    assert shop(tmp_path, {f"{UPSTREAM}.bearer": "introspect", "apps.shop.routes": routes}).routes


RESOURCES = ["https://api.example/orders?x=1", "urn:example:orders", "app+x://[::1]/%C3%A9"]


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_resource(tmp_path: Path, resource: str) -> None:
    """An absolute URI, for the app or for a route, where the way can ask for it."""
    app = shop(tmp_path, {UPSTREAM: {"way": "exchange", "resource": resource}, ROUTES: [{"path": "/a"}]})
    assert app.upstream.resource == resource
    [route] = shop(tmp_path, {ROUTES: [{"path": "/a", "upstream": "exchange", "resource": resource}]}).routes
    assert route.resource == resource


@pytest.mark.parametrize("where", ["upstream", "routes"])
def test_an_exchange_needs_the_clients_secret(tmp_path: Path, where: str) -> None:
    """The token endpoint answers clients only."""
    way: Mapping[str, dict[str, object]] = {
        "upstream": {f"{UPSTREAM}.way": "exchange"},
        "routes": {f"{UPSTREAM}.way": "jwt", ROUTES: [{"path": "/a", "upstream": "exchange"}]},
    }
    [problem] = problems(tmp_path, {**way[where], "apps.shop.client_secret_file": None})
    assert problem == "apps.shop.client_secret_file: is needed"


@pytest.mark.parametrize("way", ["jwt", "opaque"])
def test_a_way_without_introspection_needs_no_secret(tmp_path: Path, way: str) -> None:
    """Who never introspects is nobody's client: the proxy starts without the app's secret, the agent does not."""
    changes: dict[str, object] = {f"{UPSTREAM}.way": way, "apps.shop.client_secret_file": None}
    assert shop(tmp_path, changes).client_secret_file is None
    [problem] = problems(tmp_path, changes, program=Program.AGENT)
    assert problem == "apps.shop.client_secret_file: is needed"


@pytest.mark.parametrize("setting", ["encryption_key_file", "previous_encryption_key_file"])
def test_the_agent_opens_no_key_of_the_earlier_format(tmp_path: Path, setting: str) -> None:
    """With `hpke` the agent seals with nothing but its own keys, so the proxy's need not be there."""
    loaded(tmp_path, {f"{COOKIE}.{setting}": "nosuch"}, program=Program.AGENT)


def test_the_agent_opens_no_files_of_the_doors(tmp_path: Path) -> None:
    """Certificates and secret of the proxy's doors are none of the agent's business."""
    tls = {"certificate_file": "nosuch", "key_file": "nosuch", "client_ca_file": "nosuch"}
    http = {"tls": tls, "shared_secret_file": "nosuch"}
    loaded(tmp_path, {"extauthz.tls": tls, HTTP: http}, program=Program.AGENT)


# --- mistakes

HEX = "64 digits are needed: openssl rand -hex 32"
COUNTED = "digits; 64 are needed: openssl rand -hex 32"
PATH = (
    "a path like /api/public is needed: letters, digits and ._~- between slashes, none at the end, "
    "and no segment that ends with a dot"
)
UNPLAIN = ("/a b", "/a%20b", "/a?x", "/a;x", "/é", "/*")
LISTENER = "a listener is HOST:PORT or unix:/PATH"
ADDRESSES = ("9192", ":9192", "127.0.0.1", "127.0.0.1:", "unix:run/x", "unix:", "http://127.0.0.1:1", "::1:1", "[x]:1")
TAKEN = "this header has a meaning of its own; choose one of yours, such as x-user-id"
HEADER = "a header's name in lower case, with at most five hyphens, is needed"
URI = "an absolute URI without a fragment is needed"
NO_VALUE = "has no value; give it one, or leave it out"
STAR = "with cookies, browsers take * for a name; list what is meant"
PREFIX = "the beginning of header names, in lower case and with a hyphen at its end, is needed"

PAIR = {"certificate_file": "door.pem", "key_file": "door.key"}
NO_CERTIFICATE = "no readable PEM certificate in it"
NOT_ITS_KEY = "not the private key of certificate_file, in PEM without a password"
TLS_MISTAKES: list[tuple[str, dict[str, object], str]] = [
    ("a number for a file", {"key_file": 7}, "key_file: a file name is needed"),
    ("an empty name", {"certificate_file": ""}, "certificate_file: a file name is needed"),
    ("a key for a certificate", {"certificate_file": "door.key"}, f"certificate_file: {NO_CERTIFICATE}"),
    ("a certificate for a key", {"key_file": "door.pem"}, f"key_file: {NOT_ITS_KEY}"),
    ("the key of another", {"key_file": "other.key"}, f"key_file: {NOT_ITS_KEY}"),
    ("an encrypted key", {"key_file": "locked.key"}, f"key_file: {NOT_ITS_KEY}"),
    ("a key for an authority", {"client_ca_file": "door.key"}, f"client_ca_file: {NO_CERTIFICATE}"),
    ("an authority without a value", {"client_ca_file": None}, f"client_ca_file: {NO_VALUE}"),
]

MISTAKES: list[tuple[str, Mapping[str, object], str]] = [
    # cookie
    ("an unknown format", {f"{COOKIE}.format": "jwe"}, f"{COOKIE}.format: must be 'hpke' or 'aes-gcm'"),
    *(
        (
            f"the prefix {prefix[:9]!r}",
            {f"{COOKIE}.prefix": prefix},
            f"{COOKIE}.prefix: 1 to 64 of A-Z, a-z, 0-9, dot, hyphen and underscore are needed",
        )
        for prefix in ("", "a b", "a;b", "a=b", "é", "a" * 65)
    ),
    (
        "aes-gcm without a key",
        V1 | {f"{COOKIE}.encryption_key_file": None},
        f"{COOKIE}.encryption_key_file: is needed for format aes-gcm",
    ),
    (
        "hpke with the key of aes-gcm",
        {COOKIE: {"encryption_key_file": "encryption.key"}},
        f"{COOKIE}.private_key_files: is needed for format hpke",
    ),
    (
        "a key that is written in the file",
        V1 | {f"{COOKIE}.encryption_key_file": None, f"{COOKIE}.encryption_key": KEY},
        f"{COOKIE}.encryption_key: a secret does not belong in this file; use encryption_key_file",
    ),
    (
        "a previous key that is written in the file",
        V1 | {f"{COOKIE}.previous_encryption_key": KEY},
        f"{COOKIE}.previous_encryption_key: a secret does not belong in this file; use previous_encryption_key_file",
    ),
    (
        "the same key twice",
        V1 | {f"{COOKIE}.previous_encryption_key_file": "encryption.key"},
        f"{COOKIE}.previous_encryption_key_file: the same key as in encryption_key_file; "
        "name the one before, or leave it out",
    ),
    # upstream
    (
        "an unknown way",
        {f"{UPSTREAM}.way": "x"},
        f"{UPSTREAM}.way: must be 'phantom', 'mint', 'exchange', 'jwt' or 'opaque'",
    ),
    (
        "an unknown bearer mode",
        {f"{UPSTREAM}.bearer": True},
        f"{UPSTREAM}.bearer: must be 'deny', 'introspect' or 'jwt'",
    ),
    (
        "bearer jwt without an audience",
        {f"{UPSTREAM}.bearer": "jwt"},
        f"{UPSTREAM}.audience: is needed {CLIENTS_JWT}",
    ),
    (
        "bearer introspect where tokens are JWTs, without an audience",
        {UPSTREAM: {"way": "jwt", "bearer": "introspect"}},
        f"{UPSTREAM}.audience: is needed {CLIENTS_JWT}",
    ),
    (
        "the same on a route",
        {f"{UPSTREAM}.bearer": "introspect", "apps.shop.routes": [{"path": "/a", "upstream": "jwt"}]},
        f"apps.shop.routes: /a: is needed as audience {CLIENTS_JWT}",
    ),
    (
        "bearer introspect where nobody looks into tokens",
        {UPSTREAM: {"way": "opaque", "bearer": "introspect"}},
        f"{UPSTREAM}.bearer: introspect needs a way that looks into tokens, and opaque passes them on as they came",
    ),
    (
        "opaque with scopes",
        {UPSTREAM: {"way": "opaque", "required_scopes": ["orders"]}},
        f"{UPSTREAM}.required_scopes: cannot be required, for the way opaque looks into no token; leave it out",
    ),
    (
        "opaque with an audience",
        {UPSTREAM: {"way": "opaque", "audience": "api"}},
        f"{UPSTREAM}.audience: cannot be required, for the way opaque looks into no token; leave it out",
    ),
    *(
        (
            f"the resource {resource!r}",
            {UPSTREAM: {"way": "exchange", "resource": resource}},
            f"{UPSTREAM}.resource: {URI}",
        )
        for resource in ("", "api", "/orders", "https://api.example#x", "https://a b", "https:", "urn:é")
    ),
    (
        "a resource of another way",
        {f"{UPSTREAM}.resource": "urn:x"},
        f"{UPSTREAM}.resource: only the way exchange asks for a resource, and this is phantom",
    ),
    (
        "a resource on a route of another way",
        {UPSTREAM: {"way": "exchange"}, ROUTES: [{"path": "/a", "upstream": "jwt", "resource": "urn:x"}]},
        f"{ROUTES}: /a: only the way exchange asks for a resource, and this is jwt",
    ),
    (
        "an unknown type to ask for",
        {f"{UPSTREAM}.exchange.requested_token_type": "id_token"},
        f"{UPSTREAM}.exchange.requested_token_type: must be 'access_token' or 'jwt'",
    ),
    ("an empty audience", {f"{UPSTREAM}.audience": ""}, f"{UPSTREAM}.audience: a text is needed"),
    (
        "scopes that are no list",
        {f"{UPSTREAM}.required_scopes": "orders"},
        f"{UPSTREAM}.required_scopes: a list is needed, such as [a, b]",
    ),
    (
        "two scopes in one",
        {f"{UPSTREAM}.required_scopes": ["orders admin"]},
        f"{UPSTREAM}.required_scopes[0]: one scope token without blanks is needed",
    ),
    (
        "a client of its own without a secret",
        {f"{UPSTREAM}.client_id": "proxy"},
        f"{UPSTREAM}.client_secret_file: is needed",
    ),
    # csrf
    (
        "an unknown CSRF mode",
        {"apps.shop.csrf": "none"},
        "apps.shop.csrf: must be 'header', 'double-submit' or 'origin'",
    ),
    (
        "double submit without its cookie",
        {"apps.shop.csrf": "double-submit"},
        "apps.shop.csrf: double-submit needs cookie.format aes-gcm, which has the CSRF cookie",
    ),
    (
        "double submit on a route without its cookie",
        {ROUTES: [{"path": "/a"}, {"path": "/b", "csrf": "double-submit"}]},
        f"{ROUTES}: /b: double-submit needs cookie.format aes-gcm, which has the CSRF cookie",
    ),
    # routes
    *(
        (f"the path {path!r}", {ROUTES: [{"path": path}]}, f"{ROUTES}[0].path: {PATH}")
        for path in (
            "api",
            "",
            "/api/",
            "//api",
            "/a//b",
            "/a/../b",
            "/a/.",
            "/a.",
            "/a./b",
            "/a b",
            "/a%20b",
            "/a?x",
            "/é",
            "/*",
        )
    ),
    ("a route without a path", {ROUTES: [{"auth": "off"}]}, f"{ROUTES}[0].path: is needed"),
    ("a route twice", {ROUTES: [{"path": "/api"}, {"path": "/b"}, {"path": "/api"}]}, f"{ROUTES}: /api stands twice"),
    (
        "a route twice but for capitals",
        {ROUTES: [{"path": "/api"}, {"path": "/API"}]},
        f"{ROUTES}: /api and /API differ in capitals only, and every request for either would be refused",
    ),
    (
        "an unknown auth",
        {ROUTES: [{"path": "/a", "auth": "no"}]},
        f"{ROUTES}[0].auth: must be 'required', 'optional' or 'off'",
    ),
    (
        "an unknown way of a route",
        {ROUTES: [{"path": "/a", "upstream": "x"}]},
        f"{ROUTES}[0].upstream: must be 'phantom', 'mint', 'exchange', 'jwt' or 'opaque'",
    ),
    (
        "a scope of two blanks",
        {ROUTES: [{"path": "/a", "scope": "orders  admin"}]},
        f"{ROUTES}[0].scope: scope tokens separated by single blanks are needed, or '' for none",
    ),
    (
        "a scope that is a list",
        {ROUTES: [{"path": "/a", "scope": ["orders"]}]},
        f"{ROUTES}[0].scope: a text is needed",
    ),
    (
        "an empty audience of a route",
        {ROUTES: [{"path": "/a", "audience": ""}]},
        f"{ROUTES}[0].audience: a text is needed",
    ),
    (
        "a scope on an opaque route",
        {ROUTES: [{"path": "/a", "upstream": "opaque", "scope": "orders"}]},
        f"{ROUTES}: /a: neither scope nor audience can be required, for the way opaque looks into no token",
    ),
    (
        "an audience on a route of an opaque app",
        {f"{UPSTREAM}.way": "opaque", ROUTES: [{"path": "/a", "audience": "api"}]},
        f"{ROUTES}: /a: neither scope nor audience can be required, for the way opaque looks into no token",
    ),
    (
        "an unknown setting of a route",
        {ROUTES: [{"path": "/a", "aut": "off"}]},
        f"{ROUTES}[0].aut: there is no such setting; is apps.<name>.routes[].auth meant?",
    ),
    ("routes that are no list", {ROUTES: {"path": "/a"}}, f"{ROUTES}: a list is needed, such as [a, b]"),
    ("a route that is a path", {ROUTES: ["/a"]}, f"{ROUTES}[0]: a group of settings is needed"),
    ("a route without a value", {ROUTES: [{"path": "/a", "audience": None}]}, f"{ROUTES}[0].audience: {NO_VALUE}"),
    # identity headers
    *(
        (
            f"the identity header {name}",
            {"apps.shop.identity_headers": {name: "sub"}},
            f"apps.shop.identity_headers.{name}: {TAKEN}",
        )
        for name in (
            "authorization",
            "connection",
            "content-length",
            "cookie",
            "expect",
            "forwarded",
            "host",
            "http2-settings",
            "keep-alive",
            "proxy-connection",
            "sec-fetch-site",
            "te",
            "token-handler-version",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "via",
            "x-envoy-original-path",
            "x-forwarded-for",
            "access-control-allow-origin",
        )
    ),
    *(
        (
            f"the identity header {name!r}",
            {"apps.shop.identity_headers": {name: "sub"}},
            f"apps.shop.identity_headers.{name}: {HEADER}",
        )
        for name in ("X-User", "x_user", "x user", "x-", ":path", "x-a-b-c-d-e-f", "é")
    ),
    (
        "an identity header without a claim",
        {"apps.shop.identity_headers": {"x-user-id": ""}},
        "apps.shop.identity_headers.x-user-id: a text is needed",
    ),
    (
        "identity headers in a list",
        {"apps.shop.identity_headers": ["x-user-id"]},
        "apps.shop.identity_headers: a group of settings is needed",
    ),
    # cors
    ("no methods", {f"{CORS}.allow_methods": []}, f"{CORS}.allow_methods: at least one is needed"),
    (
        "two methods in one",
        {f"{CORS}.allow_methods": ["GET, POST"]},
        f"{CORS}.allow_methods[0]: a name without blanks or commas is needed",
    ),
    *(
        (f"a star in {name}", {f"{CORS}.{name}": ["*"]}, f"{CORS}.{name}[0]: {STAR}")
        for name in ("allow_methods", "allow_headers", "expose_headers")
    ),
    (
        "headers that are no list",
        {f"{CORS}.allow_headers": "x-a"},
        f"{CORS}.allow_headers: a list is needed, such as [a, b]",
    ),
    (
        "a header with a line in it",
        {f"{CORS}.expose_headers": ["x-a\r\nx-b: c"]},
        f"{CORS}.expose_headers[0]: a name without blanks or commas is needed",
    ),
    ("an age below zero", {f"{CORS}.max_age": -1}, f"{CORS}.max_age: must be greater than or equal to 0"),
    ("an age in words", {f"{CORS}.max_age": "1d"}, f"{CORS}.max_age: a whole number is needed"),
    ("an age and a half", {f"{CORS}.max_age": 1.5}, f"{CORS}.max_age: a whole number is needed"),
    ("cors switched on by a word", {CORS: True}, f"{CORS}: a group of settings is needed"),
    ("an unknown setting of cors", {f"{CORS}.origins": ["x"]}, f"{CORS}.origins: there is no such setting"),
    # dry run
    ("a dry run that may be", {"apps.shop.dry_run": "maybe"}, "apps.shop.dry_run: true or false is needed"),
    ("a dry run in a list", {"apps.shop.dry_run": [True]}, "apps.shop.dry_run: true or false is needed"),
    # doors
    *(
        (f"the listener {address!r} of {group}", {f"{group}.listen": [address]}, f"{group}.listen[0]: {LISTENER}")
        for group in (HTTP, "extauthz.operations")
        for address in (
            "9192",
            ":9192",
            "127.0.0.1",
            "127.0.0.1:",
            "unix:run/x",
            "unix:",
            "http://127.0.0.1:1",
            "::1:1",
            "[x]:1",
        )
    ),
    ("a port out of range", {f"{HTTP}.listen": ["[::1]:65536"]}, f"{HTTP}.listen[0]: a port is at most 65535"),
    (
        "a listener that is no list",
        {f"{HTTP}.listen": "127.0.0.1:1"},
        f"{HTTP}.listen: a list is needed, such as [a, b]",
    ),
    ("a timeout of nothing", {f"{HTTP}.timeout_seconds": 0}, f"{HTTP}.timeout_seconds: must be greater than 0"),
    (
        "a timeout of more than a minute",
        {f"{HTTP}.timeout_seconds": 61},
        f"{HTTP}.timeout_seconds: must be less than or equal to 60",
    ),
    ("a timeout with a unit", {f"{HTTP}.timeout_seconds": "2s"}, f"{HTTP}.timeout_seconds: a number is needed"),
    *(
        (f"the resolver's prefix {prefix!r}", {f"{HTTP}.resolver_prefix": prefix}, f"{HTTP}.resolver_prefix: {PREFIX}")
        for prefix in ("", "-", "x-user", "X-User-", "x_user-", "x-user-\n")
    ),
    (
        "a shared secret that is written in the file",
        {f"{HTTP}.shared_secret": "open sesame"},
        f"{HTTP}.shared_secret: a secret does not belong in this file; use shared_secret_file",
    ),
    (
        "operations in a list",
        {"extauthz.operations": ["127.0.0.1:1"]},
        "extauthz.operations: a group of settings is needed",
    ),
    (
        "TLS where there is none",
        {"extauthz.operations.tls": {}},
        "extauthz.operations.tls: there is no such setting; is extauthz.tls meant?",
    ),
    # TLS
    *(
        (f"{case} in {group}", {group: PAIR | changes}, f"{group}.{line}")
        for group in ("extauthz.tls", f"{HTTP}.tls")
        for case, changes, line in TLS_MISTAKES
    ),
    ("TLS without a key", {"extauthz.tls": {"certificate_file": "door.pem"}}, "extauthz.tls.key_file: is needed"),
]


@pytest.mark.parametrize(("changes", "line"), [pytest.param(*row[1:], id=row[0]) for row in MISTAKES])
def test_a_mistake_is_one_line(tmp_path: Path, changes: Mapping[str, object], line: str) -> None:
    """One mistake is exactly one line, which begins with its key and says what to do."""
    assert problems(tmp_path, changes) == [line]


@pytest.mark.parametrize(
    "key",
    [
        CORS,
        "extauthz.tls",
        f"{HTTP}.tls",
        f"{HTTP}.shared_secret_file",
        f"{UPSTREAM}.audience",
        "apps.shop.hosts",
        "apps.shop.client_id",
        HTTP,
        "apps",
    ],
)
def test_a_setting_without_a_value_is_a_mistake(tmp_path: Path, key: str) -> None:
    """A key with nothing behind it would be as if it were not there, whatever it was meant to protect."""
    document = minimal()
    *groups, last = key.split(".")
    target = document
    for group in groups:
        target = target.setdefault(group, {})
    target[last] = None
    with pytest.raises(ConfigError) as refused:
        load(install(tmp_path, document), Program.EXTAUTHZ, {})
    assert refused.value.problems == [f"{key}: {NO_VALUE}"]


def test_a_value_from_the_environment_fills_the_gap(tmp_path: Path) -> None:
    """A key without a value in the file may get one from the environment."""
    document = minimal()
    document["apps"]["shop"]["client_id"] = None
    environ = {"TOKEN_HANDLER__APPS__SHOP__CLIENT_ID": "other"}
    assert load(install(tmp_path, document), Program.EXTAUTHZ, environ).apps["shop"].client_id == "other"


def test_the_agent_of_the_earlier_format_needs_one_key_and_no_other(tmp_path: Path) -> None:
    """The key it shares with the proxy is all it seals with."""
    cookie = loaded(tmp_path, V1, program=Program.AGENT).apps["shop"].cookie
    assert cookie.encryption_keys == [bytes.fromhex(KEY)]
    assert problems(tmp_path, {COOKIE: {"format": "aes-gcm"}}, program=Program.AGENT) == [
        f"{COOKIE}.encryption_key_file: is needed for format aes-gcm"
    ]


@pytest.mark.parametrize("program", Program)
@pytest.mark.parametrize(
    ("changes", "version"),
    [({}, "v2"), ({"apps.shop.api": "v2"}, "v2"), (V1, "v1"), (V1 | {"apps.shop.api": "v1"}, "v1")],
    ids=["nothing said", "v2", "aes-gcm", "aes-gcm and v1"],
)
def test_the_cookies_say_which_api(
    tmp_path: Path, program: Program, changes: Mapping[str, object], version: str
) -> None:
    """Each version of the agent's API has cookies of its own, so that one setting is enough."""
    assert loaded(tmp_path, changes, program=program).apps["shop"].api_version == version


@pytest.mark.parametrize("program", Program)
@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"apps.shop.api": "v1"}, "v1 needs cookie.format aes-gcm, for its cookies are of that format"),
        (V1 | {"apps.shop.api": "v2"}, "v2 needs cookie.format hpke, for its cookies are of that format"),
        ({"apps.shop.api": "v3"}, "must be 'v1' or 'v2'"),
    ],
    ids=["v1", "v2", "v3"],
)
def test_an_api_that_does_not_fit_the_cookies(
    tmp_path: Path, program: Program, changes: Mapping[str, object], line: str
) -> None:
    """Both programs name the setting, and the format that would fit."""
    assert problems(tmp_path, changes, program=program) == [f"apps.shop.api: {line}"]


@pytest.mark.parametrize("prefix", ["__Host-example", "__host-Http-example"])
def test_a_prefix_that_would_lose_cookies(tmp_path: Path, prefix: str) -> None:
    """The agent's cookies below a path could not have that name; whoever has another agent may know better."""
    changes = V1 | {f"{COOKIE}.prefix": prefix}
    [problem] = problems(tmp_path, changes, program=Program.AGENT)
    assert problem.startswith(f"{COOKIE}.prefix: browsers keep no cookie of that name below a path")
    assert loaded(tmp_path, changes).apps["shop"].cookie.prefix == prefix
    kept = changes | {f"{COOKIE}.prefix": "__Secure-example"}
    assert loaded(tmp_path, kept, program=Program.AGENT).apps["shop"].cookie.prefix == "__Secure-example"


def test_a_domain_like_the_earlier_agents(tmp_path: Path) -> None:
    """Theirs is the API's host, which is on no path up from the app's; a stranger's is refused as ever."""
    domain = {"apps.shop.hosts": ["api.shop.example"], "apps.shop.parent_domain": "api.shop.example"}
    assert loaded(tmp_path, V1 | domain, program=Program.AGENT).apps["shop"].parent_domain == "api.shop.example"
    assert problems(tmp_path, domain) == ["apps.shop.parent_domain: must be the host of spa_url, or a domain above it"]
    [problem] = problems(tmp_path, V1 | domain | {"apps.shop.parent_domain": "api.bank.example"})
    assert problem == ("apps.shop.parent_domain: must be the host of spa_url, one of hosts, or a domain above it")


@pytest.mark.parametrize("setting", ["encryption_key_file", "previous_encryption_key_file"])
def test_two_apps_with_one_key(tmp_path: Path, setting: str) -> None:
    """Cookies of this format name no app, so no key may be in two, be it the present one or the one before."""
    document = put(minimal(), COOKIE, V1[COOKIE])
    other = {"format": "aes-gcm", "encryption_key_file": "old.key", setting: "encryption.key"}
    document["apps"]["bank"] = document["apps"]["shop"] | {"agent_path": "/bank", "cookie": other}
    with pytest.raises(ConfigError) as refused:
        load(install(tmp_path, document), Program.EXTAUTHZ, {})
    assert refused.value.problems == ["apps: bank and shop share an encryption key; each needs one of its own"]


# --- files that hold the wrong thing

NOT_HEX = f"not hexadecimal; {HEX} (in encryption.key)"
EVERYBODY = "everybody knows this key from examples; make one of your own: openssl rand -hex 32"
KNOWN = f"{EVERYBODY} (in encryption.key)"
KEYS = {
    "an empty file": ("", f"0 {COUNTED} (in encryption.key)"),
    "words": ("correct horse battery staple", NOT_HEX),
    "32 raw characters": ("k" * 32, NOT_HEX),
    "62 digits": (KEY[:62], f"62 {COUNTED} (in encryption.key)"),
    "66 digits": (KEY + "ab", f"66 {COUNTED} (in encryption.key)"),
    "an odd number of digits": (KEY[:63], f"63 {COUNTED} (in encryption.key)"),
    "base64": ("pbu9u38" * 6 + "=", NOT_HEX),
    "digits that are not ASCII": ("٣" * 64, NOT_HEX),
    "zeros": ("0" * 64, KNOWN),
    "one byte again and again": ("ab" * 32, KNOWN),
}


@pytest.mark.parametrize(("contents", "line"), KEYS.values(), ids=KEYS.keys())
@pytest.mark.parametrize("setting", ["encryption_key_file", "previous_encryption_key_file"])
def test_a_key_file_that_holds_no_key(tmp_path: Path, setting: str, contents: str, line: str) -> None:
    """The line names the file and what is needed, and never what is in it."""
    keep(tmp_path, encryption_key=contents)
    changes = V1 | {f"{COOKIE}.encryption_key_file": "old.key", f"{COOKIE}.{setting}": "encryption.key"}
    [problem] = problems(tmp_path, changes)
    assert problem == f"{COOKIE}.{setting}: {line}"
    assert not any(word in problem for word in contents.split() if len(word) > 2)


def test_a_published_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of which only the digest is known here is refused by the name of its file, and not shown."""
    digest = hashlib.sha256(bytes.fromhex(KEY)).hexdigest()
    monkeypatch.setattr(keys, "PUBLISHED", keys.PUBLISHED | {digest})
    for text in (KEY, KEY.upper(), f"{KEY}\n"):
        keep(tmp_path, encryption_key=text)
        [problem] = problems(tmp_path, V1)
        assert problem == f"{COOKIE}.encryption_key_file: {KNOWN}"
    assert all(len(bytes.fromhex(published)) == 32 for published in keys.PUBLISHED)


VARIABLES = [
    ("APPS__SHOP__COOKIE__ENCRYPTION_KEY", "", f"{COOKIE}.encryption_key_file: 0 {COUNTED} (in the environment)"),
    (
        "APPS__SHOP__COOKIE__ENCRYPTION_KEY",
        "xyz",
        f"{COOKIE}.encryption_key_file: not hexadecimal; {HEX} (in the environment)",
    ),
    ("APPS__SHOP__COOKIE__ENCRYPTION_KEY", "\udcff", f"{COOKIE}.encryption_key_file: not UTF-8 (in the environment)"),
    (
        "APPS__SHOP__COOKIE__ENCRYPTION_KEY",
        "0" * 64,
        f"{COOKIE}.encryption_key_file: {EVERYBODY} (in the environment)",
    ),
    ("APPS__SHOP__CLIENT_SECRET", " ", "apps.shop.client_secret_file: is needed"),
    ("APPS__SHOP__CLIENT_SECRET", "\udcff", "apps.shop.client_secret_file: not UTF-8 (in the environment)"),
    ("APPS__SHOP__UPSTREAM__CLIENT_SECRET", "", f"{UPSTREAM}.client_secret_file: is empty"),
    ("EXTAUTHZ__HTTP__SHARED_SECRET", "", f"{HTTP}.shared_secret_file: is empty"),
    ("EXTAUTHZ__HTTP__SHARED_SECRET", " \n", f"{HTTP}.shared_secret_file: is empty"),
    ("EXTAUTHZ__HTTP__SHARED_SECRET", "\udcff", f"{HTTP}.shared_secret_file: not UTF-8 (in the environment)"),
    ("APPS__SHOP__CORS", "true", f"{CORS}: a group of settings is needed"),
    (
        "APPS__SHOP__ROUTES",
        "[{path: /a, auth: no}]",
        f"{ROUTES}[0].auth: must be 'required', 'optional' or 'off'",
    ),
    ("APPS__SHOP__COOKIE__FORMAT", "aes", f"{COOKIE}.format: must be 'hpke' or 'aes-gcm'"),
    ("EXTAUTHZ__HTTP__LISTEN", "127.0.0.1:1", f"{HTTP}.listen: a list is needed, such as [a, b]"),
]


@pytest.mark.parametrize(
    ("variable", "value", "line"), VARIABLES, ids=[f"{name}={value!r}"[:60] for name, value, _ in VARIABLES]
)
def test_a_mistake_in_the_environment_is_one_line(tmp_path: Path, variable: str, value: str, line: str) -> None:
    """What a variable gets wrong is told like a mistake in the file; an empty secret does not open a door."""
    document = minimal()
    if "ENCRYPTION_KEY" in variable:
        put(document, COOKIE, {"format": "aes-gcm"})
    with pytest.raises(ConfigError) as refused:
        load(install(tmp_path, document), Program.EXTAUTHZ, {f"TOKEN_HANDLER__{variable}": value})
    assert refused.value.problems == [line]


@pytest.mark.parametrize(
    ("setting", "contents", "line"),
    [
        (f"{HTTP}.shared_secret_file", b"\n", "empty (in door.secret)"),
        (f"{HTTP}.shared_secret_file", b" ", "empty (in door.secret)"),
        (f"{HTTP}.shared_secret_file", b"\xffsesame", "not UTF-8 (in door.secret)"),
        ("apps.shop.client_secret_file", b"\xffsesame", "not UTF-8 (in door.secret)"),
        ("apps.shop.client_secret_file", b"", "empty (in door.secret)"),
        (f"{COOKIE}.encryption_key_file", b"\xffsesame", f"not hexadecimal; {HEX} (in door.secret)"),
    ],
)
def test_a_secret_file_that_holds_none(tmp_path: Path, setting: str, contents: bytes, line: str) -> None:
    """The line names the file, and no byte of it."""
    path = install(tmp_path, put(minimal(), setting, "door.secret"))
    (tmp_path / "door.secret").write_bytes(contents)
    with pytest.raises(ConfigError) as refused:
        load(path, Program.EXTAUTHZ, {})
    assert refused.value.problems == [f"{setting}: {line}"]


# --- secrets are never told

SECRETS: list[tuple[str, str]] = [
    ("apps.shop.client_secret_file", "sesame"),
    (f"{UPSTREAM}.client_secret_file", "sesame"),
    (f"{HTTP}.shared_secret_file", "sesame"),
    (f"{COOKIE}.encryption_key_file", KEY),
    (f"{COOKIE}.previous_encryption_key_file", KEY),
]


@pytest.mark.parametrize(("setting", "secret"), SECRETS, ids=[key for key, _ in SECRETS])
def test_no_repr_shows_a_secret(tmp_path: Path, setting: str, secret: str) -> None:
    """Neither the configuration nor any part of it has a secret in its repr or text."""
    keep(tmp_path, canary_file=secret)
    config = loaded(tmp_path, V1 | {f"{COOKIE}.encryption_key_file": "old.key", setting: "canary.file"})
    for part in parts(config):
        for text in (repr(part), str(part)):
            assert not any(form in text for form in forms(secret))


@pytest.mark.parametrize(("setting", "secret"), SECRETS, ids=[key for key, _ in SECRETS])
def test_no_complaint_shows_a_secret(tmp_path: Path, setting: str, secret: str) -> None:
    """Whatever else is wrong, and wherever the secret came from, the lines about it do not hold it."""
    variable = "TOKEN_HANDLER__" + setting.removesuffix("_file").upper().replace(".", "__")
    spoilt: dict[str, object] = {"log.level": "loud", f"{CORS}.max_age": "x", f"{UPSTREAM}.way": "x", "oops": 1}
    written: dict[str, object] = {setting.removesuffix("_file"): secret, setting: None}
    keep(tmp_path, canary_file=secret + "!")
    told = [
        *problems(tmp_path, V1 | spoilt | {f"{COOKIE}.encryption_key_file": "old.key", setting: "canary.file"}),
        *problems(tmp_path, V1 | spoilt | {f"{COOKIE}.encryption_key_file": "old.key"} | written),
        *problems(tmp_path, V1 | spoilt, environ={variable: secret + "!"}),
        *problems(tmp_path, V1 | spoilt | {setting: secret}),
    ]
    assert len(told) >= 12
    assert not any(form in line for line in told for form in forms(secret))


@pytest.mark.parametrize(
    "setting",
    [
        f"{COOKIE}.private_key_files",
        f"{COOKIE}.session_key_files",
        "apps.shop.client_secret_file",
        "apps.shop.ca_file",
        "extauthz.tls",
    ],
)
def test_a_key_in_the_place_of_its_file_is_not_repeated(tmp_path: Path, setting: str) -> None:
    """Who writes a key where the name of its file belongs is told so in one line that does not hold it."""
    pem = (tmp_path / "door.key").read_text()
    program = Program.AGENT if "session" in setting else Program.EXTAUTHZ
    for contents in (pem, pem.replace("\n", ""), pem * 30, f"{pem}\0"):
        tls = {"certificate_file": "door.pem", "key_file": contents}
        value = tls if "tls" in setting else [contents] if setting.endswith("files") else contents
        [line] = problems(tmp_path, {setting: value}, program=program)
        assert line.startswith(setting)
        assert "\n" not in line
        assert "PRIVATE" not in line


@pytest.mark.parametrize(
    "text", ["*sesame", "!sesame", "!!python/name:sesame", "'sesame' and more", "%sesame", "&sesame ?"]
)
def test_what_yaml_cannot_read_is_not_repeated(tmp_path: Path, text: str) -> None:
    """A secret without its quotes may be no YAML at all; the line says where, and not what."""
    path = install(tmp_path)
    path.write_text(f"extauthz:\n  http:\n    shared_secret: {text}\n")
    with pytest.raises(ConfigError) as refused:
        load(path, Program.EXTAUTHZ, {})
    assert "sesame" not in str(refused.value)


def forms(secret: str) -> Iterator[str]:
    """How a secret might be written."""
    yield secret
    yield secret.upper()
    if secret == KEY:
        yield repr(bytes.fromhex(KEY))[2:-1]


def parts(config: Config) -> Iterator[object]:
    """The configuration, and its parts that hold secrets."""
    yield from (config, config.extauthz, config.extauthz.http, config.extauthz.http.shared_secret_file)
    for app in config.apps.values():
        yield from (app, app.cookie, app.upstream, app.client_secret_file, app.upstream.client_secret_file)


def loaded(
    folder: Path,
    changes: Mapping[str, object] | None = None,
    *,
    program: Program = Program.EXTAUTHZ,
    environ: dict[str, str] | None = None,
) -> Config:
    """The minimal configuration with changes, which are left as they are."""
    return installation.loaded(folder, copy.deepcopy(dict(changes or {})), program=program, environ=environ)


def shop(folder: Path, changes: Mapping[str, object]) -> AppConfig:
    """The shop's settings, with changes."""
    return loaded(folder, changes).apps["shop"]


def seen(config: Config, key: str) -> Any:
    """The value of a dotted key."""
    found: Any = config
    for name in key.split("."):
        found = found[name] if isinstance(found, dict) else getattr(found, name)
    return found


def problems(
    folder: Path,
    changes: Mapping[str, object],
    *,
    program: Program = Program.EXTAUTHZ,
    environ: dict[str, str] | None = None,
) -> list[str]:
    """What is said about the minimal configuration with changes."""
    with pytest.raises(ConfigError) as refused:
        loaded(folder, changes, program=program, environ=environ)
    return refused.value.problems
