"""What became of a token: one for upstream, a refusal, or trouble. Ways give it, the cache keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import NewType

from extauthz.cookies.marks import KnownBy
from extauthz.reason import Reason

# What may stand behind "Authorization: Bearer ": its characters have been checked.
Bearer = NewType("Bearer", str)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamToken:
    """What to put upstream, and what is known of it.

    `expires_at`: seconds since the epoch, infinity when unknown; `max_age`: the longest it may be remembered, seconds;
    `session`: whose it is, where that can be ended.
    """

    bearer: Bearer = field(repr=False)
    expires_at: float
    max_age: float = inf
    scopes: frozenset[str] = frozenset()
    audiences: frozenset[str] = frozenset()
    claims: Mapping[str, object] = field(default_factory=dict, repr=False)
    session: KnownBy | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Basis:
    """What a decision rests on: the credential `key` is remembered as `token`."""

    key: bytes = field(repr=False)
    token: UpstreamToken = field(repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """The credential does not serve. `detail`: which check failed, in our own words."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """The credential could not be judged: trouble at the authorization server, or in here."""

    reason: Reason
    detail: str = ""


Outcome = UpstreamToken | Refused | Fault
