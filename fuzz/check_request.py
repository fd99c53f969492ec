"""What Envoy could send the gRPC door, as bytes of a CheckRequest, to the answer it gets."""

from extauthz._pb.envoy.config.core.v3.base_pb2 import HeaderMap, HeaderValue
from extauthz._pb.envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from extauthz._pb.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from extauthz.doors import messages
from extauthz.doors.lately import Lately
from fuzz.promises import check_response, check_world
from fuzz.world import ORIGIN, World

WORLD = World()
LATELY = Lately([*WORLD.policies.values()], lambda: 0.0)

GOOD = {"token-handler-version": "1", "origin": ORIGIN, "x-request-id": "7"}
SESSIONS = {
    "api.shop.example": {"cookie": "__Host-Http-shop-at=good; a=1; __Host-Http-shop-login-7=x", "x_user_id": "root"},
    "api.mall.example": {"cookie": "mall-at=good; mall-csrf=cx; b=2", "x-mall-csrf": "x"},
    "api.bank.example:443": {"cookie": "__Secure-bank-at=ebb,__Secure-bank-rt=1", "sec-fetch-site": "same-origin"},
    "api.lab.example": {"cookie": "__Host-Http-lab-at=inactive", "x.user.id": "root"},
}
OTHERS: list[tuple[str, str, dict[str, str]]] = [
    ("OPTIONS", "/", {"access-control-request-method": "PUT", "access-control-request-headers": "x-a, x-b"}),
    ("GET", "/public/x?y=1", {"authorization": "Bearer stolen"}),
    ("GET", "/public/%2e%2e/me", {}),
    ("DELETE", "/feed", {"origin": "null", "sec-fetch-site": "cross-site"}),
    ("GET", "/orders", {"authorization": "Bearer bbb.bbb.bbb"}),
]
CONTEXTS: list[dict[str, str]] = [
    {"app": "shop", "auth": "optional"},
    {"auth": "off", "upstream": "opaque"},
    {"upstream": "exchange", "resource": "https://api.example/"},
    {"scope": "a b", "csrf": "origin"},
    {},
]


def seeds() -> list[bytes]:
    """Requests that get far, in both forms of headers."""
    asked = [("POST", host, "/orders", {**GOOD, **session}) for host, session in SESSIONS.items()]
    asked += [(method, host, path, {**GOOD, **more}) for host in SESSIONS for method, path, more in OTHERS]
    found = []
    for number, (method, host, path, headers) in enumerate(asked):
        context = CONTEXTS[number % len(CONTEXTS)]
        found.append(_message(AttributeContext.HttpRequest(method=method, path=path, host=host, headers=headers), {}))
        lines = [HeaderValue(key=name, raw_value=value.encode()) for name, value in headers.items()]
        http = AttributeContext.HttpRequest(method=method, path=path, host=host, header_map=HeaderMap(headers=lines))
        found.append(_message(http, context))
    return [b"", *found]


def run(data: bytes) -> None:
    """Ask, and hold the answer to the promises. Raises BrokenPromise."""
    LATELY.question(data)  # raises nothing, whatever comes
    request = messages.read(data)
    decision = WORLD.ask(request)
    check_response(messages.write(decision), request, decision, WORLD)
    check_world(WORLD)


def _message(http: AttributeContext.HttpRequest, context: dict[str, str]) -> bytes:
    attributes = AttributeContext(request=AttributeContext.Request(http=http), context_extensions=context)
    return CheckRequest(attributes=attributes).SerializeToString()
