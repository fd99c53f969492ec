"""The configuration of both programs: one YAML file, environment overrides, every problem reported at once."""

from extauthz.config.app import AppConfig, cookie_names, v1_cookie_names
from extauthz.config.errors import ConfigError
from extauthz.config.files import Program, Secret
from extauthz.config.load import load, schema
from extauthz.config.model import Config, LogConfig, TlsConfig
from extauthz.config.routes import CorsConfig, RouteConfig

__all__ = [
    "AppConfig",
    "Config",
    "ConfigError",
    "CorsConfig",
    "LogConfig",
    "Program",
    "RouteConfig",
    "Secret",
    "TlsConfig",
    "cookie_names",
    "load",
    "schema",
    "v1_cookie_names",
]
