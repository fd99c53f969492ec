"""No token, cookie, key or secret in anything any program writes, at the most talkative level."""

from typing import TYPE_CHECKING

from worlds.idp import IdpControl
from worlds.raw import exchange
from worlds.waiting import until

from demo.browser import Browser
from demo.settings import APP

if TYPE_CHECKING:
    from worlds.kinds import World

AT = f"__Host-Http-{APP}-at"


def test_no_log_holds_a_secret(world: "World", browser: Browser, idp: IdpControl, envoy: str) -> None:
    """After a day of logins, calls, refusals and faults, no log holds any of the values that had to stay secret."""
    seen: set[str] = set()
    browser.log_in()
    seen |= set(browser.cookies().values())
    for mode in ({}, {"introspection_status": 500}, {"introspection": "plain"}, {"token_status": 500}):
        browser.agent("refresh")
        seen |= set(browser.cookies().values())
        idp.misbehave(**mode)
        browser.request("GET", "/api/orders?access_token=canary-in-the-query")
        exchange(
            envoy, "GET", "/api/x", f"host: {envoy}", f"cookie: {AT}=canary-in-a-cookie", "token-handler-version: 1"
        )
        exchange(envoy, "GET", "/api/x", f"host: {envoy}", "authorization: Bearer canary-in-a-header")
        idp.reset()
    browser.agent("logout")
    folder = world.settings.folder
    files = ["agent-secret", "proxy-secret", "session.key", "cookie-private.pem"]
    keys = [line for name in files for line in (folder / name).read_text().splitlines() if "-----" not in line]
    secrets = {*idp.secrets(), *seen, *keys, "canary-in-the-query", "canary-in-a-cookie", "canary-in-a-header"}
    # The last line of all: what Envoy writes about it comes after what it wrote about everything before.
    browser.request("GET", "/api/the-last-line")
    until(lambda: '"path":"/api/the-last-line"' in world.logs())
    written = world.logs()
    assert len(secrets) > 20
    assert [value[:6] for value in secrets if len(value) > 8 and value in written] == []
