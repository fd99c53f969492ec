"""How a client proves itself to the authorization server: settings alike for an app's client and the proxy's own.

Each method has settings of its own. One that its method has no use for is a mistake: somebody thinks that it counts.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Literal, Protocol, TypeVar, assert_never

from pydantic import BeforeValidator, Field, ValidationInfo

from extauthz.config.files import (
    FILE,
    AppSecretFile,
    OptionalSecretFile,
    Program,
    Secret,
    certificates,
    contents,
    file_reader,
    is_read,
    loading,
    proxy_needs_no_app_client,
    require_pair,
)
from extauthz.config.section import given
from extauthz.oauth.client_auth import (
    ClientAuthentication,
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
    TlsClientAuth,
)
from extauthz.oauth.signing_key import SigningKey, read_signing_key

V = TypeVar("V")

Method = Literal["client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth"]
DEFAULT: Method = "client_secret_basic"
SERVES: dict[str, tuple[Method, ...]] = {
    "client_secret_file": ("client_secret_basic", "client_secret_post"),
    "client_key_file": ("private_key_jwt", "tls_client_auth"),
    "client_key_id": ("private_key_jwt",),
    "client_assertion_audience": ("private_key_jwt",),
    "client_certificate_file": ("tls_client_auth",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A client as the authorization server knows it, and what it proves itself with by its method."""

    client_id: str
    method: Method
    secret: Secret | None
    key: SigningKey | None
    key_id: str | None
    audience: str
    certificate: tuple[str, str] | None = field(repr=False)

    @property
    def mutual_tls(self) -> bool:
        """Whether the connection proves who we are."""
        return self.method == "tls_client_auth"

    @property
    def kid(self) -> str:
        """What the key is called, here and at the authorization server."""
        return self.key_id or _present(self.key).thumbprint()

    def authentication(self, clock: Callable[[], float]) -> ClientAuthentication:
        """What adds the proof to each request. `clock`: seconds since the epoch."""
        match self.method:
            case "client_secret_basic":
                return ClientSecretBasic(self.client_id, _present(self.secret).reveal())
            case "client_secret_post":
                return ClientSecretPost(self.client_id, _present(self.secret).reveal())
            case "private_key_jwt":
                return PrivateKeyJwt(
                    client_id=self.client_id,
                    audience=self.audience,
                    key=_present(self.key),
                    key_id=self.kid,
                    clock=clock,
                )
            case "tls_client_auth":
                return TlsClientAuth(self.client_id)
            case _:
                assert_never(self.method)


class ClientSettings(Protocol):
    """The settings, wherever they stand."""

    client_auth: Method
    client_secret_file: Secret | None
    client_key_file: SigningKey | str | None
    client_key_id: str | None
    client_assertion_audience: str | None
    client_certificate_file: str | None


def registration(settings: ClientSettings, *, client_id: str, issuer: str) -> Registration | None:
    """The client, or None when it has nothing to prove itself with."""
    secret, key, certificate = settings.client_secret_file, settings.client_key_file, settings.client_certificate_file
    if secret is None and key is None:
        return None
    return Registration(
        client_id=client_id,
        method=settings.client_auth,
        secret=secret,
        key=key if isinstance(key, SigningKey) else None,
        key_id=settings.client_key_id,
        audience=settings.client_assertion_audience or issuer,
        certificate=(certificate, key) if certificate is not None and isinstance(key, str) else None,
    )


def given_for_method(value: V, info: ValidationInfo) -> V:
    """`value`, or a ValueError when it is missing and the method cannot do without."""
    method = info.data.get("client_auth")
    if method not in SERVES[str(info.field_name)]:
        return value
    return given(value, "" if method == DEFAULT else f"for client_auth {method}")


def _fits(value: object, info: ValidationInfo) -> object:
    method, methods = info.data.get("client_auth"), SERVES[str(info.field_name)]
    if value is not None and method is not None and method not in methods:
        raise ValueError(f"is of use with client_auth {' or '.join(methods)} only, and client_auth is {method}")
    return value


def _key_file(*readers: Program, unless: Callable[[ValidationInfo], bool] = lambda _: False) -> BeforeValidator:
    signing = file_reader(read_signing_key, *readers, unless=unless, optional=True)

    def read(value: object, info: ValidationInfo) -> object:
        method = info.data.get("client_auth")
        if method != "tls_client_auth":
            return signing(value, info)
        if isinstance(value, Secret):
            raise ValueError("must be a file for client_auth tls_client_auth")  # noqa: TRY004
        if value is None or not is_read(value, info, *readers, unless=unless):
            return None
        contents(loading(info).folder, str(value))
        key, certificate = str(loading(info).folder / str(value)), info.data.get("client_certificate_file")
        if certificate is not None:
            require_pair(certificate, key, "client_certificate_file")
        return key

    return BeforeValidator(read)


def _certificate_file(*readers: Program, unless: Callable[[ValidationInfo], bool] = lambda _: False) -> BeforeValidator:
    def read(value: object, info: ValidationInfo) -> object:
        return certificates(value, info) if value and is_read(value, info, *readers, unless=unless) else None

    return BeforeValidator(read)


def _present(value: V | None) -> V:
    if value is None:
        raise AssertionError("validated: the client has what its method needs")
    return value


_FITS = BeforeValidator(_fits)

Text = Annotated[str, Field(min_length=1)]

ClientAuth = Annotated[Method, Field(description="how the client proves itself to the authorization server")]
ClientKeyId = Annotated[
    Text | None, _FITS, Field(description="kid of client_key_file; default: its thumbprint, RFC 7638")
]
AssertionAudience = Annotated[
    Text | None,
    _FITS,
    Field(description="default: the issuer; some older authorization servers want their token endpoint"),
]
AppSecret = Annotated[AppSecretFile, _FITS]
AppKey = Annotated[
    SigningKey | str | None,
    _key_file(Program.EXTAUTHZ, Program.AGENT, unless=proxy_needs_no_app_client),
    _FITS,
    FILE,
]
AppCertificate = Annotated[
    str | None,
    _certificate_file(Program.EXTAUTHZ, Program.AGENT, unless=proxy_needs_no_app_client),
    _FITS,
    FILE,
]
ProxySecret = Annotated[OptionalSecretFile, _FITS]
ProxyKey = Annotated[SigningKey | str | None, _key_file(Program.EXTAUTHZ), _FITS, FILE]
ProxyCertificate = Annotated[str | None, _certificate_file(Program.EXTAUTHZ), _FITS, FILE]
