"""The redis server that replicas share: a client of a few lines, and one exception for all that goes wrong.

Imported only where redis is configured; its library is an extra.
"""

import re
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from extauthz.config.shared import RedisConfig

CONNECT_SECONDS = 2.0
# Longer than any call may block over there; a connection that is dead without a word shows after so long.
ANSWER_SECONDS = 3.0
# Whoever waits for another replica's answer has one meanwhile. Beyond that a call waits for its turn: on its own, a
# refresh would spend a token that another replica is just spending.
MAX_CONNECTIONS = 200
TURN_SECONDS = 5.0
# Servers repeat what they do not understand, and to an old one that may be the password.
_REPEATED = re.compile(r",? ?with args beginning.*", re.DOTALL | re.IGNORECASE)


class RedisUnavailable(Exception):
    """redis could not be asked, or has refused; the message says why, and holds nothing secret."""


class RedisServer:
    """Speaks to the server of `config`."""

    def __init__(self, config: RedisConfig) -> None:
        tls: dict[str, Any] = {"ssl_ca_certs": config.ca_file} if config.url.startswith("rediss:") else {}
        pool: Any = BlockingConnectionPool.from_url(
            config.url,
            username=config.username,
            password=config.password_file.reveal() if config.password_file else None,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            max_connections=MAX_CONNECTIONS,
            timeout=TURN_SECONDS,
            # Once more at once: the server may have closed a connection that lay idle.
            retry=Retry(NoBackoff(), 1),
            decode_responses=True,
            protocol=3,
            legacy_responses=False,
            **tls,
        )
        self._client: Any = Redis.from_pool(pool)  # its own types are a union for every protocol

    async def call(self, *command: str | int) -> Any:
        """Send one command; its answer. Raises RedisUnavailable."""
        try:
            return await self._client.execute_command(*command)
        except (RedisError, OSError) as error:
            raise RedisUnavailable(f"redis: {_REPEATED.sub('', str(error)) or type(error).__name__}") from error

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()
