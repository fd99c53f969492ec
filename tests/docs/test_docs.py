"""The documentation is true: what it quotes is what is there, and what is there is in it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from proxy_world.asking import SHOP, ask
from proxy_world.certificates import Authority

from extauthz.config import Program, load, schema
from extauthz.cookies.keys import new_key_pair, new_session_key
from extauthz.oauth.key_ring import new_key
from extauthz.policy import Rule
from extauthz.reason import ADVICE, ANSWERS, Reason
from extauthz.rules.routes import rule_for

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()
GATEWAYS = (ROOT / "docs" / "gateways.md").read_text()
REFERENCE = yaml.safe_load((ROOT / "envoy" / "envoy.yaml").read_text())


def test_the_filter_in_the_readme_is_that_of_the_reference() -> None:
    """The filter to copy from the README equals the one in envoy/envoy.yaml, which all tests run."""
    manager = REFERENCE["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    [reference] = [found for found in manager["http_filters"] if found["name"].endswith("ext_authz")]
    assert yaml.safe_load(block("filter")) == reference


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_files_that_are_named_are_there(page: Path) -> None:
    """Whoever reads of a source file finds it."""
    named = re.findall(r"`((?:extauthz|agent|bench)/[\w/]+\.py)`", page.read_text())
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_the_reference_fails_closed() -> None:
    """The dangerous defaults are said out loud in the reference."""
    config = yaml.safe_load(block("filter"))["typed_config"]
    assert config["failure_mode_allow"] is False
    assert config["status_on_error"] == {"code": "ServiceUnavailable"}


SNIPPETS = {
    "the README's": [(README, "configuration")],
    "two apps": [(CONFIGURATION, "two apps")],
    "with TLS": [(README, "configuration"), (CONFIGURATION, "tls")],
    "with mint": [(README, "configuration"), (CONFIGURATION, "mint")],
    "with revocations": [(README, "configuration"), (CONFIGURATION, "revocations")],
    "with HTTP doors": [(README, "configuration"), (GATEWAYS, "http doors")],
}


@pytest.mark.parametrize("blocks", SNIPPETS.values(), ids=SNIPPETS)
@pytest.mark.parametrize("program", Program)
def test_configurations_to_copy_are_good(program: Program, blocks: list[tuple[str, str]], tmp_path: Path) -> None:
    """With the keys that keygen makes, both programs accept what the documentation shows."""
    private, public = new_key_pair("x25519")
    files = {
        "secrets/cookie-private.pem": private,
        "secrets/cookie-public.pem": public,
        "secrets/session.key": new_session_key(),
        **dict.fromkeys(("secrets/client-secret", "secrets/shop-secret", "secrets/office-secret"), b"secret"),
        "secrets/door-secret": b"secret",
        "secrets/mint-1.pem": new_key("ES256"),
    }
    for folder in ("secrets", "tls"):
        (tmp_path / folder).mkdir()
    for name, contents in files.items():
        (tmp_path / name).write_bytes(contents)
    authority, pair = Authority(tmp_path / "tls"), Authority(tmp_path / "tls", "other").sign("extauthz")
    assert (authority.certificate.name, pair.key.name) == ("ca.pem", "extauthz.key")
    pair.key.rename(tmp_path / "tls" / "extauthz-key.pem")
    (tmp_path / "token-handler.yaml").write_text("".join(block(name, text) for text, name in blocks))
    assert "shop" in load(tmp_path / "token-handler.yaml", program, {}).apps


def test_the_route_to_copy_has_settings_there_are() -> None:
    """Envoy's route in the documentation is one the proxy serves."""
    [settings] = yaml.safe_load(block("route of Envoy", CONFIGURATION))["typed_per_filter_config"].values()
    context = settings["check_settings"]["context_extensions"]
    assert isinstance(rule_for(ask(context=context), SHOP), Rule)


def test_a_single_app_needs_about_ten_lines() -> None:
    """The README's configuration is short."""
    assert len(block("configuration").splitlines()) <= 10


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_explained(reason: Reason) -> None:
    """The README's table has each reason with its status and the advice `explain` gives."""
    assert f"| `{reason}` | {ANSWERS[reason].status} | {ADVICE[reason]} |" in README


def test_every_setting_is_documented() -> None:
    """docs/configuration.md has each key of the schema."""
    missing = [key for key in keys(schema()) if f"`{key}`" not in CONFIGURATION and f".{key}`" not in CONFIGURATION]
    assert missing == []


def test_every_documented_setting_exists() -> None:
    """docs/configuration.md has no key the schema has not."""
    documented = re.findall(r"^\| `([a-z_.]+)` \|", CONFIGURATION, re.MULTILINE)
    assert [key for key in documented if key.split(".")[-1] not in set(keys(schema()))] == []


@pytest.mark.parametrize("path", sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")}), ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    """Every relative link names a file that is there."""
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text())
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_the_two_commands_stand_first() -> None:
    """The first commands of the README are the two that need nothing but Python and pip."""
    commands = re.search(r"```sh\n(.*?)```", README, re.DOTALL)
    assert commands is not None
    assert [line.split("  ")[0] for line in commands[1].splitlines()] == [
        "python3 -m pip install tox && tox -e demo",
        "python3 -m pip install tox && tox",
    ]
    assert "python3 -m pip install tox && tox\n" in (ROOT / ".ci" / "run").read_text()


def block(name: str, text: str = README) -> str:
    """The YAML block behind a marker."""
    found = re.search(rf"<!-- {name} -->\n```yaml\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


def keys(node: Any) -> Iterator[str]:
    """Every property name in a JSON schema."""
    if isinstance(node, dict):
        properties = node.get("properties")
        if isinstance(properties, dict):
            yield from (key for key in properties if key not in ("extauthz", "log", "apps", "cache"))
        for value in node.values():
            yield from keys(value)
