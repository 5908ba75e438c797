"""The Python interpreter of the carried program, from the packages of the distribution.

Debian and Ubuntu have packages for both architectures, and apt verifies their signatures. With
Python come its dynamic loader, the C library and all other libraries that it needs, so that the
machine of the reader needs none.
"""

from __future__ import annotations

import shutil
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.bundle.program import archives
from bundler.bundle.program.carried_extensions import PREFIX, SITE
from bundler.content.run_program import find_program, run_program
from bundler.errors import MalformedError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bundler.bundle.program.contents import Architecture
    from bundler.cancel import Cancellation

_PACKAGES = ("python3-minimal", "libpython3-stdlib", "libstdc++6")
_MAX_OUTPUT = 1024 * 1024
_ERRORS = 400
# Parts of the standard library that the program does not use, by the names of their files.
_UNUSED = {"test", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "pydoc_data"}
_UNUSED_EXTENSIONS = (
    "_test",
    "_xx",
    "xx",
    "_tkinter",
    "_curses",
    "_dbm",
    "_gdbm",
    "nis",
    "readline",
)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """An unpacked interpreter, which ``run`` can start if it is for this machine."""

    root: Path
    """The directory of the unpacked packages."""
    version: str
    """The version of Python, as ``3.11``."""
    triplet: str
    """The name of the architecture in the paths of libraries."""

    @property
    def binary(self) -> Path:
        """The interpreter itself."""
        return self.root / f"usr/bin/python{self.version}"

    @property
    def library(self) -> Path:
        """The directory of the standard library."""
        return self.root / f"usr/lib/python{self.version}"

    @property
    def libraries(self) -> tuple[Path, ...]:
        """The directories of shared libraries."""
        return tuple(self.root / name / self.triplet for name in ("usr/lib", "lib"))

    def compile(self, directory: Path, cancellation: Cancellation) -> None:
        """Compile each module below ``directory``, and write the result beside it.

        The interpreter must be for this machine.
        """
        loader = next(path for folder in self.libraries for path in folder.glob("ld-linux-*.so.*"))
        paths = ":".join(map(str, self.libraries))
        run(
            [
                *(str(loader), "--inhibit-cache", "--library-path", paths, str(self.binary), "-B"),
                *("-m", "compileall", "-b", "-q", "-s", str(directory)),
                *("--invalidation-mode", "unchecked-hash", str(directory)),
            ],
            cancellation,
            {"PYTHONHOME": str(self.root / "usr")},
        )


def run(
    arguments: list[str],
    cancellation: Cancellation,
    environment: dict[str, str] | None = None,
    *,
    name: str | None = None,
) -> bytes:
    """Run a program that must succeed, and return its output; ``name`` is used in messages.

    Raises:
        UnsupportedError: it fails.
    """
    result = run_program(
        arguments,
        b"",
        cancellation,
        max_output=_MAX_OUTPUT,
        environment=environment,
        errors_size=_ERRORS,
    )
    if result.status != 0:
        lines = result.errors.decode("utf-8", "replace").split("\n")
        problem = next((line for line in reversed(lines) if line.strip()), "no message")
        raise UnsupportedError(f"{name or Path(arguments[0]).name}: {problem.strip()[:_ERRORS]}")
    return result.output


def fetch(architecture: Architecture, work: Path, cancellation: Cancellation) -> Interpreter:
    """Download the packages of the interpreter, and unpack them below ``work``.

    The configuration of apt on this machine is used, with lists and a cache of its own.

    Raises:
        UnsupportedError: apt is not installed, or a package cannot be downloaded.
    """
    hint = (
        "carry the program from a machine with Debian or Ubuntu, or without an interpreter"
        " (--no-interpreter)"
    )
    apt, dpkg_deb = (find_program(name, hint=hint) for name in ("apt-get", "dpkg-deb"))
    for name in ("lists/partial", "archives/partial", "root"):
        (work / name).mkdir(parents=True)
    (work / "status").touch()
    settings = {
        "APT::Architecture": architecture.debian,
        "APT::Architectures": architecture.debian,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
        "APT::Update::Post-Invoke-Success": "",
        "APT::Update::Post-Invoke": "",
        "Acquire::Languages": "none",
        "Debug::NoLocking": "true",
        "Dir::Cache": f"{work}",
        "Dir::Cache::Archives": f"{work}/archives",
        "Dir::State": f"{work}",
        "Dir::State::Lists": f"{work}/lists",
        "Dir::State::Status": f"{work}/status",
    }
    base = [apt, "--quiet=2", *(f"--option={name}={value}" for name, value in settings.items())]
    with suppress(UnsupportedError):  # a source of other packages may fail
        run([*base, "update"], cancellation)
    run([*base, "--download-only", "--yes", "install", *_PACKAGES], cancellation)
    root = work / "root"
    for package in sorted((work / "archives").glob("*.deb")):
        run([dpkg_deb, "--extract", str(package), str(root)], cancellation)
        package.unlink()
    versions = [path.name.removeprefix("python") for path in root.glob("usr/bin/python3.*")]
    if not versions or tuple(map(int, versions[0].split("."))) < (3, 11):
        got = versions[0] if versions else "none"
        raise UnsupportedError(
            f"the Python of this distribution is too old (expected 3.11 or newer, got {got})",
            hint=hint,
        )
    return Interpreter(root, versions[0], architecture.triplet)


