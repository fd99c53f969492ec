"""Headers that tell the API who the user is: only ever ours."""

from dataclasses import replace

import pytest
from proxy_world.asking import SHOP, ask, with_headers

from extauthz.decision import Allow, Credential, Passage, conclude, examine, let_through, refuse
from extauthz.identity import IdentityHeaders, header_value
from extauthz.outcome import Bearer, UpstreamToken
from extauthz.policy import Auth, Policy, Rule
from extauthz.reason import Reason
from extauthz.request import Request

IDENTITY = IdentityHeaders({"x-user-id": "sub", "x-roles": "roles", "tenant": "tid"})
POLICY = replace(SHOP, identity=IDENTITY)
SPOOFS = ["x_user_id", "x-user_id", "x_user-id", "x_roles"]
SEEN = ["x.user.id", "x.roles", "x!user-id"]


def through(claims: dict[str, object], sent: dict[str, str | None] | None = None) -> Allow:
    """The decision for a good token with these claims and request headers."""
    found = examine(with_headers(ask(), sent or {}), [POLICY])
    assert isinstance(found, Credential)
    token = UpstreamToken(
        bearer=Bearer("h.p.s"), expires_at=2.0, scopes=frozenset({"orders"}), claims={"iss": "x", **claims}
    )
    decision = conclude(found, token, 1.0)
    assert isinstance(decision, Allow)
    return decision


def test_claims_become_headers() -> None:
    """Each configured header is overwritten with its claim, and no other claim leaves."""
    decision = through({"sub": "ada", "roles": ["admin", "user"], "tid": 7})
    assert dict(decision.set_headers) == {
        "authorization": "Bearer h.p.s",
        "x-user-id": "ada",
        "x-roles": "admin,user",
        "tenant": "7",
    }
    assert "x-user-id" not in decision.remove_headers


@pytest.mark.parametrize("claims", [{}, {"sub": None}, {"sub": ""}, {"sub": {"a": 1}}, {"sub": []}], ids=str)
def test_an_absent_claim_removes_the_header(claims: dict[str, object]) -> None:
    """A client's own value must not stand in for a claim the token does not have."""
    decision = through(claims)
    assert "x-user-id" not in dict(decision.set_headers)
    assert "x-user-id" in decision.remove_headers


def test_other_spellings_are_removed_seen_or_unseen() -> None:
    """What a server may take for our header goes: with underscores always, with other signs when it was sent."""
    unseen = through({"sub": "ada"})
    assert set(SPOOFS) <= set(unseen.remove_headers)
    sent: dict[str, str | None] = {"x.user.id": "root", "x!user-id": "root", "x.roles": "admin", "x-user-idx": "1"}
    seen = through({"sub": "ada"}, sent)
    assert set(SEEN) <= set(seen.remove_headers)
    assert "x-user-idx" not in seen.remove_headers
    assert len(set(seen.remove_headers)) == len(seen.remove_headers)


NOBODY: list[tuple[str, Policy, Request]] = [
    ("auth off", replace(POLICY, rule=Rule(auth=Auth.OFF)), ask(cookies=())),
    ("auth optional", replace(POLICY, rule=Rule(auth=Auth.OPTIONAL)), ask(cookies=())),
    ("a preflight", POLICY, ask(method="OPTIONS", access_control_request_method="PUT")),
]


@pytest.mark.parametrize(("policy", "request_"), [pytest.param(*row[1:], id=row[0]) for row in NOBODY])
def test_nobody_is_nobody(policy: Policy, request_: Request) -> None:
    """Where there is no user, no identity header arrives, whoever sent it."""
    spoofed = replace(request_, headers={**request_.headers, "x-user-id": "root", "x.user.id": "root"})
    decision = examine(spoofed, [policy])
    assert isinstance(decision, Allow)
    assert {"x-user-id", "x-roles", "tenant", "x.user.id", *SPOOFS} <= set(decision.remove_headers)
    assert not {name for name, _ in decision.set_headers} & set(IDENTITY.claims)


def test_a_dry_run_strips_them_as_well() -> None:
    """A request that is only let through for now brings no identity of its own."""
    policy = replace(POLICY, dry_run=True)
    decision = let_through(refuse(Reason.NO_CREDENTIALS, ask(), policy), ask(x_user_id="root"), policy)
    assert isinstance(decision, Allow)
    assert decision.passage is Passage.DRY_RUN
    assert {"x-user-id", "authorization"} <= set(decision.remove_headers)


def test_without_identity_headers_nothing_is_removed_for_them() -> None:
    """An app that wants none leaves such headers to its API."""
    assert IdentityHeaders().to_remove(["x-user-id"]) == ()


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("ada", "ada"),
        ("Ada Lovelace", "Ada Lovelace"),
        ("Jürgen", "J%C3%BCrgen"),
        ("100%", "100%25"),
        ("a,b", "a,b"),
        (["a,b", "c"], "a%2Cb,c"),
        (["a", 7, True], "a,7,true"),
        (["a", {"b": 1}, None, ""], "a"),
        ("a\r\nx-admin: 1", "a%0D%0Ax-admin: 1"),
        ("a\x00\t\x7f", "a%00%09%7F"),
        ("\ud800", "?"),
        (" a ", "%20a%20"),
        ("  ", "%20%20"),
        ('"a\\b"', '"a\\b"'),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-1.5, "-1.5"),
        (None, ""),
        ("", ""),
        ([], ""),
        ({"a": "b"}, ""),
    ],
    ids=repr,
)
def test_values(claim: object, value: str) -> None:
    """What leaves is printable ASCII that fits into one header line, and can be read back."""
    assert header_value(claim) == value
