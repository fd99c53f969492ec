"""An image made of this machine's programs and the libraries they load, for where no registry answers."""

import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from fnmatch import fnmatch
from pathlib import Path

import docker
import pip

# Installed packages are the image's own business; the rest is large and idle (libpython.a: 60 MB).
_NOT_NEEDED = (
    *("site-packages", "dist-packages", "__pycache__"),
    *("test", "tests", "idlelib", "tkinter", "_tkinter*", "config-*", "ensurepip"),
)


class Rootfs:
    """A file system in the making. Everything in it belongs to root and is readable by all."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by load()
        self._tar = tarfile.open(fileobj=self._file, mode="w")  # noqa: SIM115
        self._names: set[str] = set()

    def add(self, source: Path, at: str | None = None) -> None:
        """Add a file as it is, links followed, at the same path or at `at`."""
        name = (at or str(source)).lstrip("/")
        if name not in self._names:
            self._names.add(name)
            self._tar.add(source.resolve(), name, recursive=False, filter=_plain)

    def add_tree(self, top: Path, at: str | None = None, without: tuple[str, ...] = ()) -> None:
        """Add the files below `top`, but nothing whose name, or a directory of its, matches `without`."""
        for path in sorted(top.rglob("*")):
            inside = path.relative_to(top)
            if path.is_file() and not any(fnmatch(part, name) for part in inside.parts for name in without):
                self.add(path, f"{at or top}/{inside}")

    def add_libraries(self, *programs: Path) -> None:
        """Add the shared libraries these programs load, where they expect them."""
        listing = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout  # noqa: S607
        for word in listing.split():
            if word.startswith("/") and ".so" in word and not word.endswith(":"):
                self.add(Path(word))

    def add_link(self, at: str, target: str) -> None:
        """Add a symbolic link."""
        link = tarfile.TarInfo(at.lstrip("/"))
        link.type, link.linkname = tarfile.SYMTYPE, target
        self._tar.addfile(link)

    def add_directory(self, at: str, mode: int = 0o755) -> None:
        """Add an empty directory."""
        directory = tarfile.TarInfo(at.lstrip("/"))
        directory.type, directory.mode = tarfile.DIRTYPE, mode
        self._tar.addfile(directory)

    def load(self, client: docker.DockerClient, name: str, changes: list[str]) -> None:
        """Give the file system to the engine as image `name`, with Dockerfile instructions on top."""
        self._tar.close()
        repository, tag = name.rsplit(":", 1)
        with self._file as file:
            file.seek(0)
            client.api.import_image(src=file, repository=repository, tag=tag, changes=changes)


def add_python(rootfs: Rootfs) -> None:
    """Add the running interpreter at its own path, with pip and /bin/sh: what a Python base image has."""
    interpreter, stdlib = Path(sys.executable).resolve(), Path(sysconfig.get_path("stdlib"))
    rootfs.add(interpreter)
    for name in ("python3", "python"):
        rootfs.add_link(f"/usr/local/bin/{name}", str(interpreter))
    rootfs.add_tree(stdlib, without=_NOT_NEEDED)
    rootfs.add_tree(Path(pip.__file__).parent, f"{stdlib}/site-packages/pip", without=("__pycache__",))
    rootfs.add(Path("/bin/sh"))
    extensions = [path for path in stdlib.glob("lib-dynload/*.so") if not path.match("_tkinter*")]
    # Wheels rely on libraries of the system, such as libstdc++: on those that this environment's wheels do.
    installed = Path(sysconfig.get_path("platlib")).rglob("*.so")
    rootfs.add_libraries(interpreter, Path("/bin/sh"), *extensions, *installed)
    rootfs.add_directory("/tmp", 0o1777)  # noqa: S108


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode |= 0o444 | (0o111 if entry.mode & 0o100 else 0)
    return entry
