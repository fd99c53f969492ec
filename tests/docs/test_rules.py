"""Every rule of the protocols that has a name here has a test that bears it, so that none is lost unnoticed."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
# ID tokens (T), authorization responses (I), RFC 9700 where it binds us (S), refreshing (R), back-channel logout (L).
RULES = {"t": range(1, 12), "i": range(1, 8), "s": range(1, 9), "r": range(1, 6), "l": range(1, 12)}
NAMED = {
    rule
    for file in TESTS.rglob("test_*.py")
    for rule in re.findall(r"^(?:async )?def test_([a-z]+[0-9]+)_", file.read_text(), re.MULTILINE)
}


@pytest.mark.parametrize("rule", [f"{letter}{number}" for letter, numbers in RULES.items() for number in numbers])
def test_every_rule_has_a_test_of_its_name(rule: str) -> None:
    """A rule without a test is a sentence."""
    assert rule in NAMED
