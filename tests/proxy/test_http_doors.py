"""The HTTP doors by themselves: what each reads, what it ignores, who may ask, and how it serves."""

import asyncio
import io
import json
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from proxy_world.asking import COOKIE, ORIGIN, SHOP, ask
from proxy_world.cases import FULL, GOOD
from proxy_world.certificates import Authority
from proxy_world.fakes import Proxy, log_to
from proxy_world.http_door import HttpAnswer, as_envoy, as_forwarded, as_original, as_resolved, ask_http
from proxy_world.installation import loaded
from starlette.types import ASGIApp

from extauthz import http_server, serve
from extauthz.build import build_issuer
from extauthz.config import TlsConfig
from extauthz.config.listening import ListenError
from extauthz.doors import dialects, resolver
from extauthz.doors.dialects import ENVOY, FORWARD, NGINX
from extauthz.doors.http import doors
from extauthz.doors.operations import READY, Operations
from extauthz.http_server import HttpServer
from extauthz.metrics import Counted, Metrics
from extauthz.outcome import Refused
from extauthz.policy import Cors
from extauthz.reason import Reason
from extauthz.request import Request
from extauthz.seat import Seat

pytestmark = pytest.mark.anyio

QUIET = log_to(io.StringIO())
HTTP = "extauthz.http"
SAYINGS = {"envoy": as_envoy, "forward": as_forwarded, "nginx": as_original}
ALL = [ENVOY, FORWARD, NGINX, resolver.dialect("x-authgear-")]


def application(proxy: Proxy | None = None, log: io.StringIO | None = None, secret: str | None = None) -> ASGIApp:
    """All doors over a proxy of fakes."""
    log = log or io.StringIO()
    return doors(ALL, (proxy or Proxy([FULL])).desk(log), log_to(log), secret=secret, wait=60)


async def asked(saying: str, request: Request, *more: tuple[str, str]) -> HttpAnswer:
    """What a dialect answers, with header lines of the client before those of the gateway."""
    method, path, lines = SAYINGS[saying](request)
    return await ask_http(application(), method, path, [*more, *lines])


@pytest.mark.parametrize("saying", SAYINGS)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "PROPFIND"])
async def test_the_original_method_counts(saying: str, method: str) -> None:
    """A changing method needs an Origin, whatever method the gateway asks with."""
    answer = await asked(saying, ask(method=method, origin=None))
    assert answer.status == (200 if method in ("GET", "HEAD", "OPTIONS") else 403)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PURGE"])
@pytest.mark.parametrize("saying", ["forward", "nginx"])
async def test_any_method_may_ask(saying: str, method: str) -> None:
    """Gateways may keep the client's method when they ask."""
    _, path, lines = SAYINGS[saying](ask())
    assert (await ask_http(application(), method, path, lines)).status == 200


MISSING = [
    ("forward", "x-forwarded-method"),
    ("forward", "x-forwarded-uri"),
    ("nginx", "x-original-method"),
    ("nginx", "x-original-url"),
]


@pytest.mark.parametrize(("saying", "header"), MISSING)
async def test_what_the_gateway_does_not_say_is_refused(saying: str, header: str) -> None:
    """A gateway that does not tell what the client wants gets no yes."""
    method, path, lines = SAYINGS[saying](ask())
    kept = [(name, value) for name, value in lines if name != header]
    assert (await ask_http(application(), method, path, kept)).status in (400, 403)


@pytest.mark.parametrize(("saying", "header"), MISSING)
async def test_what_is_said_twice_is_refused(saying: str, header: str) -> None:
    """Where the client's header survived beside the gateway's, nobody can tell which is which."""
    answer = await asked(saying, ask(), (header, "GET"))
    assert answer.status in (400, 403)


