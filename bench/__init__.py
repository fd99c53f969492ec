"""What the OAuth Proxy costs, measured on this machine against servers that decide nothing: `python -m bench`."""
