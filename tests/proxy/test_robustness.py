"""Misfortune that must not become a mistake: full disks, taken sockets, odd documents, careless settings."""

import asyncio
import socket
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from click.testing import CliRunner
from proxy_world.asking import SHOP, ask
from proxy_world.authorization_server import INTROSPECT, ISSUER, Server
from proxy_world.door import GrpcServer, by_map, open_door
from proxy_world.fakes import Proxy
from proxy_world.installation import install, loaded

from extauthz.__main__ import main
from extauthz.cache import Cache
from extauthz.config import ConfigError, Program, load
from extauthz.config.listening import ListenError
from extauthz.cookies.access_token import AccessToken
from extauthz.cookies.envelope import InvalidCookie
from extauthz.cookies.header import CookieHeader
from extauthz.decision import Deny, examine
from extauthz.oauth.errors import AuthorizationServerError
from extauthz.oauth.refreshed import Refreshed
from extauthz.reason import Reason
from extauthz.telemetry import Log


class FullDisk:
    """A logger whose every line fails."""

    def is_enabled_for(self, _level: int) -> bool:
        """Every level."""
        return True

    def info(self, *_: object, **__: object) -> None:
        """No space left on device."""
        raise OSError(28, "No space left on device")

    debug = error = info


@pytest.mark.anyio
async def test_a_full_disk_does_not_abort_a_check(server: GrpcServer) -> None:
    """When no log line can be written the client is still refused, and the call is not an error to Envoy."""
    log = Log(FullDisk())  # type: ignore[arg-type]  # the methods that are used
    async with open_door(Proxy(), server, log=log) as door:
        answer = await door.check(by_map(usual=()))
    assert answer.denied_response.status.code == 403


def test_a_line_that_cannot_be_written_is_left_out() -> None:
    """A full disk costs the log its lines, and no user an answer."""
    log = Log(FullDisk())  # type: ignore[arg-type]  # the methods that are used
    log.note("listening")
    log.trouble("shop", Reason.INTERNAL_ERROR, ValueError())


