"""The static site of the demo, and the small part that serves all its programs."""

import re
import socket
from collections.abc import AsyncIterator

import httpx2
import pytest

from demo.listen import Address, open_socket, parse_address
from demo.serve import SPA, create_site

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """One event loop is enough."""
    return "asyncio"


@pytest.fixture
async def site() -> AsyncIterator[httpx2.AsyncClient]:
    """A browser without a script engine."""
    transport = httpx2.ASGITransport(app=create_site())
    async with httpx2.AsyncClient(transport=transport, base_url="http://shop.test") as http:
        yield http


@pytest.mark.parametrize("path", ["/", "/callback", "/deep/link", "/app.js", "/missing.js", "/healthz"])
async def test_every_answer_has_the_strict_headers(site: httpx2.AsyncClient, path: str) -> None:
    """Files, callback paths and errors all carry the policy, and nothing is stored."""
    headers = (await site.get(path)).headers
    assert headers["content-security-policy"] == "default-src 'self'; frame-ancestors 'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


async def test_paths_of_the_application_get_its_page(site: httpx2.AsyncClient) -> None:
    """An unknown path without a dot is the page, one with a dot is missing."""
    page = (await site.get("/")).text
    assert (await site.get("/callback?code=c&state=s")).text == page
    assert (await site.get("/missing.js")).status_code == 404
    assert (await site.get("/..%2fapi.py")).status_code == 404


async def test_a_page_is_told_where_agent_and_api_are() -> None:
    """With an origin of their own, the page names it in both places, may call it, and nobody else."""
    transport = httpx2.ASGITransport(app=create_site(api_origin="http://api.shop.test"))
    async with httpx2.AsyncClient(transport=transport, base_url="http://www.shop.test") as http:
        pages = [await http.get(path) for path in ("/", "/index.html", "/callback")]
    for page in pages:
        assert 'name="oauth-agent" content="http://api.shop.test/oauth-agent"' in page.text
        assert 'name="api" content="http://api.shop.test/api"' in page.text
        assert "connect-src 'self' http://api.shop.test; " in page.headers["content-security-policy"]


def test_the_page_obeys_its_own_policy() -> None:
    """The page has no inline script or style, and takes nothing from elsewhere."""
    page = (SPA / "index.html").read_text("utf-8")
    assert not re.search(r"<script>|<style|\sstyle=|\son\w+=|https?://", page)
    assert set(re.findall(r'(?:src|href)="([^"]+)"', page)) == {"/app.js", "/style.css", "/icon.svg"}


def test_the_application_stores_nothing() -> None:
    """The script writes to no storage, no cookie, and puts no text into the page as HTML."""
    script = (SPA / "app.js").read_text("utf-8")
    assert not re.search(r"setItem|indexedDB|caches\.|cookie\s*=[^=]|innerHTML|insertAdjacentHTML|eval\(", script)


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:80", Address("127.0.0.1", 80)), ("[::1]:0", Address("::1", 0)), ("idp:9", Address("idp", 9))],
)
def test_addresses_are_read_and_written(text: str, address: Address) -> None:
    """HOST:PORT is read, IPv6 in brackets, and written the same way."""
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize("text", ["", "8080", ":8080", "host:", "host:web", "host:65536", "host:-1"])
def test_other_texts_are_not_addresses(text: str) -> None:
    """Half an address is refused."""
    with pytest.raises(ValueError, match="is not HOST:PORT"):
        parse_address(text)


def test_a_busy_port_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    """A port in use ends the program with status 2 and one line that names it."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit) as end:
        open_socket(Address(*taken.getsockname()))
    assert end.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("cannot listen on 127.0.0.1:")
