"""Settings whose value is a file, read while the configuration is validated: their problems are told with the rest.

Each program opens only the files it has business with. The agent never sees a private cookie key, and the proxy
never sees the keys of the agent's own cookies.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from extauthz.cookies.hpke import PrivateKey, PublicKey
from extauthz.cookies.keys import read_private_key, read_public_key, read_session_key


class Program(StrEnum):
    """Which of the two programs is being configured."""

    EXTAUTHZ = "extauthz"
    AGENT = "oauth-agent"


@dataclass(frozen=True, slots=True)
class Loading:
    """The validation context: whose configuration it is, and where relative paths start."""

    program: Program
    folder: Path


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret text: no default, no repr, one way out."""

    _text: str = field(repr=False)

    def __bool__(self) -> bool:
        return bool(self._text)

    def reveal(self) -> str:
        """The secret itself."""
        return self._text


def loading(info: ValidationInfo) -> Loading:
    """The context `load` validates with."""
    if not isinstance(info.context, Loading):
        raise TypeError("a configuration is validated by extauthz.config.load")
    return info.context


def read_secret(text: bytes) -> Secret:
    """A secret file's text without the newline editors leave at its end."""
    secret = text.decode().strip("\r\n")
    if not secret.strip():
        raise ValueError("the file is empty")
    return Secret(secret)


def _file(
    parse: Callable[[bytes], object],
    *readers: Program,
    unless: Callable[[ValidationInfo], bool] = lambda _: False,
    optional: bool = False,
) -> BeforeValidator:
    def read(value: object, info: ValidationInfo) -> object:
        if isinstance(value, Secret) or (value is None and optional):
            return value  # given by the environment, or absent
        if not isinstance(value, str) or not value:
            raise ValueError("a file name is needed")
        if loading(info).program not in readers or unless(info):
            return None
        return parse(contents(loading(info).folder / value))

    return BeforeValidator(read)


def proxy_has_own_client(info: ValidationInfo) -> bool:
    """Whether the proxy introspects as a client of its own and so has no business with the app's secret."""
    upstream = info.data.get("upstream")
    return loading(info).program is Program.EXTAUTHZ and getattr(upstream, "client_id", None) is not None


def contents(path: Path) -> bytes:
    """A file's bytes, or a ValueError that says in one line what is wrong with it."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ValueError(f"no such file: {path}") from error
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error


def _certificates(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        return value
    path = loading(info).folder / value
    contents(path)
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError as error:
        raise ValueError("no readable PEM certificate in it") from error
    return str(path)


FILE = WithJsonSchema({"type": "string", "description": "a file name, relative to the configuration file"})
FILES = WithJsonSchema({"type": "array", "items": {"type": "string"}})

AppSecretFile = Annotated[
    Secret | None,
    _file(read_secret, Program.EXTAUTHZ, Program.AGENT, unless=proxy_has_own_client, optional=True),
    FILE,
]
ProxySecretFile = Annotated[Secret | None, _file(read_secret, Program.EXTAUTHZ, optional=True), FILE]
PublicKeyFile = Annotated[PublicKey | None, _file(read_public_key, Program.AGENT, optional=True), FILE]
PrivateKeyFile = Annotated[PrivateKey | None, _file(read_private_key, Program.EXTAUTHZ)]
SessionKeyFile = Annotated[bytes | None, _file(read_session_key, Program.AGENT)]
PrivateKeyFiles = Annotated[list[PrivateKeyFile], Field(repr=False), FILES]
SessionKeyFiles = Annotated[list[SessionKeyFile], Field(repr=False), FILES]
CaFile = Annotated[str | None, BeforeValidator(_certificates), FILE]