FOREIGN = [
    ("x-original-url", "https://api.shop.example/public"),
    ("x-original-uri", "/public"),
    ("x-original-method", "GET"),
    ("x-forwarded-uri", "/public"),
    ("x-forwarded-method", "GET"),
    ("x-forwarded-host", "api.bank.example"),
    ("x-rewrite-url", "/public"),
    ("x-http-method-override", "GET"),
    ("x-envoy-original-path", "/public"),
    ("forwarded", "host=api.bank.example"),
]
OWN = {*MISSING, ("forward", "x-forwarded-host")}


@pytest.mark.parametrize(
    ("saying", "header", "value"),
    [(saying, *line) for saying in SAYINGS for line in FOREIGN if (saying, line[0]) not in OWN],
)
async def test_other_gateways_headers_count_for_nothing(saying: str, header: str, value: str) -> None:
    """A dialect reads its own headers; those of the others are a client's words."""
    answer = await asked(saying, ask(method="POST", origin=None, cookies=()), (header, value))
    assert answer.status == 403


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/orders",
        "api.shop.example/orders",
        "//api.shop.example/orders",
        "ftp://api.shop.example/orders",
        "https://api.shop.example",
        "https:/api.shop.example/orders",
        "https:///orders",
    ],
)
async def test_nginx_says_whole_urls(url: str) -> None:
    """Anything else is not what our configuration for nginx sends."""
    _, path, lines = as_original(ask())
    told = [(name, url if name == "x-original-url" else value) for name, value in lines]
    assert (await ask_http(application(), "GET", path, told)).status == 403


@pytest.mark.parametrize(
    "path",
    ["/auth", "/auth/", "/auth/envoy", "/auth/other", "/auth/forward/", "/resolve/", "/", "/healthz", "/metrics"],
)
async def test_there_is_nothing_else(path: str) -> None:
    """No other path answers anything a gateway could take for a yes, nor a redirect."""
    answer = await ask_http(application(), "GET", path, [("host", "api.shop.example")])
    assert answer.status == 404


@pytest.mark.parametrize("saying", SAYINGS)
async def test_a_refused_head_has_no_body(saying: str) -> None:
    """The client's HEAD gets no body; nor does a gateway that asks with HEAD."""
    assert (await asked(saying, ask(method="HEAD", cookies=()))).body == ""
    _, path, lines = SAYINGS[saying](ask(cookies=()))
    assert (await ask_http(application(), "HEAD", path, lines)).body == ""


async def test_the_host_a_gateway_asks_by_is_not_the_clients() -> None:
    """Without X-Forwarded-Host nobody knows which app is meant, whatever Host the question itself has."""
    method, path, lines = as_forwarded(ask())
    kept = [(name, value) for name, value in lines if name not in ("host", "x-forwarded-host")]
    app = application(Proxy([SHOP]))
    assert (await ask_http(app, method, path, [*kept, ("host", "api.shop.example")])).status == 403


@pytest.mark.parametrize("saying", ["forward", "nginx"])
async def test_a_strangers_preflight_goes_no_further(saying: str) -> None:
    """Where we answer CORS, another site's preflight does not reach an API that might answer it kindly."""
    cors = Cors(allow_methods=("GET",), allow_headers=(), expose_headers=(), max_age=0)
    app = application(Proxy([replace(SHOP, cors=cors)]))
    for origin, status in ((ORIGIN, 200), ("https://evil.example", 403)):
        asks = ask(method="OPTIONS", cookies=(), origin=origin, access_control_request_method="PUT")
        assert (await ask_http(app, *SAYINGS[saying](asks))).status == status


async def test_a_door_that_fails_says_no() -> None:
    """Whatever goes wrong inside a door is a 500 and a line in the log, and no gateway takes it for a yes."""

    def fail(_asked: dialects.Asked) -> Request:
        raise RuntimeError("canary")

    log = io.StringIO()
    app = doors([replace(FORWARD, read=fail)], Proxy([FULL]).desk(log), log_to(log), secret=None, wait=60)
    answer = await ask_http(app, *as_forwarded(ask()))
    assert (answer.status, answer.body) == (500, "")
    assert json.loads(log.getvalue())["reason"] == "internal_error"
    assert "canary" not in log.getvalue()


