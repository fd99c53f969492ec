"""Steps and log lines as plain text in aligned columns, at most 100 wide."""

import textwrap
from collections.abc import Iterable, Iterator

from extauthz.explain.steps import Explanation, Step
from extauthz.reason import ADVICE

COLUMNS = 100
LABEL = 18  # the longest name of a stage, and two blanks
STATE = 9


def explanation(told: Explanation) -> str:
    """A line or more for each step, and the decision."""
    lines = [line for step in told.steps for line in _step(step)]
    return "\n".join([*lines, "", _row("decision", told.verdict)])


def pairs(told: Iterable[tuple[str, str]]) -> str:
    """Names and values below each other."""
    return "\n".join(_row(name, value) for name, value in told)


def _step(step: Step) -> Iterator[str]:
    head = step.stage.label.ljust(LABEL) + step.state
    said = [step.facts] if step.reason is None else [step.reason, step.facts, f"-> {ADVICE[step.reason]}"]
    for number, text in enumerate([text for text in said if text] or [""]):
        yield _row("" if number else head, text, LABEL + STATE)


def _row(name: str, value: str, width: int = LABEL) -> str:
    """One name with a value that may need several lines."""
    first, blank = name.ljust(width), " " * width
    lines = textwrap.wrap(value, COLUMNS, initial_indent=first, subsequent_indent=blank, break_on_hyphens=False)
    return "\n".join(lines) or name
