"""From the settings to the apps."""

import copy
from pathlib import Path

from proxy_world.installation import install, minimal, put

from extauthz.build import build_apps, build_issuer
from extauthz.config import Program, load


def test_every_app_takes_away_the_cookies_of_all(tmp_path: Path) -> None:
    """On a host that two apps share, the API of one never sees the sessions and logins of the other."""
    document = minimal()
    document["apps"]["bank"] = {**copy.deepcopy(document["apps"]["shop"]), "agent_path": "/bank-agent"}
    config = load(install(tmp_path, document), Program.EXTAUTHZ, {})
    issuers = {name: build_issuer(app, lambda: 0.0) for name, app in config.apps.items()}
    apps = build_apps(config, issuers, wall=lambda: 0.0)
    assert {app.policy.cookie_name for app in apps} == {"__Host-Http-shop-at", "__Host-Http-bank-at"}
    for app in apps:
        for cookie in ("__Host-Http-shop-at", "__Host-Http-bank-at", "__Secure-shop-rt", "__Host-Http-bank-login-x"):
            assert app.policy.is_ours(cookie)
        assert not app.policy.is_ours("__Host-Http-store-at")


def test_what_identity_headers_tell_is_remembered(tmp_path: Path) -> None:
    """The API hears who the user is, although of other claims nothing is kept."""
    document = put(minimal(), "apps.shop.identity_headers", {"x-user-id": "sub"})
    config = load(install(tmp_path, document), Program.EXTAUTHZ, {})
    issuers = {"shop": build_issuer(config.apps["shop"], lambda: 0.0)}
    (app,) = build_apps(config, issuers, wall=lambda: 0.0, told=frozenset({"amr"}))
    assert app.claims == {"sub", "amr"}
