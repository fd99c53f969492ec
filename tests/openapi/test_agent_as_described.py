"""The agent answers as described to whatever may be sent, somebody logged in or not, its server there or away."""

from typing import Any

import pytest
from openapi.described import for_the_shop, in_our_form, loaded
from openapi.situations import SITUATIONS, Situation, Stand, v1_situation, v2_situation
from schemathesis import Case

# Cookies are of the situation.
GENERATION = {"deterministic": True, "max-examples": 5, "database": "none", "with-security-parameters": False}
# A well-formed authorization response is good only for a login under way, and a logout token only if it is signed: of
# that schemathesis knows nothing.
MEANT = [
    {"include-path": path, "checks": {"positive_data_acceptance": {"enabled": False}}}
    for path in ("/login/end", "/backchannel-logout")
]
STAND = Stand()
V1 = loaded(for_the_shop("v1"), STAND, generation=GENERATION)
V2 = loaded(for_the_shop("v2"), STAND, generation=GENERATION, operations=MEANT)


@V2.parametrize()
def test_every_answer_is_as_described(case: Case[Any], v2: Situation) -> None:
    """Statuses, codes, members and headers are the described ones; what the description forbids is refused."""
    hold(case, v2)


@V1.parametrize()
def test_every_answer_of_version_1_is_as_described(case: Case[Any], v1: Situation) -> None:
    """The same for pages that are written for version 1."""
    hold(case, v1)


def hold(case: Case[Any], situation: Situation) -> None:
    """Send what is made up, and check what comes."""
    case.call_and_validate(
        cookies=dict(situation.cookies), additional_checks=[in_our_form], excluded_checks=list(situation.excluded)
    )


@pytest.fixture(scope="module", params=SITUATIONS, ids=lambda came: came.__name__)
def v2(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Situation:
    """Each situation, in a world of its own."""
    return put(v2_situation(request.param, tmp_path_factory.mktemp("v2")))


@pytest.fixture(scope="module", params=SITUATIONS, ids=lambda came: came.__name__)
def v1(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Situation:
    """The same with version 1."""
    return put(v1_situation(request.param, tmp_path_factory.mktemp("v1")))


def put(situation: Situation) -> Situation:
    """What is tried is that world's agent."""
    STAND.world = situation.world
    return situation
