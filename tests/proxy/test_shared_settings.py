"""The settings of what is shared: revocations by a file or by redis, and what is wrong with them, in one line."""

from pathlib import Path

import pytest
from proxy_world.installation import loaded

from extauthz.config import ConfigError, Program
from extauthz.config import shared as module

URL = "redis://redis.internal:6379/0"


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if redis's library were installed; nothing of it is used here."""
    monkeypatch.setattr(module, "find_spec", lambda _: object())


@pytest.mark.parametrize("program", Program)
def test_the_file_lies_beside_the_configuration(tmp_path: Path, program: Program) -> None:
    """A relative name starts where the configuration is; the file need not be there yet."""
    config = loaded(tmp_path, {"revocations.file": "revocations.jsonl"}, program=program)
    assert config.revocations.file == tmp_path / "revocations.jsonl"
    assert config.revocations.keep_seconds == 30 * 24 * 3600


def test_nothing_is_shared_unless_told(tmp_path: Path) -> None:
    """By default there is neither."""
    config = loaded(tmp_path)
    assert (config.revocations.file, config.redis) == (None, None)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"revocations.file": "gone/x.jsonl"}, "revocations.file: the folder is needed", id="no folder"),
        pytest.param({"revocations.file": "."}, "revocations.file: the folder is needed", id="a folder"),
        pytest.param({"revocations.file": ""}, "revocations.file: a file name is needed", id="no name"),
        pytest.param({"revocations.file": 7}, "revocations.file: a file name is needed", id="a number"),
        pytest.param({"revocations.keep_seconds": 5}, "revocations.keep_seconds: must be greater", id="too short"),
        pytest.param({"redis.url": "http://x"}, "redis.url: redis://HOST:PORT/NUMBER", id="another scheme"),
        pytest.param({"redis.url": "redis://"}, "redis.url: redis://HOST:PORT/NUMBER", id="no host"),
        pytest.param({"redis.url": "redis://:s3cr3t@x"}, "redis.url: redis://HOST:PORT/NUMBER", id="a password"),
        pytest.param({"redis.url": f"{URL}?password=x"}, "redis.url: redis://HOST:PORT/NUMBER", id="options"),
        pytest.param({"redis.url": "redis://x/main"}, "redis.url: behind the host stands the number", id="a name"),
        pytest.param({"redis.url": "redis://x:port/0"}, "redis.url: Port could not be cast", id="no port"),
        pytest.param({"redis": {}}, "redis.url: is needed", id="no url"),
        pytest.param({"redis.url": URL, "redis.password_file": "gone"}, "redis.password_file: no such", id="no secret"),
        pytest.param({"redis.url": URL, "redis.password": "x"}, "redis.password: a secret does not", id="in the file"),
        pytest.param(
            {"redis.url": URL, "revocations.file": "x.jsonl"}, "revocations: there is redis, which carries", id="both"
        ),
    ],
)
@pytest.mark.usefixtures("library")
def test_mistakes(tmp_path: Path, changes: dict[str, object], problem: str) -> None:
    """Each is told by its key, without repeating a secret."""
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, changes)
    assert problem in str(refused.value)
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize("url", [URL, "rediss://redis.internal", "unix:///run/redis.sock", "redis://[::1]:6379"])
@pytest.mark.usefixtures("library")
def test_urls(tmp_path: Path, url: str) -> None:
    """By name or address, with TLS or on a unix socket."""
    config = loaded(tmp_path, {"redis.url": url})
    assert config.redis is not None
    assert config.redis.url == url


@pytest.mark.parametrize("program", Program)
@pytest.mark.usefixtures("library")
def test_the_password_from_the_environment(tmp_path: Path, program: Program) -> None:
    """Both programs take it from the environment, and none shows it."""
    environ = {"TOKEN_HANDLER__REDIS__PASSWORD": "s3cr3t"}
    config = loaded(tmp_path, {"redis.url": URL}, program=program, environ=environ)
    assert config.redis is not None
    assert config.redis.password_file is not None
    assert config.redis.password_file.reveal() == "s3cr3t"
    assert "s3cr3t" not in repr(config)


@pytest.mark.usefixtures("library")
def test_an_empty_password_is_a_mistake(tmp_path: Path) -> None:
    """A variable that is set and empty does not stand for no password."""
    with pytest.raises(ConfigError, match=r"redis\.password_file: is empty"):
        loaded(tmp_path, {"redis.url": URL}, environ={"TOKEN_HANDLER__REDIS__PASSWORD": ""})


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for redis and has not installed the extra is told how."""
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"redis\.url: needs the redis extra: pip install"):
        loaded(tmp_path, {"redis.url": URL})
