"""`python -m demo.idp`: the mock provider on an address of its own."""

import json
from typing import TextIO

import click

from demo.idp.app import create_idp
from demo.idp.config import Client, IdpConfig, read_clients
from demo.listen import Address, listen, listen_option


def _clients(_context: click.Context, _option: click.Parameter, file: TextIO) -> tuple[Client, ...]:
    try:
        return read_clients(json.load(file))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.option("--issuer", default="http://localhost:9000", show_default=True, help="Its public URL.")
@listen_option("127.0.0.1:9000")
@click.option("--clients", type=click.File(), required=True, callback=_clients, help="JSON list of clients.")
@click.option("--audience", default="api", show_default=True, help="The audience of access tokens.")
@click.option("--access-token-seconds", default=300, show_default=True)
@click.option("--refresh-token-seconds", default=3600, show_default=True)
@click.option("--control", is_flag=True, help="Answer /_control, for tests.")
def main(address: Address, control: bool, **settings: object) -> None:
    """Serve a mock OpenID provider. It asks for no password: never use it to protect anything."""
    try:
        config = IdpConfig(**settings)  # type: ignore[arg-type]  # click has converted them
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    listen(create_idp(config, control=control), address)


if __name__ == "__main__":
    main()