async def test_the_programs_doors_have_the_secret_of_the_settings(tmp_path: Path) -> None:
    """A secret that is configured is asked for: whoever does not send it learns nothing about any session."""
    with tempfile.TemporaryDirectory() as folder:
        settings: dict[str, object] = {
            "extauthz.listen": [f"unix:{folder}/grpc"],
            "extauthz.drain_seconds": 0,
            f"{HTTP}.listen": [f"unix:{folder}/http"],
            f"{HTTP}.shared_secret_file": "client.secret",
        }
        config = loaded(tmp_path, settings)
        program = serve.Proxy(config, {"shop": build_issuer(config.apps["shop"], lambda: 0.0)}, QUIET)
        await program.start()
        async with client(f"{folder}/http") as http:
            known = {"x-token-handler-secret": "s3cr3t-of-the-shop"}
            answers = [await http.get("http://extauthz/resolve", headers=sent) for sent in ({}, known)]
        await program.stop()
    assert [answer.status_code for answer in answers] == [403, 200]


def _counted(program: serve.Proxy) -> float | None:
    allowed = {"app": "shop", "door": "grpc", "decision": "allow", "waived": ""}
    return program._metrics._registry.get_sample_value("token_handler_decisions_total", allowed)


async def test_a_program_that_stops_has_counted_all(tmp_path: Path) -> None:
    """What was decided last is handed over before it leaves: nobody will ask it again."""
    with tempfile.TemporaryDirectory() as folder:
        config = loaded(tmp_path, {"extauthz.listen": [f"unix:{folder}/grpc"], "extauthz.drain_seconds": 0})
        program = serve.Proxy(config, {"shop": build_issuer(config.apps["shop"], lambda: 0.0)}, QUIET)
        await program.start()
        program._metrics.decided(Counted("shop", "grpc", "allow", ""), 0.0, cached=True)
        await asyncio.sleep(0)
        assert _counted(program) is None  # it is scraped itself, and needs no timer
        await program.stop()
    assert _counted(program) == 1.0


