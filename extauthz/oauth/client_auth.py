"""How we prove to the authorization server who we are."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote_plus


class ClientAuthentication(Protocol):
    """Adds our credentials to a request's headers and form."""

    def headers(self) -> Mapping[str, str]:
        """Headers to send with the form."""


@dataclass(frozen=True, slots=True)
class ClientSecretBasic:
    """RFC 6749 section 2.3.1: id and secret are form-encoded before base64, so that a colon or é survives.

    https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
    """

    client_id: str
    client_secret: str = field(repr=False)

    def headers(self) -> Mapping[str, str]:
        """The Authorization header."""
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}"
        return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
