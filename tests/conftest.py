"""What all tests share: the async backend, and the way to the demo's servers."""

import sys
from pathlib import Path

import pytest

# At the end: the installed product comes first, so that the wheel that ships is the wheel that is tested.
sys.path.append(str(Path(__file__).parent.parent))


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Coroutine tests run on the event loop both programs use."""
    return ("asyncio", {"use_uvloop": True})
