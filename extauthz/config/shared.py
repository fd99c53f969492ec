"""What replicas and programs share while they run: revocations, by a file or by redis."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema

from extauthz.config.files import FILE, CaFile, SharedSecretFile, loading
from extauthz.config.section import Section

MONTH_SECONDS = 30 * 24 * 3600
SCHEMES = ("redis", "rediss", "unix")


def _redis_url(url: str) -> str:
    parts = urlsplit(url)
    # A password in it would be in the file; options in it would be settings nobody has checked.
    if parts.scheme not in SCHEMES or "@" in url or parts.query or parts.fragment or not (parts.netloc or parts.path):
        raise ValueError("redis://HOST:PORT/NUMBER, rediss:// for TLS, or unix:///PATH is needed; no password in it")
    if parts.scheme != "unix" and not (parts.path.strip("/") or "0").isdecimal():
        raise ValueError("behind the host stands the number of the database: redis://localhost:6379/0")
    _ = parts.port  # raises ValueError for a port that is no number
    if find_spec("redis") is None:
        raise ValueError("needs the redis extra: pip install 'envoy-token-handler[redis]'")
    return url


def _in_a_folder(value: object, info: ValidationInfo) -> object:
    """The whole name of a file that need not be there yet; where it goes must."""
    if not isinstance(value, str) or not value:
        raise ValueError("a file name is needed")
    path = loading(info).folder / value
    try:
        if path.is_dir() or not path.parent.is_dir():
            raise ValueError(f"the folder is needed to be there, and the file to be no folder: {path}")
    except OSError as error:
        raise ValueError(f"cannot look there: {error.strerror}") from None
    return path


class RedisConfig(Section):
    """A redis server that all replicas of both programs reach."""

    url: Annotated[str, AfterValidator(_redis_url), Field(description="redis://, rediss:// or unix://; no password")]
    username: str | None = None
    password_file: SharedSecretFile = None
    ca_file: CaFile = None


class RevocationsConfig(Section):
    """How a session that has ended is refused everywhere at once."""

    file: Annotated[
        Path | None,
        BeforeValidator(lambda value, info: None if value is None else _in_a_folder(value, info)),
        WithJsonSchema({**FILE.json_schema, "description": "one machine: a file that both programs share"}),
    ] = None
    keep_seconds: Annotated[
        int, Field(ge=60, description="the longest a session may last; for so long its end is remembered")
    ] = MONTH_SECONDS
