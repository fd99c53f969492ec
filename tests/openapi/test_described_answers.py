"""What a description promises happens, and looks as described: each call with each status and each error code."""

from pathlib import Path
from typing import Any

import pytest
from agent_world import create_world
from agent_world.v1 import create_v1_world
from openapi import v1_answers, v2_answers
from openapi.described import answers, check, document, loaded
from openapi.scenarios import Scenario, Site

pytestmark = pytest.mark.anyio

DESCRIPTIONS = {version: loaded(document(version)) for version in ("v1", "v2")}
TABLES = {"v1": v1_answers, "v2": v2_answers}
PROMISED = [
    pytest.param(version, call, answer, scenario, id=f"{version} {call}: {answer}")
    for version, table in TABLES.items()
    for call, brought_about in table.ANSWERS.items()
    for answer, scenario in brought_about.items()
]
FURTHER = [
    pytest.param(version, call, scenario, id=f"{version} {what}")
    for version, table in TABLES.items()
    for what, (call, scenario) in table.FURTHER.items()
]


@pytest.mark.parametrize("version", TABLES)
def test_every_described_answer_is_in_the_table(version: str) -> None:
    """A status or code that is described, and that nobody here can bring about, is not promised."""
    table = TABLES[version].ANSWERS
    assert {(call, answer) for call in table for answer in table[call]} == set(answers(document(version)))


@pytest.mark.parametrize(("version", "call", "answer", "scenario"), PROMISED)
async def test_it_happens_as_described(
    version: str, call: str, answer: str, scenario: Scenario[Any], tmp_path: Path
) -> None:
    """The status and the code are those of the table; all else is as the description says."""
    response = await scenario(site(version, tmp_path))
    code = "" if response.is_success else f" {response.json()['code']}"
    assert f"{response.status_code}{code}" == answer
    check(DESCRIPTIONS[version], call, response)


@pytest.mark.parametrize(("version", "call", "scenario"), FURTHER)
async def test_other_shapes_of_an_answer_are_described(
    version: str, call: str, scenario: Scenario[Any], tmp_path: Path
) -> None:
    """What a status may look like besides."""
    check(DESCRIPTIONS[version], call, await scenario(site(version, tmp_path)))


@pytest.mark.parametrize("version", TABLES)
@pytest.mark.parametrize(
    ("path", "answer", "name"), [("/nowhere", "404", "NotFound"), ("/refresh", "405", "MethodNotAllowed")]
)
async def test_what_is_no_call_is_answered_as_described(
    version: str, path: str, answer: str, name: str, tmp_path: Path
) -> None:
    """Another path, or another method, has the answer the description speaks of."""
    read = document(version)
    read["paths"].setdefault(path, {})["get"] = {"responses": {answer: {"$ref": f"#/components/responses/{name}"}}}
    response = await site(version, tmp_path).browser().fetch("GET", path.removeprefix("/"))
    assert str(response.status_code) == answer
    check(loaded(read), f"GET {path}", response)


def site(version: str, folder: Path) -> Site[Any]:
    """A world whose shop has an agent of that version."""
    return create_v1_world(folder) if version == "v1" else create_world(folder)
