"""Our small .proto files against Envoy's own, as another code generator has read them."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from proxy_world.asking import SHOP, ask
from proxy_world.door import by_header_map, by_map
from proxy_world.witness import auth, core, rpc, types

from extauthz._pb.envoy.config.core.v3.base_pb2 import HeaderMap, HeaderValue, HeaderValueOption
from extauthz._pb.envoy.service.auth.v3 import external_auth_pb2
from extauthz._pb.envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from extauthz._pb.envoy.service.auth.v3.external_auth_pb2 import (
    CheckRequest,
    CheckResponse,
    DeniedHttpResponse,
    OkHttpResponse,
)
from extauthz._pb.envoy.type.v3.http_status_pb2 import HttpStatus, StatusCode
from extauthz._pb.google.rpc.status_pb2 import Status
from extauthz._pb.grpc.health.v1 import health_pb2
from extauthz.cookies.header import CookieHeader
from extauthz.decision import Allow, Passage, Preflight, refuse
from extauthz.doors import checks as door
from extauthz.doors import health, messages
from extauthz.reason import Reason

# Envoy deprecates the field; it still wins over append_action, so we have to send it.
pytestmark = pytest.mark.filterwarnings("ignore:HeaderValueOption.append is deprecated:DeprecationWarning")

WITNESSES: dict[type[Message], Any] = {
    HeaderValue: core.HeaderValue,
    HeaderMap: core.HeaderMap,
    HeaderValueOption: core.HeaderValueOption,
    AttributeContext: auth.AttributeContext,
    AttributeContext.Request: auth.AttributeContextRequest,
    AttributeContext.HttpRequest: auth.AttributeContextHttpRequest,
    CheckRequest: auth.CheckRequest,
    CheckResponse: auth.CheckResponse,
    DeniedHttpResponse: auth.DeniedHttpResponse,
    OkHttpResponse: auth.OkHttpResponse,
    HttpStatus: types.HttpStatus,
    Status: rpc.Status,
}
TYPES = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_ENUM: "enum",
    FieldDescriptor.TYPE_MESSAGE: "message",
}
FIELDS = [
    pytest.param(field, witness.__dataclass_fields__[field.name].metadata["betterproto"], id=field.full_name)
    for ours, witness in WITNESSES.items()
    for field in ours.DESCRIPTOR.fields
]


@pytest.mark.parametrize(("ours", "witness"), FIELDS)
def test_field(ours: Any, witness: Any) -> None:
    """Each field has the number, type and cardinality Envoy gives it, and stands in the same oneof."""
    assert ours.number == witness.number
    if _is_map(ours):
        key, value = (ours.message_type.fields_by_name[name] for name in ("key", "value"))
        assert witness.proto_type == "map"
        assert [TYPES[key.type], TYPES[value.type]] == [part.proto_type for part in witness.map_meta]
    else:
        assert TYPES[ours.type] == witness.proto_type
        assert ours.is_repeated == witness.repeated
    group = ours.containing_oneof.name if ours.containing_oneof else None
    assert group == witness.group


@pytest.mark.parametrize("ours", WITNESSES, ids=lambda message: message.DESCRIPTOR.full_name)
def test_message_name(ours: type[Message]) -> None:
    """Each message has Envoy's name, which reflection shows and Any would carry."""
    name = "".join(part for part in ours.DESCRIPTOR.full_name.split(".") if part[0].isupper())
    assert WITNESSES[ours].__name__ == name


@pytest.mark.parametrize(
    ("ours", "witness"),
    [
        pytest.param(
            HeaderValueOption.HeaderAppendAction, core.HeaderValueOptionHeaderAppendAction, id="append action"
        ),
        pytest.param(StatusCode, types.StatusCode, id="status code"),
    ],
)
def test_enum(ours: Any, witness: Any) -> None:
    """Each value of an enumeration of ours has Envoy's number under Envoy's name."""
    theirs = {member.name: member.value for member in witness}
    assert set(ours.items()) <= set(theirs.items())


def test_no_message_is_left_out() -> None:
    """The comparison covers every message that Check reaches, but for those of protobuf itself."""
    reached = {*_reached(CheckRequest.DESCRIPTOR), *_reached(CheckResponse.DESCRIPTOR)}
    compared = {ours.DESCRIPTOR.full_name for ours in WITNESSES}
    assert {name for name in reached if not name.startswith("google.protobuf.")} == compared


