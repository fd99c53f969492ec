"""What operators ask of several workers, answered by their parent: how they are, and what all have counted."""

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from starlette.types import Receive, Scope, Send

from extauthz.build import published_keys
from extauthz.config import Config
from extauthz.config.listening import ListenError
from extauthz.doors import jwks
from extauthz.doors.operations import Operations
from extauthz.http_server import HttpServer
from extauthz.metrics import Metrics, Together
from extauthz.telemetry import Log

MEMORY = Path("/dev/shm")  # noqa: S108  # where there is a choice, counters are not for a disk


class OperationsOfAll:
    """The operations listener. `state`: READY, or why not; `held` is closed at the end. Raises ListenError."""

    def __init__(self, config: Config, state: Callable[[], str], log: Log, held: ExitStack) -> None:
        self._listen, self._state = config.extauthz.operations.listen, state
        self.together = Together(_folder(held)) if self._listen else None
        self._server = HttpServer(self._answer, log)
        self.renew(config)

    def start(self) -> None:
        """Listen. Raises ListenError."""
        self._server.start(self._listen)

    async def stop(self) -> None:
        """Finish what is under way."""
        await self._server.stop()

    def renew(self, config: Config) -> None:
        """Publish the keys of another configuration."""
        public = jwks.published(published_keys(config))
        self._application = Operations(self.together or Metrics(), self._state, public).application()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._application(scope, receive, send)


def _folder(held: ExitStack) -> Path:
    where = MEMORY if os.access(MEMORY, os.W_OK) else None
    try:
        return Path(held.enter_context(tempfile.TemporaryDirectory(prefix="extauthz-", dir=where)))
    except OSError as error:
        raise ListenError(f"cannot make a folder for counters, in {where or 'TMPDIR'}: {error.strerror}") from error
