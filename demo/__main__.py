"""`tox -e demo`: the whole story on this machine, for a person with a browser, or with --check without one."""

import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from demo import check
from demo.settings import Places, Settings
from demo.world import LocalWorld, WorldError, free_places, last_line, separate

WATCH_SECONDS = 0.5  # how soon a program that ended by itself is noticed

INVITATION = """
  The app     {origin}

  Try this
    1. Sign in as Ada. The identity provider is a mock: no password.
    2. Call the API, and see what it received: a JWT, and no cookie of ours.
    3. Open the browser's developer tools and look for a token: document.cookie, localStorage, sessionStorage.
    4. Without the browser:
         curl -i {api}/api/hello -H 'token-handler-version: 1'      401: no cookie
         curl -i {api}/api/hello                                    403: no custom header

  Why something was refused: copy the request as cURL in the developer tools, and paste it behind
    {extauthz} explain --config {config} --live

  What the OAuth Proxy decided   tail -f {proxy_log}
  What the OAuth Agent did       tail -f {agent_log}

  Ctrl-C ends everything.
"""


@click.command()
@click.option("--check", "checking", is_flag=True, help="Take the journey without a browser, print it, and end.")
@click.option("--free-ports", is_flag=True, help="Use ports that are free instead of those of envoy/envoy.yaml.")
@click.option("--separate-origins", is_flag=True, help="The page on www.shop.localhost, agent and API on api.")
def main(checking: bool, free_ports: bool, separate_origins: bool) -> None:
    """Start identity provider, API, app, OAuth Agent, OAuth Proxy and Envoy."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    places = free_places() if free_ports else Places()
    if separate_origins:
        places = separate(places)
    with tempfile.TemporaryDirectory(prefix="token-handler-demo-") as folder:
        # The control calls count introspections for --check; a person's demo has no use for them.
        world = LocalWorld(Settings(folder=Path(folder), places=places, log_level="debug"), control=checking)
        try:
            with world:
                failed = check.run(world, click.echo) if checking else _wait(world)
        except WorldError as error:
            click.echo(f"demo: {error}", err=True)
            sys.exit(2)
        except KeyboardInterrupt:
            click.echo("\nStopped.")
            failed = 0
    sys.exit(1 if failed else 0)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """The first signal ends the demo; further ones must not interrupt its end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _wait(world: LocalWorld) -> int:
    logs = {"proxy_log": world.log("extauthz"), "agent_log": world.log("agent")}
    command = Path(sys.executable).parent / "extauthz"
    places = {"origin": world.origin, "api": world.api_origin}
    click.echo(INVITATION.format(**places, extauthz=command, config=world.settings.config, **logs))
    while (ended := world.ended()) is None:
        time.sleep(WATCH_SECONDS)
    raise WorldError(f"{ended} ended by itself: {last_line(world.log(ended))}")


if __name__ == "__main__":
    main()