async def test_a_worker_hands_over_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is its parent that is scraped, which sees what was handed over and cannot ask for it."""
    monkeypatch.setattr(serve, "COUNTED_SECONDS", 0)
    config = loaded(tmp_path, {"extauthz.listen": ["unix:/nowhere"]})
    seat = Seat(number=0, listen=["unix:/nowhere"], http=[], parent=-1, told=-1)
    program = serve.Proxy(config, {"shop": build_issuer(config.apps["shop"], lambda: 0.0)}, QUIET, seat)
    program._metrics.decided(Counted("shop", "grpc", "allow", ""), 0.0, cached=True)
    handed_over = asyncio.Event()
    asyncio.get_running_loop().call_later(0, handed_over.set)
    await handed_over.wait()
    assert _counted(program) == 1.0


@pytest.mark.parametrize("saying", [*SAYINGS, "resolve"])
@pytest.mark.parametrize("sent", [None, "", "wrong", "s3cret ", "s3cret,s3cret", "\udcff"])
async def test_without_the_secret_nobody_is_told_anything(saying: str, sent: str | None) -> None:
    """Whoever cannot send the shared secret gets 403, is logged, and asks nobody."""
    proxy, log = Proxy([FULL]), io.StringIO()
    method, path, lines = (SAYINGS | {"resolve": as_resolved})[saying](ask())
    more = [] if sent is None else [("x-token-handler-secret", sent)]
    answer = await ask_http(application(proxy, log, "s3cret"), method, path, [*lines, *more])
    assert answer.status == 403
    assert not answer.get("x-authgear-session-valid")
    assert not answer.get("authorization")
    assert json.loads(log.getvalue())["decision"] == "door_secret"
    assert proxy.upstream.asked == []


async def test_with_the_secret_the_door_opens() -> None:
    """The gateway sends it beside its other headers."""
    method, path, lines = as_forwarded(ask())
    app = application(secret="s3cret")
    assert (await ask_http(app, method, path, [*lines, ("x-token-handler-secret", "s3cret")])).status == 200


SESSION = {
    "sub": "ada",
    "amr": ["pwd", "otp"],
    "auth_time": 1700000000,
    "https://authgear.com/claims/user/is_verified": True,
    "https://authgear.com/claims/user/roles": ["admin", "a,b"],
}
HEADERS = {
    "x-authgear-session-valid": "true",
    "x-authgear-user-id": "ada",
    "x-authgear-user-anonymous": "false",
    "x-authgear-user-verified": "true",
    "x-authgear-user-can-reauthenticate": "false",
    "x-authgear-user-roles": "admin,a%2Cb",
    "x-authgear-session-amr": "pwd otp",
    "x-authgear-session-authenticated-at": "1700000000",
}


async def resolved(
    request: Request, claims: dict[str, object] | None = None, prefix: str = "x-authgear-"
) -> HttpAnswer:
    """What a resolver answers for a session with these claims."""
    proxy, log = Proxy([SHOP], claims=resolver.CLAIMS), io.StringIO()
    proxy.upstream.answer = replace(GOOD, claims=claims or {})
    app = doors([resolver.dialect(prefix)], proxy.desk(log), log_to(log), secret=None, wait=60)
    return await ask_http(app, *as_resolved(request))


async def test_the_resolver_tells_who_it_is() -> None:
    """A session is told with all that is known of the user, in Authgear's names."""
    answer = await resolved(ask(), SESSION)
    assert {name: value for name, value in answer.headers if name.startswith("x-authgear")} == HEADERS


async def test_the_resolver_leaves_out_what_is_not_known() -> None:
    """No roles and no time of login: no such headers; no methods: an empty one."""
    answer = await resolved(ask(), {"sub": "ada"})
    told = {name.removeprefix("x-authgear-"): value for name, value in answer.headers if name.startswith("x-authgear")}
    assert told == {
        "session-valid": "true",
        "user-id": "ada",
        "user-anonymous": "false",
        "user-verified": "false",
        "user-can-reauthenticate": "false",
        "session-amr": "",
    }


@pytest.mark.parametrize("claim", ["email_verified", "phone_number_verified"])
async def test_the_resolver_knows_openids_claims(claim: str) -> None:
    """Other providers say it in the words of OpenID Connect."""
    answer = await resolved(ask(), {"sub": "ada", claim: True, "roles": ["user"]})
    assert answer.get("x-authgear-user-verified") == ["true"]
    assert answer.get("x-authgear-user-roles") == ["user"]


@pytest.mark.parametrize("value", ["false", "true", 1, ["true"]])
async def test_the_resolver_takes_only_true_for_true(value: object) -> None:
    """A text or a number where a boolean belongs verifies nobody."""
    answer = await resolved(ask(), {"sub": "ada", "email_verified": value})
    assert answer.get("x-authgear-user-verified") == ["false"]


async def test_what_the_resolver_says_is_not_kept() -> None:
    """A cache between gateway and door must not give one user's session to the next."""
    assert (await resolved(ask(), SESSION)).get("cache-control") == ["no-store"]
    assert (await resolved(ask(cookies=()))).get("cache-control") == ["no-store"]


