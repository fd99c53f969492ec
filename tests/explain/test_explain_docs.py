"""The example in docs/operations.md is what the command prints."""

import re
from pathlib import Path

from explain.world import COOKIE, Bench

OPERATIONS = (Path(__file__).parent.parent.parent / "docs" / "operations.md").read_text()
# The installation of the README, whose app takes any host.
CHANGES = {
    "apps.shop.spa_url": "https://www.example.com/",
    "apps.shop.issuer": "https://login.example.com",
    "apps.shop.hosts": None,
    "apps.shop.upstream": None,
}


def without_keys(text: str) -> str:
    """Key ids differ from one installation to the next."""
    return re.sub(r"\b[0-9a-f]{8}\b", "0123abcd", text)


def test_the_example(tmp_path: Path) -> None:
    """With a cookie sealed for another proxy it prints what the documentation shows, line by line."""
    value = Bench(tmp_path).sealed(b'{"at":"%b","iat":1795536000,"sid":"%b"}' % (b"a" * 43, b"b" * 22))
    found = re.search(
        r"<!-- explain -->\n```console\n\$ extauthz explain --config \S+ -\n(.*?)\^D\n(.*?)```", OPERATIONS, re.S
    )
    assert found is not None
    typed, printed = found[1].replace("AnZ_...", value), found[2]
    assert f"{COOKIE}={value}" in typed
    result = Bench(tmp_path, CHANGES).explain("-", stdin=typed)
    assert without_keys(result.stdout) == without_keys(printed)
