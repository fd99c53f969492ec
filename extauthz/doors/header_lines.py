"""Header lines as they came, to what a `Request` holds of them."""

from collections.abc import Iterable, Mapping

from extauthz.cookies.header import CookieHeader


def collect(lines: Iterable[tuple[str, str]], *, comma_joined: bool) -> tuple[Mapping[str, str], CookieHeader]:
    """Values under their lower-case names, those of one name joined by commas (RFC 9110 section 5.3); cookies apart.

    `comma_joined`: whether the gateway may have joined Cookie lines before we see them.
    """
    values: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    for name, value in lines:
        if name in values:
            repeated.setdefault(name, [values[name]]).append(value)
        else:
            values[name] = value
    cookie = values.pop("cookie", None)
    cookies = repeated.pop("cookie", [] if cookie is None else [cookie])
    values.update((name, ",".join(several)) for name, several in repeated.items())
    return values, CookieHeader(tuple(cookies), comma_joined)
