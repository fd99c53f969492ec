"""The proxy's own parts in this process, with an authorization server that knows every token."""

import asyncio
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

from extauthz.authorizer import Authorizer, Pending
from extauthz.build import PHANTOM, build_apps, build_issuer, build_memory
from extauthz.config import Config, Program, cookie_names, load
from extauthz.cookies.access_token import AccessToken
from extauthz.cookies.hpke import Sealer
from extauthz.cookies.keys import new_key_pair, new_session_key
from extauthz.cookies.purpose import Purpose
from extauthz.doors import messages
from extauthz.doors.desk import Desk
from extauthz.metrics import Metrics
from extauthz.outcome import Bearer, UpstreamToken
from extauthz.policy import Rule
from extauthz.request import Request
from extauthz.telemetry import Log, logger
from extauthz.upstream import OneForAll
from extauthz.upstream.claims import audiences, scopes

APP = "shop"
CONFIG = """\
apps:
  shop:
    spa_url: https://www.shop.example/
    issuer: https://login.example
    client_id: shop
    client_secret_file: client.secret
    cookie:
      public_key_file: cookie-public.pem
      private_key_files: [cookie-private.pem]
      session_key_files: [session.key]
    upstream: {required_scopes: [orders], audience: api, cache_seconds: 3600}
"""
JWT_BYTES = 660  # what is random in it: about 880 characters, as with an RS256 signature and a dozen claims


class KnowsAll(OneForAll):
    """A way that takes no time: each token gets a JWT of its own, of the usual size."""

    async def __call__(self, token: str, rule: Rule) -> UpstreamToken:
        """The phantom token."""
        del rule
        claims = json.loads(json.dumps({"sub": secrets.token_hex(8), "iss": "https://login.example", "jti": token}))
        return UpstreamToken(
            bearer=Bearer(secrets.token_urlsafe(JWT_BYTES)),
            expires_at=time.time() + 7200,
            max_age=inf,
            scopes=scopes({"scope": "orders openid"}),
            audiences=audiences({"aud": "api"}),
            claims=claims,
        )


class OpensAll:
    """Takes a token for a cookie: to seal and open takes longer than all that is to be weighed."""

    def admit(self, value: str) -> None:
        """Whatever it is."""

    def open(self, value: str) -> AccessToken:
        """The value itself."""
        return AccessToken(token=value)


class Proxy:
    """Desk and authorizer as `extauthz serve` builds them; the log goes nowhere."""

    def __init__(self, config: Config, *, opens_all: bool) -> None:
        issuers = {name: build_issuer(app, time.monotonic) for name, app in config.apps.items()}
        built = build_apps(config, issuers, wall=time.time)
        apps = [replace(app, ways={**app.ways, PHANTOM: KnowsAll()}) for app in built]
        if opens_all:
            apps = [replace(app, opener=OpensAll()) for app in apps]
        self._null = Path(os.devnull).open("w")  # noqa: SIM115  # for as long as the proxy
        log = Log(logger(config.log, self._null))
        self.memory = build_memory(config, time.monotonic)
        self.authorizer = Authorizer(apps, self.memory, log, time.time)
        self.desk = Desk(self.authorizer, log, Metrics())
        app = config.apps[APP]
        name = cookie_names(APP, app).access_token
        [key] = [key for key in app.cookie.private_key_files if key is not None]
        self._name, self._sealer = name, Sealer(key.public_key(), Purpose(APP, name))

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_: object) -> None:
        self._null.close()

    def cookie(self) -> str:
        """A cookie of a new session: name and value."""
        token = AccessToken(token=secrets.token_urlsafe(32), issued_at=int(time.time()), session_id="s" * 22)
        return f"{self._name}={self._sealer.seal(token.to_bytes())}"

    def unsealed(self) -> str:
        """One that only `OpensAll` opens, as long as another."""
        return f"{self._name}={secrets.token_urlsafe(138)}"

    def know(self, message: bytes) -> None:
        """Have the session of this question remembered."""
        asyncio.run(self.learn(messages.read(message)))

    async def learn(self, request: Request) -> None:
        """Have the session of this request remembered."""
        found = self.authorizer.decide(request)
        if isinstance(found, Pending):
            await self.authorizer.complete(found)


@contextmanager
def proxy(*, max_entries: int = 100_000, opens_all: bool = False) -> Iterator[Proxy]:
    """A proxy with keys of its own, that remembers so many sessions."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        private, public = new_key_pair("x25519")
        (folder / "cookie-private.pem").write_bytes(private)
        (folder / "cookie-public.pem").write_bytes(public)
        (folder / "session.key").write_bytes(new_session_key())
        (folder / "client.secret").write_text("secret")
        (folder / "config.yaml").write_text(CONFIG)
        environ = {"TOKEN_HANDLER__EXTAUTHZ__CACHE__MAX_ENTRIES": str(max_entries)}
        with Proxy(load(folder / "config.yaml", Program.EXTAUTHZ, environ), opens_all=opens_all) as made:
            yield made
