"""The parts every endpoint works with, put together once."""

from collections import Counter
from dataclasses import dataclass, field

from demo.idp.canary import Canary
from demo.idp.config import IdpConfig
from demo.idp.encryption import encrypt
from demo.idp.grants import Grants
from demo.idp.keys import KeyRing
from demo.idp.mode import Mode
from demo.idp.pushed_requests import PushedRequests
from demo.idp.sessions import Sessions


@dataclass(slots=True)
class Provider:
    """The provider's state; only `mode` is ever replaced."""

    config: IdpConfig
    keys: KeyRing
    canary: Canary
    sessions: Sessions
    grants: Grants
    pushed: PushedRequests
    counters: Counter[str] = field(default_factory=Counter)
    mode: Mode = field(default_factory=Mode)
    assertions: set[tuple[str, str]] = field(default_factory=set)  # client and jti of each that was used

    def now(self) -> int:
        """The time in whole seconds."""
        return int(self.config.clock())

    def sign(self, claims: dict[str, object], typ: str) -> str:
        """Sign a JWT with the current key."""
        return self.canary.issued(self.keys.current.sign(claims, typ))

    def encrypted(self, jwt: str, client_id: str) -> str:
        """The JWT as it is, or encrypted for the client where the mode says so."""
        client = self.config.client(client_id)
        if not self.mode.encrypt or client is None or client.encryption_jwk is None:
            return jwt
        return self.canary.issued(encrypt(jwt, client))


def create_provider(config: IdpConfig) -> Provider:
    """Build the state of a provider that has just been started."""
    canary = Canary()
    for client in config.clients:
        if client.client_secret is not None:
            canary.issued(client.client_secret)
    sessions, grants = Sessions(config.clock, canary.issued), Grants(config.clock, canary.issued)
    pushed = PushedRequests(config.clock, canary.issued)
    return Provider(config, KeyRing(), canary, sessions, grants, pushed)
