"""What sessions weigh: a process of its own remembers many, one by one, and looks at itself.

`python -m bench.memory SESSIONS` prints MiB before, with SESSIONS remembered, and after as many again, when the first
have made room; and how long a full garbage collection then keeps everybody waiting.
"""

import asyncio
import gc
import json
import subprocess
import sys
import time
from pathlib import Path

from bench.processes import python
from bench.proxy import Proxy, proxy
from bench.questions import as_reference
from extauthz.cookies.header import CookieHeader
from extauthz.request import Request
from extauthz.serve import leave_alone

MIB = 1024 * 1024
PAGE_BYTES = 4096


def measure(sessions: int) -> dict[str, float]:
    """MiB and seconds, from another process."""
    told = subprocess.run(python("bench.memory", str(sessions)), capture_output=True, check=True).stdout
    figures: dict[str, float] = json.loads(told)
    return figures


def main(sessions: int) -> None:
    """Measure in this process."""
    with proxy(max_entries=sessions, opens_all=True) as subject:
        subject.know(as_reference(subject.cookie()))
        leave_alone()
        empty = _resident()
        asyncio.run(_remember(subject, sessions))
        full = _resident()
        seconds = _collecting()
        asyncio.run(_remember(subject, sessions))
        figures = {"empty_mib": empty, "full_mib": full, "turned_over_mib": _resident(), "collecting_seconds": seconds}
        print(json.dumps({**figures, "remembered": len(subject.memory.answers)}))


async def _remember(subject: Proxy, sessions: int) -> None:
    for _ in range(sessions):
        cookies = CookieHeader((subject.unsealed(),))
        headers = {"token-handler-version": "1"}
        await subject.learn(Request(method="GET", path="/", host="localhost", headers=headers, cookies=cookies))


def _collecting() -> float:
    started = time.process_time()
    gc.collect()
    return time.process_time() - started


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * PAGE_BYTES / MIB


if __name__ == "__main__":
    main(int(sys.argv[1]))
