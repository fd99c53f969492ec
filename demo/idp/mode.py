"""How the provider misbehaves when a test asks it to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace

from starlette.responses import Response


def _text_or_null(value: object) -> bool:
    return value is None or isinstance(value, str)


def _count_or_null(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def _status_or_null(value: object) -> bool:
    return value is None or (isinstance(value, int) and 200 <= value <= 599)


def _yes_or_no(value: object) -> bool:
    return isinstance(value, bool)


def _members(value: object) -> bool:
    return isinstance(value, dict)


def _seconds(value: object) -> bool:
    return isinstance(value, int | float) and value >= 0


_RULES: dict[str, Callable[[object], bool]] = {
    "introspection": ("jwt", "keycloak", "plain", "rfc9701", "rfc9701-encrypted").__contains__,
    "introspection_status": _status_or_null,
    "introspection_delay": _seconds,
    "token_status": _status_or_null,
    "token_held": _yes_or_no,
    "par_status": _status_or_null,
    "require_par": _yes_or_no,
    "encrypt": _yes_or_no,
    "body": _text_or_null,
    "content_type": _text_or_null,
    "jwt_overrides": _members,
    "id_token_overrides": _members,
    "token_overrides": _members,
    "jarm_overrides": _members,
    "access_token_seconds": _count_or_null,
}


@dataclass(frozen=True, slots=True)
class Mode:
    """The present behaviour; the defaults are those of a healthy provider.

    A forced status is answered with `body` and `content_type`; overrides replace members, null drops one. Held token
    requests wait until a test lets go of them.
    """

    introspection: str = "jwt"
    introspection_status: int | None = None
    introspection_delay: float = 0.0
    token_status: int | None = None
    token_held: bool = False
    par_status: int | None = None
    require_par: bool = False
    encrypt: bool = False  # ID tokens and signed responses, for clients that have registered a key
    body: str | None = None
    content_type: str | None = None
    jwt_overrides: Mapping[str, object] = field(default_factory=dict)
    id_token_overrides: Mapping[str, object] = field(default_factory=dict)
    token_overrides: Mapping[str, object] = field(default_factory=dict)
    jarm_overrides: Mapping[str, object] = field(default_factory=dict)
    access_token_seconds: int | None = None

    def changed(self, wishes: Mapping[str, object]) -> "Mode":
        """Return this mode with some members replaced; a ValueError names those that make no sense."""
        known = {one.name for one in fields(self)}
        wrong = [name for name, value in wishes.items() if name not in known or not _RULES[name](value)]
        if wrong:
            raise ValueError(f"unknown or unsuitable: {', '.join(wrong)}")
        return replace(self, **wishes)  # type: ignore[arg-type]  # _RULES has checked each value

    def forced(self, status: int) -> Response:
        """Return the answer a test asked for instead of the real one."""
        default_body = "" if status in {204, 304} else '{"error": "server_error"}'
        body = default_body if self.body is None else self.body
        headers = {"content-type": self.content_type or "application/json", "cache-control": "no-store"}
        return Response(body, status, headers)


def override(members: Mapping[str, object], overrides: Mapping[str, object]) -> dict[str, object]:
    """Replace members; one overridden with null is dropped."""
    dropped = {name for name, value in overrides.items() if value is None}
    return {name: value for name, value in {**members, **overrides}.items() if name not in dropped}
