"""What each gateway asks the door, and what it makes of the answer: listeners stand in for door, API and app."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2
import pytest
from worlds.gateways import KINDS, SECRET, Gateway
from worlds.listener import Heard, Listener, listening
from worlds.raw import RawAnswer, exchange

from demo.settings import Address
from demo.world import free_places

JWT = ("authorization", "Bearer eyJ")
CLIENTS_OWN = ["authorization: Bearer forged", "cookie: a=1", "x-user-id: root", "x-user-roles: admin"]
COPIED = ("authorization", "cookie", "x-user-id", "x-user-roles")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A gateway between listeners."""

    gateway: Gateway
    door: Listener
    api: Listener

    @property
    def host(self) -> str:
        """The host a client asks for."""
        return f"localhost:{self.gateway.place.rpartition(':')[2]}"

    def send(self, method: str, path: str, *lines: str) -> RawAnswer:
        """One request of a client."""
        self.door.heard.clear()
        self.api.heard.clear()
        return exchange(self.gateway.place, method, path, f"host: {self.host}", *lines)

    def asked(self) -> Heard:
        """The one question the door was asked."""
        [question] = self.door.heard
        return question


GATES = [name for name in KINDS if name != "nginx-resolver"]


@pytest.fixture(scope="module", params=GATES)
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Each gateway in turn."""
    folder: Path = tmp_path_factory.mktemp("stage")
    with ExitStack() as stack:
        door, api, app = (stack.enter_context(listening()) for _ in range(3))
        nobody: Address = ("127.0.0.1", 1)
        places = replace(free_places(), extauthz_http=door.place, api=api.place, spa=app.place, agent=nobody)
        gateway = stack.enter_context(Gateway(KINDS[request.param], places, folder))
        yield Scene(gateway=gateway, door=door, api=api)


@pytest.fixture
def scene(stage: Scene) -> Scene:
    """The door says yes, with all it has to say."""
    stage.door.status = 200
    stage.door.headers = [JWT, ("cookie", "z=26"), ("x-user-id", "ada"), ("x-user-roles", "buyer")]
    return stage


def test_the_api_gets_what_the_door_says(scene: Scene) -> None:
    """Each header of the answer replaces the client's own."""
    scene.send("GET", "/api/orders", *CLIENTS_OWN)
    [request] = scene.api.heard
    assert [request.all(name) for name in COPIED] == [["Bearer eyJ"], ["z=26"], ["ada"], ["buyer"]]


def test_what_the_door_does_not_say_nobody_says(scene: Scene) -> None:
    """A header that the answer lacks is not there at all, neither the client's own nor an empty one."""
    scene.door.headers = []
    scene.send("GET", "/api/orders", *CLIENTS_OWN)
    [request] = scene.api.heard
    assert [request.all(name) for name in COPIED] == [[], [], [], []]


@pytest.mark.parametrize("missing", COPIED)
def test_one_header_that_is_missing_takes_no_other_along(scene: Scene, missing: str) -> None:
    """Every header is copied or removed by itself."""
    scene.door.headers = [header for header in scene.door.headers if header[0] != missing]
    scene.send("GET", "/api/orders", *CLIENTS_OWN)
    [request] = scene.api.heard
    assert [name for name in COPIED if not request.all(name)] == [missing]


def test_a_client_cannot_take_off_what_the_door_says(scene: Scene) -> None:
    """Naming our headers in Connection (RFC 9110 section 7.6.1) takes none of them off on the way to the API."""
    for named in (", ".join(COPIED), f"close, {', '.join(COPIED).title()}"):
        scene.send("GET", "/api/orders", *CLIENTS_OWN, f"connection: {named}")
        [request] = scene.api.heard
        assert [request.all(name) for name in COPIED] == [["Bearer eyJ"], ["z=26"], ["ada"], ["buyer"]]


@pytest.mark.parametrize("stage", KINDS, indirect=True)
def test_the_question_has_no_body(scene: Scene) -> None:
    """The client's body reaches the API and not the door, and no header announces one there."""
    url = f"http://{scene.host}/api/orders"
    for content in (b"x" * 100_000, iter([b"x" * 50_000, b"x" * 50_000])):
        scene.door.heard.clear()
        scene.api.heard.clear()
        httpx2.post(url, content=content)
        assert (scene.asked().method, scene.asked().body) == ("GET", 0)
        assert scene.asked().all("transfer-encoding") == []
        assert scene.asked().all("content-length") in ([], ["0"])
        assert [request.body for request in scene.api.heard] == [100_000]


