"""Settings whose value is a file, read while the configuration is validated: their problems are told with the rest.

Each program opens only the files it has business with. The agent never sees a private cookie key, and the proxy
never sees the keys of the agent's own cookies; only the one key of the format aes-gcm is shared.
"""

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema

from extauthz.cookies.hpke import PrivateKey, PublicKey
from extauthz.cookies.keys import read_encryption_key, read_private_key, read_public_key, read_session_key
from extauthz.oauth.decryption_key import DecryptionKey, read_decryption_key
from extauthz.oauth.signing_key import SigningKey, read_signing_key

# The ways that ask the authorization server something which it answers to its clients only.
CLIENT_WAYS = frozenset({"phantom", "mint", "exchange"})


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
        return bool(self._text.strip())

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
    try:
        secret = Secret(text.decode().strip("\r\n"))
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    if not secret:
        raise ValueError("empty")
    return secret


def file_reader(
    parse: Callable[[bytes], object],
    *readers: Program,
    unless: Callable[[ValidationInfo], bool] = lambda _: False,
    optional: bool = False,
) -> Callable[[object, ValidationInfo], object]:
    """What puts a file's parsed contents in the place of its name, for the programs that read it."""

    def read(value: object, info: ValidationInfo) -> object:
        if value is None and optional:
            return None
        if isinstance(value, Secret):
            octets = _octets(value)
            return value if parse is read_secret else _parsed("the environment", octets, parse)
        if not is_read(value, info, *readers, unless=unless):
            return None
        return _parsed(str(value), contents(loading(info).folder, str(value)), parse)

    return read


def is_read(
    value: object, info: ValidationInfo, *readers: Program, unless: Callable[[ValidationInfo], bool] = lambda _: False
) -> bool:
    """Whether the file named by `value` is one for the program being configured; ValueError when it is no name."""
    if not isinstance(value, str) or not value:
        raise ValueError("a file name is needed")
    return loading(info).program in readers and not unless(info)


def _file(
    parse: Callable[[bytes], object],
    *readers: Program,
    unless: Callable[[ValidationInfo], bool] = lambda _: False,
    optional: bool = False,
) -> BeforeValidator:
    return BeforeValidator(file_reader(parse, *readers, unless=unless, optional=optional))


def _octets(secret: Secret) -> bytes:
    """The bytes of a secret given by the environment."""
    try:
        return secret.reveal().encode()
    except UnicodeEncodeError:  # a variable may hold any bytes (PEP 383)
        raise ValueError("not UTF-8 (in the environment)") from None


def _parsed(source: str, octets: bytes, parse: Callable[[bytes], object]) -> object:
    try:
        return parse(octets)
    except ValueError as error:
        raise ValueError(f"{error} (in {source})") from error


def proxy_needs_no_app_client(info: ValidationInfo) -> bool:
    """Whether the proxy has no business with the app's client: it has one of its own, or asks nothing as one."""
    if loading(info).program is not Program.EXTAUTHZ or "upstream" not in info.data:
        return False
    ways = {info.data["upstream"].way, *(route.upstream for route in info.data.get("routes", []))}
    return info.data["upstream"].own_client or CLIENT_WAYS.isdisjoint(ways)


def agent_seals_otherwise(info: ValidationInfo) -> bool:
    """Whether the agent has no business with the key of the format aes-gcm: its cookies are of the other."""
    return loading(info).program is Program.AGENT and info.data.get("format") != "aes-gcm"


def contents(folder: Path, name: str) -> bytes:
    """A file's bytes, or a ValueError that says in one line what is wrong with it.

    A name that leads nowhere may be the key or the secret itself, in the wrong place: only what looks like a name is
    repeated.
    """
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError:
        what = folder / name if _FILE_NAME.fullmatch(name) else f"what is given is no name; names start at {folder}"
        raise ValueError(f"no such file: {what}") from None
    except OSError as error:
        raise ValueError(f"cannot read the file: {error.strerror}") from None
    except ValueError:  # a NUL in it
        raise ValueError("a file name is needed") from None


