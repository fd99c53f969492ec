"""An answer that is given again is the one the request would have got."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from proxy_world.asking import BANK, COOKIE, ORIGIN, OURS, SHOP, UNHURRIED, ask, with_headers
from proxy_world.cases import CASES, Case
from proxy_world.fakes import Proxy

from extauthz.cookies.header import CookieHeader
from extauthz.decision import Allow, Credential, conclude, examine
from extauthz.identity import IdentityHeaders
from extauthz.lately import MAX_BYTES, READ, READ_OF_OPTIONS
from extauthz.outcome import Bearer, UpstreamToken
from extauthz.policy import Cors, Policy, Route, Rule
from extauthz.request import Request

GOOD = UpstreamToken(bearer=Bearer("h.p.s"), expires_at=2.0, scopes=frozenset({"orders"}))
CORS = Cors(allow_methods=("GET",), allow_headers=(), expose_headers=(), max_age=0)
# Everything that makes an answer differ from the next: two origins, CORS, identity headers, rules by path.
SHOPPING = replace(
    SHOP,
    trusted_origins=SHOP.trusted_origins | {"https://m.shop.example"},
    cors=CORS,
    identity=IdentityHeaders({"x-user-id": "sub"}),
    routes=(Route(path="/admin", rule=Rule(scopes=frozenset({"admin"}))),),
)
PARTS: Mapping[str, st.SearchStrategy[str | None]] = {
    "origin": st.sampled_from([ORIGIN, "https://m.shop.example", "https://evil.example", None]),
    "token-handler-version": st.sampled_from(["1", "2", None]),
    "sec-fetch-site": st.sampled_from(["same-site", "cross-site", None]),
    "authorization": st.sampled_from([None, None, "Bearer x"]),
    "access-control-request-method": st.sampled_from([None, "PUT"]),
    "access-control-request-headers": st.sampled_from([None, "x-a", "x-b"]),
    "x-user-id": st.sampled_from([None, "root"]),
    "x_user_id": st.sampled_from([None, "root"]),
    "x.user-id": st.sampled_from([None, "root"]),
}
LINES = [OURS, f"a=1; {OURS}", f"{OURS}; b=2", f"a=1,{OURS}", f"{COOKIE}=other", "a=1"]
FIELDS: Mapping[str, st.SearchStrategy[object]] = {
    "method": st.sampled_from(["POST", "OPTIONS", "HEAD"]),
    "path": st.sampled_from(["/orders?x=1", "/orders/../admin", "/admin", ""]),
    "host": st.sampled_from(["API.shop.example:443", "api.bank.example", "a,b"]),
    "cookies": st.sampled_from(LINES).map(lambda line: (line,)) | st.just((OURS, "a=1")),
    "comma_joined": st.just(True),
    "context": st.sampled_from([{"app": "shop"}, {"app": "bank"}, {"scope": "orders"}, {"scope": "admin"}]),
}


def _few(of: Mapping[str, st.SearchStrategy[object]]) -> st.SearchStrategy[dict[str, object]]:
    """One or two of them: questions that hardly differ are those to be told apart."""
    pairs = [st.tuples(st.just(name), values) for name, values in of.items()]
    return st.lists(st.one_of(pairs), max_size=2).map(dict)


QUESTIONS = st.builds(lambda fields, headers: with_headers(ask(**fields), headers), _few(FIELDS), _few(PARTS))


SEAM = (f"{OURS}; c=1,{COOKIE}=other",)
OF_ROUTE = {"scope": "orders"}
WITHOUT_PATHS = replace(SHOPPING, routes=())


@UNHURRIED
@example(SHOPPING, [ask(origin=None), ask(origin=None, method="POST")])
@example(SHOPPING, [ask(cookies=SEAM), ask(cookies=SEAM, comma_joined=True)])
@example(WITHOUT_PATHS, [ask(context=OF_ROUTE), ask(context=OF_ROUTE, path="/orders/../admin")])
@given(st.sampled_from([SHOPPING, WITHOUT_PATHS]), st.lists(QUESTIONS, min_size=2, max_size=10))
@pytest.mark.anyio
async def test_the_same_answer_as_without_a_memory_of_answers(shop: Policy, questions: list[Request]) -> None:
    """Whatever was asked before, a session is answered as the core decides, to the last header."""
    proxy = Proxy((shop, BANK))
    for question in questions:
        found = examine(question, (shop, BANK))
        expected = conclude(found, proxy.upstream.answer, 1.0) if isinstance(found, Credential) else found  # type: ignore[arg-type]
        for _ in range(3):  # asked for, remembered, given again
            assert await proxy.settle(question) == expected


class Watched(dict[str, str]):
    """Headers that note which of them were looked at."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__(headers)
        self.seen: set[object] = set()

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        self.seen.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> str:
        self.seen.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.seen.add(name)
        return super().__contains__(name)

    def __iter__(self) -> Iterator[str]:
        self.seen.add("all of them")
        return super().__iter__()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_decision_reads_no_other_header(case: Case) -> None:
    """A header the decision came to read, and the question did not hold, would be answered by what it was before."""
    policies: list[Policy] = [app.policy for app in case.proxy().authorizer._apps.values()]
    headers = Watched(case.request.headers)
    request = replace(case.request, headers=headers)
    found = examine(request, policies)
    if isinstance(found, Credential):
        conclude(found, GOOD, 1.0)
    pairs = {policy.double_submit.header for policy in policies if policy.double_submit}
    names = {"all of them"} if any(policy.identity.claims for policy in policies) else set()
    assert headers.seen <= (READ_OF_OPTIONS if request.method == "OPTIONS" else READ) | pairs | names