def test_the_question_tells_what_the_client_wants(scene: Scene) -> None:
    """Method, host and path of the client, once each, and the secret; whatever the client says of them."""
    spoofed = [f"{name}: spoofed" for name in ("x-original-method", "x-original-url", "x-token-handler-secret")]
    spoofed += [f"{name}: spoofed" for name in ("x-forwarded-method", "x-forwarded-uri", "x-forwarded-host")]
    for lines in (spoofed, [*spoofed, *spoofed], [f"connection: {', '.join(line.split(':')[0] for line in spoofed)}"]):
        scene.send("PUT", "/api/a%2Fb?c=d%26e", "content-length: 0", *lines)
        question = scene.asked()
        if scene.gateway.kind.door == "nginx":
            assert question.path == "/auth/nginx"
            assert question.all("x-original-method") == ["PUT"]
            assert question.all("x-original-url") == ["http://localhost/api/a%2Fb?c=d%26e"]
        else:
            assert question.path.partition("?")[0] == "/auth/forward"
            assert question.all("x-forwarded-method") == ["PUT"]
            assert question.all("x-forwarded-host") == [scene.host]
            assert question.all("x-forwarded-uri") == ["/api/a%2Fb?c=d%26e"]
        assert question.all("x-token-handler-secret") == [SECRET]


def test_repeated_headers_reach_the_door_apart_or_joined(scene: Scene) -> None:
    """No line hides another: the door sees every cookie, and every Origin."""
    scene.send("GET", "/api/orders", "cookie: a=1", "cookie: b=2", "origin: http://a", "origin: http://b")
    question = scene.asked()
    assert [one for line in question.all("cookie") for one in line.split("; ")] == ["a=1", "b=2"]
    assert ",".join(question.all("origin")).replace(" ", "") == "http://a,http://b"


@pytest.mark.parametrize("status", [201, 204, 299])
def test_any_success_is_a_yes(scene: Scene, status: int) -> None:
    """Which is why no refusal of the door is one."""
    scene.door.status = status
    scene.send("GET", "/api/orders")
    assert len(scene.api.heard) == 1


@pytest.mark.parametrize("status", [300, 302, 304, 400, 401, 403, 404, 405, 429, 500, 502, 503])
def test_nothing_else_is(scene: Scene, status: int) -> None:
    """With any other status of the door, no request reaches the API."""
    scene.door.status = status
    answer = scene.send("GET", "/api/orders", *CLIENTS_OWN)
    assert scene.api.heard == []
    told = {401: 401, 403: 403} if scene.gateway.kind.door == "nginx" else {status: status}
    assert answer.status == told.get(status, 503)


# Traefik waits for 30 seconds, and cannot be told otherwise.
@pytest.mark.parametrize("stage", [name for name in KINDS if name != "traefik"], indirect=True)
def test_nobody_waits_for_a_door_that_is_silent(scene: Scene) -> None:
    """A door that hangs costs a moment, and is no yes; by itself the gateway would wait for a minute, or for ever."""
    scene.door.answers.clear()
    try:
        answer = scene.send("GET", "/api/orders", *CLIENTS_OWN)
    finally:
        scene.door.answers.set()
    assert answer.status == (504 if scene.gateway.kind.file == "Caddyfile" else 503)
    assert scene.api.heard == []


def test_other_paths_ask_nobody(scene: Scene) -> None:
    """A path that only begins like the API's is the app's, and needs no door."""
    for path in ("/", "/apix", "/api.html", "/app/api/orders"):
        scene.send("GET", path)
        assert (scene.door.heard, scene.api.heard) == ([], [])


def test_the_secret_stays_between_gateway_and_door(scene: Scene) -> None:
    """Neither the API nor the client ever hears it."""
    for status in (200, 401, 403, 503):
        scene.door.status = status
        answer = scene.send("GET", "/api/orders")
        assert SECRET not in str(scene.api.heard)
        assert SECRET not in str(answer)
