"""What the proxy's log says of one request, found by its id among whatever else is in the file."""

import json
from collections.abc import Iterator, Mapping
from typing import IO

from extauthz.reason import ADVICE, Reason
from extauthz.telemetry import clean

# More than a line of ours can be; the pieces of a longer one are no JSON, and are skipped.
MAX_LINE_BYTES = 64 * 1024

Found = tuple[tuple[str, str], ...]


def find(stream: IO[bytes], request_id: str) -> Iterator[Found]:
    """Names and values to show of each decision about `request_id`, in their order."""
    wanted = clean(request_id)
    for raw in iter(lambda: stream.readline(MAX_LINE_BYTES), b""):
        line = _read(raw)
        if line.get("event") == "decision" and line.get("request_id") == wanted:
            yield tuple(_shown(line))


def _read(raw: bytes) -> Mapping[str, object]:
    """The JSON object of a line, behind whatever a container runtime or journal put before it."""
    try:
        line = json.loads(raw[max(raw.find(b"{"), 0) :])
    except (ValueError, RecursionError):
        return {}
    return line if isinstance(line, dict) else {}


def _shown(line: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    path, decision, waived = _text(line, "path").partition("?")[0], _text(line, "decision"), _text(line, "waived")
    yield "time", _text(line, "timestamp")
    yield "app", _text(line, "app") or "-"
    yield "door", _text(line, "door")
    yield "request", f"{_text(line, 'method')} {path} on {_text(line, 'host')}"
    yield "decision", f"{_text(line, 'status')} {decision}"
    yield from ((name, _text(line, name)) for name in ("waived", "detail") if _text(line, name))
    yield from (("advice", ADVICE[reason]) for reason in Reason if reason in (decision, waived))


def _text(line: Mapping[str, object], name: str) -> str:
    value = line.get(name)
    return clean(str(value)) if isinstance(value, str | int | float) else ""
