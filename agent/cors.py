"""CORS for the agent's calls: Starlette's, with the answer to preflights that browsers and earlier agents agree on."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

# What is allowed depends on both.
VARY = {"vary": "Origin, Access-Control-Request-Headers"}


class Cors(CORSMiddleware):
    """Answers every preflight with 204. A stranger is told nothing, so that the browser goes no further."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """The answer; what the page may not do is not in it."""
        headers = super().preflight_response(request_headers).headers
        allowed = {name: value for name, value in headers.items() if name.startswith("access-control-")}
        trusted = self.is_allowed_origin(request_headers["origin"])
        return Response(status_code=204, headers={**(allowed if trusted else {}), **VARY})
