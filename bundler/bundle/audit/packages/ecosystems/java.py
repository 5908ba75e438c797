"""Java archives, also inside of one another, from the files that Maven and others put into them.

https://maven.apache.org/shared/maven-archiver/
https://docs.oracle.com/en/java/javase/21/docs/specs/jar/jar.html
"""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from bundler.bundle.audit.packages.ecosystems.zip_files import (
    MAX_DIRECTORY,
    open_member,
    open_zip,
    read_text,
)
from bundler.bundle.audit.packages.found_file import Detector, PackageFileError
from bundler.bundle.audit.packages.package import Package

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator

    from bundler.bundle.audit.packages.found_file import FoundFile

MAX_SIZE = 1024**3
MAX_NESTED = 1024**3
"""The maximum number of bytes of all archives inside of one, together."""
MAX_TEXTS = 64 * 1024 * 1024
"""The maximum number of bytes of the texts that are read from one archive and those inside."""
MAX_DEPTH = 4
_ENTRY = 46  # bytes of a file in the list of an archive, without its name
_SPOOLED = 4 * 1024 * 1024
_ENDINGS = frozenset({"jar", "war", "ear", "hpi", "jpi", "par"})
_PROPERTIES = re.compile(r"META-INF/maven/[^/]+/[^/]+/pom\.properties")
_MANIFEST = "META-INF/MANIFEST.MF"
_FILE_NAME = re.compile(r"(?P<name>.+?)-(?P<version>\d[A-Za-z0-9.+_-]*)\.\w+")


def parse(file: FoundFile) -> Iterator[Package]:
    """Yield the artifacts of an archive, with those that were copied into it.

    Raises:
        PackageFileError: it is not an archive, too large, or nested too deep.
    """
    with file.spool(MAX_SIZE) as stream:
        reader = _ArchiveReader(file)
        yield from reader.read(stream, file.path, 1, MAX_DIRECTORY)


@dataclass(slots=True)
class _ArchiveReader:
    file: FoundFile
    nested: int = 0
    texts: int = 0

    def read(self, stream: IO[bytes], path: str, depth: int, limit: int) -> Iterator[Package]:
        """Yield the artifacts of one archive, and of those inside.

        ``limit`` is the size of the lists of files of all archives that are open at once.
        """
        if depth > MAX_DEPTH:
            raise PackageFileError(f"archives nested too deep (expected at most {MAX_DEPTH})")
        with open_zip(stream, limit) as archive:
            found = []
            manifest: dict[str, str] = {}
            inner = []
            for info in archive.infolist():
                limit -= _ENTRY + len(info.filename)
                if _PROPERTIES.fullmatch(info.filename):
                    values = _parse_lines(self._read_text(archive, info), "=")
                    found.append(
                        [values.get(key, "") for key in ("groupId", "artifactId", "version")]
                    )
                elif info.filename == _MANIFEST:
                    text = self._read_text(archive, info)
                    manifest = _parse_lines(text.replace("\n ", ""), ":")
                elif info.filename.rpartition(".")[2] in _ENDINGS and not info.is_dir():
                    inner.append(info)
            yield from self._list_artifacts(found, manifest, path)
            for info in inner:
                with self._unpack(archive, info) as unpacked:
                    yield from self.read(unpacked, f"{path}!/{info.filename}", depth + 1, limit)

    def _list_artifacts(
        self, found: list[list[str]], manifest: dict[str, str], path: str
    ) -> Iterator[Package]:
        license_text = manifest.get("Bundle-License", "").strip()
        file_name = path.rpartition("/")[2]
        # The group of an archive that Maven did not describe remains unknown: guesses from the
        # manifest are often wrong.
        if named := _FILE_NAME.fullmatch(file_name):
            name, version = named["name"], named["version"]
        else:
            symbolic = manifest.get("Bundle-SymbolicName", "").partition(";")[0].strip()
            name = symbolic.rpartition(".")[2] or manifest.get("Implementation-Title", "")
            versions = ("Implementation-Version", "Bundle-Version", "Specification-Version")
            version = next((manifest[key] for key in versions if manifest.get(key)), "")
        # Those that were copied into an archive do not describe it.
        only_copies = len(found) > 1 and name not in (own for _, own, _ in found)
        if not found or (only_copies and named):
            found.append(["", name, version])
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

    def _read_text(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
        text = read_text(archive, info)
        self.texts += len(text)
        if self.texts > MAX_TEXTS:
            raise PackageFileError("too many descriptions in an archive", "package-file-too-large")
        return text

    @contextmanager
    def _unpack(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
        with (
            tempfile.SpooledTemporaryFile(max_size=_SPOOLED) as unpacked,
            open_member(archive, info) as source,
        ):
            while chunk := source.read(256 * 1024):
                self.nested += len(chunk)
                if self.nested > MAX_NESTED:
                    problem = "the archives inside are too large"
                    raise PackageFileError(problem, "package-file-too-large")
                unpacked.write(chunk)
            unpacked.seek(0)
            yield unpacked


def _parse_lines(text: str, separator: str) -> dict[str, str]:
    """Return the keys and values of lines, the first of each key."""
    values: dict[str, str] = {}
    for line in text.split("\n"):
        key, found, value = line.partition(separator)
        if found:
            values.setdefault(key.strip(), value.strip())
    return values


DETECTOR = Detector(lambda path: path.rpartition(".")[2] in _ENDINGS, parse, endings=_ENDINGS)
