"""All programs with a real redis: a session ended by one is refused by all, and an outage of redis stops nobody."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import yaml
from worlds.idp import IdpControl
from worlds.redis_server import Redis
from worlds.waiting import until

from demo.browser import AGENT, CUSTOM_HEADER, Browser
from demo.settings import APP, Settings
from demo.world import LocalWorld, free_places

AT = f"__Host-Http-{APP}-at"
PASSWORD = "canary-of-redis"


@dataclass(frozen=True, slots=True, kw_only=True)
class WithRedis(Settings):
    """The demo's settings with redis in place of the file."""

    url: str

    def write(self) -> None:
        """Write all files."""
        Settings.write(self)
        (self.folder / "redis-password").write_text(PASSWORD)
        config = yaml.safe_load(self.config.read_text())
        config["revocations"] = {}
        config["redis"] = {"url": self.url, "password_file": "redis-password"}
        self.config.write_text(yaml.safe_dump(config, sort_keys=False))


@pytest.fixture
def password_redis(tmp_path: Path) -> Iterator[Redis]:
    """A server that wants a password."""
    with Redis(tmp_path, ["--requirepass", PASSWORD]) as running:
        yield running


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory, password_redis: Redis) -> Iterator[LocalWorld]:
    """All programs, with two proxies that ask about a token once."""
    settings = WithRedis(
        folder=tmp_path_factory.mktemp("redis"),
        places=free_places(),
        overrides={"upstream": {"cache_seconds": 600}},
        second_proxy=free_places().extauthz,
        url=password_redis.url,
    )
    with LocalWorld(settings, control=True) as running:
        yield running


def call(browser: Browser, cookie: str) -> int:
    """The status of a call of the API with this access token cookie."""
    return browser.request("GET", "/api/orders", headers={**CUSTOM_HEADER, "cookie": f"{AT}={cookie}"}).status_code


def everywhere(browser: Browser, cookie: str) -> set[int]:
    """What both proxies answer; Envoy takes them in turn, or by chance."""
    return {call(browser, cookie) for _ in range(12)}


def test_an_outage_of_redis(world: LocalWorld, password_redis: Redis) -> None:
    """Sessions end everywhere; without redis everything goes on; when it is back, even empty, all know again."""
    idp = IdpControl(lambda: world.control("idp"))
    with Browser(world.origin) as ada, Browser(world.origin) as grace:
        ada.log_in("ada").raise_for_status()
        grace.log_in("grace").raise_for_status()
        cookies = {user: browser.cookies()[AT] for user, browser in (("ada", ada), ("grace", grace))}
        assert everywhere(ada, cookies["ada"]) == everywhere(grace, cookies["grace"]) == {200}
        assert tell(world, idp.logout_token(APP, sub="ada")) == 200
        until(lambda: everywhere(ada, cookies["ada"]) == {401})
        assert everywhere(grace, cookies["grace"]) == {200}

        password_redis.stop()
        assert everywhere(grace, cookies["grace"]) == {200}
        assert everywhere(ada, cookies["ada"]) == {401}
        assert grace.agent("refresh").status_code == 200
        renewed = grace.cookies()[AT]
        assert tell(world, idp.logout_token(APP, sub="grace")) == 503
        assert grace.agent("session").json() == {"is_logged_in": False}  # the agent knows; the proxies cannot yet
        world.stop("extauthz")
        world.start("extauthz")  # it starts without redis, too

        password_redis.start()
        until(lambda: everywhere(grace, renewed) == {401})
        until(lambda: everywhere(ada, cookies["ada"]) == {401})
    written = world.logs()
    assert PASSWORD not in written
    assert "heard of again" in written


def tell(world: LocalWorld, token: str) -> int:
    """What the agent answers to the identity provider."""
    return httpx2.post(f"{world.origin}{AGENT}/backchannel-logout", data={"logout_token": token}).status_code
