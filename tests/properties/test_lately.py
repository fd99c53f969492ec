"""An answer that is given again is the one the request would have got."""

import asyncio
import io
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from proxy_world.asking import BANK, COOKIE, ORIGIN, OURS, SHOP, UNHURRIED, ask, with_headers
from proxy_world.cases import CASES, V1, Case
from proxy_world.door import USUAL, by_header_map, by_map, check_request
from proxy_world.fakes import Clock, Proxy

from extauthz._pb.envoy.config.core.v3.base_pb2 import HeaderValue
from extauthz._pb.envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from extauthz._pb.token_handler.question_pb2 import Question
from extauthz.authorizer import Pending
from extauthz.cache import size_of
from extauthz.config import LogConfig
from extauthz.cookies.marks import KnownBy
from extauthz.decision import Credential, Decision, conclude, examine
from extauthz.doors import messages
from extauthz.doors.checks import Checks
from extauthz.doors.desk import Desk
from extauthz.doors.lately import MAX_ANSWERS, MAX_BYTES, READ, Answer, Lately
from extauthz.identity import IdentityHeaders
from extauthz.memory import weight
from extauthz.metrics import Counted, Metrics
from extauthz.outcome import Basis, Bearer, UpstreamToken
from extauthz.policy import Auth, Cors, Policy, Route, Rule
from extauthz.request import Request
from extauthz.telemetry import Log, logger


@dataclass
class Door:
    """A gRPC door's Check over a proxy of fakes, and how often it had to decide."""

    proxy: Proxy = field(default_factory=Proxy)
    level: Literal["debug", "info"] = "info"
    decided: int = 0

    def __post_init__(self) -> None:
        self.log, self.metrics = io.StringIO(), Metrics()
        log = Log(logger(LogConfig(level=self.level, format="json"), self.log))
        decide = self.proxy.authorizer.decide

        def counting(request: Request) -> Decision | Pending:
            self.decided += 1
            return decide(request)

        self.proxy.authorizer.decide = counting  # type: ignore[method-assign]
        self.checks = Checks(Desk(self.proxy.authorizer, log, self.metrics), log)

    async def check(self, asked: CheckRequest | bytes) -> bytes:
        """The answer, waited for where need be."""
        message = asked if isinstance(asked, bytes) else asked.SerializeToString()
        answer = self.checks.answer(message, None)
        return answer if isinstance(answer, bytes) else await answer

    async def bearer(self, asked: CheckRequest | bytes) -> str | None:
        """The token it is let through with."""
        headers = CheckResponse.FromString(await self.check(asked)).ok_response.headers
        return next((option.header.value for option in headers if option.header.key == "authorization"), None)

    async def knows(self, asked: CheckRequest) -> bool:
        """Whether this is answered without being decided."""
        before = self.decided
        await self.check(asked)
        return self.decided == before


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
    "x-request-id": st.sampled_from(["1", "2", None]),
    "referer": st.sampled_from([None, "https://www.shop.example/"]),
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
UNENDING = UpstreamToken(bearer=Bearer("h.p.s"), expires_at=2.0**40, scopes=frozenset({"orders"}))
OF_ROUTE = {"scope": "orders"}
WITHOUT_PATHS = replace(SHOPPING, routes=())


@UNHURRIED
@example(SHOPPING, [ask(origin=None), ask(origin=None, method="POST")], "header map")
@example(SHOPPING, [ask(cookies=SEAM), ask(cookies=SEAM, accept="x")], "map")
@example(WITHOUT_PATHS, [ask(context=OF_ROUTE), ask(context=OF_ROUTE, path="/orders/../admin")], "header map")
@given(
    st.sampled_from([SHOPPING, WITHOUT_PATHS]),
    st.lists(QUESTIONS, min_size=2, max_size=10),
    st.sampled_from(["map", "header map"]),
)
@pytest.mark.anyio
async def test_the_same_answer_as_without_a_memory_of_answers(
    shop: Policy, questions: list[Request], form: str
) -> None:
    """Whatever was asked before, a session is answered as the core decides, to the last header."""
    door = Door(Proxy((shop, BANK)))
    for question in questions:
        asked = check_request(question, raw=form == "header map")
        found = examine(messages.read(asked.SerializeToString()), (shop, BANK))
        expected = conclude(found, door.proxy.upstream.answer, 1.0) if isinstance(found, Credential) else found  # type: ignore[arg-type]
        for _ in range(3):  # asked for, remembered, given again
            assert await door.check(asked) == messages.write(expected)


