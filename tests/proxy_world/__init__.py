"""What the tests of the OAuth Proxy share: requests to ask about, and small fakes of what stands around it."""
