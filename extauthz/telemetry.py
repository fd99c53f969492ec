"""What operators see: one structured line per decision, one per trouble, on standard error.

Nothing secret is ever handed to this module: no header, cookie, token or query. What a client can choose (method,
path, host, request id) is cut to size and cleaned, so that it can forge no line.
"""

import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from logging import DEBUG
from typing import Protocol, TextIO

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from extauthz.backlog import Backlog
from extauthz.config import LogConfig

LIMIT = 256  # characters of anything a client chose


class Logged(Protocol):
    """The parts of a request that may be logged."""

    @property
    def method(self) -> str: ...  # noqa: D102
    @property
    def path(self) -> str: ...  # noqa: D102
    @property
    def host(self) -> str: ...  # noqa: D102


def logger(config: LogConfig, stream: TextIO | Backlog = sys.stderr) -> FilteringBoundLogger:
    """A logger for `config`, writing to `stream`."""
    text = config.format == "text" or (config.format == "auto" and stream.isatty())
    renderer: Processor = structlog.dev.ConsoleRenderer() if text else structlog.processors.JSONRenderer()
    bound: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(stream),  # type: ignore[arg-type]  # it writes and flushes, and wants no more
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(config.level),
    )
    return bound


class Log:
    """The events both programs report. `backlog`: where lines may be dropped, if that is to be told.

    `tells_all`: what simply passed has a line too.
    """

    def __init__(self, logger: FilteringBoundLogger, backlog: Backlog | None = None) -> None:
        self._logger, self.backlog = logger, backlog
        self.tells_all = logger.is_enabled_for(DEBUG)

    def decided(
        self,
        request: Logged,
        *,
        app: str | None,
        door: str,
        decision: str,
        waived: str,
        detail: str,
        status: int,
        seconds: float,
        cached: bool,
        request_id: str,
    ) -> None:
        """One request was decided. `decision`: how it passed, or the reason; `seconds`: what that took.

        `waived`: a reason that did not count; `detail`: which check failed. Both are left out when empty.
        What simply passed is for debugging: a line costs more than the decision, and Envoy's access log has one too.
        """
        passed = status < 300 and not waived
        if passed and not self.tells_all:
            return
        more = {key: clean(value) for key, value in (("waived", waived), ("detail", detail)) if value}
        self._say(
            self._logger.debug if passed else self._logger.info,
            "decision",
            app=app,
            door=door,
            decision=clean(decision),
            **more,
            status=status,
            method=clean(request.method),
            host=clean(request.host),
            path=clean(request.path.partition("?")[0]),
            request_id=clean(request_id),
            cached=cached,
            ms=round(seconds * 1000, 3),
        )

    def answered(self, app: str, endpoint: str, status: int, code: str, detail: str = "") -> None:
        """The agent answered a call. `code`: the error code, or "ok"; `detail`: what the app was told."""
        self._say(
            self._logger.info,
            "agent",
            app=app,
            endpoint=endpoint,
            status=status,
            code=clean(code),
            detail=clean(detail),
        )

    def trouble(self, app: str, reason: str, error: Exception) -> None:
        """Something failed that is no client's fault. The message is ours; a foreign one is left out."""
        known = type(error).__module__.startswith("extauthz.")
        more = {"detail": clean(str(error))} if known else {"where": _where(error)}
        self._say(self._logger.error, "trouble", app=app, reason=reason, error=type(error).__name__, **more)

    def note(self, event: str, **facts: str | int | float) -> None:
        """Something in the program's own life: listening, draining, stopped."""
        self._say(self._logger.info, event, **facts)

    def warn(self, event: str, **facts: str | int | float) -> None:
        """Something the operator should look at, though the program goes on."""
        self._say(self._logger.warning, event, **facts)

    def fail(self, event: str, **facts: str | int | float) -> None:
        """Something that the operator has to mend."""
        self._say(self._logger.error, event, **facts)

    def warn_of_strangers(self, addresses: Iterable[str]) -> None:
        """HTTP doors that anybody may ask."""
        for address in addresses:
            detail = "whoever reaches it can ask: set shared_secret_file or client_ca_file"
            self.warn("open", address=address, detail=detail)

    def _say(self, write: Callable[..., object], event: str, **facts: str | float | bool | None) -> None:
        # A full disk or a closed pipe must not turn a decision into an error, nor an error into an aborted call.
        with suppress(Exception):
            write(event, **facts)
            lost = self.backlog.take_lost() if self.backlog else 0
            if lost:
                self._logger.warning("log_lines_dropped", lines=lost)


def clean(text: str) -> str:
    """Printable ASCII, at most LIMIT characters; the rest becomes "?"."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text[:LIMIT])


def _where(error: Exception) -> str:
    """The innermost places of a traceback: file names, lines and functions, no values."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return " < ".join(f"{f.filename.rsplit('/', 1)[-1]}:{f.lineno} {f.name}" for f in reversed(frames))
