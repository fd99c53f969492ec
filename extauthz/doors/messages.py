"""Envoy's CheckRequest to a `Request`, and a decision to a CheckResponse. Field semantics measured on Envoy 1.40.

The rules that keep an answer from meaning something else:
a status of zero lets the request through, whatever else is set, so every refusal carries another;
`append: false` together with OVERWRITE_IF_EXISTS_OR_ADD, for a header that is appended leaves the client's first;
`value` and never `raw_value`, which Envoy ignores, setting an empty header;
`authorization` never among the headers to remove, for removal comes after setting.
"""

from collections.abc import Iterable, Mapping, MutableMapping
from typing import assert_never

from google.protobuf.message import DecodeError
from google.protobuf.wrappers_pb2 import BoolValue

from extauthz._pb.envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from extauthz._pb.envoy.service.auth.v3.external_auth_pb2 import (
    CheckRequest,
    CheckResponse,
    DeniedHttpResponse,
    OkHttpResponse,
)
from extauthz._pb.envoy.type.v3.http_status_pb2 import HttpStatus
from extauthz._pb.google.rpc.status_pb2 import Status
from extauthz.cookies.header import CookieHeader
from extauthz.decision import Allow, Decision, Deny, Headers, Preflight
from extauthz.doors.header_lines import collect
from extauthz.request import Request

# The gRPC code beside each HTTP status; Envoy only asks whether it is zero. https://grpc.io/docs/guides/status-codes
GRPC_CODES = {400: 3, 401: 16, 403: 7, 500: 13, 503: 14}
INTERNAL = 13
PREFLIGHT_CODE = 7

NOTHING = Request(method="", path="", host="", headers={})
NO_CONTEXT: Mapping[str, str] = {}
NO_COOKIES = CookieHeader(comma_joined=True)


def read(message: bytes) -> Request:
    """The request Envoy asks about. What cannot be parsed is a request with no method, which is refused."""
    try:
        attributes = CheckRequest.FromString(message).attributes
    except DecodeError:
        return NOTHING
    http = attributes.request.http
    raw = http.HasField("header_map") and http.header_map.headers
    headers, cookies = _from_header_map(raw) if raw else _from_headers(http.headers)
    return Request(
        method=http.method,
        path=http.path,
        host=http.host,
        headers=headers,
        cookies=cookies,
        context=dict(attributes.context_extensions) if attributes.context_extensions else NO_CONTEXT,
    )


def write(decision: Decision) -> bytes:
    """The answer to Envoy."""
    match decision:
        case Allow():
            response = _allowed(decision)
        case Deny():
            response = _denied(decision)
        case Preflight():
            # A status that is not zero answers the client in the API's place, and 204 is no refusal.
            response = _instead(PREFLIGHT_CODE, "preflight", 204, decision.headers, "")
        case _:
            assert_never(decision)
    return response.SerializeToString()


def _from_headers(headers: MutableMapping[str, str]) -> tuple[Mapping[str, str], CookieHeader]:
    names = "".join(headers)
    if not names.isascii() or names != names.lower():
        return collect(((_lower(name), value) for name, value in headers.items()), comma_joined=True)
    # As Envoy sends them, and they stay in their message: to copy two dozen strings takes longer than to decide.
    cookie = headers.get("cookie")
    if cookie is None:
        return headers, NO_COOKIES
    del headers["cookie"]
    return headers, CookieHeader((cookie,), True)


def _from_header_map(entries: Iterable[HeaderValue]) -> tuple[Mapping[str, str], CookieHeader]:
    # Bytes that are not UTF-8 become lone surrogates: they equal nothing we compare with, and are never sent on.
    lines = [(entry.key, entry.raw_value.decode("utf-8", "surrogateescape") or entry.value) for entry in entries]
    headers = dict(lines)
    names = "".join(headers)
    if len(headers) < len(lines) or not names.isascii() or names != names.lower():
        return collect(((_lower(name), value) for name, value in lines), comma_joined=False)
    cookie = headers.pop("cookie", None)
    return headers, CookieHeader(() if cookie is None else (cookie,))


def _lower(name: str) -> str:
    # Of letters that are not ASCII some have an ASCII one for their lower case; no header name has any.
    return name.lower() if name.isascii() else name


def _allowed(decision: Allow) -> CheckResponse:
    response = CheckResponse(
        status=Status(code=0),
        ok_response=OkHttpResponse(
            headers=_options(decision.set_headers),
            headers_to_remove=decision.remove_headers,
            # The API may vary its answer by other things as well; everything else there is ours alone.
            response_headers_to_add=[_option(n, v, append=n == "vary") for n, v in decision.response_headers],
        ),
    )
    if decision.waived is not None:
        response.dynamic_metadata.update({"reason": f"{decision.passage}: {decision.waived}"})
    return response


def _denied(decision: Deny) -> CheckResponse:
    code = GRPC_CODES.get(decision.status, INTERNAL)
    return _instead(code, decision.reason, decision.status, decision.headers, decision.body)


def _instead(code: int, reason: str, status: int, headers: Headers, body: str) -> CheckResponse:
    """An answer to the client in the API's place."""
    response = CheckResponse(
        status=Status(code=code, message=reason),
        denied_response=DeniedHttpResponse(
            status=HttpStatus(code=status),  # type: ignore[arg-type]  # an open enum
            headers=_options(headers),
            body=body,
        ),
    )
    # For Envoy's access log: %DYNAMIC_METADATA(envoy.filters.http.ext_authz:reason)%
    response.dynamic_metadata.update({"reason": reason})
    return response


def _options(headers: Iterable[tuple[str, str]]) -> list[HeaderValueOption]:
    return [_option(name, value) for name, value in headers]


def _option(name: str, value: str, *, append: bool = False) -> HeaderValueOption:
    action = HeaderValueOption.APPEND_IF_EXISTS_OR_ADD if append else HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    return HeaderValueOption(
        header=HeaderValue(key=name, value=value), append=BoolValue(value=append), append_action=action
    )
