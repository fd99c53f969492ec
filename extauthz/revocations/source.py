"""Which source of revocations the settings ask for: a line for each."""

from collections.abc import Callable

from extauthz.config import Config, Program
from extauthz.revocations.file import RevocationFile
from extauthz.revocations.revocations import Revocations, Source, Watch


def build_revocations(config: Config, program: Program, clock: Callable[[], float], watch: Watch) -> Revocations:
    """The revocations of one process. `clock`: seconds since the epoch."""
    source = _source(config, program, clock)
    return Revocations(source, keep_seconds=config.revocations.keep_seconds, clock=clock, watch=watch)


def _source(config: Config, program: Program, clock: Callable[[], float]) -> Source | None:
    settings = config.revocations
    if settings.file is not None:
        return RevocationFile(settings.file, clock)
    if config.redis is not None:
        from extauthz.redis_server import RedisServer  # an extra
        from extauthz.revocations.stream import RevocationStream

        writes = program is Program.AGENT
        return RevocationStream(RedisServer(config.redis), clock, keep_seconds=settings.keep_seconds, writes=writes)
    return None
