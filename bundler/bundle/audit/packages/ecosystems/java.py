"""Java archives, also inside of one another, from the files that Maven and others put into them.

https://maven.apache.org/shared/maven-archiver/
https://docs.oracle.com/en/java/javase/21/docs/specs/jar/jar.html
"""

from __future__ import annotations

import re
import struct
import tempfile
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from bundler.bundle.audit.packages.found_file import Detector, PackageFileError
from bundler.bundle.audit.packages.package import Package

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.packages.found_file import FoundFile

MAX_SIZE = 1024**3
MAX_NESTED = 1024**3
"""The maximum number of bytes of all archives inside of one, together."""
MAX_DEPTH = 4
MAX_DIRECTORY = 8 * 1024 * 1024
"""The maximum size of the list of files of an archive in bytes."""
_MAX_TEXT = 256 * 1024
_SPOOLED = 4 * 1024 * 1024
_ENDINGS = frozenset({"jar", "war", "ear", "hpi", "jpi", "par"})
_PROPERTIES = re.compile(r"META-INF/maven/[^/]+/[^/]+/pom\.properties")
_MANIFEST = "META-INF/MANIFEST.MF"
_FILE_NAME = re.compile(r"(?P<name>.+?)-(?P<version>\d[A-Za-z0-9.+_-]*)\.\w+")
_GROUP = re.compile(r"[A-Za-z_][\w-]*(?:\.[\w-]+)+")
_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    OverflowError,
    NotImplementedError,
    OSError,
)


def parse(file: FoundFile) -> Iterator[Package]:
    """Yield the artifacts of an archive, with those that were copied into it.

    Raises:
        PackageFileError: it is no archive, too large, or nested too deep.
    """
    with file.spool(MAX_SIZE) as stream:
        reader = _ArchiveReader(file)
        try:
            yield from reader.read(stream, file.path, 1)
        except _ERRORS as error:
            raise PackageFileError("a damaged archive") from error


@dataclass(slots=True)
class _ArchiveReader:
    file: FoundFile
    nested: int = 0

    def read(self, stream: IO[bytes], path: str, depth: int) -> Iterator[Package]:
        """Yield the artifacts of one archive, and of those inside."""
        if depth > MAX_DEPTH:
            raise PackageFileError(f"archives nested too deep (expected at most {MAX_DEPTH})")
        with zipfile.ZipFile(_BoundedFile(stream)) as archive:
            found = []
            manifest: dict[str, str] = {}
            inner = []
            for info in archive.infolist():
                if _PROPERTIES.fullmatch(info.filename):
                    values = _parse_lines(_read(archive, info), "=")
                    found.append(
                        [values.get(key, "") for key in ("groupId", "artifactId", "version")]
                    )
                elif info.filename == _MANIFEST:
                    manifest = _parse_lines(_read(archive, info).replace("\n ", ""), ":")
                elif info.filename.rpartition(".")[2] in _ENDINGS and not info.is_dir():
                    inner.append(info)
            yield from self._list_artifacts(found, manifest, path)
            for info in inner:
                with self._unpack(archive, info) as unpacked:
                    yield from self.read(unpacked, f"{path}!/{info.filename}", depth + 1)

    def _list_artifacts(
        self, found: list[list[str]], manifest: dict[str, str], path: str
    ) -> Iterator[Package]:
        license_text = manifest.get("Bundle-License", "").strip()
        if not found:
            found = [_guess(path.rpartition("/")[2], manifest)]
        for group, name, version in found:
            if name and version:
                yield Package(
                    type="maven",
                    namespace=group,
                    name=name,
                    version=version,
                    path=path,
                    layer=self.file.layer,
                    licenses=(license_text,) if license_text and len(found) == 1 else (),
                )

    @contextmanager
    def _unpack(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
        with (
            tempfile.SpooledTemporaryFile(max_size=_SPOOLED) as unpacked,
            _open(archive, info) as source,
        ):
            while chunk := source.read(256 * 1024):
                self.nested += len(chunk)
                if self.nested > MAX_NESTED:
                    problem = "the archives inside are too large"
                    raise PackageFileError(problem, "package-file-too-large")
                unpacked.write(chunk)
            unpacked.seek(0)
            yield unpacked


class _BoundedFile:
    """A file whose single reads are limited, since zipfile reads a list of files at once."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.seek, self.tell, self._read = stream.seek, stream.tell, stream.read

    def seekable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read at most ``size`` bytes, or to the end."""
        data = self._read(min(size, MAX_DIRECTORY + 1) if size >= 0 else MAX_DIRECTORY + 1)
        if len(data) > MAX_DIRECTORY:
            raise PackageFileError("too many files in an archive", "package-file-too-large")
        return data


def _open(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise PackageFileError("encrypted, or with a rare compression", "package-file-unsupported")
    return archive.open(info)


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    with _open(archive, info) as source:
        data = source.read(_MAX_TEXT + 1)
    if len(data) > _MAX_TEXT:
        raise PackageFileError("a large file about Maven", "package-file-too-large")
    return data.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")


def _parse_lines(text: str, separator: str) -> dict[str, str]:
    """Return the keys and values of lines, the first of each key."""
    values: dict[str, str] = {}
    for line in text.split("\n"):
        key, found, value = line.partition(separator)
        if found:
            values.setdefault(key.strip(), value.strip())
    return values


def _guess(file_name: str, manifest: dict[str, str]) -> list[str]:
    """Return group, name and version of an archive that Maven did not describe, or empty texts."""
    symbolic = manifest.get("Bundle-SymbolicName", "").partition(";")[0].strip()
    title = manifest.get("Implementation-Title", "")
    version = (
        manifest.get("Implementation-Version")
        or manifest.get("Bundle-Version")
        or manifest.get("Specification-Version", "")
    )
    named = _FILE_NAME.fullmatch(file_name)
    name = named["name"] if named else symbolic.rpartition(".")[2] or title
    groups = [manifest.get("Implementation-Vendor-Id", ""), symbolic, title]
    group = next((item for item in groups if _GROUP.fullmatch(item)), "")
    if group.endswith(f".{name}") and group.count(".") > 1:
        group = group.removesuffix(f".{name}")
    return [group, name, named["version"] if named else version]


DETECTOR = Detector(lambda path: path.rpartition(".")[2] in _ENDINGS, parse, endings=_ENDINGS)
