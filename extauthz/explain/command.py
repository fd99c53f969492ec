"""The command: reads what the operator typed, and prints why it is decided as it is."""

import asyncio
import sys
import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from extauthz.config import Program
from extauthz.config.command import fail, load_or_exit
from extauthz.explain import curl, words
from extauthz.explain.log import find
from extauthz.explain.typed import Typed, header_line, read_path
from extauthz.explain.words import UnusableCommand

MAX_INPUT_BYTES = 1024 * 1024  # a command line longer than this, no shell takes
HELP = """Tell why a request is let through or refused, step by step, without showing a secret.

The request is a curl command line, as browsers copy it (Copy as cURL), put behind the options as it is:

\b
  extauthz explain --config FILE curl 'https://api.example.com/orders' -H ...

So its cookie ends up in the shell's history. From standard input it does not: end the options with "-", paste the
command line, and press Enter and Ctrl-D. Terminals cut long lines, Linux at 4095 characters: let those come from a file
or a pipe.

\b
  extauthz explain --config FILE -

Or describe the request by --path and the options beside it. Or, with --request-id, find a decision already made in the
proxy's JSON log; no configuration is needed then.

Exit status: 0 the request would pass, or the authorization server be asked; 1 refused, or not found; 2 not understood.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was typed, by the names of the options."""

    file: Path | None
    app: str | None
    settings: tuple[str, ...]
    live: bool
    method: str | None
    path: str | None = field(repr=False)
    host: str | None
    headers: tuple[str, ...] = field(repr=False)
    request_id: str | None
    log: str | None
    command: tuple[str, ...] = field(repr=False)

    @property
    def described(self) -> bool:
        """Whether the request is described by options."""
        return bool(self.method or self.path or self.host or self.headers)


@click.command(help=HELP, context_settings={"allow_interspersed_args": False})
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    envvar="TOKEN_HANDLER_CONFIG",
    show_envvar=True,
    help="The YAML file.",
)
@click.option("--app", metavar="NAME", help="The app that the gateway's route names.")
@click.option(
    "--context", "settings", metavar="KEY=VALUE", multiple=True, help="Another setting of the route: auth, csrf, ..."
)
@click.option("--live", is_flag=True, help="Ask the authorization server as well.")
@click.option("--method", help="Without curl: the method; GET by default.")
@click.option("--path", help="Without curl: the path, or a whole URL.")
@click.option("--host", help="Without curl: the host.")
@click.option("--header", "-H", "headers", multiple=True, help="Without curl: a header, 'Name: value'.")
@click.option("--request-id", metavar="ID", help="Find the decisions about this x-request-id in the log.")
@click.option("--log", metavar="FILE", help="The log to look in; standard input by default.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[curl ... | -]")
@click.pass_obj
def explain(world: object, /, **given: Any) -> None:
    """See HELP. Nothing that is raised here may show what it was about."""
    options = Options(**given)
    try:
        status = look_up(options) if options.request_id or options.log else tell(options, world)
    except UnusableCommand as error:
        fail(Program.EXTAUTHZ, str(error))
    except Exception as error:  # its message, or a line of its traceback, could hold a secret
        where = traceback.extract_tb(error.__traceback__)[-1]
        fail(Program.EXTAUTHZ, f"explain failed: {type(error).__name__} in {where.name}, line {where.lineno}")
    sys.exit(status)


def tell(options: Options, world: object) -> int:
    """Print how the request is decided; the exit status. `world` stands in for the real one if it is one."""
    from extauthz.explain import steps, text, witness  # what decides takes a while to import

    typed, context = _typed(options), _context(options)
    if options.file is None:
        raise UnusableCommand("which configuration? --config FILE, or TOKEN_HANDLER_CONFIG")
    config = load_or_exit(options.file, Program.EXTAUTHZ)
    around = world if isinstance(world, witness.World) else witness.World()
    request = (typed or _pasted()).request(context)
    told = steps.explain(asyncio.run(witness.decide(config, request, live=options.live, world=around)))
    click.echo(text.explanation(told))
    return 0 if told.passes else 1


def look_up(options: Options) -> int:
    """Print what the log says of a request; the exit status."""
    from extauthz.explain import text

    if not options.request_id or options.command or options.described:
        raise UnusableCommand("--log goes with --request-id, and neither with a request")
    name = options.log or "-"
    try:
        with click.open_file(name, "rb") as stream:
            found = [text.pairs(pairs) for pairs in find(stream, options.request_id)]
    except OSError as error:
        raise UnusableCommand(f"{name}: {error.strerror}") from error
    if not found:
        click.echo("extauthz: no decision with this request id; only lines in JSON are read (log.format)", err=True)
        return 1
    click.echo("\n\n".join(found))
    return 0


def _typed(options: Options) -> Typed | None:
    """The request; None when it is still to be pasted."""
    if options.command and options.described:
        raise UnusableCommand("--method, --path, --host and -H describe a request without curl")
    if options.command == ("-",):
        return None
    if options.command[:1] == ("-",):
        raise UnusableCommand('nothing may follow "-": put options before it')
    if options.command:
        return curl.parse(options.command)
    if options.path is None:
        raise UnusableCommand("which request? a curl command line, - to read one from standard input, or --path")
    asked = read_path(options.path).with_lines(map(header_line, options.headers))
    return replace(asked, method=options.method or asked.method, host=options.host or asked.host)


def _pasted() -> Typed:
    raw = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
    if len(raw) > MAX_INPUT_BYTES:
        raise UnusableCommand(f"standard input is longer than {MAX_INPUT_BYTES} bytes")
    return curl.parse(words.split(raw.decode("utf-8", "surrogateescape")))


def _context(options: Options) -> dict[str, str]:
    pairs = [setting.partition("=") for setting in options.settings]
    if any(not equals for _, equals, _ in pairs):
        raise UnusableCommand("--context needs KEY=VALUE")
    app = {"app": options.app} if options.app is not None else {}
    return {key: value for key, _, value in pairs} | app
