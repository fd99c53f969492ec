"""What a sealed cookie is for: bound into the ciphertext, so that it opens nowhere else."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Purpose:
    """One cookie of one app. A value of another app, or of another cookie of this app, does not open."""

    app: str
    cookie: str

    @property
    def info(self) -> bytes:
        """HPKE's `info`, and AES-GCM's associated data. NUL can occur in neither part."""
        return b"\0".join((b"envoy-token-handler", self.app.encode(), self.cookie.encode()))
