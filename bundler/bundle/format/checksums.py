"""SHA256SUMS: every file of a bundle but itself and what signs it, as ``sha256sum -c`` reads it.

Lines are ``<64 hex>  <path>``, sorted by path. ``bundle.json`` holds the digest of the whole, so
what is listed here is covered by the signatures.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bundler.bundle.format import directory
from bundler.bundle.format.inventory import ChecksumFile
from bundler.content.streams.reader import read_chunks
from bundler.errors import LimitError, MalformedError
from bundler.oci.digest import Digest, new_hasher

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

MAX_SUMS = 64 * 1024 * 1024

_LINE = re.compile(r"([0-9a-f]{64})  (\S+)")


def write(bundle: Path, paths: Iterable[str]) -> ChecksumFile:
    """Write SHA256SUMS over the files at ``paths``, durably; what ``bundle.json`` says of it.

    Raises:
        MalformedError: a path that may not stand in it.
        NotFoundError, MediumError: a file cannot be read, or SHA256SUMS not be written.
    """
    listed = digests(bundle, paths)
    raw = render(listed)
    directory.write_file(bundle, directory.SUMS, raw)
    return describe(raw, len(listed))


def describe(raw: bytes, count: int) -> ChecksumFile:
    """What ``bundle.json`` says of a SHA256SUMS with these bytes and ``count`` lines."""
    return ChecksumFile(directory.SUMS, Digest.of(raw), len(raw), count)


def digests(bundle: Path, paths: Iterable[str]) -> dict[str, Digest]:
    """The sha256 of each file at ``paths``.

    A file whose name is its sha256 is not read: whoever wrote it compared the two. All others
    are few and small, and are hashed.

    Raises:
        NotFoundError, MalformedError, MediumError: a file cannot be read.
    """
    found = {}
    for path in paths:
        named = directory.digest_in_name(path)
        if named is None or named.algorithm != "sha256":
            named = _hash(bundle, path)
        found[path] = named
    return found


def render(listed: Mapping[str, Digest]) -> bytes:
    """The bytes of SHA256SUMS; ``listed`` holds the sha256 of each path.

    Raises:
        MalformedError: a path that may not stand in it.
    """
    _check(listed)
    lines = [f"{digest.hex}  {path}\n" for path, digest in sorted(listed.items())]
    return "".join(lines).encode("ascii")


def read(bundle: Path) -> dict[str, Digest]:
    """The sha256 of each path that the bundle's SHA256SUMS lists; **not** authenticated.

    Raises:
        NotFoundError, MediumError: it cannot be read.
        MalformedError, LimitError: as ``parse``.
    """
    return parse(directory.read_file(bundle, directory.SUMS, MAX_SUMS))


def parse(raw: bytes, *, subject: str = directory.SUMS) -> dict[str, Digest]:
    """The sha256 of each listed path, in the order of the file.

    Raises:
        MalformedError: a line of another form, a path that is not allowed, or listed twice (also
            if only upper and lower case differ).
        LimitError: larger than allowed.
    """
    if len(raw) > MAX_SUMS:
        raise LimitError(f"{subject}: {len(raw):,} bytes, more than the {MAX_SUMS:,} allowed")
    if raw and not raw.endswith(b"\n"):
        raise MalformedError(f"{subject}: the last line is cut off")
    listed: dict[str, Digest] = {}
    lines = raw.decode("ascii", "replace").split("\n")[:-1]
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise MalformedError(f"{subject}: line {number} is not '<sha256>  <path>'")
        if match[2] in listed:
            raise MalformedError(f"{subject}: line {number} lists {match[2][:200]!r} again")
        listed[match[2]] = Digest(f"sha256:{match[1]}")
    _check(listed, subject)
    return listed


def _check(listed: Mapping[str, Digest], subject: str = directory.SUMS) -> None:
    folded: set[str] = set()
    for path in listed:
        if not directory.is_path(path) or not directory.is_listed(path):
            raise MalformedError(f"{subject}: {path[:200]!r} may not be listed")
        if path.casefold() in folded:
            raise MalformedError(f"{subject}: {path[:200]!r} differs from another only by case")
        folded.add(path.casefold())


def _hash(bundle: Path, path: str) -> Digest:
    hasher = new_hasher("sha256")
    with directory.open_file(bundle, path) as file:
        for chunk in read_chunks(file):
            hasher.update(chunk)
    return Digest(f"sha256:{hasher.hexdigest()}")
