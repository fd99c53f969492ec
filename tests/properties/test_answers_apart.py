"""No two credentials ever share an answer."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from proxy_world.asking import SHOP, UNHURRIED, ask

from extauthz.decision import Credential
from extauthz.memory import cache_key
from extauthz.policy import Rule

# A NUL, which parts the key's parts, can stand in no header and in no setting.
TEXT = st.text(st.characters(exclude_characters="\0"), max_size=8)
WAYS = st.sampled_from(["phantom", "exchange", "opaque", "jwt"])
CREDENTIALS = st.builds(
    lambda app, way, value, bearer, varies: (
        Credential(request=ask(), policy=replace(SHOP, app=app), rule=Rule(way=way), value=value, is_bearer=bearer),
        varies,
    ),
    app=st.sampled_from(["shop", "shop-2", "bank"]),
    way=WAYS,
    value=TEXT,
    bearer=st.booleans(),
    varies=st.tuples(TEXT, TEXT),
)


@UNHURRIED
@given(CREDENTIALS, CREDENTIALS)
def test_two_credentials_never_share_an_answer(
    one: tuple[Credential, tuple[str, ...]], other: tuple[Credential, tuple[str, ...]]
) -> None:
    """The key is the same only where app, way, kind, token and what the answer varies by are."""
    same = _all_of(*one) == _all_of(*other)
    assert (cache_key(*one) == cache_key(*other)) is same


def _all_of(credential: Credential, varies: tuple[str, ...]) -> tuple[object, ...]:
    return (credential.policy.app, credential.way, credential.is_bearer, credential.value, varies)
