"""One world for these tests: the earlier agent is a test, all else is real; and how to get tokens there."""

import base64
import hashlib
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from e2e_v1.v1_agent import V1Agent
from e2e_v1.v1_world import KEYS, V1Settings, V1World

from demo.browser import Browser
from demo.settings import APP
from demo.world import free_places


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[V1World]:
    """Identity provider, API, our agent, proxy and Envoy."""
    settings = V1Settings(folder=tmp_path_factory.mktemp("world"), places=free_places(), log_level="debug")
    running = V1World(settings)
    with running:
        yield running


@pytest.fixture(scope="session")
def new_token(new_tokens: Callable[[], dict[str, str]]) -> Callable[[], str]:
    """Gives an opaque access token of Ada's."""
    return lambda: new_tokens()["access_token"]


@pytest.fixture(scope="session")
def new_tokens(world: V1World) -> Callable[[], dict[str, str]]:
    """Logs Ada in at the identity provider, by hand, and gives all her tokens."""

    def login() -> dict[str, str]:
        verifier, home = secrets.token_urlsafe(32), f"{world.origin}/"
        digest = hashlib.sha256(verifier.encode()).digest()
        asked = {
            "client_id": APP,
            "redirect_uri": home,
            "response_type": "code",
            "scope": "openid profile orders",
            "state": secrets.token_urlsafe(16),
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        with Browser(world.origin) as browser:
            answer = browser.authorize(f"{world.issuer}/authorize?{urlencode(asked)}")
        form = {"grant_type": "authorization_code", "redirect_uri": home, "code_verifier": verifier}
        reply = httpx2.post(
            f"{world.issuer}/token", data=form | {"code": answer["code"]}, auth=(APP, _secret(world.settings.folder))
        )
        members: dict[str, Any] = reply.raise_for_status().json()
        return {kind: members[kind] for kind in ("access_token", "refresh_token", "id_token")}

    return login


@pytest.fixture(scope="session")
def agent() -> V1Agent:
    """The agent of the demo's app, with the first key."""
    return V1Agent(KEYS["first"])


@pytest.fixture(scope="session")
def cors_agent() -> V1Agent:
    """The agent of the app on another origin."""
    return V1Agent(KEYS["cors"])


def _secret(folder: Path) -> str:
    return (folder / "agent-secret").read_text()
