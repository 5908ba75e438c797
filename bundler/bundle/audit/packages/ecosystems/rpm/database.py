"""Packages of Red Hat, SUSE and others, from the database of rpm in any of its three formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.audit.packages.ecosystems.rpm import berkeley, ndb, sqlite
from bundler.bundle.audit.packages.ecosystems.rpm.header import parse_header
from bundler.bundle.audit.packages.found_file import Detector, PackageFileError
from bundler.bundle.audit.packages.package import Package

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.packages.found_file import FoundFile

MAX_SIZE = 512 * 1024 * 1024
_DIRECTORIES = ("var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm")
_WAL = "rpmdb.sqlite-wal"
_READERS = {
    "rpmdb.sqlite": sqlite.read_headers,
    "Packages.db": ndb.read_headers,
    "Packages": berkeley.read_headers,
}
_PUBLIC_KEY = "gpg-pubkey"
_SOURCE = ".src.rpm"


def parse(file: FoundFile) -> Iterator[Package]:
    """Yield the installed packages.

    Raises:
        PackageFileError: the file is too large or damaged, or a transaction in it is unfinished.
    """
    name = file.path.rpartition("/")[2]
    if name == _WAL:
        raise PackageFileError("changes are not in the database yet", "package-file-unsupported")
    left = file.size
    with file.spool(MAX_SIZE) as stream:
        for data in _READERS[name](stream):
            left -= len(data)
            if left < 0:
                raise PackageFileError("headers of packages overlap")
            header = parse_header(data)
            if header.name == _PUBLIC_KEY:
                continue
            source = header.source_rpm.removesuffix(_SOURCE).rsplit("-", 2)
            yield Package(
                type="rpm",
                name=header.name,
                version=header.version,
                path=file.path,
                layer=file.layer,
                architecture=header.architecture,
                source_name=source[0] if len(source) == 3 else "",
                source_version="-".join(source[1:]) if len(source) == 3 else "",
                licenses=(header.license,) if header.license else (),
            )


DETECTOR = Detector(
    lambda path: path.rpartition("/")[0] in _DIRECTORIES, parse, names=frozenset({*_READERS, _WAL})
)
