"""SHA256SUMS: the checksum file of a bundle, in the format of ``sha256sum -c``.

It lists every file of a bundle except itself, ``bundle.json`` and the signatures. Lines are
``<64 hex>  <path>``, sorted by path. ``bundle.json`` contains the digest of the checksum file, so
that the signatures cover every listed file.
"""

from __future__ import annotations

import re
from io import BytesIO
from types import MappingProxyType
from typing import TYPE_CHECKING

from bundler.bundle.format.files import bundle_files, bundle_paths
from bundler.bundle.format.inventory.inventory import ChecksumFile
from bundler.content.streams import read_chunks
from bundler.errors import LimitError, MalformedError
from bundler.oci.digest import Digest, new_hasher

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.content.files.safe_directory import Directory

MAX_CHECKSUM_FILE = 16 * 1024 * 1024

_SHA256 = "sha256:"
_LINE = re.compile(r"([0-9a-f]{64})  (\S+)")


def create(
    bundle: Directory,
    paths: Iterable[str],
    unwritten: Mapping[str, bytes],
    *,
    known: Mapping[str, Digest] = MappingProxyType({}),
) -> tuple[bytes, ChecksumFile]:
    """Return the bytes of SHA256SUMS, and its description for ``bundle.json``.

    A file whose name is its sha256 is not read again, since it was verified when it was written.
    The other files, which are few and small, are hashed.

    ``paths`` exist in ``bundle``; ``unwritten`` contains the bytes of other files, by path, and
    ``known`` the sha256 of files that this process has just written.

    Raises:
        MalformedError: a path must not be listed.
        LimitError: there are more files than a bundle may have.
        NotFoundError, MediumError: a file cannot be read.
    """
    listed = {path: Digest.of(data) for path, data in unwritten.items()}
    for path in paths:
        digest = bundle_paths.parse_digest(path) or known.get(path)
        if digest is None or not digest.text.startswith(_SHA256):
            hasher = new_hasher("sha256")
            with bundle_files.open_file(bundle, path) as file:
                for chunk in read_chunks(file):
                    hasher.update(chunk)
            digest = Digest(f"{_SHA256}{hasher.hexdigest()}")
        listed[path] = digest
    raw = render(listed)
    return raw, describe(raw, len(listed))


def describe(raw: bytes, count: int) -> ChecksumFile:
    """Return the description of a SHA256SUMS with the bytes ``raw`` and ``count`` lines."""
    return ChecksumFile(Digest.of(raw), len(raw), count)


def render(listed: Mapping[str, Digest]) -> bytes:
    """Return the bytes of SHA256SUMS; ``listed`` contains the sha256 of each path.

    Raises:
        MalformedError: a path must not be listed.
        LimitError: there are more files than a bundle may have.
    """
    bundle_paths.check_listed(listed)
    lines = bytearray()  # a list of lines would need several times the memory
    for path in sorted(listed):
        lines += f"{listed[path].text.removeprefix(_SHA256)}  {path}\n".encode("ascii")
    raw = bytes(lines)
    if len(raw) > MAX_CHECKSUM_FILE:
        raise LimitError(
            f"{bundle_paths.CHECKSUM_FILE}: too large (expected at most {MAX_CHECKSUM_FILE:,} "
            f"bytes, got {len(raw):,})",
            hint="divide the images among several bundle manifests",
        )
    return raw


def read(bundle: BundleFiles) -> dict[str, Digest]:
    """Read the sha256 of each path that SHA256SUMS lists; **not** authenticated.

    Raises:
        NotFoundError, MediumError: it cannot be read.
        MalformedError, LimitError: it is not valid, see ``parse``.
    """
    return parse(bundle.read(bundle_paths.CHECKSUM_FILE, MAX_CHECKSUM_FILE))


def parse(raw: bytes, *, subject: str = bundle_paths.CHECKSUM_FILE) -> dict[str, Digest]:
    """Parse SHA256SUMS; return the sha256 of each path, in the order of the file.

    Raises:
        MalformedError: a line is invalid, or a path must not be listed, or is listed twice, even
            with different upper and lower case.
        LimitError: the file is too large.
    """
    if len(raw) > MAX_CHECKSUM_FILE:
        raise LimitError(
            f"{subject}: too large (expected at most {MAX_CHECKSUM_FILE:,} bytes, got {len(raw):,})"
        )
    if raw and not raw.endswith(b"\n"):
        raise MalformedError(f"{subject}: the last line is incomplete")
    listed: dict[str, Digest] = {}
    for number, line in enumerate(BytesIO(raw), 1):
        match = _LINE.fullmatch(line.decode("ascii", "replace"), 0, len(line) - 1)
        if match is None:
            raise MalformedError(
                f"{subject}: line {number} is malformed (expected <sha256>  <path>)"
            )
        if match[2] in listed:
            raise MalformedError(f"{subject}: line {number} is a duplicate of {match[2][:200]!r}")
        listed[match[2]] = Digest(f"{_SHA256}{match[1]}")
    bundle_paths.check_listed(listed, subject)
    return listed
