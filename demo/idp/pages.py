"""The three pages a person can see: sign in, signed out, something is wrong. No script at all."""

import base64
import hashlib
from html import escape
from pathlib import Path
from string import Template

from starlette.responses import HTMLResponse

from demo.idp.authorization_request import AuthorizationRequest
from demo.idp.people import PEOPLE, Person

_HERE = Path(__file__).parent
_PAGE = Template((_HERE / "page.html").read_text("utf-8"))
_STYLE = (_HERE / "page.css").read_text("utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS = {
    "cache-control": "no-store",
    # No form-action: browsers apply it to the redirect after the form too, and that leads to the application.
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def login_page(wish: AuthorizationRequest) -> HTMLResponse:
    """Ask who it is; the form goes back to the same address, query and all."""
    people = "\n".join(_button(person) for person in PEOPLE)
    content = (
        f"<p><strong>{escape(wish.client.client_id)}</strong> would like to know who you are.</p>\n"
        f'<form method="post">\n{people}\n'
        '<button class="cancel" name="cancel" value="yes">Cancel</button>\n</form>'
    )
    return _page("Who is it today?", content)


def signed_out_page() -> HTMLResponse:
    """Say goodbye."""
    return _page("You are signed out", "<p>You can close this page.</p>")


def error_page(message: str) -> HTMLResponse:
    """Explain why nothing will happen."""
    return _page("This request cannot be followed", f"<p>{escape(message)}</p>", status=400)


def _button(person: Person) -> str:
    initials = person.given_name[0] + person.family_name[0]
    return (
        f'<button class="person" name="user" value="{escape(person.username)}">'
        f'<span class="initials" aria-hidden="true">{escape(initials)}</span>'
        f'<span class="name">{escape(person.name)}</span>'
        f'<span class="about">{escape(person.about)}</span></button>'
    )


def _page(title: str, content: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(_PAGE.substitute(title=title, style=_STYLE, content=content), status, HEADERS)
