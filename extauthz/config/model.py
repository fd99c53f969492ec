"""The whole file: the settings of both programs, and the apps."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain, combinations, pairwise
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationInfo, field_validator

from extauthz.config.app import AppConfig
from extauthz.config.files import OptionalSecretFile, PemFile, Program, loading, require_certificates, require_pair
from extauthz.config.grpc_server import GrpcServer, require_fast
from extauthz.config.listening import PREFIX, of_worker
from extauthz.config.section import Section
from extauthz.config.shared import RedisConfig, RevocationsConfig
from extauthz.config.values import MAX_PORT, AppName, HeaderPrefix, Listener, is_loopback


class CacheConfig(Section):
    """Bounds of the proxy's cache of upstream tokens, over all apps."""

    max_entries: Annotated[int, Field(ge=1)] = 100_000
    max_bytes: Annotated[int, Field(ge=1)] = 256 * 1024 * 1024


class TlsConfig(Section):
    """A certificate for listeners, and whose clients may connect."""

    certificate_file: PemFile
    key_file: PemFile
    client_ca_file: Annotated[
        PemFile | None, Field(description="only clients with a certificate of this CA may connect (mutual TLS)")
    ] = None

    @field_validator("certificate_file", "client_ca_file")
    @classmethod
    def _certificates(cls, path: str | None, info: ValidationInfo) -> str | None:
        if path is not None and loading(info).program is Program.EXTAUTHZ:
            require_certificates(Path(path))
        return path

    @field_validator("key_file")
    @classmethod
    def _belongs(cls, path: str, info: ValidationInfo) -> str:
        certificate = info.data.get("certificate_file")
        if certificate is not None and loading(info).program is Program.EXTAUTHZ:
            require_pair(certificate, path, "certificate_file")
        return path


MAX_WORKERS = 128  # a typing mistake must not start thousands of processes


class HttpConfig(Section):
    """The doors for gateways that ask over HTTP; each has a path of its own on these listeners."""

    listen: list[Listener] = []
    tls: TlsConfig | None = None
    shared_secret_file: OptionalSecretFile = None
    timeout_seconds: Annotated[
        float, Field(gt=0, le=60, description="the longest a gateway waits for an answer; keep it below the gateway's")
    ] = 2.0
    resolver_prefix: Annotated[
        HeaderPrefix, Field(description="what the names of the resolver's headers start with")
    ] = "x-authgear-"

    @property
    def open_to_strangers(self) -> list[str]:
        """The listeners that whoever reaches them can ask."""
        if self.shared_secret_file is not None or (self.tls is not None and self.tls.client_ca_file is not None):
            return []
        return [one for one in self.listen if not one.startswith(PREFIX) and not is_loopback(f"http://{one}")]


class OperationsConfig(Section):
    """Health and metrics over HTTP, for those who look after the proxy."""

    listen: list[Listener] = []


Listens = TypeVar("Listens", HttpConfig, OperationsConfig)


