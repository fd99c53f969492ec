"""The whole file: the settings of both programs, and the apps."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator

from extauthz.config.app import AppConfig
from extauthz.config.section import Section
from extauthz.config.values import (
    AppName,
    Listener,
)


class CacheConfig(Section):
    """Bounds of the proxy's cache of upstream tokens, over all apps."""

    max_entries: Annotated[int, Field(ge=1)] = 100_000
    max_bytes: Annotated[int, Field(ge=1)] = 256 * 1024 * 1024


class ProxyConfig(Section):
    """The OAuth Proxy, `extauthz serve`."""

    listen: Annotated[list[Listener], Field(min_length=1)] = ["127.0.0.1:9191"]
    reflection: Annotated[bool, Field(description="gRPC reflection, so that grpcurl needs no .proto files")] = False
    drain_seconds: Annotated[
        float,
        Field(ge=0, le=300, description="NOT_SERVING this long before stopping: two health check intervals"),
    ] = 2.0
    cache: CacheConfig = CacheConfig()


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
    apps: Annotated[dict[AppName, AppConfig], Field(min_length=1)]

    @field_validator("apps")
    @classmethod
    def _agents_apart(cls, apps: dict[str, AppConfig]) -> dict[str, AppConfig]:
        paths = sorted(f"{app.agent_path}/" for app in apps.values())
        for path, following in pairwise(paths):
            if following.startswith(path):
                raise ValueError(f"two apps share the agent_path {path[:-1]}, or one's lies below the other's")
        return apps