# A map has neither lines nor bytes.
ASKED = [pytest.param(case, True, id=f"{name}, header map") for name, case in CASES.items()]
ASKED += [pytest.param(case, False, id=f"{name}, map") for name, case in CASES.items() if case.by_map]


@pytest.mark.parametrize(("case", "raw"), ASKED)
@pytest.mark.anyio
async def test_every_case_is_answered_alike_each_time(case: Case, *, raw: bool) -> None:
    """Allowed or refused, from memory or again: the same bytes; and what is remembered is not decided a third time."""
    door = Door(case.proxy())
    asked = check_request(case.request, raw=raw)
    answers = [await door.check(asked) for _ in range(3)]
    assert answers == [answers[0]] * 3
    if case.word == "allow" and case.remembered:
        assert door.decided == 2


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
    """A header the decision came to read, and the question did not hold, would be answered by what it was before.

    "All of them" are looked at for the names of identity headers alone, of which the question has other spellings.
    """
    policies: list[Policy] = [app.policy for app in case.proxy().authorizer._apps.values()]
    headers = Watched(case.request.headers)
    request = replace(case.request, headers=headers)
    found = examine(request, policies)
    if isinstance(found, Credential):
        conclude(found, GOOD, 1.0)
    pairs = {policy.double_submit.header for policy in policies if policy.double_submit}
    names = {"all of them"} if any(policy.identity.claims for policy in policies) else set()
    assert headers.seen <= READ | pairs | names


FORMS: Mapping[str, Callable[..., CheckRequest]] = {"map": by_map, "header map": by_header_map}
OF_A_PAGE = [(name, "1") for name in (":path", "accept", "b3", "content-length", "referer", "x-new", "x_request_id")]
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())


@every_form
@pytest.mark.anyio
async def test_requests_of_a_page_are_decided_once(form: Callable[..., CheckRequest]) -> None:
    """What differs among them and does not count neither costs a decision nor goes uncounted."""
    door = Door()
    for _ in range(2):
        await door.check(form())
    assert door.decided == 2
    for header in OF_A_PAGE:
        assert await door.knows(form(header))
    assert await door.knows(form(path="/orders/7?x=1"))
    asked = 3 + len(OF_A_PAGE)
    counted = f'decisions_total{{app="shop",decision="allow",door="grpc",waived=""}} {asked}.0'
    assert counted in door.metrics.text().decode()
    assert f'seconds_count{{cached="yes"}} {asked - 1}.0' in door.metrics.text().decode()


@every_form
@pytest.mark.parametrize("name", sorted(READ - {"cookie"}))
@pytest.mark.anyio
async def test_what_counts_is_decided_again(form: Callable[..., CheckRequest], name: str) -> None:
    """Each header that a decision reads makes another question, and no header that is only called like one does."""
    door = Door()
    for _ in range(2):
        await door.check(form())
    for other in (f"{name[:-1]}z", f"{name}z", name[:-1]):
        assert await door.knows(form((other, "1")))
    assert not await door.knows(form((name, "1")))


@every_form
@pytest.mark.anyio
async def test_how_and_where_it_is_asked_counts(form: Callable[..., CheckRequest]) -> None:
    """Another method or host is another question."""
    door = Door()
    for _ in range(2):
        await door.check(form())
    assert not await door.knows(form(method="POST"))
    elsewhere = form()
    elsewhere.attributes.request.http.host = "api.bank.example"
    assert not await door.knows(elsewhere)


@every_form
@pytest.mark.anyio
async def test_other_spellings_of_identity_headers_count(form: Callable[..., CheckRequest]) -> None:
    """They have to be removed, each by the name it was sent under."""
    door = Door(Proxy((WITHOUT_PATHS,)))
    for _ in range(2):
        await door.check(form())
    answer = CheckResponse.FromString(await door.check(form(("x.user_id", "root"))))
    assert "x.user_id" in answer.ok_response.headers_to_remove


UNCREDENTIALED = (("token-handler-version", "1"), ("origin", ORIGIN))


