"""Where the container tests keep what is costly to make again, between runs."""

import os
from pathlib import Path


def cache_dir(name: str) -> Path:
    """Return our directory of that name in the user's cache directory, made if need be."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base) / "envoy-token-handler" / name
    path.mkdir(parents=True, exist_ok=True)
    return path
