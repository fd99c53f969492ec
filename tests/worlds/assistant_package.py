"""Curity's library as its authors published it: fetched by npm as npm is configured here, and checked by its hash."""

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

PACKAGE = "@curity/token-handler-js-assistant@1.1.0"
SHA512 = "wam57N2FztF8FKdH3HOXC6L3LG3YJHmzhJXO9CiFj/WWR5dME2eh/KnMCDqCQOOwDjVgRUNVELV3/kETJAnyCw=="
LIBRARY = "package/lib/token-handler-assistant-lib.js"
# What npm says when a registry that answers has no such package for us, or there is none to ask.
UNAVAILABLE = ("E404", "ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ENETUNREACH")
FETCH_SECONDS = 120


def library(folder: Path) -> str:
    """The library's source; skips the test where it cannot be had.

    ASSISTANT: another npm specifier, such as a tarball beside you or a later version, which is taken as it is.
    """
    chosen = os.environ.get("ASSISTANT")
    tarball = _pack(chosen or PACKAGE, folder)
    if chosen is None:
        assert base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode() == SHA512
    with tarfile.open(tarball) as archive:
        member = archive.extractfile(LIBRARY)
        assert member is not None
        return member.read().decode()


def as_module(source: str) -> str:
    """The library, unchanged, as a module a page can import: it looks for `module`, as Node.js has one."""
    before = "const module = {exports: {}}, exports = module.exports;"
    after = "export const {OAuthAgentClient, OAuthAgentRemoteError} = module.exports;"
    return f"{before}\n{source}\n{after}\n"


def _pack(specifier: str, folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:  # these tests alone need it; where changes are checked it is installed
        pytest.skip("npm is needed to fetch the library")
    command = [
        npm,
        "pack",
        specifier,
        "--pack-destination",
        str(folder),
        "--ignore-scripts",
        "--silent",
        "--loglevel=error",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
    reason = next((word for word in UNAVAILABLE if word in done.stdout + done.stderr), None)
    # It is not ours to keep a copy of, and a registry that has it not says nothing of us. Any other failure is one.
    if done.returncode != 0 and reason is not None:
        pytest.skip(f"npm cannot fetch {specifier}: {reason}")
    assert done.returncode == 0, done.stderr
    [tarball] = folder.glob("*.tgz")
    return tarball
