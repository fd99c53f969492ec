"""Every test here has a real redis-server of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from worlds.redis_server import Redis


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A server that runs, and has nothing in it."""
    with Redis(tmp_path) as running:
        yield running
