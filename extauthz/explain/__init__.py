"""`extauthz explain`: why a request is decided as it is, step by step, without a secret on the screen.

Decides nothing: the proxy's own parts do, and are watched. Nothing but the command line imports it.
"""
