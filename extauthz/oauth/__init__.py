"""Speaking to the authorization server: one bounded HTTP client, metadata, keys, and the calls both programs make."""
