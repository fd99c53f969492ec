"""What sessions weigh: a process of its own remembers many, one by one, and looks at itself.

`python -m bench.memory SESSIONS` prints megabytes before, with SESSIONS remembered, and after as many again, when the
first have made room; and what a full garbage collection then takes.
"""

import asyncio
import gc
import json
import subprocess
import sys
import time
from pathlib import Path

from bench.proxy import Proxy, proxy
from bench.questions import as_reference


MIB = 1024 * 1024


def measure(sessions: int) -> dict[str, float]:
    """MiB and seconds, from another process."""
    command = [sys.executable, "-m", "bench.memory", str(sessions)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    figures: dict[str, float] = json.loads(told)
    return figures


def main(sessions: int) -> None:
    """Measure in this process."""
    with proxy() as subject:
        subject.memory.answers._max_entries = sessions  # the bound under test, at whatever size is asked for
        subject.know(as_reference(subject.cookie()))

        empty = _resident()
        asyncio.run(_remember(subject, sessions))
        full = _resident()
        started = time.process_time()
        gc.collect()
        collecting = time.process_time() - started
        asyncio.run(_remember(subject, sessions))
        sys.stdout.write(
            json.dumps(
                {
                    "empty_mib": empty,
                    "full_mib": full,
                    "turned_over_mib": _resident(),
                    "collect_seconds": collecting,
                    "remembered": len(subject.memory.answers),
                }
            )
        )


async def _remember(subject: Proxy, sessions: int) -> None:
    for _ in range(sessions):
        await subject.learn([as_reference(subject.cookie())])


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / MIB


if __name__ == "__main__":
    main(int(sys.argv[1]))