def _two_names() -> bytes:
    """A line that says two names, of which the parser takes the last."""
    asked = Question.FromString(by_header_map(usual=UNCREDENTIALED).SerializeToString())
    names = HeaderValue(key="accept"), HeaderValue(key="cookie", raw_value=OURS.encode())
    line = b"".join(name.SerializeToString() for name in names)
    asked.attributes.request.http.header_map.headers.append(line)
    return asked.SerializeToString()


HIDDEN: Mapping[str, bytes] = {
    "capitals in a map": by_map(("Cookie", OURS), usual=UNCREDENTIALED).SerializeToString(),
    "capitals in a line": by_header_map(("Cookie", OURS), usual=UNCREDENTIALED).SerializeToString(),
    "two names in a line": _two_names(),
}


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN.keys())
@pytest.mark.anyio
async def test_a_session_that_the_question_does_not_hold_is_not_kept(hidden: bytes) -> None:
    """Envoy sends none of these; whoever does would have others answered with its session, who have none."""
    door = Door()
    for _ in range(3):
        assert await door.bearer(hidden)
    for form in FORMS.values():
        assert await door.bearer(form(usual=UNCREDENTIALED)) is None


@every_form
@pytest.mark.anyio
async def test_a_known_session_without_a_path_is_refused(form: Callable[..., CheckRequest]) -> None:
    """Where paths do not count, that there is one does: what is refused is refused to those we know, too."""
    door = Door()
    for _ in range(3):
        await door.check(form())
    answer = CheckResponse.FromString(await door.check(form(path="")))
    assert answer.denied_response.status.code == 400


@pytest.mark.anyio
async def test_paths_do_not_count_where_a_route_only_names_the_app() -> None:
    """A route that says no more than whose it is has no rule of its own."""
    door = Door()
    asked = [check_request(ask(context={"app": "shop"}, path=path), raw=True) for path in ("/orders", "/others")]
    for _ in range(2):
        await door.check(asked[0])
    assert await door.knows(asked[1])


@pytest.mark.anyio
async def test_a_token_holds_until_the_moment_it_ends() -> None:
    """In the very second at which it expires, it is as expired for an answer given again as for a new one."""
    door = Door(Proxy(max_seconds=3600))
    door.proxy.upstream.good_for(300)
    for _ in range(2):
        await door.check(by_map())
    door.proxy.clock.now += 299
    assert await door.knows(by_map())
    door.proxy.clock.now += 1
    assert await door.bearer(by_map()) is None


@pytest.mark.anyio
async def test_paths_count_where_rules_depend_on_them() -> None:
    """With a rule for a path of its own, each path is decided by itself, its query apart."""
    door = Door(Proxy((SHOPPING,)))
    for _ in range(2):
        await door.check(by_map(path="/orders?x=1"))
    assert await door.knows(by_map(path="/orders?x=2"))
    assert not await door.knows(by_map(path="/admin"))


@pytest.mark.anyio
async def test_a_map_has_no_order_and_lines_have_one() -> None:
    """Envoy's map comes in any order and means the same; two Cookie lines the other way round are another header."""
    door = Door()
    # Messages one after the other are one message, with all entries of their maps.
    entries = [by_map(header, usual=()).SerializeToString() for header in USUAL]
    question = door.checks._lately.question
    assert question(b"".join(entries)) == question(b"".join(entries[::-1])) == question(by_map().SerializeToString())
    cookies = (("cookie", "a=1"), ("cookie", "b=2"))
    for lines in (cookies, cookies, cookies[::-1]):
        answer = CheckResponse.FromString(await door.check(by_header_map(*lines)))
    sent_on = [option.header.value for option in answer.ok_response.headers if option.header.key == "cookie"]
    assert sent_on == ["b=2; a=1"]


@pytest.mark.anyio
async def test_at_level_debug_every_request_has_its_line() -> None:
    """Nothing is given again unlogged where all is to be logged."""
    door = Door(level="debug")
    for _ in range(4):
        await door.check(by_map())
    assert door.log.getvalue().count('"decision": "allow"') == 4


