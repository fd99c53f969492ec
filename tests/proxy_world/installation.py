"""A folder with everything an installation needs: keys, a secret, and the ten lines of configuration."""

from pathlib import Path
from typing import Any

import yaml

from extauthz.config import Config, Program, load
from extauthz.cookies.keys import new_key_pair, new_session_key

Document = dict[str, Any]


MINIMAL = """\
apps:
  shop:
    spa_url: https://www.shop.example/
    issuer: https://login.example
    client_id: shop
    client_secret_file: client.secret
    cookie:
      public_key_file: cookie-public.pem
      private_key_files: [cookie-private.pem]
      session_key_files: [session.key]
"""


def minimal() -> Document:
    """The smallest configuration both programs start with."""
    document: Document = yaml.safe_load(MINIMAL)
    return document


def install(folder: Path, document: Document | None = None) -> Path:
    """Write keys, secret and configuration to `folder`; the configuration's path."""
    private, public = new_key_pair("x25519")
    files = {
        "cookie-private.pem": private,
        "cookie-public.pem": public,
        "session.key": new_session_key(),
        "client.secret": b"s3cr3t-of-the-shop\n",
    }
    for name, contents in files.items():
        (folder / name).write_bytes(contents)
    path = folder / "token-handler.yaml"
    path.write_text(yaml.safe_dump(document or minimal()))
    return path


def put(document: Document, key: str, value: object) -> Document:
    """`document` with the setting `key`, dotted, changed to `value`; None removes it."""
    *groups, last = key.split(".")
    target = document
    for group in groups:
        target = target.setdefault(group, {})
    if value is None:
        target.pop(last, None)
    else:
        target[last] = value
    return document


def loaded(
    folder: Path,
    changes: dict[str, object] | None = None,
    *,
    program: Program = Program.EXTAUTHZ,
    environ: dict[str, str] | None = None,
) -> Config:
    """The minimal configuration with `changes`, loaded. Raises ConfigError."""
    document = minimal()
    for key, value in (changes or {}).items():
        put(document, key, value)
    return load(install(folder, document), program, environ or {})
