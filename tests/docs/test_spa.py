"""What docs/spa.md tells the developer of the app is what the agent's description says."""

import re
from pathlib import Path

import pytest
from openapi.described import document, operations, resolved, words

from extauthz.config import AppConfig

PAGE = (Path(__file__).parent.parent.parent / "docs" / "spa.md").read_text()
DESCRIPTION = document("v2")
CALLS = {
    path.removeprefix("/"): operation
    for path, _, operation in operations(DESCRIPTION)
    if operation["tags"] != ["server"]
}
EVERYWHERE = {"not_found": "404", "method_not_allowed": "405"}


def test_every_error_code_is_listed_with_its_status_and_calls() -> None:
    """The page has each code of the description, and no other, with where it comes from."""
    described = {
        (code, status, call)
        for call, operation in CALLS.items()
        for status, answer in operation["responses"].items()
        if int(status) >= 400
        for code in words(resolved(DESCRIPTION, answer)["content"])
    }
    everywhere = {(code, status, call) for code, status in EVERYWHERE.items() for call in CALLS}
    assert set(errors()) == described | everywhere


@pytest.mark.parametrize("call", CALLS)
def test_every_call_is_listed_with_its_members(call: str) -> None:
    """The page has each call, and each member of its answer."""
    [row] = [cells for cells in rows(3) if f"/{call}`" in cells[1]]
    same = "the same" in row[2]
    assert set(re.findall(r"`(\w+)`", row[2])) == (set() if same else members(call))
    assert members("session") == members("login/end")


def test_the_settings_to_ask_for_exist() -> None:
    """What the operator is asked to set is a setting of an app."""
    asked = {name for _, then in rows(2) for name in re.findall(r"`(\w+)`", then)}
    assert asked >= {"redirect_uri", "trusted_origins", "authorization_parameters"}
    assert asked <= set(AppConfig.model_fields)


def errors() -> list[tuple[str, str, str]]:
    """Code, status and call of the table of errors."""
    found = []
    for names, statuses, calls, _ in rows(4):
        codes = re.findall(r"`(\w+)`", names)
        numbers = statuses.split(", ")
        if numbers[0].isdigit():
            paired = zip(codes, numbers if len(numbers) > 1 else numbers * len(codes), strict=True)
            found += [(code, number, call) for code, number in paired for call in called(calls)]
    return found


def rows(cells: int) -> list[list[str]]:
    """The rows of all tables with that many cells."""
    split = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("|")
    ]
    return [row for row in split if len(row) == cells]


def called(text: str) -> set[str]:
    """The calls a cell names."""
    if text.startswith("all"):
        return set(CALLS) - {text.removeprefix("all").removeprefix(" but ")}
    return set(text.split(", "))


def members(call: str) -> set[str]:
    """The members of a success."""
    schema = CALLS[call]["responses"]["200"]["content"]["application/json"]["schema"]
    shapes = [resolved(DESCRIPTION, shape) for shape in schema.get("oneOf", [schema])]
    return {name for shape in shapes for name in shape["properties"]}