@pytest.mark.anyio
@pytest.mark.parametrize("forget", ["dropped", "replaced", "expired"])
async def test_an_answer_does_not_outlive_its_session(forget: str) -> None:
    """An answer is given again for as long as the session is remembered, as it was, and its token is good."""
    proxy = Proxy(max_seconds=3600)
    proxy.upstream.good_for(300, jwt="h.first.s")
    for _ in range(3):
        assert isinstance(await proxy.settle(ask()), Allow)
    proxy.upstream.good_for(900, jwt="h.second.s")
    if forget == "dropped":
        for key in list(proxy.cache._entries):
            proxy.cache.drop(key)
    elif forget == "replaced":
        [key] = proxy.cache._entries
        proxy.cache.put(key, proxy.upstream.answer, ttl=60, payload_bytes=0)  # type: ignore[arg-type]
    else:
        proxy.clock.now += 301  # the wall clock alone: the cache goes by another
    answer = await proxy.settle(ask())
    bearer = isinstance(answer, Allow) and dict(answer.set_headers)["authorization"]
    assert bearer == (False if forget == "expired" else "Bearer h.second.s")


@pytest.mark.anyio
async def test_cookies_of_two_sessions_are_told_apart() -> None:
    """The same request with another session's cookie is another question."""
    proxy = Proxy()
    for name in ("one", "two", "one", "two", "one", "two"):
        proxy.upstream.good_for(300, jwt=f"h.{name}.s")
        answer = await proxy.settle(replace(ask(), cookies=CookieHeader((f"{COOKIE}={name}",))))
        assert isinstance(answer, Allow)
        assert dict(answer.set_headers)["authorization"] == f"Bearer h.{name}.s"


@pytest.mark.anyio
async def test_long_questions_take_no_more_room_than_there_is() -> None:
    """One session that asks with ever other long headers cannot make the proxy remember more than its bound."""
    proxy = Proxy()
    for number in range(1000):
        for _ in range(2):
            await proxy.settle(ask(sec_fetch_site=f"{number}{'x' * 50_000}"))
    kept = proxy.authorizer._lately._answers
    assert 1 < len(kept) < MAX_BYTES / 50_000
