"""The names of the cookies of one app; prefixes make browsers hold us to their attributes.

`__Host-Http-`: Secure, HttpOnly, Path=/, no Domain, so that no sibling host can have set it. `__Secure-`: Secure, for
cookies limited to the agent's path or shared below a parent domain. https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#name-cookie-name-prefixes
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CookieNames:
    """Names for `prefix`; `shared` when the access token's cookie is set with a Domain."""

    prefix: str
    shared: bool = False

    @property
    def access_token(self) -> str:
        """Set by the agent, read by the proxy."""
        return f"{'__Secure-' if self.shared else '__Host-Http-'}{self.prefix}-at"

    @property
    def refresh_token(self) -> str:
        """The agent's own, at its path: it counts only beside the session's cookie it belongs to."""
        return f"__Secure-{self.prefix}-rt"

    @property
    def id_token(self) -> str:
        """The agent's own: whose session this is, and when the access token runs out."""
        return f"__Host-Http-{self.prefix}-id"

    @property
    def login_prefix(self) -> str:
        """What the name of every login cookie starts with."""
        return f"__Host-Http-{self.prefix}-login-"

    def login(self, flow: str) -> str:
        """One login under way; several tabs may log in at once."""
        return self.login_prefix + flow

    @property
    def lasting(self) -> frozenset[str]:
        """All but those of logins under way."""
        return frozenset({self.access_token, self.refresh_token, self.id_token})


@dataclass(frozen=True, slots=True)
class V1CookieNames:
    """Names of the earlier, open-source token handlers: bare words, and a header beside them."""

    prefix: str

    @property
    def access_token(self) -> str:
        """Set by the agent, read by the proxy."""
        return f"{self.prefix}-at"

    @property
    def csrf(self) -> str:
        """Set by the agent; the proxy compares what it holds with the header."""
        return f"{self.prefix}-csrf"

    @property
    def csrf_header(self) -> str:
        """In lower case, as doors hand it over."""
        return f"x-{self.prefix}-csrf".lower()

    @property
    def refresh_token(self) -> str:
        """The agent's own."""
        return f"{self.prefix}-auth"

    @property
    def id_token(self) -> str:
        """The agent's own."""
        return f"{self.prefix}-id"

    @property
    def login_prefix(self) -> str:
        """What the names of our agent's login cookies start with."""
        return f"{self.prefix}-login-"

    def login(self, flow: str) -> str:
        """One login under way; the earlier agents knew one at a time, and called it `-login`."""
        return self.login_prefix + flow

    @property
    def lasting(self) -> frozenset[str]:
        """All but those of our agent's logins under way."""
        login = self.login_prefix.removesuffix("-")
        return frozenset({self.access_token, self.csrf, self.refresh_token, self.id_token, login})
