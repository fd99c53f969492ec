"""`--workers`, for the commands that it makes a difference to."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import click

from extauthz.config.model import MAX_WORKERS

F = TypeVar("F", bound=Callable[..., object])

VARIABLE = "TOKEN_HANDLER__EXTAUTHZ__WORKERS"


def workers_option(command: F) -> F:
    """`--workers N`, in place of the configuration's `extauthz.workers`."""
    option = click.option(
        "--workers",
        type=click.IntRange(1, MAX_WORKERS),
        help="How many processes, each on ports of its own, the next after the last one's; Envoy needs all of them "
        "(extauthz envoy-config). By default extauthz.workers.",
    )
    return option(command)


def with_workers(environ: Mapping[str, str], workers: int | None) -> Mapping[str, str]:
    """The environment with the option in it, so that it is checked together with all other settings."""
    return environ if workers is None else {**environ, VARIABLE: str(workers)}
