"""The command line of the OAuth Proxy."""

import os
from pathlib import Path

import click

from extauthz import __version__
from extauthz.backlog import Backlog
from extauthz.config import Program, load
from extauthz.config.command import config_group, config_option, fail, load_or_exit
from extauthz.config.listening import ListenError
from extauthz.cookies.keys import new_key_pair, new_session_key
from extauthz.envoy_config import NoAddress, written
from extauthz.explain.command import explain
from extauthz.oauth.key_ring import new_key
from extauthz.oauth.signing_key import read_signing_key
from extauthz.telemetry import Log, logger
from extauthz.workers.options import with_workers, workers_option


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="envoy-token-handler")
def main() -> None:
    """The OAuth Proxy of the Token Handler Pattern for Envoy: an ext_authz v3 server."""


@main.command()
@config_option
@workers_option
def serve(file: Path, workers: int | None) -> None:
    """Answer Envoy until SIGTERM or SIGINT."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what grpc would say on its own, we say
    environ = with_workers(os.environ, workers)
    config = load_or_exit(file, Program.EXTAUTHZ, environ)
    # What serves takes a while to import, and the other commands do without it.
    try:
        if config.extauthz.workers == 1:
            from extauthz.serve import run

            with Backlog() as lines:
                run(config, Log(logger(config.log, lines), lines))
        else:
            from extauthz.workers.parent import supervise

            # Without a backlog: its thread would be lost in the workers, and what decides nothing may wait.
            supervise(config, lambda: load(file, Program.EXTAUTHZ, environ), Log(logger(config.log)))
    except ListenError as error:
        fail(Program.EXTAUTHZ, str(error))


@main.command("envoy-config")
@config_option
@workers_option
@click.option("--host", help="How Envoy finds the proxy; by default as in extauthz.listen.")
def envoy_config(file: Path, workers: int | None, host: str | None) -> None:
    """Print what Envoy needs to ask this proxy: the filter, and the cluster with every worker."""
    config = load_or_exit(file, Program.EXTAUTHZ, with_workers(os.environ, workers))
    try:
        click.echo(written(config, host), nl=False)
    except NoAddress as error:
        fail(Program.EXTAUTHZ, str(error))


@main.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path(), help="The folder to write to; by default this one."
)
@click.option("--type", "kind", type=click.Choice(["x25519", "p-256"]), default="x25519", show_default=True)
def keygen(out: Path, kind: str) -> None:
    """Make the keys one installation needs, and tell which program gets which."""
    private, public = new_key_pair(kind)
    files = [
        (out / "cookie-private.pem", private, "for the proxy only: cookie.private_key_files"),
        (out / "cookie-public.pem", public, "for the agent: cookie.public_key_file"),
        (out / "session.key", new_session_key(), "for the agent only: cookie.session_key_files"),
    ]
    # All or none: keys that sessions are sealed with must not be lost to a second keygen, nor be mixed with its own.
    present = [str(path) for path, _, _ in files if path.exists()]
    if present:
        fail(Program.EXTAUTHZ, *(f"{path}: File exists" for path in present))
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path, contents, use in files:
            _write(path, contents)
            click.echo(f"{path}  {use}")
    except OSError as error:
        fail(Program.EXTAUTHZ, f"{error.filename}: {error.strerror}")


@main.command("mint-keygen")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--type", "kind", type=click.Choice(["ES256", "EdDSA", "RS256"]), default="ES256", show_default=True)
def mint_keygen(file: Path, kind: str) -> None:
    """Make a key that the way mint signs with, and tell the key id the API will see."""
    key = new_key(kind)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _write(file, key)
    except OSError as error:
        fail(Program.EXTAUTHZ, f"{error.filename}: {error.strerror}")
    click.echo(f"{file}  for the proxy only: upstream.mint.key_files; key id {read_signing_key(key).thumbprint()}")


main.add_command(config_group(Program.EXTAUTHZ))
main.add_command(explain)


def _write(path: Path, contents: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(contents)


if __name__ == "__main__":
    main()
