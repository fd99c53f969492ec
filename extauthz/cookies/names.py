"""The names of the cookies of one app; prefixes make browsers hold us to their attributes.

`__Host-Http-`: Secure, HttpOnly, Path=/, no Domain. `__Secure-`: Secure, for cookies limited to the agent's path or
shared below a parent domain. https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#name-cookie-name-prefixes
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CookieNames:
    """Names for `app`; `shared` when the cookies are set with a Domain."""

    app: str
    shared: bool = False

    @property
    def access_token(self) -> str:
        """Set by the agent, read by the proxy."""
        return f"{'__Secure-' if self.shared else '__Host-Http-'}{self.app}-at"

    @property
    def refresh_token(self) -> str:
        """The agent's own."""
        return f"__Secure-{self.app}-rt"

    @property
    def id_token(self) -> str:
        """The agent's own: the ID token's claims, and when the access token runs out."""
        return f"__Secure-{self.app}-id"

    @property
    def login_prefix(self) -> str:
        """What the name of every login cookie starts with."""
        return f"__Secure-{self.app}-login-"

    def login(self, flow: str) -> str:
        """One login under way; several tabs may log in at once."""
        return self.login_prefix + flow
