"""How values are shown: names, counts and times, never what could be a secret.

What a client or a server can choose is cleaned; of what it should not have sent only that it did is told.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from extauthz.config import AppConfig
from extauthz.cookies import hpke
from extauthz.cookies.envelope import InvalidCookie, unpack
from extauthz.cookies.v1 import V1Cookies
from extauthz.policy import Policy
from extauthz.request import Request
from extauthz.telemetry import clean

MOST = 8  # of a list; more would push the rest off the screen
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]{1,253}(:\d{1,5})?|null", re.ASCII)
_FETCH_SITES = ("same-origin", "same-site", "cross-site", "none")
_SETTINGS = ("auth", "upstream", "scope", "audience", "resource", "csrf")


def listed(words: Iterable[str], nothing: str = "none") -> str:
    """A few of them, and how many more there are; a set in order."""
    cleaned = [clean(word) for word in (sorted(words) if isinstance(words, frozenset) else words)]
    more = f" and {len(cleaned) - MOST} more" if len(cleaned) > MOST else ""
    return ", ".join(cleaned[:MOST]) + more or nothing


def moment(seconds: float) -> str:
    """A time of day in UTC; a stranger may have written any number."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return "at no date there is"


def setting(key: str, value: str) -> str:
    """A setting of a route; the value only of those there are."""
    return f"{key}={clean(value)}" if key in _SETTINGS else f"{clean(key)}, which is no setting"


def origin(request: Request, policy: Policy) -> str:
    """The Origin header, and which would be trusted."""
    sent = request.headers.get("origin")
    if sent is None:
        return "Origin absent"
    if sent in policy.trusted_origins:
        return f"Origin {sent}, trusted"
    shown = f"Origin {sent}" if _ORIGIN.fullmatch(sent) else "Origin is none"
    return f"{shown}; trusted: {listed(policy.trusted_origins)}"


def fetch_site(request: Request) -> str:
    """The Sec-Fetch-Site header."""
    sent = request.headers.get("sec-fetch-site", "absent")
    return f"Sec-Fetch-Site {sent if sent in (*_FETCH_SITES, 'absent') else 'is none of its words'}"


def key_id(value: str) -> str:
    """The key id in a sealed value of our own format, in hex; "" where there is none."""
    try:
        return unpack(value, hpke.VERSION, min_body=hpke.MIN_BODY)[0].hex()
    except InvalidCookie:
        return ""


def outside(value: str, app: AppConfig) -> str:
    """Format and key, as the cheap check sees them. Of a value that is not ours no byte is shown."""
    settings, found = app.cookie, key_id(value)
    if settings.format == "hpke" and found:
        keys = [hpke.public_key_id(key.public_key()).hex() for key in settings.private_key_files if key is not None]
        return f"key {found}, known" if found in keys else f"key {found}; the keys here are {listed(keys)}"
    looks = "hpke" if found else "aes-gcm" if _is_v1(value) else "neither of ours"
    return f"format {settings.format}" if looks == settings.format else f"format {looks}, not {settings.format}"


def _is_v1(value: str) -> bool:
    try:
        V1Cookies(()).admit(value)
    except InvalidCookie:
        return False
    return True
