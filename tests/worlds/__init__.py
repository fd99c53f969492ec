"""The worlds end-to-end tests live in beside the demo's own, and what tests do to them."""