@pytest.mark.parametrize("arm", ["denied_response", "ok_response", None])
@pytest.mark.parametrize("ours", [CheckRequest, CheckResponse])
def test_what_we_write_the_witness_reads(ours: type[Message], arm: str | None) -> None:
    """With every field filled, the witness knows each of them, and its bytes are the same message to us."""
    message = _filled(ours, arm)
    seen = WITNESSES[ours].parse(message.SerializeToString())
    assert list(_unknown(seen)) == []
    assert ours.FromString(bytes(seen)) == message


def test_a_request_written_by_the_witness() -> None:
    """A request as Envoy's own files describe it, with much in it that we do not read, reaches the decision whole."""
    http = auth.AttributeContextHttpRequest(
        id="7",
        method="POST",
        headers={"token-handler-version": "1", "cookie": "a=1; b=2"},
        path="/orders?x=1",
        host="api.shop.example",
        scheme="https",
        query="",
        size=-1,
        protocol="HTTP/2",
        body="ignored",
        raw_body=b"ignored",
    )
    context = auth.AttributeContext(
        source=auth.AttributeContextPeer(principal="spiffe://x", labels={"a": "b"}),
        destination=auth.AttributeContextPeer(service="api"),
        request=auth.AttributeContextRequest(http=http),
        context_extensions={"app": "shop"},
        tls_session=auth.AttributeContextTlsSession(sni="api.shop.example"),
    )
    request = messages.read(bytes(auth.CheckRequest(attributes=context)))
    assert (request.method, request.path, request.host) == ("POST", "/orders?x=1", "api.shop.example")
    assert request.headers == {"token-handler-version": "1"}
    assert request.cookies == CookieHeader(("a=1; b=2",), comma_joined=True)
    assert request.context == {"app": "shop"}


def test_a_raw_header_map_written_by_the_witness() -> None:
    """With encode_raw_headers the values are bytes, and each line stands for itself."""
    lines = [("Accept", b"a"), ("accept", b"b"), ("cookie", b"a=1"), ("cookie", b"b=\xff")]
    header_map = core.HeaderMap(headers=[core.HeaderValue(key=name, raw_value=value) for name, value in lines])
    http = auth.AttributeContextHttpRequest(method="GET", path="/", header_map=header_map)
    context = auth.AttributeContext(request=auth.AttributeContextRequest(http=http))
    request = messages.read(bytes(auth.CheckRequest(attributes=context)))
    assert request.headers == {"accept": "a,b"}
    assert request.cookies == CookieHeader(("a=1", "b=\udcff"))


@pytest.mark.parametrize("raw", [False, True], ids=["map", "header map"])
def test_a_letter_that_is_not_ascii_names_no_header_of_ours(raw: bool) -> None:
    """The Kelvin sign has a k for its lower case, and a header so named is not the one that proves an app's request."""
    name = "to\u212aen-handler-version"
    asks = by_header_map((name, b"1")) if raw else by_map((name, "1"))
    plain = messages.read(asks.SerializeToString()).headers
    assert plain[name] == "1"


def test_an_answer_that_allows_as_the_witness_reads_it() -> None:
    """Envoy sees status zero, headers to overwrite, and headers to remove."""
    allow = Allow(
        app="shop",
        passage=Passage.AUTHENTICATED,
        set_headers=(("a", "1"),),
        remove_headers=("b", "c"),
        response_headers=(("vary", "Origin"), ("x", "2")),
    )
    seen = auth.CheckResponse.parse(messages.write(allow))
    assert seen.status is not None
    assert seen.ok_response is not None
    assert (seen.status.code, seen.denied_response) == (0, None)
    assert seen.ok_response.headers_to_remove == ["b", "c"]
    (option,) = seen.ok_response.headers
    assert option.header == core.HeaderValue(key="a", value="1")
    assert option.append is False
    assert option.append_action is core.HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
    vary, other = seen.ok_response.response_headers_to_add
    assert (vary.append, vary.append_action) == (True, core.HeaderValueOptionHeaderAppendAction.APPEND_IF_EXISTS_OR_ADD)
    assert other.append_action is core.HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD


def test_an_answer_to_a_preflight_as_the_witness_reads_it() -> None:
    """Envoy sees a status that is not zero, so the API is not asked, and a 204 for the client."""
    seen = auth.CheckResponse.parse(messages.write(Preflight(app="shop", headers=(("a", "1"),))))
    assert seen.status is not None
    assert seen.denied_response is not None
    assert seen.status.code != 0
    assert seen.denied_response.status == types.HttpStatus(code=types.StatusCode.NoContent)
    assert seen.denied_response.body == ""


