"""What can go wrong with an authorization server, as one exception.

AuthorizationServerError    trouble over there, or with our standing there; never the user's fault
InvalidToken                a JWT that fails its checks; says which check, not which token
"""

from enum import StrEnum


class Trouble(StrEnum):
    """The kinds of trouble, in the words of `extauthz.reason.Reason`."""

    UNREACHABLE = "as_unreachable"
    TIMEOUT = "as_timeout"
    ERROR = "as_error"
    BAD_ANSWER = "as_bad_answer"
    REFUSED_US = "as_refused_us"


class AuthorizationServerError(Exception):
    """The authorization server could not be asked, or its answer could not be used."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        super().__init__(message)
        self.trouble = trouble


class InvalidToken(Exception):
    """A JWT that was not accepted."""