@pytest.mark.parametrize(
    ("request_", "state"),
    [
        pytest.param(ask(cookies=()), [], id="no credentials"),
        pytest.param(ask(cookies=(), token_handler_version=None), [], id="no credentials, no header"),
        pytest.param(ask(token_handler_version=None), ["false"], id="a session without the custom header"),
        pytest.param(ask(method="POST", origin=None), ["false"], id="a changing request without Origin"),
        pytest.param(ask(origin="https://evil.example"), ["false"], id="a session from another origin"),
        pytest.param(ask(cookies=(f"{COOKIE}=a; {COOKIE}=b",)), ["false"], id="two cookies"),
        pytest.param(ask(authorization="Bearer x"), ["false"], id="two credentials"),
    ],
)
async def test_the_resolvers_other_states(request_: Request, state: list[str]) -> None:
    """Without credentials nothing is said; with credentials that do not serve, only that."""
    answer = await resolved(request_, SESSION)
    assert (answer.status, answer.get("x-authgear-session-valid")) == (200, state)
    assert not [name for name, _ in answer.headers if name.startswith("x-authgear-user")]


async def test_an_unknown_method_may_change_something() -> None:
    """A gateway that does not tell the method cannot have a request without Origin believed."""
    method, path, lines = as_resolved(ask(origin=None))
    proxy = Proxy([FULL], claims=resolver.CLAIMS)
    proxy.upstream.answer = replace(GOOD, claims=SESSION)
    app = application(proxy)
    silent = [(name, value) for name, value in lines if name != "x-original-method"]
    assert (await ask_http(app, method, path, silent)).get("x-authgear-session-valid") == ["false"]
    assert (await ask_http(app, method, path, lines)).get("x-authgear-session-valid") == ["true"]


async def test_a_session_nobody_has_verified_is_not_vouched_for() -> None:
    """On the way opaque nobody looks into tokens, so that a session is nobody's (attack 38)."""
    answer = await resolved(ask())
    assert answer.get("x-authgear-session-valid") == ["false"]


async def test_the_resolvers_prefix_is_a_setting() -> None:
    """All names change with it."""
    answer = await resolved(ask(), SESSION, prefix="x-auth-")
    assert answer.get("x-auth-user-id") == ["ada"]
    assert not [name for name, _ in answer.headers if "authgear" in name]


async def test_a_resolver_in_trouble_says_so() -> None:
    """Neither valid nor invalid: the gateway must not take trouble for a logged-out user."""
    proxy = Proxy([SHOP])
    proxy.opener.fails = ZeroDivisionError()
    log = io.StringIO()
    app = doors([resolver.dialect("x-authgear-")], proxy.desk(log), log_to(log), secret=None, wait=60)
    answer = await ask_http(app, *as_resolved(ask()))
    assert (answer.status, answer.get("x-authgear-session-valid")) == (500, [])


@asynccontextmanager
async def serving(app: ASGIApp, tls: TlsConfig | None = None, log: io.StringIO | None = None) -> AsyncIterator[str]:
    """The real server on a free port of loopback, or with a unix socket in the environment's stead."""
    server = HttpServer(app, log_to(log or io.StringIO()), tls)
    with tempfile.TemporaryDirectory() as folder:
        address = f"unix:{folder}/s"
        server.start([address])
        yield address.removeprefix("unix:")
        await server.stop()


async def test_the_real_server_on_a_unix_socket() -> None:
    """The same doors behind a real HTTP server; a body is ignored, and the answer is exact."""
    async with serving(application()) as path, client(path) as http:
        _, door, lines = as_forwarded(ask())
        answer = await http.post(f"http://extauthz{door}", headers=list(lines), content=b"x" * 100_000)
        refused = await http.get(f"http://extauthz{door}", headers=list(as_forwarded(ask(cookies=()))[2]))
    assert (answer.status_code, answer.headers["authorization"]) == (200, "Bearer h.p.s")
    assert "server" not in answer.headers
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")


async def test_a_door_that_stops_finishes_what_is_under_way() -> None:
    """A request that waits for the authorization server gets its answer although the server is told to stop."""
    proxy = Proxy([SHOP])
    proxy.upstream.gate = asyncio.Event()
    server = HttpServer(application(proxy), QUIET)
    with tempfile.TemporaryDirectory() as folder:
        server.start([f"unix:{folder}/s"])
        async with client(f"{folder}/s") as http:
            waiting = asyncio.create_task(
                http.get("http://extauthz/auth/forward", headers=list(as_forwarded(ask())[2]))
            )
            await proxy.upstream.arrived.wait()
            stopping = asyncio.create_task(server.stop())
            proxy.upstream.gate.set()
            assert (await waiting).status_code == 200
            await stopping


