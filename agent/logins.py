"""The login that a response belongs to, kept in a cookie of its own since login/start; of every version of the API."""

from typing import Protocol

from agent.api import Exchange
from agent.errors import AgentError, invalid_request
from agent.flow import Login, flow_of
from agent.forms import cookies
from extauthz.cookies.envelope import InvalidCookie
from extauthz.cookies.header import CookieHeader


class KeepsLogins(Protocol):
    """The cookies of an app, as far as they are of logins under way."""

    def login(self, cookies: CookieHeader, flow: str, /) -> Login | None:
        """The login of `flow`, None when there is none. Raises InvalidCookie."""

    def clear_login(self, flow: str, /) -> str:
        """The Set-Cookie line that ends it."""


def take_login(call: Exchange, jar: KeepsLogins, state: str) -> Login:
    """The login `state` belongs to. It is used once, whatever comes of it (RFC 9700 section 4.2.4)."""
    name = flow_of(state)
    call.set_cookies.append(jar.clear_login(name))
    try:
        login = jar.login(cookies(call.request), name)
    except InvalidCookie as error:
        raise AgentError(401, "unauthorized", "the login cookie is not ours") from error
    if login is None:
        raise invalid_request("the response does not belong to a login under way")
    return login
