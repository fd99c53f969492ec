"""The OAuth Agent of the Token Handler Pattern: does the OpenID Connect work for a single-page app.

Five endpoints; the browser gets encrypted HttpOnly cookies, never a token.
"""
