"""The OAuth Proxy of the Token Handler Pattern for Envoy: opens the cookie, fetches the JWT, decides.

It also owns what the OAuth Agent shares with it: cookie formats, OAuth HTTP parts, configuration, telemetry.
"""

__version__ = "0.1.0.dev0"
