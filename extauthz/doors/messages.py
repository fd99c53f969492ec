"""Envoy's CheckRequest to a `Request`, and a decision to a CheckResponse. Field semantics measured on Envoy 1.40.

The rules that keep an answer from meaning something else:
a status of zero lets the request through, whatever else is set, so every refusal carries another;
`append: false` together with OVERWRITE_IF_EXISTS_OR_ADD, for a header that is appended leaves the client's first;
`value` and never `raw_value`, which Envoy ignores, setting an empty header;
`authorization` never among the headers to remove, for removal comes after setting.
"""

from collections.abc import Iterable, Mapping

from google.protobuf.message import DecodeError
from google.protobuf.wrappers_pb2 import BoolValue

from extauthz._pb.envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from extauthz._pb.envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from extauthz._pb.envoy.service.auth.v3.external_auth_pb2 import (
    CheckRequest,
    CheckResponse,
    DeniedHttpResponse,
    OkHttpResponse,
)
from extauthz._pb.envoy.type.v3.http_status_pb2 import HttpStatus
from extauthz._pb.google.rpc.status_pb2 import Status
from extauthz.cookies.header import CookieHeader
from extauthz.decision import Allow, Decision, Deny, Request

# The gRPC code beside each HTTP status; Envoy only asks whether it is zero. https://grpc.io/docs/guides/status-codes
GRPC_CODES = {400: 3, 401: 16, 403: 7, 500: 13, 503: 14}
INTERNAL = 13

NOTHING = Request(method="", path="", host="", headers={})


def read(message: bytes) -> Request:
    """The request Envoy asks about. What cannot be parsed is a request with no method, which is refused."""
    try:
        attributes = CheckRequest.FromString(message).attributes
    except DecodeError:
        return NOTHING
    http = attributes.request.http
    headers, cookies = _from_header_map(http) if http.header_map.headers else _from_headers(http)
    return Request(
        method=http.method,
        path=http.path,
        host=http.host,
        headers=headers,
        cookies=cookies,
        context=dict(attributes.context_extensions),
    )


def write(decision: Decision) -> bytes:
    """The answer to Envoy."""
    if isinstance(decision, Allow):
        return _allowed(decision).SerializeToString()
    return _denied(decision).SerializeToString()


def _from_headers(http: AttributeContext.HttpRequest) -> tuple[Mapping[str, str], CookieHeader]:
    headers = {name.lower(): value for name, value in http.headers.items()}
    cookie = headers.pop("cookie", None)
    return headers, CookieHeader(() if cookie is None else (cookie,), comma_joined=True)


def _from_header_map(http: AttributeContext.HttpRequest) -> tuple[Mapping[str, str], CookieHeader]:
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for entry in http.header_map.headers:
        name = entry.key.lower()
        # Bytes that are not UTF-8 become lone surrogates: they equal nothing we compare with, and are never sent on.
        value = entry.raw_value.decode("utf-8", "surrogateescape") or entry.value
        if name == "cookie":
            cookies.append(value)
        else:
            headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers, CookieHeader(tuple(cookies))


def _allowed(decision: Allow) -> CheckResponse:
    return CheckResponse(
        status=Status(code=0),
        ok_response=OkHttpResponse(headers=_options(decision.set_headers), headers_to_remove=decision.remove_headers),
    )


def _denied(decision: Deny) -> CheckResponse:
    response = CheckResponse(
        status=Status(code=GRPC_CODES.get(decision.status, INTERNAL), message=decision.reason),
        denied_response=DeniedHttpResponse(
            status=HttpStatus(code=decision.status),  # type: ignore[arg-type]  # an open enum
            headers=_options(decision.headers),
            body=decision.body,
        ),
    )
    # For Envoy's access log: %DYNAMIC_METADATA(envoy.filters.http.ext_authz:reason)%
    response.dynamic_metadata.update({"reason": decision.reason.value})
    return response


def _options(headers: Iterable[tuple[str, str]]) -> list[HeaderValueOption]:
    return [
        HeaderValueOption(
            header=HeaderValue(key=name, value=value),
            append=BoolValue(value=False),
            append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
        )
        for name, value in headers
    ]
