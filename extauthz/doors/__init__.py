"""Doors: each speaks one protocol, translates it to a `Request` and a decision back, and has no policy of its own."""