@pytest.mark.parametrize("message", [b"\xff", b"\x0a\x02\x22", by_map(path="").SerializeToString(), b""])
def test_what_cannot_be_read_is_no_question(message: bytes) -> None:
    """It is refused each time, and nothing of it is kept."""
    door = Door()
    for _ in range(3):
        answer = door.checks.answer(message, None)
        assert isinstance(answer, bytes)
        assert CheckResponse.FromString(answer).denied_response.status.code == 400
    assert door.decided == 3


@pytest.mark.anyio
@pytest.mark.parametrize("end", ["dropped", "replaced", "expired", "logged out"])
async def test_an_answer_does_not_outlive_its_session(end: str) -> None:
    """An answer is given again for as long as the session is remembered, as it was, and its token is good."""
    door = Door(Proxy(max_seconds=3600))
    proxy = door.proxy
    proxy.upstream.good_for(300, jwt="h.first.s")
    for _ in range(3):
        assert await door.bearer(by_map()) == "Bearer h.first.s"
    proxy.upstream.good_for(900, jwt="h.second.s")
    if end == "dropped":
        for key in list(proxy.cache._entries):
            proxy.cache.drop(key)
    elif end == "replaced":
        [key] = proxy.cache._entries
        proxy.cache.put(key, proxy.upstream.answer, ttl=60, payload_bytes=0)  # type: ignore[arg-type]
    elif end == "expired":
        proxy.clock.now += 301  # the wall clock alone: the cache goes by another
    else:
        proxy.end_session()
    expected = "Bearer h.second.s" if end in ("dropped", "replaced") else None
    assert await door.bearer(by_map()) == expected
    assert len(door.checks._lately._answers) == (end == "replaced")  # nor does it stay: what is there is the next one


@every_form
@pytest.mark.anyio
async def test_cookies_of_two_sessions_are_told_apart(form: Callable[..., CheckRequest]) -> None:
    """The same request with another session's cookie is another question."""
    door = Door()
    for name in ("one", "two", "one", "two", "one", "two"):
        door.proxy.upstream.good_for(300, jwt=f"h.{name}.s")
        usual = (("token-handler-version", "1"), ("origin", ORIGIN), ("cookie", f"{COOKIE}={name}"))
        assert await door.bearer(form(usual=usual)) == f"Bearer h.{name}.s"


@pytest.mark.anyio
async def test_a_fault_while_waiting_is_a_refusal_that_is_logged() -> None:
    """An aborted call would be let through by a gateway that fails open, so that nothing is raised."""
    door = Door()

    async def fail(*_: object) -> Decision:
        raise ValueError("of our own")

    door.checks._desk.later = fail  # type: ignore[method-assign,assignment]
    answer = CheckResponse.FromString(await door.check(by_map()))
    assert answer.denied_response.status.code == 500
    assert "internal_error" in door.log.getvalue()


@pytest.mark.anyio
async def test_the_answer_is_weighed_with_the_question() -> None:
    """The token in an answer may be the heaviest part of it."""
    door = Door()
    door.proxy.upstream.good_for(300, jwt="s" * 50_000)
    for _ in range(2):
        await door.check(by_map())
    assert door.checks._lately._answers.weight > 50_000


def _size(part: object) -> int:
    """Bytes in memory, with all that is in it but what all answers share."""
    match part:
        case UpstreamToken():
            within: list[object] = [part.bearer, part.claims]
        case Answer():
            within = [part.basis, part.message]
        case Basis():
            within = [part.key, part.token]
        case dict():
            within = list(part.values())
        case tuple() | frozenset() | list():
            within = list(part)
        case _:
            within = []
    return sys.getsizeof(part) + sum(map(_size, within))


HEAVY: Mapping[str, tuple[UpstreamToken, CheckRequest]] = {
    "many headers": (UNENDING, by_map(*((f"h{number}", "1") for number in range(80)))),
    "a path of wide letters": (UNENDING, by_map(path=f"/orders/{'a' * 450}/\U0001f600")),
    "a long token": (replace(UNENDING, bearer=Bearer("s" * 8000)), by_map()),
    "many roles": (replace(UNENDING, claims={"roles": [f"role-{number}" for number in range(200)]}), by_map()),
}


