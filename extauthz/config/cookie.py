"""The settings of one app's cookies: their format, their names, and the keys each program needs for them."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from extauthz.config.files import EncryptionKeyFile, PrivateKeyFiles, Program, PublicKeyFile, SessionKeyFiles, loading
from extauthz.config.section import Section, V, given, needed
from extauthz.config.values import CookiePrefix

MAX_AGE = 400 * 24 * 3600  # what browsers cut longer lives down to (RFC 6265bis section 5.5)


class CookieConfig(Section):
    """How the cookies of one app are named, and what they are sealed with."""

    format: Annotated[
        Literal["hpke", "aes-gcm"],
        Field(description="aes-gcm: the cookies of the earlier, open-source token handlers, version 1"),
    ] = "hpke"
    prefix: Annotated[CookiePrefix | None, Field(description="of the cookies' names; default: the app's name")] = None
    max_age: Annotated[
        int | None, Field(ge=60, le=MAX_AGE, description="seconds a session outlives the browser; default: not at all")
    ] = None
    public_key_file: PublicKeyFile = None
    private_key_files: PrivateKeyFiles = []
    session_key_files: SessionKeyFiles = []
    encryption_key_file: EncryptionKeyFile = None
    previous_encryption_key_file: EncryptionKeyFile = None

    @field_validator("prefix")
    @classmethod
    def _browsers_keep(cls, prefix: str | None, info: ValidationInfo) -> str | None:
        # RFC 6265bis section 4.1.3.2; letter case does not matter there. The agent's cookies have paths of their own.
        bare = info.data.get("format") == "aes-gcm" and loading(info).program is Program.AGENT
        if bare and prefix is not None and prefix.lower().startswith("__host-"):
            raise ValueError("browsers keep no cookie of that name below a path, and some of these are; take __Secure-")
        return prefix

    @field_validator("public_key_file", "session_key_files")
    @classmethod
    def _agent_seals(cls, keys: V, info: ValidationInfo) -> V:
        return needed(keys, info, Program.AGENT) if info.data.get("format") == "hpke" else keys

    @field_validator("private_key_files")
    @classmethod
    def _proxy_opens(cls, keys: V, info: ValidationInfo) -> V:
        hpke = info.data.get("format") == "hpke"
        return needed(keys, info, Program.EXTAUTHZ, "for format hpke") if hpke else keys

    @field_validator("encryption_key_file")
    @classmethod
    def _both_share(cls, key: V, info: ValidationInfo) -> V:
        return given(key, "for format aes-gcm") if info.data.get("format") == "aes-gcm" else key

    @field_validator("previous_encryption_key_file")
    @classmethod
    def _another(cls, key: bytes | None, info: ValidationInfo) -> bytes | None:
        if key is not None and key == info.data.get("encryption_key_file"):
            raise ValueError("the same key as in encryption_key_file; name the one before, or leave it out")
        return key

    @property
    def encryption_keys(self) -> list[bytes]:
        """The keys of format aes-gcm, the present one first."""
        return [key for key in (self.encryption_key_file, self.previous_encryption_key_file) if key]
