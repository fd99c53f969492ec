"""What the agent tells the app when a call fails: one exception, with status and code as attributes."""

from collections.abc import Mapping


class AgentError(Exception):
    """A call that ends in an error answer.

    `code` is stable and machine-readable, `message` is for the developer of the app; `headers` go with the answer.
    """

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = headers or {}


def invalid_request(message: str) -> AgentError:
    """The app, or what the browser brought back, is wrong."""
    return AgentError(400, "invalid_request", message)


def forbidden(message: str) -> AgentError:
    """Another site may have made the browser send this."""
    return AgentError(403, "forbidden", message)