SLOW = {
    "a request without an end": b"GET /auth/forward HTTP/1.1\r\nhost: extauthz\r\n",
    "a body without an end": b"POST /healthz HTTP/1.1\r\nhost: extauthz\r\ncontent-length: 9\r\n\r\n1",
    "a second request without an end": b"GET /x HTTP/1.1\r\nhost: extauthz\r\n\r\nG",
}


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW)
async def test_a_request_that_takes_its_time_is_ended(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can hold a connection with a request that never ends, however often another byte of it comes."""
    monkeypatch.setattr(http_server, "READ_SECONDS", 0.3)
    async with serving(application()) as path:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(sent)
        while not reader.at_eof():  # which only the server can bring about
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(4096), 0.05)
                continue
            writer.write(b"a")
        writer.close()


async def test_more_connections_than_are_good_for_us_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of connections is told to come back later, and is no yes."""
    monkeypatch.setattr(http_server, "MAX_CONNECTIONS", 1)
    async with serving(application()) as path:
        _, held = await asyncio.open_unix_connection(path)
        async with client(path) as http:
            answer = await http.get("http://extauthz/auth/forward", headers=list(as_forwarded(ask())[2]))
        held.close()
    assert answer.status_code == 503


async def test_a_connection_made_ahead_is_not_ended_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may wait for its first request as long as for its second."""
    monkeypatch.setattr(http_server, "READ_SECONDS", 0)
    async with serving(application()) as path:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"GET /x HTTP/1.1\r\nhost: extauthz\r\n\r\n")
        assert b" 404 " in await reader.readuntil(b"\r\n\r\n")
        writer.close()
    monkeypatch.setattr(http_server, "KEEP_ALIVE_SECONDS", 0.1)
    async with serving(application()) as path:
        reader, writer = await asyncio.open_unix_connection(path)
        assert await reader.read() == b""  # but not for ever
        writer.close()


async def test_what_is_no_http_is_told_in_our_log() -> None:
    """One line in our own form, without what was sent."""
    log = io.StringIO()
    async with serving(application(), log=log) as path:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"canary\r\n\r\n")
        assert b" 400 " in await reader.read()
        writer.close()
    line = json.loads(log.getvalue())
    assert (line["event"], line["level"], line["detail"]) == ("http", "warning", "Invalid HTTP request received.")


def test_header_lines_are_joined_in_order() -> None:
    """Lines of one name are one value (RFC 9110 section 5.3), but for those of Cookie."""
    question = dialects.asked("GET", b"/", [(b"X-A", b"1"), (b"cookie", b"a=1"), (b"x-a", b"2"), (b"Cookie", b"a=1")])
    assert question.headers == {"x-a": "1,2"}
    assert question.cookies.lines == ("a=1", "a=1")


@pytest.mark.parametrize("mutual", [False, True])
async def test_tls_on_the_network(tmp_path: Path, mutual: bool) -> None:
    """With a certificate the door speaks TLS, and with a client's CA it knows its clients."""
    authority = Authority(tmp_path)
    pair, stranger = authority.sign("server"), Authority(tmp_path, "other").sign("stranger")
    tls = tls_config(pair.certificate, pair.key, authority.certificate if mutual else None)
    server = HttpServer(application(), QUIET, tls)
    address = free_address()
    server.start([address])
    url, lines = f"https://{address}/auth/forward", list(as_forwarded(ask())[2])
    trusted = ssl.create_default_context(cafile=authority.certificate)
    trusted.load_cert_chain(pair.certificate, pair.key)
    async with httpx2.AsyncClient(verify=trusted, trust_env=False) as http:
        assert (await http.get(url, headers=lines)).status_code == 200
    foreign = ssl.create_default_context(cafile=authority.certificate)
    foreign.load_cert_chain(stranger.certificate, stranger.key)
    async with httpx2.AsyncClient(verify=foreign, trust_env=False) as http:
        if mutual:
            with pytest.raises(httpx2.TransportError):
                await http.get(url, headers=lines)
        else:
            assert (await http.get(url, headers=lines)).status_code == 200
    async with httpx2.AsyncClient(trust_env=False) as http:
        with pytest.raises(httpx2.TransportError):
            await http.get(url.replace("https", "http"), headers=lines)
    await server.stop()


async def test_an_address_in_use_is_told() -> None:
    """The second server on one address says which it was."""
    address = free_address()
    first, second = HttpServer(application(), QUIET), HttpServer(application(), QUIET)
    first.start([address])
    with pytest.raises(ListenError, match=address):
        second.start([address])
    await first.stop()


async def test_operations() -> None:
    """Health, readiness until it is told to leave, and counters that name no client."""
    metrics = Metrics()
    state = [READY]
    app = Operations(metrics, lambda: state[0]).application()
    metrics.decided(Counted("shop", "grpc", "allow", ""), 0.0002, cached=True)
    assert (await ask_http(app, "GET", "/healthz", [])).status == 200
    assert (await ask_http(app, "GET", "/readyz", [])).status == 200
    scraped = (await ask_http(app, "GET", "/metrics", [])).body
    assert 'token_handler_decisions_total{app="shop",decision="allow",door="grpc",waived=""} 1.0' in scraped
    assert 'token_handler_decision_seconds_bucket{cached="yes",le="0.00025"} 1.0' in scraped
    state[0] = "draining"
    told = await ask_http(app, "GET", "/readyz", [])
    assert (told.status, told.body) == (503, "draining\n")
    assert (await ask_http(app, "GET", "/healthz", [])).status == 200
    assert (await ask_http(app, "GET", "/auth/forward", as_forwarded(ask())[2])).status == 404
    # No redirect: it would lead to whatever host was asked for.
    assert (await ask_http(app, "GET", "/metrics/", [("host", "evil.example")])).status == 404


async def test_no_client_can_make_labels() -> None:
    """A thousand different hosts, paths and methods are one line in the counters (attack 67)."""
    log = io.StringIO()
    desk = Proxy([SHOP]).desk(log)
    for number in range(1000):
        request = ask(host=f"h{number}.example", path=f"/{number}", method=f"M{number}")
        await desk.decide(request, "grpc", None)
    lines = [line for line in desk.metrics.text().decode().splitlines() if line.startswith("token_handler_decisions_t")]
    assert lines == ['token_handler_decisions_total{app="",decision="unknown_app",door="grpc",waived=""} 1000.0']


async def test_a_refusals_detail_is_for_the_log_alone() -> None:
    """The client learns that the token does not serve, the operator which check it failed."""
    proxy, log = Proxy([FULL]), io.StringIO()
    proxy.upstream.answer = Refused(Reason.TOKEN_INVALID, "its issuer is not the configured one")
    answer = await ask_http(application(proxy, log), *as_forwarded(ask()))
    assert "issuer" not in str(answer)
    assert json.loads(log.getvalue())["detail"] == "its issuer is not the configured one"


def client(path: str) -> httpx2.AsyncClient:
    """A client on a unix socket."""
    return httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=path))


def tls_config(certificate: Path, key: Path, ca: Path | None) -> TlsConfig:
    """What the configuration makes of these files."""
    return TlsConfig.model_construct(
        certificate_file=str(certificate), key_file=str(key), client_ca_file=str(ca) if ca else None
    )


def free_address() -> str:
    """HOST:PORT that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"127.0.0.1:{probe.getsockname()[1]}"
