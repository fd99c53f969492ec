"""The configuration of both programs: one YAML file, environment overrides, every problem reported at once."""

from extauthz.config.app import AppConfig, cookie_names
from extauthz.config.files import Program, Secret
from extauthz.config.load import ConfigError, load, schema
from extauthz.config.model import Config, LogConfig

__all__ = [
    "AppConfig",
    "Config",
    "ConfigError",
    "LogConfig",
    "Program",
    "Secret",
    "cookie_names",
    "load",
    "schema",
]
