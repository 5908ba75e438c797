"""The files of a bundle in an archive that was read as a stream, from its beginning to its end.

All members have been hashed. Those that are not layers are in memory, and layers are gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.format.archive import members
from bundler.bundle.format.archive.member_stream import FileInMemory, MemberStream
from bundler.bundle.format.archive.sequential_files import SequentialFiles
from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.files.bundle_files import BundleFile, DirectoryScan
from bundler.content.streams import BUFFER_SIZE
from bundler.errors import DigestMismatchError, MalformedError, UnsupportedError
from bundler.oci.digest import Digest, new_hasher
from bundler.oci.manifest import MAX_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bundler.bundle.format.archive.member_stream import MemberReader
    from bundler.content.streams import Reader
    from bundler.errors import BundlerError


class PassedFiles(SequentialFiles):
    """The files of the archive ``stream``, which is read to its end and closed by the caller.

    Raises:
        MalformedError: it is cut, or not an archive of a bundle.
        LimitError: it has too many members, or too much content without layers.
        MediumError: it cannot be read.
    """

    def __init__(self, stream: Reader, location: str) -> None:
        super().__init__(location)
        self._digests: dict[str, dict[str, Digest]] = {}
        self._sizes: dict[str, int] = {}
        archive = MemberStream(stream, location)
        while (member := archive.advance()) is not None:
            named = bundle_paths.parse_digest(member.path)
            algorithms = {"sha256"} if named is None else {"sha256", named.algorithm}
            self._sizes[member.path] = member.size
            if named is not None and member.size > MAX_MANIFEST:
                self._digests[member.path] = _hash(archive.open(), algorithms)
                continue
            data = archive.read() if named is None else archive.open().read()
            self._digests[member.path] = {name: Digest.of(data, name) for name in algorithms}
            if named is not None and not data.startswith(b"{"):
                continue
            if named is not None:
                archive.keep(member.size)
            self._files[member.path] = data
        archive.read_end()
        if bundle_paths.INVENTORY not in self._files:
            raise MalformedError(
                f"{location}: ends without {bundle_paths.INVENTORY}", hint=members.CUT_HINT
            )

    def compare(self, expected: Mapping[str, Iterable[Digest]]) -> dict[str, BundlerError]:
        """Return an error for each member that lacks one of its ``expected`` digests, by path."""
        errors: dict[str, BundlerError] = {}
        for path, digests in expected.items():
            for digest in digests:
                got = self._digests[path].get(digest.algorithm)
                if got != digest:
                    errors[path] = DigestMismatchError(path, expected=digest.text, got=str(got))
        return errors

    def scan(self) -> DirectoryScan:
        """List all members."""
        return DirectoryScan(
            {path: BundleFile(path, "file", size) for path, size in self._sizes.items()}, 0
        )

    def list_names(self, folder: str) -> list[str]:
        """Return the names of the members in a folder."""
        parts = (path.rpartition("/") for path in self._sizes)
        return sorted(name for above, _, name in parts if above == folder)

    def open(
        self,
        path: str,
        offset: int = 0,
        *,
        uncached: bool = False,  # noqa: ARG002 - there is no cache
    ) -> FileInMemory:
        """Open a member that is in memory.

        Raises:
            UnsupportedError: it is a layer.
        """
        return FileInMemory(self._get(path), offset)

    def get_size(self, path: str) -> int | None:
        """Return the size of a member."""
        return self._sizes.get(path)

    def _get(self, path: str) -> bytes:
        if path in self._sizes and path not in self._files:
            raise UnsupportedError(
                f"{self.location}: {path}: a layer in a stream, which is read once",
                hint="write the archive to a file, without encryption",
            )
        return super()._get(path)


def _hash(reader: MemberReader, algorithms: set[str]) -> dict[str, Digest]:
    hashers = {name: new_hasher(name) for name in algorithms}
    buffer = memoryview(bytearray(BUFFER_SIZE))
    while count := reader.readinto(buffer):
        for hasher in hashers.values():
            hasher.update(buffer[:count])
    return {name: Digest(f"{name}:{hasher.hexdigest()}") for name, hasher in hashers.items()}
