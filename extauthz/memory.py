"""What is remembered of credentials: upstream tokens for as long as they serve, refusals for a moment.

Keys are digests, so that no cookie and no token is kept as a key; values are what a decision is concluded from.
"""

import hashlib
from collections.abc import Set
from dataclasses import dataclass, replace

from extauthz.cache import Cache, size_of
from extauthz.decision import Credential
from extauthz.outcome import Outcome, Refused, UpstreamToken

WORD_BYTES = 80  # a scope or an audience
SESSION_BYTES = 400  # what a session is known by


@dataclass(frozen=True, slots=True)
class Memory:
    """Refusals apart: a flood of worthless tokens must not push sessions out."""

    answers: Cache[Outcome]
    refusals: Cache[Outcome]

    def get(self, key: bytes) -> Outcome | None:
        """What became of the credential `key`, if that is remembered."""
        answer = self.answers.get(key)
        return answer if answer is not None else self.refusals.get(key)

    def keep(self, key: bytes, token: UpstreamToken, claims: Set[str], *, ttl: float, grace: float) -> None:
        """Remember a token for `ttl` seconds, and `grace` more for times of trouble; of its claims, only these."""
        kept = replace(token, claims={name: token.claims[name] for name in claims & token.claims.keys()})
        self.answers.put(key, kept, ttl=ttl, grace=grace, payload_bytes=weight(kept))

    def refuse(self, key: bytes, refused: Refused, *, ttl: float) -> None:
        """Remember a refusal for `ttl` seconds, and nothing better of the same credential."""
        self.answers.drop(key)
        self.refusals.put(key, refused, ttl=ttl, payload_bytes=0)


def cache_key(credential: Credential, varies_by: tuple[str, ...]) -> bytes:
    """SHA-256 over app, way, what its answer varies by, kind and value.

    What else a rule requires is checked after a hit.
    """
    kind = "bearer" if credential.is_bearer else "cookie"
    named = "\0".join((credential.policy.app, credential.way, *varies_by, kind, credential.value))
    return hashlib.sha256(named.encode("utf-8", "surrogatepass")).digest()


def weight(token: UpstreamToken) -> int:
    """What it is counted as in a cache, in bytes."""
    words = len(token.scopes) + len(token.audiences)
    session = SESSION_BYTES if token.session is not None else 0
    return len(token.bearer) + WORD_BYTES * words + size_of(token.claims) + session
