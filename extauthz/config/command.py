"""What both programs' command lines have in common: where the configuration comes from, and checking it."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn, TypeVar

import click

from extauthz.config.app import AppConfig
from extauthz.config.errors import ConfigError
from extauthz.config.files import Program
from extauthz.config.load import load, schema
from extauthz.config.model import Config

F = TypeVar("F", bound=Callable[..., object])


def config_option(command: F) -> F:
    """`--config FILE`, or the environment's TOKEN_HANDLER_CONFIG."""
    option = click.option(
        "--config",
        "file",
        type=click.Path(path_type=Path),
        envvar="TOKEN_HANDLER_CONFIG",
        required=True,
        show_envvar=True,
        help="The YAML file.",
    )
    return option(command)


def load_or_exit(file: Path, program: Program) -> Config:
    """The configuration, or its problems on standard error, a line each, and exit status 2."""
    try:
        return load(file, program, os.environ)
    except ConfigError as error:
        fail(program, *error.problems)


def fail(program: Program, *lines: str) -> NoReturn:
    """Say what is wrong and exit with status 2."""
    for line in lines:
        click.echo(f"{program}: {line}", err=True)
    sys.exit(2)


def config_group(program: Program) -> click.Group:
    """`config check`, `config schema` and `config client-jwks`."""

    @click.group("config")
    def group() -> None:
        """Check the configuration before it is needed."""

    @group.command()
    @config_option
    def check(file: Path) -> None:
        """Read the file and every key and secret this program needs; tell all problems at once."""
        config = load_or_exit(file, program)
        click.echo(f"{file} is good: {', '.join(config.apps)}")

    @group.command("schema")
    def print_schema() -> None:
        """Print the JSON schema of the file."""
        click.echo(json.dumps(schema(), indent=2))

    @group.command("client-jwks")
    @config_option
    @click.option("--app", help="Whose client; needed when there are several apps.")
    def client_jwks(file: Path, app: str | None) -> None:
        """Print the public keys of this program's client, to register at the authorization server."""
        config = load_or_exit(file, program)
        name = next(iter(config.apps)) if app is None and len(config.apps) == 1 else app
        if name not in config.apps:
            fail(program, f"--app is one of {', '.join(config.apps)}")
        keys = [*_signing(config.apps[name], program), *_encryption(config.apps[name], program)]
        if not keys:
            fail(program, f"the client of {name} has no key: its client_auth is not private_key_jwt")
        click.echo(json.dumps({"keys": keys}, indent=2))

    return group


def _signing(app: AppConfig, program: Program) -> list[Mapping[str, object]]:
    client = app.agent_client if program is Program.AGENT else app.proxy_client
    return [] if client is None or client.key is None else [client.key.public_jwk(client.kid)]


def _encryption(app: AppConfig, program: Program) -> list[Mapping[str, object]]:
    from extauthz.oauth.decryption import public_jwk  # its library is of use to this command alone

    keys = app.decryption_key_files if program is Program.AGENT else app.upstream.introspection_key_files
    return [public_jwk(key) for key in keys if key is not None]
