"""What the replicas of the agent have in common: which sessions have ended, and, with redis, their refreshes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.refreshes import Across
from extauthz.config import Config
from extauthz.cookies.aes_gcm import KeyRing
from extauthz.revocations.revocations import Revocations

if TYPE_CHECKING:
    from extauthz.redis_server import RedisServer


@dataclass(frozen=True, slots=True)
class Shared:
    """`redis` is None where each replica is on its own; `report` is told when it is away."""

    revocations: Revocations
    redis: "RedisServer | None"
    report: Callable[[Exception], None]

    def refreshes(self, app: str, ring: KeyRing) -> Across | None:
        """How refreshes of `app` are shared, if they are. What goes through redis is sealed with `ring`."""
        if self.redis is None:
            return None
        from agent.refreshes_in_redis import RefreshesInRedis  # an extra

        return RefreshesInRedis(self.redis, app, ring, self.report)

    async def close(self) -> None:
        """Hear no more, and close all connections."""
        await self.revocations.stop()
        if self.redis is not None:
            await self.redis.close()


def build_redis(config: Config) -> "RedisServer | None":
    """A client for the redis of the settings, if there is one."""
    if config.redis is None:
        return None
    from extauthz.redis_server import RedisServer  # an extra

    return RedisServer(config.redis)