class ProxyConfig(Section):
    """The OAuth Proxy, `extauthz serve`."""

    workers: Annotated[
        int, Field(ge=1, le=MAX_WORKERS, description="processes; each has listeners of its own for Envoy")
    ] = 1
    listen: Annotated[list[Listener], Field(min_length=1)] = ["127.0.0.1:9191"]
    reflection: Annotated[bool, Field(description="gRPC reflection, so that grpcurl needs no .proto files")] = False
    grpc_server: Annotated[
        GrpcServer, Field(description="auto: fast where zttp is installed and reflection is off, else grpcio")
    ] = "auto"
    tls: TlsConfig | None = None
    http: HttpConfig = HttpConfig()
    operations: OperationsConfig = OperationsConfig()
    drain_seconds: Annotated[
        float,
        Field(ge=0, le=300, description="NOT_SERVING this long before stopping: two health check intervals"),
    ] = 2.0
    cache: CacheConfig = CacheConfig()

    @field_validator("grpc_server")
    @classmethod
    def _can_run(cls, server: GrpcServer, info: ValidationInfo) -> GrpcServer:
        if server == "fast" and loading(info).program is Program.EXTAUTHZ:
            require_fast(reflection=info.data.get("reflection", False))
        return server

    @property
    def worker_listeners(self) -> list[list[str]]:
        """The gRPC listeners of each process."""
        return _of_each(self.workers, self.listen)

    @field_validator("listen")
    @classmethod
    def _room_for_all(cls, listen: list[str], info: ValidationInfo) -> list[str]:
        workers = info.data.get("workers", 1)
        if workers == 1:
            return listen
        ports = [int(one.rpartition(":")[2]) for one in listen if not one.startswith(PREFIX)]
        if 0 in ports:
            raise ValueError("several workers count from a port on; 0 is none")
        if ports and max(ports) + workers - 1 > MAX_PORT:
            raise ValueError(f"{workers} workers take {workers} ports from {max(ports)} on; the last is {MAX_PORT}")
        for address, times in Counter(chain(*_of_each(workers, listen))).items():
            if times > 1:
                raise ValueError(f"{address} stands twice, or is the next worker's: {workers} take as many ports")
        return listen

    @field_validator("http", "operations")
    @classmethod
    def _apart(cls, section: Listens, info: ValidationInfo) -> Listens:
        workers = info.data.get("workers", 1)
        if workers == 1:
            return section
        for address in set(section.listen).intersection(chain(*_of_each(workers, info.data.get("listen", [])))):
            raise ValueError(f"listen: {address} is that of a gRPC listener; {workers} workers take as many ports")
        return section


def _of_each(workers: int, listen: Sequence[str]) -> list[list[str]]:
    if workers == 1:
        return [list(listen)]
    return [[of_worker(one, place) for one in listen] for place in range(workers)]


class AgentConfig(Section):
    """The OAuth Agent, `oauth-agent serve`."""

    listen: Listener = "127.0.0.1:8080"


class LogConfig(Section):
    """Both programs log to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Annotated[
        Literal["auto", "json", "text"], Field(description="auto: text on a terminal, JSON elsewhere")
    ] = "auto"


class Config(Section):
    """The whole file."""

    extauthz: ProxyConfig = ProxyConfig()
    agent: AgentConfig = AgentConfig()
    log: LogConfig = LogConfig()
    redis: Annotated[RedisConfig | None, Field(description="shared by all replicas of both programs")] = None
    revocations: RevocationsConfig = RevocationsConfig()
    apps: Annotated[dict[AppName, AppConfig], Field(min_length=1)]

    @field_validator("revocations")
    @classmethod
    def _one_source(cls, revocations: RevocationsConfig, info: ValidationInfo) -> RevocationsConfig:
        if revocations.file is not None and info.data.get("redis") is not None:
            raise ValueError("there is redis, which carries revocations: take file out, or redis")
        return revocations

    @field_validator("apps")
    @classmethod
    def _agents_apart(cls, apps: dict[str, AppConfig]) -> dict[str, AppConfig]:
        paths = sorted((f"{app.agent_path}/", name) for name, app in apps.items())
        for (path, one), (following, other) in pairwise(paths):
            if following.startswith(path):
                raise ValueError(
                    f"{one} and {other} share the agent_path {path[:-1]}, or one's lies below the other's; "
                    "each needs one of its own"
                )
        return apps

    @field_validator("apps")
    @classmethod
    def _issuers_apart(cls, apps: dict[str, AppConfig]) -> dict[str, AppConfig]:
        # Whoever trusts both would have to look for our keys among its keys, and take its tokens for ours.
        theirs = {app.issuer.rstrip("/").casefold() for app in apps.values()}
        for name, app in apps.items():
            mint = app.upstream.mint
            if mint is not None and mint.issuer.rstrip("/").casefold() in theirs:
                raise ValueError(f"{name}: mint.issuer is an authorization server's; the proxy needs a URL of its own")
        return apps

    @field_validator("apps")
    @classmethod
    def _keys_apart(cls, apps: dict[str, AppConfig]) -> dict[str, AppConfig]:
        # Cookies of format aes-gcm name no app: under one key, a session of one would be a session of the other.
        for (one, first), (other, second) in combinations(apps.items(), 2):
            if set(first.cookie.encryption_keys) & set(second.cookie.encryption_keys):
                raise ValueError(f"{one} and {other} share an encryption key; each needs one of its own")
        return apps
