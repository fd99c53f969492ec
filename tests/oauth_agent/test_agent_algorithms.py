"""What may sign an ID token or a response, and that an ID token belongs to its access token."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest
from agent_world import RemoteError, World, create_world, read

from agent.id_token import check_access_token
from extauthz.config import ConfigError
from extauthz.oauth.errors import InvalidToken

pytestmark = pytest.mark.anyio

PUBLISHED = "id_token_signing_alg_values_supported"
SETTING = "id_token_signed_response_alg"


@pytest.mark.parametrize(
    ("setting", "published", "believed"),
    [
        pytest.param(None, ["RS256", "ES256"], True, id="published"),
        pytest.param(None, ["RS256", "HS256", 7], False, id="not published"),
        pytest.param(None, None, False, id="nothing published stands for RS256"),
        pytest.param(None, [], False, id="an empty list too"),
        pytest.param("ES256", None, True, id="registered"),
        pytest.param("ES256", ["RS256"], True, id="registered, whatever is published"),
        pytest.param("RS256", ["ES256"], False, id="registered for another"),
    ],
)
async def test_t1_an_id_token_is_signed_with_the_algorithm_that_was_agreed_on(
    tmp_path: Path, setting: str | None, published: list[object] | None, believed: bool
) -> None:
    """The client's own, else the server's list, else RS256; the refusal names what came and what was accepted."""
    world = create_world(tmp_path, id_token_signed_response_alg=setting)
    await world.server.metadata(**{PUBLISHED: published})
    error = await outcome(world)
    if believed:
        assert error is None
        return
    assert error is not None
    assert (error.status, error.code) == (400, "invalid_id_token")
    assert error.details.startswith("it is signed with ES256, and accepted is RS256")


@pytest.mark.parametrize("setting", [SETTING, "authorization_signed_response_alg"])
@pytest.mark.parametrize("value", ["HS256", "none", "", "ES256K"])
def test_t1_no_algorithm_of_secrets_can_be_registered(tmp_path: Path, setting: str, value: str) -> None:
    """What would be good by a secret, or by nothing, is a mistake told by its key."""
    with pytest.raises(ConfigError, match=f"apps.shop.{setting}: "):
        create_world(tmp_path, **dict[str, Any]({setting: value}))


@pytest.mark.parametrize(
    ("setting", "published", "believed"), [(None, ["ES256"], True), (None, None, False), ("ES256", None, True)]
)
async def test_t1_a_signed_response_has_the_algorithm_that_was_agreed_on(
    tmp_path: Path, setting: str | None, published: list[str] | None, believed: bool
) -> None:
    """The same for JARM, by the client's other registered algorithm; no code is redeemed otherwise."""
    world = create_world(tmp_path, response_mode="jwt", authorization_signed_response_alg=setting)
    await world.server.metadata(authorization_signing_alg_values_supported=published)
    error = await outcome(world)
    assert (error is None) == believed
    assert (world.server.asked("/token") != []) == believed


@pytest.mark.parametrize("value", ["A" * 22, "", 7, None, ["x"], "\ud800"])
async def test_t8_the_id_token_of_another_access_token_logs_nobody_in(tmp_path: Path, value: object) -> None:
    """An at_hash that is there is that of the token beside it; one that is left out proves nothing."""
    world = create_world(tmp_path)
    await world.server.mode(id_token_overrides={"at_hash": value})
    error = await outcome(world)
    assert (error and error.code) == (None if value is None else "invalid_id_token")


async def test_t8_an_access_token_that_was_exchanged_for_another_logs_nobody_in(tmp_path: Path) -> None:
    """The ID token stays what it was; only the access token is another's."""
    world = create_world(tmp_path)
    await world.server.mode(id_token_overrides={"at_hash": half("sha256", "mine")})
    await world.server.mode(token_overrides={"access_token": "somebody-elses"})
    error = await outcome(world)
    assert error is not None
    assert "another access token" in error.details
    await world.server.mode(token_overrides={"access_token": "mine"})
    assert await outcome(world) is None


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [("ES256", "sha256"), ("PS384", "sha384"), ("RS512", "sha512"), ("ES512", "sha512"), ("EdDSA", "sha512")],
)
def test_t8_the_hash_is_that_of_the_algorithm(algorithm: str, digest: str) -> None:
    """Core section 3.1.3.8: the left half, by the hash that the signature itself uses."""
    check_access_token({"at_hash": half(digest, "token")}, "token", algorithm)
    with pytest.raises(InvalidToken):
        check_access_token({"at_hash": half("sha1", "token")}, "token", algorithm)
    with pytest.raises(InvalidToken):
        check_access_token({"at_hash": half(digest, "other")}, "token", algorithm)


async def outcome(world: World) -> RemoteError | None:
    """The error a login ends with, None when it succeeds."""
    browser = world.browser()
    try:
        read(await browser.login_end(await world.respond(browser)))
    except RemoteError as error:
        assert not any("-at" in name for name in browser.names())
        return error
    return None


def half(digest: str, token: str) -> str:
    """The left half of a token's hash."""
    whole = hashlib.new(digest, token.encode()).digest()
    return base64.urlsafe_b64encode(whole[: len(whole) // 2]).rstrip(b"=").decode()
