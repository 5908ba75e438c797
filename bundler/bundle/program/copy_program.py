"""Copy the carried program to a medium."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.program.contents import ARCHIVE, CHECKSUMS
from bundler.content.files import atomic_write
from bundler.content.files.os_errors import to_bundler_error
from bundler.content.files.safe_directory import Directory
from bundler.errors import ConflictError
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.cancel import Cancellation

PROGRAMS = frozenset({"airbundle", "airbundle.pyz", "python3", "interpreter", "ld.so"})
"""The names of the files that can be executed."""


def list_files(program: Path) -> dict[str, Path]:
    """Return the files of a program by their paths below its directory, sorted."""
    found = {
        path.relative_to(program).as_posix(): path
        for path in program.rglob("*")
        if path.is_file() and path.name != CHECKSUMS
    }
    return dict(sorted(found.items()))


def place_files(program: Path) -> dict[str, Path]:
    """Return the files of a program by their paths in a bundle, which a digest of them names."""
    files = list_files(program)
    digests = [f"{Digest.of(source.read_bytes()).hex}  {path}\n" for path, source in files.items()]
    name = f"program-{Digest.of(''.join(digests).encode()).hex[:16]}"
    return {f"{name}/{path}": source for path, source in files.items()}


def get_mode(path: str) -> int:
    """Return the mode of a file of a program, or of another file of a bundle."""
    return 0o755 if path.rpartition("/")[2] in PROGRAMS else 0o644


def copy(
    files: Mapping[str, Path], directory: Directory, cancellation: Cancellation
) -> dict[str, Digest]:
    """Durably write the files of a program below ``directory``, and return their digests.

    Files that are there with this content are kept.

    Raises:
        NoSpaceError, MediumError: a file cannot be written.
    """
    digests: dict[str, Digest] = {}
    for path, source in files.items():
        cancellation.check()
        *parents, name = path.split("/")
        try:
            data = source.read_bytes()
        except OSError as error:
            raise to_bundler_error(error, source, "cannot read") from error
        with directory.enter(*parents, create=True) as folder:
            if folder.get_size(name) != len(data) or folder.read(name, limit=len(data)) != data:
                atomic_write.write_bytes_in(folder, name, data, mode=get_mode(path))
        digests[path] = Digest.of(data)
    return digests


def carry(program: Path, path: Path, cancellation: Cancellation) -> int:
    """Write a program and its SHA256SUMS to the directory ``path``; return the size in bytes.

    Another program in the directory is replaced.

    Raises:
        ConflictError: the directory contains other files.
        NoSpaceError, MediumError: a file cannot be written.
    """
    files = list_files(program)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()) and not (path / ARCHIVE).is_file():
            raise ConflictError(
                f"{path}: contains other files (expected an empty directory, or a program)",
                hint=f"specify another directory, such as {path / 'airbundle'}",
            )
        with Directory.open(path) as directory:
            digests = copy(files, directory, cancellation)
            sums = "".join(f"{digest.hex}  {name}\n" for name, digest in digests.items())
            atomic_write.write_bytes_in(directory, CHECKSUMS, sums.encode())
            for former in list_files(path).keys() - files.keys():
                *parents, name = former.split("/")
                with directory.enter(*parents) as folder:
                    folder.remove(name)
        return sum(source.stat().st_size for source in files.values())
    except OSError as error:
        raise to_bundler_error(error, path, "cannot write") from error
