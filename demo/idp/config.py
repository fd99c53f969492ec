"""What a provider is told at start: its issuer, its clients, how long tokens live."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One registered confidential client, known by a secret or by its keys (a JWK Set), not by both.

    URIs are compared as exact strings (RFC 9700 section 2.1); `audiences` are the APIs it may exchange tokens for,
    besides the usual one; `encryption_jwk`: the public key that introspection answers (RFC 9701), ID tokens and
    signed responses are encrypted to, where the mode says so.
    """

    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    jwks: Mapping[str, object] | None = None
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...] = ()
    backchannel_logout_uri: str | None = None
    scope: str = "openid"
    audiences: tuple[str, ...] = ()
    encryption_jwk: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if (self.client_secret is None) == (self.jwks is None):
            raise ValueError("a client has either client_secret or jwks")


@dataclass(frozen=True, slots=True, kw_only=True)
class IdpConfig:
    """The provider's settings; `audience` is the API its access tokens are meant for."""

    issuer: str
    clients: tuple[Client, ...]
    audience: str = "api"
    access_token_seconds: int = 300
    refresh_token_seconds: int = 3600
    clock: Clock = time.time

    def __post_init__(self) -> None:
        if self.issuer.endswith("/"):
            raise ValueError("the issuer must not end with a slash")

    def client(self, client_id: str | None) -> Client | None:
        """Return the client of that id."""
        return next((client for client in self.clients if client.client_id == client_id), None)


def read_clients(document: object) -> tuple[Client, ...]:
    """Turn the clients file's JSON into clients; the first problem found is a ValueError that names it."""
    if not isinstance(document, list) or not document:
        raise ValueError("a non-empty list of clients is expected")
    return tuple(_client(entry) for entry in document)


def _client(entry: object) -> Client:
    if not isinstance(entry, Mapping):
        raise ValueError("each client is an object")  # noqa: TRY004  # a wrong document, not a wrong call
    return Client(
        client_id=_text(entry, "client_id"),
        client_secret=_text(entry, "client_secret") if "jwks" not in entry else None,
        jwks=_jwks(entry) if "jwks" in entry else None,
        redirect_uris=_texts(entry, "redirect_uris"),
        post_logout_redirect_uris=_texts(entry, "post_logout_redirect_uris"),
        backchannel_logout_uri=_text(entry, "backchannel_logout_uri") if "backchannel_logout_uri" in entry else None,
        scope=_text(entry, "scope"),
        audiences=_texts(entry, "audiences"),
        encryption_jwk=_members(entry, "encryption_jwk"),
    )


def _text(entry: Mapping[str, object], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} is a non-empty string")
    return value


def _members(entry: Mapping[object, object], key: str) -> Mapping[str, str] | None:
    value = entry.get(key)
    if value is not None and not isinstance(value, Mapping):
        raise ValueError(f"{key} is an object")
    return cast("Mapping[str, str] | None", value)


def _jwks(entry: Mapping[str, object]) -> Mapping[str, object]:
    value = entry["jwks"]
    if not isinstance(value, Mapping) or not value.get("keys") or "client_secret" in entry:
        raise ValueError("the client's jwks is a JWK Set, and stands in place of client_secret")
    return value


def _texts(entry: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = entry.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"{key} is a list of strings")
    return tuple(cast("list[str]", value))
