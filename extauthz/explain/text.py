"""Steps and log lines as plain text in aligned columns, at most 100 wide."""

import textwrap
from collections.abc import Iterable, Iterator

from extauthz.explain.steps import Explanation, Step

COLUMNS = 100
LABEL = 18  # the longest name of a stage, and two blanks
STATE = 9


def explanation(told: Explanation) -> str:
    """A line or more for each step, and the decision."""
    lines = [line for step in told.steps for line in _step(step)]
    return "\n".join([*lines, "", row("decision", told.verdict)])


def pairs(told: Iterable[tuple[str, str]]) -> str:
    """Names and values below each other."""
    return "\n".join(row(name, value) for name, value in told)


def row(name: str, value: str, width: int = LABEL) -> str:
    """One name with a value that may need several lines."""
    return (
        textwrap.fill(
            value,
            COLUMNS,
            initial_indent=name.ljust(width),
            subsequent_indent=" " * width,
            break_on_hyphens=False,
        )
        or name
    )


def _step(step: Step) -> Iterator[str]:
    head = step.stage.label.ljust(LABEL) + step.state
    said = [step.facts] if step.reason is None else [step.reason, step.facts, f"-> {step.advice}"]
    for number, text in enumerate([text for text in said if text] or [""]):
        yield row("" if number else head, text, LABEL + STATE)
