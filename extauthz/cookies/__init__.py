"""Cookies: reading the Cookie header, and the sealed values inside. Knows nothing of HTTP, apps or OAuth."""
