"""What tests do with the keys of a world: look into its cookies, and make others."""

from pathlib import Path

import httpx2

from demo.browser import Browser
from demo.settings import API_CLIENT, APP
from extauthz.cookies.access_token import AccessToken, SealedAccessTokens
from extauthz.cookies.hpke import Opener, Sealer
from extauthz.cookies.keys import read_private_key
from extauthz.cookies.purpose import Purpose

AT = f"__Host-Http-{APP}-at"


def opaque_token(folder: Path, browser: Browser) -> str:
    """The opaque access token of a browser's session."""
    opener = Opener([read_private_key((folder / "cookie-private.pem").read_bytes())], Purpose(APP, AT))
    return SealedAccessTokens(opener).open(browser.cookies()[AT]).token


def sealed_for(folder: Path, app: str, token: str) -> str:
    """`token` as the cookie of another app: name and value."""
    name = f"__Host-Http-{app}-at"
    key = read_private_key((folder / "cookie-private.pem").read_bytes()).public_key()
    value = Sealer(key, Purpose(app, name)).seal(AccessToken(token=token).to_bytes())
    return f"{name}={value}"


def phantom_of(issuer: str, folder: Path, token: str) -> str:
    """The JWT the identity provider gives for an opaque token."""
    secret = (folder / "proxy-secret").read_text()
    answer = httpx2.post(
        f"{issuer}/introspect",
        data={"token": token},
        auth=(API_CLIENT, secret),
        headers={"accept": "application/jwt"},
    )
    return answer.raise_for_status().text
