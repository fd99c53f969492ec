"""Settings of the proxy that may differ by path, and how the browser's part of a request is judged."""

from typing import Annotated, Literal

from pydantic import Field

from extauthz.config.section import Section
from extauthz.config.values import CorsMethod, CorsToken, Resource, RoutePath, RouteScope

Way = Literal["phantom", "mint", "exchange", "jwt", "opaque"]
Csrf = Literal["header", "double-submit", "origin"]


class RouteConfig(Section):
    """What is different below one path; the longest path that matches counts."""

    path: Annotated[RoutePath, Field(description="a prefix of whole segments")]
    auth: Literal["required", "optional", "off"] = "required"
    upstream: Annotated[Way | None, Field(description="default: the app's way")] = None
    scope: Annotated[
        RouteScope | None, Field(description="required in place of the app's required_scopes; '' for none")
    ] = None
    audience: Annotated[str | None, Field(min_length=1, description="required in place of the app's")] = None
    resource: Annotated[Resource | None, Field(description="asked for in place of the app's, by exchange")] = None
    csrf: Annotated[Csrf | None, Field(description="default: the app's")] = None


class CorsConfig(Section):
    """CORS answered by the proxy; leave it out where Envoy does it, or where app and API share an origin."""

    allow_methods: Annotated[list[CorsMethod], Field(min_length=1)] = [
        "OPTIONS",
        "HEAD",
        "GET",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
    ]
    allow_headers: Annotated[list[CorsToken], Field(description="empty: whatever the app asks for")] = []
    expose_headers: list[CorsToken] = []
    max_age: Annotated[int, Field(ge=0, description="seconds a browser may remember a preflight")] = 86_400
