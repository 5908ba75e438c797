"""The Python packages of the carried program: this program and all that it depends on.

Each package is downloaded as a wheel for each supported version of Python and each architecture,
and compared with the locked digests. Modules and data become ``airbundle.pyz``; extension modules
are stored beside the interpreter of their architecture.
"""

from __future__ import annotations

import re
import sys
import zipfile
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import bundler
from bundler.bundle.program import archives, interpreter as interpreters
from bundler.bundle.program.carried_extensions import ARCHIVE, PREFIX, SITE
from bundler.bundle.program.contents import PYTHONS
from bundler.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.program.contents import Architecture
    from bundler.cancel import Cancellation

# The newest C library that a wheel may require: Debian 10 and RHEL 8 have glibc 2.28.
_PLATFORMS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
_MARKER = re.compile(r" ; [^\\\n]*\\$", re.MULTILINE)  # evaluated for this machine, not the other
_UNUSED = re.compile(r"zstandard/_cffi\.|.*/tests?/|.*\.dist-info/(RECORD|WHEEL|INSTALLER)$")
_MAIN = (
    SITE
    + b"""\

from bundler.cli.main import main

main()
"""
)


def read_requirements() -> str:
    """Return the locked dependencies with their digests.

    Raises:
        UnsupportedError: this installation does not contain them.
    """
    beside = Path(bundler.__file__).parents[1] / "scripts/requirements/runtime.txt"
    for path in (files("bundler.bundle.program") / "requirements.txt", beside):
        if path.is_file():
            return path.read_text("utf-8")
    raise UnsupportedError(
        "this installation does not contain its locked dependencies",
        hint="install airbundle from a wheel, or run it from a checkout",
    )


def download(
    requirements: str,
    architecture: Architecture,
    python: str,
    directory: Path,
    cancellation: Cancellation,
) -> list[Path]:
    """Download the wheels for one architecture and version of Python to ``directory``.

    Raises:
        UnsupportedError: pip is not installed, or a wheel cannot be downloaded.
    """
    if find_spec("pip") is None:
        raise UnsupportedError(
            "pip is not installed beside airbundle",
            hint=f"install it with {sys.executable} -m ensurepip, or as the package python3-pip",
        )
    directory.mkdir(parents=True)
    listed = directory / "requirements.txt"
    listed.write_text(_MARKER.sub(r" \\", requirements), "utf-8")
    platforms = [f"--platform={name}_{architecture.machine}" for name in _PLATFORMS]
    interpreters.run(
        [
            *(sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "download"),
            *("--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"),
            *(f"--requirement={listed}", f"--dest={directory}"),
            *("--implementation=cp", f"--python-version={python}", *platforms),
        ],
        cancellation,
        name="pip",
    )
    return sorted(directory.glob("*.whl"))


def read_own_modules() -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file of this program."""
    with as_file(files("bundler")) as root:
        for path in sorted(root.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                yield f"bundler/{path.relative_to(root).as_posix()}", path.read_bytes()


class Wheels:
    """The files of all wheels, sorted by where they are stored."""

    def __init__(self) -> None:
        self.modules: dict[str, bytes] = {}
        """Modules and data of all architectures and versions of Python, by path."""
        self.extensions: dict[tuple[str, str], dict[str, bytes]] = {}
        """Extension modules by architecture and version of Python, then by their file names."""

    def add(self, wheel: Path, architecture: Architecture, python: str) -> None:
        """Add the files of a wheel for this architecture and version of Python."""
        extensions = self.extensions.setdefault((architecture.machine, python), {})
        with zipfile.ZipFile(wheel) as archive:
            for item in archive.infolist():
                name = item.filename
                if name.endswith("/") or _UNUSED.match(name):
                    continue
                if name.endswith(".so"):
                    extensions[f"{PREFIX}{name.replace('/', '.')}"] = archive.read(item)
                else:
                    self.modules.setdefault(name, archive.read(item))

    def store_extensions(
        self, directory: Path, architecture: Architecture, own: str | None
    ) -> list[Path]:
        """Store the extension modules of an architecture, and return those outside the archive.

        Those for the version ``own``, and those for all versions, are not in the archive.
        """
        stored: dict[str, Path] = {}
        archived: dict[str, bytes] = {}
        for python in PYTHONS:
            for name, data in self.extensions[architecture.machine, python].items():
                if python == own or ".abi3." in name:
                    stored[name] = directory / name
                    stored[name].write_bytes(data)
                else:
                    archived[name] = data
        archives.write(directory / ARCHIVE, archived)
        return list(stored.values())


def write_modules(wheels: Wheels, directory: Path) -> Path:
    """Write all modules to ``directory``, to compile them; return it."""
    own = Path(__file__).with_name("carried_extensions.py")
    members = {"__main__.py": _MAIN, own.name: own.read_bytes(), "sitecustomize.py": SITE}
    for name, data in {**wheels.modules, **dict(read_own_modules()), **members}.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return directory
