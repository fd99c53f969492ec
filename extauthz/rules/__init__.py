"""The steps of the decision, a file each: pure functions from request and policy to what they found, or a reason."""