def test_an_answer_that_denies_as_the_witness_reads_it() -> None:
    """Envoy sees a status that is not zero, the HTTP answer, and the reason."""
    denied = refuse(Reason.NO_CREDENTIALS, ask(), SHOP)
    seen = auth.CheckResponse.parse(messages.write(denied))
    assert seen.status is not None
    assert seen.denied_response is not None
    assert (seen.status.code, seen.ok_response) == (16, None)
    assert seen.denied_response.status == types.HttpStatus(code=types.StatusCode.Unauthorized)
    assert seen.denied_response.body == denied.body
    headers = [option.header for option in seen.denied_response.headers if option.header is not None]
    assert tuple((header.key, header.value) for header in headers) == denied.headers
    assert seen.dynamic_metadata is not None
    assert seen.dynamic_metadata.to_dict() == {"reason": "no_credentials"}


def test_service_and_method() -> None:
    """The door serves the method under the path Envoy calls, with Envoy's messages."""
    service = external_auth_pb2.DESCRIPTOR.services_by_name["Authorization"]
    (method,) = service.methods
    ((path, handler),) = auth.AuthorizationBase().__mapping__().items()
    assert path == f"/{service.full_name}/{method.name}" == f"/{door.SERVICE}/Check"
    assert handler.request_type is WITNESSES[GetMessageClass(method.input_type)]
    assert handler.reply_type is WITNESSES[GetMessageClass(method.output_type)]


def test_health() -> None:
    """The health service has the names and numbers of grpc.health.v1, as published."""
    service = health_pb2.DESCRIPTOR.services_by_name["Health"]
    assert service.full_name == health.SERVICE == "grpc.health.v1.Health"
    assert [method.name for method in service.methods] == ["Check", "Watch"]
    assert [method.server_streaming for method in service.methods] == [False, True]
    assert health_pb2.HealthCheckRequest(service="x").SerializeToString() == b"\x0a\x01x"
    assert health_pb2.HealthCheckResponse(status=2).SerializeToString() == b"\x08\x02"  # type: ignore[arg-type]
    assert health_pb2.HealthCheckResponse.ServingStatus.items() == [
        ("UNKNOWN", 0),
        ("SERVING", 1),
        ("NOT_SERVING", 2),
        ("SERVICE_UNKNOWN", 3),
    ]


def _is_map(field: Any) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _reached(message: Any) -> Iterator[str]:
    yield message.full_name
    for field in message.fields:
        if field.message_type is not None and not _is_map(field) and field.message_type.full_name != message.full_name:
            yield from () if message.full_name.startswith("google.protobuf.") else _reached(field.message_type)


def _filled(ours: type[Message], arm: str | None) -> Any:
    """A message with every field set, of a oneof the field `arm`."""
    message: Any = ours()
    fields: Any = ours.DESCRIPTOR.fields
    for field in fields:
        if field.containing_oneof is not None and field.name != arm:
            continue
        value = getattr(message, field.name)
        if _is_map(field):
            value.update({"a": "1", "b": ""})
        elif field.message_type is not None and field.message_type.full_name == "google.protobuf.Struct":
            value.update({"reason": "x", "nested": {"n": 1.5, "l": [True, None]}})
        elif field.message_type is not None and field.message_type.full_name == "google.protobuf.BoolValue":
            value.value = True
        elif field.message_type is not None:
            part = _filled(GetMessageClass(field.message_type), arm)
            value.extend([part, part]) if field.is_repeated else value.CopyFrom(part)
        elif field.is_repeated:
            value.extend(["a", "b"])
        else:
            scalar = {FieldDescriptor.TYPE_BYTES: b"\xff", FieldDescriptor.TYPE_STRING: "é"}
            enum = {"append_action": HeaderValueOption.OVERWRITE_IF_EXISTS, "code": 503}
            setattr(message, field.name, scalar.get(field.type, enum.get(field.name)))
    return message


def _unknown(seen: Any) -> Iterator[bytes]:
    """What the witness kept of fields it does not know, anywhere in the message."""
    if not hasattr(seen, "_unknown_fields"):
        return
    if seen._unknown_fields:
        yield seen._unknown_fields
    for field in dataclasses.fields(seen):
        value = getattr(seen, field.name)
        for part in value if isinstance(value, list) else [value]:
            yield from _unknown(part)
