"""An installation to explain requests with: keys, a configuration, an authorization server, and the command line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from click.testing import CliRunner, Result
from proxy_world.authorization_server import ISSUER, Server, token
from proxy_world.installation import install, minimal, put

from extauthz.__main__ import main
from extauthz.cookies.access_token import AccessToken
from extauthz.cookies.hpke import Sealer
from extauthz.cookies.keys import read_public_key
from extauthz.cookies.purpose import Purpose
from extauthz.explain.witness import World
from extauthz.oauth.http import HttpClient
from extauthz.oauth.issuer import Issuer

COOKIE = "__Host-Http-shop-at"
OPAQUE = "opaque-token-of-the-shop"
SESSION = "5e55-of-the-shop"
URL = "https://api.shop.example/orders"
GOOD = ("-H", "token-handler-version: 1", "-H", "origin: https://www.shop.example")
SETTINGS: Mapping[str, object] = {
    "apps.shop.issuer": ISSUER,
    "apps.shop.hosts": ["api.shop.example"],
    "apps.shop.upstream": {"required_scopes": ["orders"], "audience": "api"},
}


class Closing(httpx2.MockTransport):
    """A transport that remembers being closed."""

    closed = 0

    async def aclose(self) -> None:
        """Count it."""
        self.closed += 1


@dataclass
class Bench:
    """One installation in `folder`, with `changes` to its settings."""

    folder: Path
    changes: Mapping[str, object] = field(default_factory=dict)
    server: Server = field(default_factory=Server)

    def __post_init__(self) -> None:
        document = minimal()
        for key, value in {**SETTINGS, **self.changes}.items():
            put(document, key, value)
        self.config = install(self.folder, document)
        self.transport = Closing(self.server)
        self.server.introspects(token())

    def sealed(self, plaintext: bytes | None = None, *, cookie: str = COOKIE) -> str:
        """A cookie value, by default with a good token."""
        key = read_public_key((self.folder / "cookie-public.pem").read_bytes())
        good = AccessToken(token=OPAQUE, issued_at=1_000_000, session_id=SESSION).to_bytes()
        return Sealer(key, Purpose("shop", cookie)).seal(good if plaintext is None else plaintext)

    def explain(self, *arguments: str, stdin: str | bytes | None = None, world: object = None) -> Result:
        """Run the command with this configuration."""
        around = World(
            issuer=lambda app: Issuer(app.issuer, HttpClient(transport=self.transport), self.server.clock),
            wall=self.server.clock,
            steady=self.server.clock,
        )
        command = ["explain", "--config", str(self.config), *arguments]
        return CliRunner().invoke(main, command, input=stdin, obj=world or around, env={"COLUMNS": "80"})

    def curl(self, *words: str, cookie: str | None = None, options: tuple[str, ...] = ()) -> Result:
        """Explain a request that is good in all else, with `cookie` as the value of ours; "" for none."""
        value = self.sealed() if cookie is None else cookie
        cookies = ("-b", f"{COOKIE}={value}; theme=dark") if value else ()
        return self.explain(*options, "curl", URL, *GOOD, *cookies, *words)


def states(result: Result) -> dict[str, str]:
    """The state of each step, by its name."""
    rows = [line for line in result.stdout.splitlines() if line[:1].strip()]
    return {row[:18].strip(): row[18:27].strip() for row in rows if not row.startswith("decision")}


def facts(result: Result, stage: str) -> str:
    """What is said of one step, in one line."""
    said: list[str] = []
    name = ""
    for line in filter(None, result.stdout.splitlines()):
        name = line[:18].strip() or name
        if name == stage:
            said.append(line[27:].strip())
    return " ".join(said)


def verdict(result: Result) -> str:
    """The last line, without its name."""
    return result.stdout.splitlines()[-1].removeprefix("decision").strip()