def certificates(value: object, info: ValidationInfo) -> object:
    """The whole name of a file with certificates, or a ValueError."""
    if not isinstance(value, str):
        return value
    folder = loading(info).folder
    contents(folder, value)
    require_certificates(folder / value)
    return str(folder / value)


def require_certificates(path: Path) -> None:
    """Raise ValueError unless the file has certificates to verify others by."""
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError as error:
        raise ValueError("no readable PEM certificate in it") from error


def require_pair(certificate: str, key: str, setting: str) -> None:
    """Raise ValueError unless `key` is the private key of `certificate`, the file that `setting` names."""
    try:
        # An empty password, so that nobody is asked for one.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: b"")
    except (ssl.SSLError, ValueError) as error:
        raise ValueError(f"not the private key of {setting}, in PEM without a password") from error


def _pem(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str) or not value:
        raise ValueError("a file name is needed")
    folder = loading(info).folder
    if loading(info).program is Program.EXTAUTHZ:
        contents(folder, value)
    return str(folder / value)


def _not_empty(secret: Secret | None) -> Secret | None:
    # A variable that is set and empty must not stand for a door that was meant to be locked.
    if secret is not None and not secret:
        raise ValueError("is empty")
    return secret


# Words of a length no key has, and of letters a name has.
_FILE_NAME = re.compile(r"[./]*[A-Za-z0-9_-]{1,24}([./]+[A-Za-z0-9_-]{1,24})+", re.ASCII)

FILE = WithJsonSchema({"type": "string", "description": "a file name, relative to the configuration file"})
FILES = WithJsonSchema({"type": "array", "items": {"type": "string"}})

AppSecretFile = Annotated[
    Secret | None,
    _file(read_secret, Program.EXTAUTHZ, Program.AGENT, unless=proxy_needs_no_app_client, optional=True),
    FILE,
]
OptionalSecretFile = Annotated[
    Secret | None, _file(read_secret, Program.EXTAUTHZ, optional=True), AfterValidator(_not_empty), FILE
]
SharedSecretFile = Annotated[
    Secret | None,
    _file(read_secret, Program.EXTAUTHZ, Program.AGENT, optional=True),
    AfterValidator(_not_empty),
    FILE,
]
PublicKeyFile = Annotated[PublicKey | None, _file(read_public_key, Program.AGENT, optional=True), FILE]
PrivateKeyFile = Annotated[PrivateKey | None, _file(read_private_key, Program.EXTAUTHZ)]
EncryptionKeyFile = Annotated[
    bytes | None,
    _file(read_encryption_key, Program.EXTAUTHZ, Program.AGENT, unless=agent_seals_otherwise, optional=True),
    Field(repr=False),
    FILE,
]
SessionKeyFile = Annotated[bytes | None, _file(read_session_key, Program.AGENT)]
SigningKeyFile = Annotated[SigningKey | None, _file(read_signing_key, Program.EXTAUTHZ)]
DecryptionKeyFile = Annotated[DecryptionKey | None, _file(read_decryption_key, Program.EXTAUTHZ)]
AppDecryptionKeyFile = Annotated[DecryptionKey | None, _file(read_decryption_key, Program.AGENT)]
PrivateKeyFiles = Annotated[list[PrivateKeyFile], Field(repr=False), FILES]
SigningKeyFiles = Annotated[list[SigningKeyFile], Field(repr=False), FILES]
DecryptionKeyFiles = Annotated[list[DecryptionKeyFile], Field(repr=False), FILES]
AppDecryptionKeyFiles = Annotated[list[AppDecryptionKeyFile], Field(repr=False), FILES]
SessionKeyFiles = Annotated[list[SessionKeyFile], Field(repr=False), FILES]
CaFile = Annotated[str | None, BeforeValidator(certificates), FILE]
PemFile = Annotated[str, BeforeValidator(_pem), FILE]
