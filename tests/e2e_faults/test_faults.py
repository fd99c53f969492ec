"""An authorization server in trouble, as a client sees it through a real Envoy: never in, never logged out."""

import json
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import yaml
from e2e_faults.sick_server import ILLNESSES, NOT_ACTIVE, SickServer, sick_server
from worlds.raw import RawAnswer, exchange
from worlds.tokens import sealed_for
from worlds.waiting import until

from demo.settings import APP, Settings
from demo.world import LocalWorld, free_places

APPS = ("sick", "refused", "tls")


@dataclass(frozen=True, slots=True, kw_only=True)
class AtSickServers(Settings):
    """The demo's settings, and apps whose authorization server is a test's."""

    server: SickServer

    def write(self) -> None:
        """Write all files."""
        Settings.write(self)
        config = yaml.safe_load(self.config.read_text())
        shop = config["apps"][APP] | {"hosts": ["localhost"]}
        config["apps"] |= {APP: shop} | {name: self._app(name, shop) for name in APPS}
        self.config.write_text(yaml.safe_dump(config))

    def _app(self, name: str, shop: dict[str, object]) -> dict[str, object]:
        return shop | {"hosts": [f"{name}.example"], "issuer": f"{self.server.url}/{name}", "agent_path": f"/{name}"}


class World(LocalWorld):
    """Without the agent and the page, which have no business here."""

    def _programs(self) -> list[str]:
        return ["idp", "api", "extauthz", "envoy"]


@pytest.fixture(scope="module")
def server() -> Iterator[SickServer]:
    """The authorization server of all apps here."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound, and never listening
        with sick_server(f"http://127.0.0.1:{reserved.getsockname()[1]}") as running:
            yield running


@pytest.fixture(scope="module")
def world(server: SickServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """API, proxy and Envoy."""
    settings = AtSickServers(
        folder=tmp_path_factory.mktemp("world"), places=free_places(), log_level="debug", server=server
    )
    running = World(settings, control=True)
    with running:
        yield running


@pytest.fixture(autouse=True)
def _ill_again(server: SickServer, world: World) -> Iterator[None]:
    yield
    server.well = True  # so that no test begins while the server is left alone
    until(lambda: ask_anew(world, "sick", "hangs") == 200)
    server.well = False


def session(world: World, app: str, illness: str) -> str:
    """A session nobody has seen yet, with a token that brings out this illness."""
    return sealed_for(world.settings.folder, app, f"{illness}.{secrets.token_hex(8)}")


def ask(world: World, app: str, cookie: str) -> RawAnswer:
    """One request with a session."""
    lines = (f"host: {app}.example", "token-handler-version: 1", f"cookie: {cookie}")
    return exchange(world.origin.removeprefix("http://"), "GET", "/api/public/x", *lines)


def ask_anew(world: World, app: str, illness: str) -> int:
    """The status for a session of its own."""
    return ask(world, app, session(world, app, illness)).status


def reached(world: World) -> int:
    """How many requests the API has seen."""
    count: int = httpx2.get(f"{world.control('api')}/requests").json()["count"]
    return count


def reason(world: World, app: str) -> str:
    """Why the proxy refused the last request of an app, in its log."""
    lines = [line for line in Path(world.log("extauthz")).read_text().splitlines() if '"decision"' in line]
    told = [json.loads(line) for line in lines]
    word: str = [line for line in told if line.get("app") == app][-1]["decision"]
    return word


LINGERING = ("hangs", "slow-body")
REASONS = {
    "hangs": "as_timeout",
    "slow-body": "as_timeout",
    "cut-short": "as_unreachable",
    "status-401": "as_refused_us",
    "status-403": "as_refused_us",
    **{f"status-{status}": "as_error" for status in (201, 400, 404, 429, 500, 502, 503)},
    "redirect": "as_error",
}


@pytest.mark.parametrize("illness", [name for name in ILLNESSES if name not in NOT_ACTIVE])
def test_trouble_is_503_and_over_when_it_is_over(world: World, server: SickServer, illness: str) -> None:
    """No illness lets anybody in or logs anybody out, and none is remembered: the session is served when it ends."""
    cookie, before = session(world, "sick", illness), reached(world)
    answer = ask(world, "sick", cookie)
    assert (answer.status, answer.json()["code"]) == (503, "temporarily_unavailable")
    assert len(answer.all("retry-after")) == 1
    assert answer.all("www-authenticate") == []
    assert reason(world, "sick") == REASONS.get(illness, "as_bad_answer")
    assert reached(world) == before
    server.well = True
    if illness in LINGERING:
        # A question that is still open is not asked again; it ends some seconds after who asked it has gone.
        until(lambda: ask(world, "sick", cookie).status == 200)
    else:
        assert ask(world, "sick", cookie).status == 200
    assert reached(world) == before + 1


@pytest.mark.parametrize("illness", NOT_ACTIVE)
def test_a_token_that_is_not_active_is_401(world: World, server: SickServer, illness: str) -> None:
    """This is no trouble but an answer, and it is remembered for a moment."""
    cookie, before = session(world, "sick", illness), server.asked.get(illness, 0)
    assert [ask(world, "sick", cookie).status for _ in range(3)] == [401] * 3
    assert server.asked[illness] == before + 1


@pytest.mark.parametrize("app", ["refused", "tls"])
def test_no_connection_is_503(world: World, app: str) -> None:
    """A refused connection and a failed TLS handshake are told apart in the log, and not to the client."""
    before = reached(world)
    answer = ask(world, app, session(world, app, "hangs"))
    assert (answer.status, answer.json()["code"]) == (503, "temporarily_unavailable")
    assert reason(world, app) == "as_unreachable"
    assert reached(world) == before
    word = {"refused": "connection refused", "tls": "TLS, the other side does not speak it as we do"}[app]
    assert word in world.logs()


def test_a_server_in_trouble_is_left_alone(world: World, server: SickServer) -> None:
    """After failures in a row it is hardly asked any more, and it is found again."""
    for _ in range(6):
        assert ask_anew(world, "sick", "status-503") == 503
    asked = server.asked["status-503"]
    assert [ask_anew(world, "sick", "status-503") for _ in range(20)] == [503] * 20
    assert server.asked["status-503"] <= asked + 3  # probes, if it was time for some
    server.well = True
    until(lambda: ask_anew(world, "sick", "status-503") == 200)
