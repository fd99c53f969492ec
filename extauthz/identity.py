"""Headers that tell the API who the user is, made from the token's claims. Nobody but us may send them.

RFC 9700 section 4.13: a proxy must sanitize the inbound headers the application trusts.
https://www.rfc-editor.org/rfc/rfc9700#section-4.13
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from urllib.parse import quote

# Printable ASCII stays as it is, but for "%", which introduces what does not.
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
_PLAIN_IN_LIST = _PLAIN.replace(",", "")
# All that a header's name may hold beside letters and digits (RFC 9110 section 5.6.2).
_SEPARATOR = re.compile(r"[!#$%&'*+.^_`|~]")
# What a name has none of that can only be taken for itself; ":" begins the names of HTTP/2's own fields.
_UNUSUAL = re.compile(r"[^a-z0-9:-]")


@dataclass(frozen=True, slots=True)
class IdentityHeaders:
    """Header names, in lower case with hyphens, to the names of claims."""

    claims: Mapping[str, str] = field(default_factory=dict)
    # Many servers take x_user_id for x-user-id (CGI, WSGI, PHP), some x.user.id as well.
    _other_spellings: tuple[str, ...] = field(init=False, repr=False)
    _folded_names: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        spellings = (spelling for name in self.claims for spelling in _with_underscores(name))
        object.__setattr__(self, "_other_spellings", tuple(spellings))
        object.__setattr__(self, "_folded_names", frozenset(_folded(name) for name in self.claims))

    def from_claims(self, claims: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
        """The headers to overwrite; a claim that is absent, empty or an object gives none."""
        values = ((name, header_value(claims.get(claim))) for name, claim in self.claims.items())
        return tuple((name, value) for name, value in values if value)

    def to_remove(self, sent: Iterable[str], overwritten: Iterable[tuple[str, str]] = ()) -> tuple[str, ...]:
        """Every header a client may have sent in their place: known spellings unseen, others by what was `sent`."""
        if not self.claims:
            return ()
        kept = {name for name, _ in overwritten}
        names = [name for name in self.claims if name not in kept]
        return tuple(dict.fromkeys([*names, *self._other_spellings, *self.other_spellings(sent)]))

    def other_spellings(self, sent: Iterable[str]) -> tuple[str, ...]:
        """Of the names `sent`, those that are none of ours, and that a server may take for one."""
        if not self.claims or not _UNUSUAL.search("-".join(sent)):
            return ()
        return tuple(name for name in sent if _folded(name) in self._folded_names and name not in self.claims)


def header_value(claim: object) -> str:
    """A claim as a header value: a list joined by commas, what is not printable ASCII percent-encoded as UTF-8."""
    if isinstance(claim, list):
        return ",".join(_encoded(_text(item), _PLAIN_IN_LIST) for item in claim if _text(item))
    return _encoded(_text(claim), _PLAIN)


def _text(claim: object) -> str:
    match claim:
        case bool():
            return "true" if claim else "false"
        case str() | int() | float():
            return str(claim)
        case _:
            return ""


def _encoded(text: str, plain: str) -> str:
    encoded = quote(text, safe=plain, errors="replace")
    inner = encoded.strip(" ")  # blanks at the ends of a header value do not survive the way
    left = len(encoded) - len(encoded.lstrip(" "))
    return "%20" * left + inner + "%20" * (len(encoded) - left - len(inner))


def _with_underscores(name: str) -> Iterator[str]:
    words = name.split("-")
    for separators in product("-_", repeat=len(words) - 1):
        if "_" in separators:
            yield words[0] + "".join(map("".join, zip(separators, words[1:], strict=True)))


def _folded(name: str) -> str:
    return _SEPARATOR.sub("-", name.lower())