def install(interpreter: Interpreter, directory: Path, extensions: Iterable[Path]) -> None:
    """Write the interpreter, and all libraries that it and ``extensions`` need, to ``directory``.

    Its standard library has been compiled.
    """
    shutil.copyfile(interpreter.binary, directory / "interpreter")
    (directory / "python3._pth").write_text("python3.zip\n../airbundle.pyz\nimport site\n")
    needing = [interpreter.binary, *extensions]
    for module in sorted((interpreter.library / "lib-dynload").glob("*.so")):
        if not module.name.startswith(_UNUSED_EXTENSIONS):
            shutil.copyfile(module, directory / f"{PREFIX}{module.name}")
            needing.append(module)
    members = {}
    for path in interpreter.library.rglob("*.pyc"):
        name = path.relative_to(interpreter.library)
        if not _UNUSED & {name.parts[0], "__pycache__" in name.parts and "test"}:
            members[name.as_posix()] = path.read_bytes()
    members.pop("sitecustomize.pyc", None)
    members.pop("site.pyc", None)
    members["site.py"] = SITE
    archives.write(directory / "python3.zip", members)
    licenses = {
        f"{path.parent.name}.txt": path.read_bytes()
        for path in interpreter.root.glob("usr/share/doc/*/copyright")
        if path.is_file() and not path.is_symlink()
    }
    archives.write(directory / "licenses.zip", licenses)
    _copy_libraries(interpreter, directory, needing)


def _copy_libraries(interpreter: Interpreter, directory: Path, needing: list[Path]) -> None:
    """Copy the libraries that the files ``needing`` need, and those that these need."""
    copied: set[str] = set()
    while needing:
        for name in list_needed(needing.pop().read_bytes()):
            if name in copied:
                continue
            copied.add(name)
            found = next(
                (path / name for path in interpreter.libraries if (path / name).exists()), None
            )
            if found is None:
                raise UnsupportedError(f"no package of the interpreter contains {name}")
            needing.append(found)
            stored = "ld.so" if name.startswith("ld-linux") else name.replace("++", "xx")
            shutil.copyfile(found, directory / stored)


def list_needed(data: bytes) -> list[str]:
    """Return the names of the libraries that a program or library for 64 bits needs.

    Source: System V ABI, chapter 5, "Dynamic Section".

    Raises:
        MalformedError: it is no such file.
    """
    try:
        if data[:6] != b"\x7fELF\x02\x01":
            raise MalformedError("not an ELF file for 64 bits, little-endian")
        start, (size, count) = (
            struct.unpack_from("<Q", data, 32)[0],
            struct.unpack_from("<HH", data, 54),
        )
        segments = [struct.unpack_from("<IIQQQQ", data, start + i * size) for i in range(count)]
        loaded = [
            (address, offset) for kind, _, offset, address, _, length in segments if kind == 1
        ]
        dynamic = next((segment for segment in segments if segment[0] == 2), None)
        if dynamic is None:
            return []
        entries = list(struct.iter_unpack("<qQ", data[dynamic[2] : dynamic[2] + dynamic[5]]))
        address = next(value for tag, value in entries if tag == 5)
        strings = address - max(item for item in loaded if item[0] <= address)[0]
        strings += max(item for item in loaded if item[0] <= address)[1]
        names = (strings + value for tag, value in entries if tag == 1)
        return [data[name : data.index(b"\0", name)].decode("ascii") for name in names]
    except (struct.error, ValueError, StopIteration) as error:
        raise MalformedError(f"not a valid ELF file: {error}") from None
