"""The world around the product, for the demo and the end-to-end tests: identity provider, API, app, Envoy, browser."""
