"""The results: numbers for a script at the top of a JSON file, a table for people, and the noise with both."""

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bench.figures import Figures

# What a script may follow, and what each says. A number that could not be had is null.
NUMBERS = {
    "inprocess_over_parse": "a cached decision without a server, as a multiple of parsing its question",
    "fast_over_noop_zttp_cpu": "CPU of a Check: fast door over one that does nothing, on zttp",
    "grpc_over_noop_grpcio_cpu": "CPU of a Check: gRPC door over one that does nothing, on grpcio",
    "fast_checks_per_cpu_over_noop_grpcio": "Checks a second of CPU: fast door over one that does nothing, on grpcio",
    "mib_per_100k_sessions": "MiB for 100,000 remembered sessions",
    "two_workers_over_one": "Checks two workers have time for, over one, h2load's time left out",
    "introspections_for_1000_concurrent_misses": "introspections when 1000 requests of a new session come at once",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    what: str
    figures: Figures
    unit: str


@dataclass(slots=True)
class Results:
    """What has been measured so far; `left_out`: what was not, and why."""

    numbers: dict[str, Figures] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def add(self, what: str, figures: Figures, unit: str) -> None:
        """One more line for the table."""
        self.rows.append(Row(what, figures, unit))

    def to_json(self) -> Mapping[str, object]:
        """For a script."""
        return {
            **{name: _rounded(self.numbers.get(name)) for name in NUMBERS},
            "noise": {name: round(self.numbers[name].spread, 3) for name in NUMBERS if name in self.numbers},
            "figures": [
                {"what": row.what, "unit": row.unit, "median": _rounded(row.figures), "noise": _noise(row.figures)}
                for row in self.rows
            ],
            "left_out": self.left_out,
            "machine": machine(),
        }

    def to_markdown(self) -> str:
        """For people."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"Measured on {machine()}."
        yield ""
        yield "| ratio | median | noise |"
        yield "|---|---|---|"
        for name, words in NUMBERS.items():
            figures = self.numbers.get(name)
            yield f"| {words} (`{name}`) | {_rounded(figures)} | {'' if figures is None else _percent(figures)} |"
        yield ""
        yield "| measured | median | unit | noise |"
        yield "|---|---|---|---|"
        for row in self.rows:
            yield f"| {row.what} | {_rounded(row.figures)} | {row.unit} | {_percent(row.figures)} |"
        for reason in self.left_out:
            yield ""
            yield f"Left out: {reason}."


def machine() -> str:
    """Where this was measured."""
    return f"{os.cpu_count()} shared cores ({platform.machine()}), Linux, Python {platform.python_version()}"


def _rounded(figures: Figures | None) -> float | None:
    return None if figures is None else float(f"{figures.median:.4g}")


def _noise(figures: Figures) -> float:
    return round(figures.spread, 3)


def _percent(figures: Figures) -> str:
    return f"{figures.spread:.0%}" if len(figures.takes) > 1 else ""