@pytest.mark.anyio
async def test_a_fault_in_the_door_itself_is_a_refusal(server: GrpcServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks, Envoy gets an answer that lets nobody in."""

    def broken(_: bytes) -> None:
        raise RuntimeError("canary")

    async with open_door(Proxy(), server) as door:
        monkeypatch.setattr("extauthz.doors.messages.read", broken)
        answer = await door.check(by_map())
        assert (answer.status.code, answer.denied_response.status.code) == (13, 500)
        assert "canary" not in door.log.getvalue()


@pytest.mark.anyio
async def test_a_unix_socket_in_use_is_not_taken_over(server: GrpcServer) -> None:
    """A second proxy on the same path is told so, and the first goes on answering."""
    async with open_door(Proxy(), server) as first:
        with pytest.raises(ListenError, match="another process does"):
            async with open_door(Proxy(), server, address=first.address):
                pass
        assert (await first.check(by_map(usual=()))).denied_response.status.code == 403


@pytest.mark.anyio
async def test_a_socket_left_behind_is_replaced(server: GrpcServer, tmp_path: Path) -> None:
    """A killed proxy's socket does not keep the next one from starting; a file that is no socket does."""
    path = tmp_path / "s"
    with closing(socket.socket(socket.AF_UNIX)) as left_behind:
        left_behind.bind(str(path))
    async with open_door(Proxy(), server, address=f"unix:{path}") as door:
        assert (await door.check(by_map(usual=()))).denied_response.status.code == 403
    precious = tmp_path / "precious"
    precious.write_text("precious")
    with pytest.raises(ListenError, match="no socket is in the way"):
        async with open_door(Proxy(), server, address=f"unix:{precious}"):
            pass
    assert precious.read_text() == "precious"


@pytest.mark.anyio
async def test_no_cookie_is_kept_between_calls() -> None:
    """What the authorization server sets with one user's answer does not go out with the next user's question."""
    server = Server()
    server.answers[INTROSPECT] = httpx2.Response(204, headers={"set-cookie": "user=ada; Path=/"})
    http = server.http()
    for _ in range(2):
        await http.post(ISSUER + INTROSPECT, {"token": "t"}, {})
    assert [request.headers.get("cookie") for request in server.asked_at(INTROSPECT)] == [None, None]


@pytest.mark.anyio
async def test_an_https_issuer_has_https_endpoints() -> None:
    """Metadata that sends our client secret over plain http is not believed."""
    server = Server()
    server.describe(introspection_endpoint="http://login.example/introspect")
    with pytest.raises(AuthorizationServerError, match="introspection_endpoint is not https"):
        await server.discovery().metadata()


@pytest.mark.anyio
async def test_an_empty_document_is_a_document() -> None:
    """Fifty who wait for a document that turns out to be empty make one fetch."""
    fetched = []

    async def fetch() -> list[str]:
        await asyncio.sleep(0)
        fetched.append(1)
        return []

    document = Refreshed(fetch, lambda: 0.0)
    await asyncio.gather(*(document.get(60) for _ in range(50)))
    assert len(fetched) == 1


def test_an_entry_too_heavy_for_the_cache_displaces_nobody() -> None:
    """One answer larger than the whole cache is not kept, and the others are."""
    cache: Cache[str] = Cache(max_entries=10, max_bytes=5_000, clock=lambda: 0.0)
    cache.put(b"light", "a", ttl=60, payload_bytes=10)
    cache.put(b"heavy", "b", ttl=60, payload_bytes=10_000)
    assert (cache.get(b"light"), cache.get(b"heavy")) == ("a", None)


@pytest.mark.anyio
async def test_an_old_document_serves_while_the_server_hangs() -> None:
    """With an older document at hand nobody waits for a server that does not answer."""
    now = [0.0]
    calls = []

    async def fetch() -> str:
        calls.append(1)
        if len(calls) > 1:
            await asyncio.Event().wait()
        return "old"

    document = Refreshed(fetch, lambda: now[0])
    assert await document.get(60) == "old"
    now[0] = 61.0
    assert await asyncio.gather(*(document.get(60) for _ in range(20))) == ["old"] * 20
    assert len(calls) == 2


@pytest.mark.parametrize("cookies", [(";" * 201,), ("a=" + "x" * 16_400,), ("a=1",) * 4000])
def test_an_excessive_cookie_header_is_refused_unread(cookies: tuple[str, ...]) -> None:
    """More cookies than any browser sends are a malformed request."""
    decision = examine(ask(cookies=cookies), [SHOP])
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize("origin", [None, "", "null", "https://evil.example"])
@pytest.mark.parametrize("asked", [None, "", "GET", "G T"])
def test_a_stranger_has_no_preflight(origin: str | None, asked: str | None) -> None:
    """OPTIONS is let by without a session only as the preflight of a trusted origin."""
    request = ask(method="OPTIONS", cookies=(), origin=origin, access_control_request_method=asked)
    assert isinstance(examine(request, [SHOP]), Deny)


def test_a_repeated_fetch_site_is_still_cross_site() -> None:
    """Two Sec-Fetch-Site lines, joined, do not slip past the comparison."""
    decision = examine(ask(sec_fetch_site="cross-site,cross-site"), [SHOP])
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.CROSS_SITE


def test_a_time_is_not_a_truth_value() -> None:
    """`"iat": true` is no time, though Python counts it as one."""
    with pytest.raises(InvalidCookie):
        AccessToken.from_bytes(b'{"at":"t","iat":true,"sid":"s"}')


def test_a_cookie_header_does_not_show_itself() -> None:
    """Its repr holds no cookie."""
    assert "canary" not in repr(CookieHeader(("a=canary",)))


MISTAKES: list[tuple[str, object, str]] = [
    ("apps.shop.ca_file", "cookie-public.pem", "apps.shop.ca_file: no readable PEM certificate in it"),
    ("apps.shop.cookie.private_key_files", [None], "apps.shop.cookie.private_key_files[0]: a file name is needed"),
    ("apps.shop.upstream.required_scopes", ["a b"], "apps.shop.upstream.required_scopes[0]: one scope token"),
    ("apps.shop.issuer", "https://login.example\n", "apps.shop.issuer: a URL is ASCII"),
    ("apps.shop.trusted_origins", ["https://*.shop.example"], "apps.shop.trusted_origins[0]: a URL is ASCII"),
    ("apps.shop.trusted_origins", ["https://bücher.example"], "apps.shop.trusted_origins[0]: a URL is ASCII"),
    ("apps.shop.agent_path", "/agent/..", "apps.shop.agent_path: a path like"),
    ("apps.shop.parent_domain", "other.example", "apps.shop.parent_domain: must be the host of spa_url"),
    ("apps.shop.trusted_origins", ["http://www.shop.example"], "apps.shop.trusted_origins: must be https"),
]


@pytest.mark.parametrize(("key", "value", "problem"), MISTAKES, ids=[f"{key}={value}" for key, value, _ in MISTAKES])
def test_a_careless_setting_is_told_by_key(tmp_path: Path, key: str, value: object, problem: str) -> None:
    """Each is found before anything listens."""
    with pytest.raises(ConfigError) as raised:
        loaded(tmp_path, {key: value})
    assert raised.value.problems[0].startswith(problem)
    assert len(raised.value.problems) == 1


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("TOKEN_HANDLER__APPS__SHOP__CLIENT_SECRET", "", "apps.shop.client_secret_file: is needed"),
        ("TOKEN_HANDLER__APPS__SHOP__HOSTS", "[api", "TOKEN_HANDLER__APPS__SHOP__HOSTS: not YAML"),
    ],
)
def test_a_careless_variable_is_told_by_name(tmp_path: Path, variable: str, value: str, problem: str) -> None:
    """An empty secret is none, and a broken list is said to be one."""
    with pytest.raises(ConfigError) as raised:
        loaded(tmp_path, environ={variable: value})
    assert raised.value.problems == [problem]


def test_a_setting_that_stands_twice_is_a_mistake(tmp_path: Path) -> None:
    """Which of two values counts is not decided by their order."""
    path = install(tmp_path)
    path.write_text("log: {level: info}\nlog: {level: debug}\n")
    with pytest.raises(ConfigError, match="line 2: log stands twice"):
        load(path, Program.EXTAUTHZ, {})


@pytest.mark.parametrize("text", ["day: 2020-13-45", "a: &a [*a]", "[" * 5000], ids=["date", "loop", "deep"])
def test_odd_yaml_is_one_line(tmp_path: Path, text: str) -> None:
    """What YAML allows and no configuration is ends in one line, not in a traceback."""
    path = install(tmp_path)
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(path, Program.EXTAUTHZ, {})
    assert all("\n" not in problem for problem in raised.value.problems)


def test_keygen_writes_all_files_or_none(tmp_path: Path) -> None:
    """One file already there means that none is written; a folder that cannot be made is one line."""
    (tmp_path / "session.key").write_text("old")
    refused = CliRunner().invoke(main, ["keygen", "--out", str(tmp_path)])
    assert refused.exit_code == 2
    assert [file.name for file in tmp_path.iterdir()] == ["session.key"]
    blocked = CliRunner().invoke(main, ["keygen", "--out", str(tmp_path / "session.key")])
    assert (blocked.exit_code, blocked.output.count("\n")) == (2, 1)
