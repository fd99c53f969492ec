"""What became of a token: a JWT for upstream, a refusal, or trouble. Ways give it, the cache keeps it."""

from dataclasses import dataclass, field
from typing import NewType

from extauthz.reason import Reason

Jwt = NewType("Jwt", str)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamToken:
    """The JWT to put upstream, verified. `expires_at`: seconds since the epoch."""

    jwt: Jwt = field(repr=False)
    expires_at: float
    scopes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Refused:
    """The credential does not serve."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Fault:
    """The credential could not be judged: trouble at the authorization server, or in here."""

    reason: Reason


Outcome = UpstreamToken | Refused | Fault
