"""A mock OpenID provider: the authorization server of the demo and of the end-to-end tests.

Real in what a client can observe (PKCE, one-use codes, rotating refresh tokens, signed tokens, RFC 9207),
and kept in memory. It asks for no password: never use it to protect anything.
"""

from demo.idp.app import create_idp
from demo.idp.config import Client, IdpConfig

__all__ = ["create_idp", "Client", "IdpConfig"]
