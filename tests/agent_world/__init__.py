"""The world of the OAuth Agent's tests: a provider, an agent over it in process, and a browser at an app's page."""

from agent_world.browser import FORM, Browser, RemoteError, read, set_cookies
from agent_world.server import Server, form_of
from agent_world.world import AGENT, HOME, HOST, ISSUER, ORIGIN, SECRET, START, World, create_world, query_of

__all__ = [
    "AGENT",
    "Browser",
    "FORM",
    "HOME",
    "HOST",
    "ISSUER",
    "ORIGIN",
    "RemoteError",
    "SECRET",
    "START",
    "Server",
    "World",
    "create_world",
    "form_of",
    "query_of",
    "read",
    "set_cookies",
]