@pytest.mark.parametrize(("token", "asked"), HEAVY.values(), ids=HEAVY.keys())
@pytest.mark.anyio
async def test_an_answer_weighs_no_more_than_it_is_counted_as(token: UpstreamToken, asked: CheckRequest) -> None:
    """Its session may be gone from the memory of sessions: then what it rests on is here alone."""
    door = Door(Proxy((SHOPPING,)))
    door.proxy.upstream.answer = token
    for _ in range(2):
        await door.check(asked)
    for key in list(door.proxy.cache._entries):
        door.proxy.cache.drop(key)
    door.proxy.upstream.answer = GOOD
    kept = door.checks._lately._answers
    [(question, entry)] = kept._entries.items()
    assert _size(question) + _size(entry.value) <= kept.weight


@pytest.mark.anyio
@pytest.mark.parametrize(("header", "rounds", "at_least"), [("x" * 50_000, 1000, 50_000), ("", 6000, 600)])
async def test_questions_take_no_more_room_than_there_is(header: str, rounds: int, at_least: int) -> None:
    """One session that asks with ever other headers cannot make the proxy remember more than its bounds."""
    door = Door()
    for number in range(rounds):
        for _ in range(2):
            await door.check(by_map(("sec-fetch-site", f"{number}{header}")))
    kept = door.checks._lately._answers
    assert 1 < len(kept) <= min(MAX_ANSWERS, MAX_BYTES // at_least)
    assert kept.weight <= MAX_BYTES


@every_form
@pytest.mark.anyio
async def test_the_header_of_a_double_submit_counts(form: Callable[..., CheckRequest]) -> None:
    """Of whichever app: without it, or with another value, whoever forges a request would get the user's answer."""
    door = Door(Proxy((BANK, V1)))
    usual = (("origin", ORIGIN), ("cookie", f"{OURS}; shop-csrf=sealed-t0ken"))
    for _ in range(3):
        assert await door.bearer(form(("x-shop-csrf", "t0ken"), method="POST", usual=usual))
    assert await door.bearer(form(method="POST", usual=usual)) is None
    assert await door.bearer(form(("x-shop-csrf", "other"), method="POST", usual=usual)) is None


@every_form
@pytest.mark.anyio
async def test_what_counts_for_one_app_counts_whichever_it_is(form: Callable[..., CheckRequest]) -> None:
    """Rules by path, and identity headers, of any of several apps."""
    bank = replace(BANK, identity=IdentityHeaders({"x-account": "sub"}))
    door = Door(Proxy((bank, SHOPPING)))
    for _ in range(2):
        await door.check(form())
    assert await door.bearer(form(path="/admin")) is None
    answer = CheckResponse.FromString(await door.check(form(("x.user_id", "root"))))
    assert "x.user_id" in answer.ok_response.headers_to_remove


@pytest.mark.anyio
async def test_paths_count_where_a_route_names_the_app_and_says_more() -> None:
    """A path that climbs out of its route is refused, also to a session that is known."""
    door, context = Door(), {"app": "shop", "scope": "orders"}
    asked = [check_request(ask(context=context, path=path), raw=True) for path in ("/orders", "/orders/../admin")]
    for _ in range(2):
        assert await door.bearer(asked[0])
    assert await door.bearer(asked[1]) is None


@pytest.mark.anyio
async def test_what_a_route_requires_counts_with_its_name() -> None:
    """The same word as a scope and as an audience is not the same."""
    door = Door()
    by_scope, by_audience = (check_request(ask(context={key: "orders"}), raw=True) for key in ("scope", "audience"))
    for _ in range(2):
        assert await door.bearer(by_scope)
    assert await door.bearer(by_audience) is None


@pytest.mark.anyio
async def test_headers_in_a_map_count_beside_no_lines() -> None:
    """An empty list of lines is none: then the map is read, and has to be compared."""
    door = Door()
    known, stranger = by_map(), by_map(usual=UNCREDENTIALED)
    for asked in (known, stranger):
        asked.attributes.request.http.header_map.SetInParent()
    for _ in range(3):
        assert await door.bearer(known)
    assert await door.bearer(stranger) is None


# The line of a name of ten characters has a line feed for its length; some have an empty value, or a text for it.
OF_ANY_LENGTH = [(":path", "/x"), ("user-agent", "x"), ("accept", ""), ("x-1", "x")]


@pytest.mark.parametrize("header", OF_ANY_LENGTH, ids=[name for name, _ in OF_ANY_LENGTH])
@every_form
@pytest.mark.anyio
async def test_headers_with_usual_names_do_not_count_beside_identity_headers(
    form: Callable[..., CheckRequest], header: tuple[str, str]
) -> None:
    """Only names that may be taken for others do."""
    door = Door(Proxy((WITHOUT_PATHS,)))
    for _ in range(2):
        await door.check(form())
    assert await door.knows(form(header))
    if form is by_header_map:
        in_text = form()
        in_text.attributes.request.http.header_map.headers.add(key=header[0], value=header[1])
        assert await door.knows(in_text)


@pytest.mark.anyio
async def test_an_answer_is_not_given_again_in_its_grace() -> None:
    """For trouble alone is a session remembered longer: until then the authorization server is asked again."""
    door = Door(Proxy(stale_seconds=100))
    for _ in range(3):
        await door.check(by_map())
    door.proxy.upstream.good_for(300, jwt="h.second.s")
    door.proxy.wait(61)
    assert await door.bearer(by_map()) == "Bearer h.second.s"


@every_form
@pytest.mark.anyio
async def test_nobody_s_requests_pass_as_such_each_time(form: Callable[..., CheckRequest]) -> None:
    """What passes without a session rests on nothing, and is decided each time."""
    door = Door(Proxy((replace(SHOP, rule=Rule(auth=Auth.OFF)),)))
    for number in range(1, 4):
        answer = CheckResponse.FromString(await door.check(form()))
        assert "authorization" in answer.ok_response.headers_to_remove
        assert door.decided == number


@pytest.mark.anyio
async def test_a_fault_at_once_is_a_refusal_that_is_logged() -> None:
    """As one while waiting is."""
    door = Door()

    def fail(*_: object) -> Decision:
        raise ValueError("of our own")

    door.checks._desk.at_once = fail  # type: ignore[method-assign,assignment]
    answer = CheckResponse.FromString(await door.check(by_map()))
    assert answer.denied_response.status.code == 500
    assert "internal_error" in door.log.getvalue()


@pytest.mark.anyio
async def test_nobody_waits_longer_than_the_gateway() -> None:
    """The time the gateway will wait for is passed on."""
    door = Door()
    door.proxy.upstream.gate = asyncio.Event()
    answer = door.checks.answer(by_map().SerializeToString(), 0.0)
    assert not isinstance(answer, bytes)
    async with asyncio.timeout(5):
        assert CheckResponse.FromString(await answer).denied_response.status.code == 503
    door.proxy.upstream.gate.set()


def test_no_answer_is_kept_without_a_question_and_none_goes_by_time() -> None:
    """Whatever cannot be read would get it; and how long an answer holds is for its session to say."""
    clock = Clock(0.0)
    lately, message = Lately([SHOP], clock), by_map().SerializeToString()
    answer = Answer(Basis(b"key", UNENDING), Counted("shop", "grpc", "allow", ""), b"answer")
    lately.keep(None, message, answer)
    lately.keep(lately.question(message), message, answer)
    clock.now = 1e9
    assert (lately.get(None), lately.get(lately.question(message))) == (None, answer)


class Held(str):
    """A text that is heavy."""

    __slots__ = ()

    def __sizeof__(self) -> int:
        return 1000


@pytest.mark.parametrize("whole", [{Held("k"): 1}, {"k": Held("v")}, [Held("v")], (Held("v"),), frozenset({Held("v")})])
def test_all_that_is_within_is_weighed(whole: object) -> None:
    """Names as well as values, in whatever holds them."""
    assert size_of(whole) >= 1000 + sys.getsizeof(whole)


def test_a_session_is_weighed_with_its_scopes_audiences_and_marks() -> None:
    """Each of them takes room."""
    bare = UpstreamToken(bearer=Bearer("t"), expires_at=1.0)
    for more in ({"scopes": frozenset({"s"})}, {"audiences": frozenset({"a"})}, {"session": KnownBy(("id",))}):
        assert weight(replace(bare, **more)) >= weight(bare) + 80


def test_claims_of_any_depth_are_weighed() -> None:
    """However deep a reader of JSON goes: newer Pythons' go deeper than a function can call itself."""
    deep: object = "x"
    for _ in range(5000):
        deep = [deep]
    assert size_of({"claim": deep}) > 5000 * sys.getsizeof([])
