"""The files of a bundle in an archive that arrives through a pipe: each is read once, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bundler.bundle.format.archive import members
from bundler.bundle.format.archive.member_stream import FileInMemory, MemberStream
from bundler.bundle.format.archive.sequential_files import SequentialFiles
from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.files.bundle_files import BundleFile, DirectoryScan
from bundler.errors import MalformedError, NotFoundError, RegistryError
from bundler.oci.manifest import MAX_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bundler.bundle.format.archive.member_stream import MemberReader
    from bundler.bundle.format.archive.members import Member
    from bundler.bundle.format.plan.sealed_plan import PlannedContent
    from bundler.content.streams import Reader


class _Expected(NamedTuple):
    position: int
    size: int


class StreamFiles(SequentialFiles):
    """The files of a bundle that arrive in ``stream``, which the caller closes.

    The plan, manifests and configs are read at once and kept in memory. ``expect`` states what
    follows; each layer can then be opened once, in this order, and those between are skipped.
    ``finish`` reads the rest, after which the seal can be read. Only for one thread after
    ``expect``; before it, for several.

    Raises:
        MalformedError: the stream is not an archive of a bundle.
        LimitError: it begins with more than can be kept.
        MediumError: it cannot be read.
    """

    def __init__(self, stream: Reader, location: str) -> None:
        super().__init__(location)
        self._archive = MemberStream(stream, location)
        self._expected: dict[str, _Expected] = {}
        self._passed = -1
        """The position of the last member that was opened or skipped."""
        self._read_front()

    def expect(self, contents: Iterable[PlannedContent]) -> None:
        """State the authenticated list of the content, in the order of its arrival."""
        for position, item in enumerate(contents):
            path = bundle_paths.find_path("oci", item.digest, item.digest, manifest=False)
            self._expected[path] = _Expected(position, item.size)

    def get_position(self, path: str) -> int:
        """Return the position of a file in the order of arrival; those in memory come first."""
        expected = self._expected.get(path)
        return -1 if expected is None or path in self._files else expected.position

    def finish(self) -> None:
        """Skip the content that is not needed, and read the seal.

        Raises:
            MalformedError: the archive is cut, or not one of a bundle.
            LimitError: a file of the seal is too large.
        """
        while (member := self._archive.advance()) is not None:
            if member.path in self._expected:
                self._skip(member)
            else:
                self._files[member.path] = self._archive.read()
        self._archive.read_end()

    def scan(self) -> DirectoryScan:
        """List the files that arrived, and those that are expected."""
        sizes = {path: item.size for path, item in self._expected.items()}
        sizes |= {path: len(data) for path, data in self._files.items()}
        return DirectoryScan({path: BundleFile(path, "file", sizes[path]) for path in sizes}, 0)

    def list_names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder that arrived."""
        parts = (path.rpartition("/") for path in self._files)
        return sorted(name for above, _, name in parts if above == folder)

    def open(
        self,
        path: str,
        offset: int = 0,
        *,
        uncached: bool = False,  # noqa: ARG002 - there is no cache
    ) -> FileInMemory | MemberReader:
        """Open a file that arrived, or the next one that is needed.

        Raises:
            RegistryError: it has passed: an upload was interrupted, and its content is gone.
        """
        if path in self._files:
            return FileInMemory(self._files[path], offset)
        expected = self._expected.get(path)
        if expected is None:
            raise NotFoundError(f"{self.location}: no {path[: bundle_paths.MAX_PATH]}")
        if expected.position <= self._passed:
            raise RegistryError(
                f"{path}: an upload failed, and content of a pipe cannot be read again",
                hint="run both commands again: what has arrived is not sent again",
            )
        while (member := self._archive.advance()) is not None:
            found = self._expected.get(member.path)
            if found is None or found.position > expected.position:
                self._archive.put_back()
                break
            if member.path == path:
                self._check_size(member)
                self._passed = found.position
                reader = self._archive.open()
                reader.skip(offset)
                return reader
            self._skip(member)
        raise NotFoundError(f"{self.location}: no {path}")

    def get_size(self, path: str) -> int | None:
        """Return the size of a file that arrived or is expected."""
        if path in self._files:
            return len(self._files[path])
        expected = self._expected.get(path)
        return None if expected is None else expected.size

    def _read_front(self) -> None:
        """Read the plan, and all content that can be a manifest or a config."""
        while (member := self._archive.advance()) is not None:
            is_content = member.path.startswith(f"{bundle_paths.BLOBS}/")
            if members.find_section(member.path) > members.CONTENT or (
                is_content and member.size > MAX_MANIFEST
            ):
                self._archive.put_back()
                return
            data = self._files[member.path] = self._archive.read()
            if is_content and not data.startswith(b"{"):
                return

    def _skip(self, member: Member) -> None:
        self._check_size(member)
        self._passed = self._expected[member.path].position

    def _check_size(self, member: Member) -> None:
        if member.size != self._expected[member.path].size:
            raise MalformedError(f"{self.location}: {member.path} has another size than planned")
