"""A description is a valid one, and names the same calls and error codes as the code."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from agent_world import create_world
from agent_world.v1 import create_v1_world
from openapi.described import FOLDER, codes, document, loaded, operations, resolved, words

import agent
from agent.api import Api
from agent.errors import AgentError
from agent.flow import PERSON_NEEDED
from extauthz import __version__

VERSIONS = ["v1", "v2"]
# What the other version consists of, and this one never calls.
FOREIGN = {
    "v1": {"v2.py", "set_cookies.py"},
    "v2": {"v1.py", "v1_bodies.py", "v1_cookies.py", "v1_csrf.py", "user_info.py"},
}
# No call has them as an answer; every path and method that is no call has.
EVERYWHERE = ["NotFound", "MethodNotAllowed"]

every_version = pytest.mark.parametrize("version", VERSIONS)


def test_there_is_a_description_for_each_version() -> None:
    """No file in docs/openapi goes untested."""
    assert sorted(path.stem for path in FOLDER.iterdir()) == [f"agent-{version}" for version in VERSIONS]


@every_version
def test_the_description_is_valid(version: str) -> None:
    """It is what OpenAPI 3.1 calls a description, and every reference in it leads somewhere."""
    read = document(version)
    loaded(read).validate()
    assert all(resolved(read, {"$ref": target}) for target in references(read))


@every_version
def test_the_description_is_of_this_release(version: str) -> None:
    """Its version is the product's."""
    assert document(version)["info"]["version"] == __version__


@every_version
def test_nothing_is_described_that_no_call_has(version: str) -> None:
    """No part of a description is left over from a call that is gone."""
    read = document(version)
    parts = {f"#/components/{kind}/{name}" for kind, named in read["components"].items() for name in named}
    schemes = {f"#/components/securitySchemes/{name}" for name in read["components"]["securitySchemes"]}
    assert parts - schemes - set(references(read)) == {f"#/components/responses/{name}" for name in EVERYWHERE}


@every_version
def test_the_calls_described_are_those_there_are(version: str, tmp_path: Path) -> None:
    """Each path with its methods; of HEAD the description speaks."""
    api = shop(version, tmp_path)
    served = {(endpoint.path, method.lower()) for endpoint in api.endpoints for method in endpoint.methods}
    described = {(path, method) for path, method, _ in operations(document(version))}
    assert described == {(path, method) for path, method in served if method != "head"}
    assert all(
        "HEAD" in document(version)["paths"][path]["get"]["description"] for path, method in served if method == "head"
    )


@every_version
def test_the_error_codes_described_are_those_there_are(version: str, tmp_path: Path) -> None:
    """Whatever the agent calls an error stands in the description, and no word that it never uses."""
    api = shop(version, tmp_path)
    told = (api.error(AgentError(status, code, ""))[1]["code"] for status, code in raised(FOREIGN[version]))
    assert set(codes(document(version))) == {*told, *PERSON_NEEDED}


@every_version
def test_every_error_code_is_explained(version: str) -> None:
    """Beside each error of a call stands in words what its codes mean."""
    read = document(version)
    for path, method, operation in operations(read):
        for status, answer in operation["responses"].items():
            response = resolved(read, answer)
            if int(status) >= 400:
                missing = {word for word in words(response["content"]) if f"* `{word}`:" not in response["description"]}
                assert missing - set(PERSON_NEEDED) == set(), f"{method} {path}: {status}"


def shop(version: str, folder: Path) -> Api:
    """An app's agent of that version."""
    world = create_v1_world(folder).inner if version == "v1" else create_world(folder)
    return world.apps["shop"].api


def raised(foreign: set[str]) -> Iterator[tuple[int, str]]:
    """Status and code of every AgentError that is made in the agent, but for the modules named."""
    for source in Path(agent.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text() if source.name not in foreign else "")):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "AgentError":
                [status, *_], found = constants(node.args[0]) or [400], constants(node.args[1])
                assert found, f"{source.name}:{node.lineno}: the code of an error is a word that stands there"
                yield from ((int(str(status)), str(code)) for code in found)


def constants(node: ast.expr) -> list[object]:
    """The values that stand in an expression."""
    return [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]


def references(node: object) -> Iterator[str]:
    """What every `$ref` points to."""
    text = yaml.safe_dump(node)
    yield from (line.split("$ref:")[1].strip(" '\"") for line in text.splitlines() if "$ref:" in line)
