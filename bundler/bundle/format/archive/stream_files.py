"""The files of a bundle in an archive that arrives through a pipe: each is read once, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bundler.bundle.format.archive import members
from bundler.bundle.format.archive.members import CUT_HINT, MAX_END, MemberOrder
from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.files.bundle_files import BundleFile, DirectoryScan
from bundler.bundle.format.reading.files import BundleFiles
from bundler.content.archives.tar_header import BLOCK
from bundler.content.streams import BUFFER_SIZE, Reader
from bundler.errors import LimitError, MalformedError, NotFoundError, RegistryError
from bundler.oci.manifest import MAX_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from typing import Self

    from bundler.bundle.format.archive.members import Member
    from bundler.bundle.format.plan.sealed_plan import PlannedContent

MAX_FRONT = 256 * 1024 * 1024
"""Maximum size in bytes of the files that are kept in memory: the plan, manifests and configs."""


class ChunkReader(Reader):
    """Stream of the bytes of ``chunks``. For one thread."""

    def __init__(self, chunks: Generator[bytes, None, None]) -> None:
        self._chunks = chunks
        self._unread = memoryview(b"")

    def readinto(self, buffer: memoryview, /) -> int:
        """Read into ``buffer`` and return the number of bytes; 0 at the end."""
        if not self._unread:
            self._unread = memoryview(next(self._chunks, b""))
        count = min(len(buffer), len(self._unread))
        buffer[:count] = self._unread[:count]
        self._unread = self._unread[count:]
        return count


class _Expected(NamedTuple):
    position: int
    size: int


class FileInMemory(Reader):
    """Stream of a file in memory from ``offset`` on."""

    def __init__(self, data: bytes, offset: int) -> None:
        self.size = len(data)
        self._unread = memoryview(data)[offset:]

    def readinto(self, buffer: memoryview, /) -> int:
        """Read into ``buffer`` and return the number of bytes; 0 at the end."""
        count = min(len(buffer), len(self._unread))
        buffer[:count] = self._unread[:count]
        self._unread = self._unread[count:]
        return count

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """The content stays in memory."""


class MemberReader(Reader):
    """Stream of the member that arrives now; the rest of it is skipped afterwards."""

    def __init__(self, files: StreamFiles, member: Member) -> None:
        self.size = self.left = member.size
        self._files = files
        self._member = member

    def readinto(self, buffer: memoryview, /) -> int:
        """Read into ``buffer`` and return the number of bytes; 0 at the end.

        Raises:
            MalformedError: the stream ends too early.
            MediumError: it cannot be read.
        """
        room = buffer[: self.left]
        count = self._files.receive(room) if room else 0
        if room and not count:
            raise self._files.create_cut_error(self._member.path)
        self.left -= count
        return count

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """The stream stays open."""


class StreamFiles(BundleFiles):
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
        self.location = location
        self._stream = stream
        self._offset = 0
        self._order = MemberOrder(location)
        self._files: dict[str, bytes] = {}
        self._kept = 0
        """The total size of ``_files``."""
        self._expected: dict[str, _Expected] = {}
        self._passed = -1
        """The position of the last member that was opened or skipped."""
        self._current: tuple[MemberReader, Member] | None = None
        self._next: Member | None = None
        """The member whose header was read last, if its content was not."""
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
        while (member := self._advance()) is not None:
            if member.path in self._expected:
                self._skip(member)
            else:
                self._keep(member)
        rest = self._read(MAX_END + 1)
        if len(rest) < BLOCK or len(rest) > MAX_END or any(rest):
            raise MalformedError(f"{self.location}: wrong data at the end", hint=CUT_HINT)

    def scan(self) -> DirectoryScan:
        """List the files that arrived, and those that are expected."""
        sizes = {path: item.size for path, item in self._expected.items()}
        sizes |= {path: len(data) for path, data in self._files.items()}
        return DirectoryScan({path: BundleFile(path, "file", sizes[path]) for path in sizes}, 0)

    def list_names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder that arrived."""
        parts = (path.rpartition("/") for path in self._files)
        return sorted(name for above, _, name in parts if above == folder)

    def list_signatures(self) -> list[str]:
        """Return the names of the signatures that arrived."""
        return sorted(filter(bundle_paths.parse_signature_name, self._files))

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
        while (member := self._advance()) is not None:
            found = self._expected.get(member.path)
            if found is None or found.position > expected.position:
                self._next = member
                break
            if member.path == path:
                self._check_size(member)
                self._passed = found.position
                reader = MemberReader(self, member)
                self._current = reader, member
                MemberReader.read(reader, offset)
                return reader
            self._skip(member)
        raise NotFoundError(f"{self.location}: no {path}")

    def read(self, path: str, limit: int) -> bytes:
        """Read a file that arrived."""
        data = self._files.get(path)
        if data is None:
            raise NotFoundError(f"{self.location}: no {path[: bundle_paths.MAX_PATH]}")
        if len(data) > limit:
            raise LimitError(f"{self.location}: {path}: more than the {limit:,} bytes allowed")
        return data

    def get_size(self, path: str) -> int | None:
        """Return the size of a file that arrived or is expected."""
        if path in self._files:
            return len(self._files[path])
        expected = self._expected.get(path)
        return None if expected is None else expected.size

    def has_next(self) -> bool:
        """Return False: an archive is written as a whole."""
        return False

    def check_connected(self) -> None:
        """Do nothing: a pipe that ends is cut."""

    def close(self) -> None:
        """Do nothing: the caller closes the stream."""

    def receive(self, buffer: memoryview) -> int:
        """Read the next bytes of the archive into ``buffer``; return 0 at its end."""
        count = self._stream.readinto(buffer)
        self._offset += count
        return count

    def create_cut_error(self, path: str) -> MalformedError:
        """Create the error for a stream that ends within a member."""
        return MalformedError(
            f"{self.location}: cut after {self._offset:,} bytes, in {path}",
            hint="the other side stopped: see its message, and run both commands again",
        )

    def _read_front(self) -> None:
        """Read the plan, and all content that can be a manifest or a config."""
        while (member := self._advance()) is not None:
            is_content = member.path.startswith(f"{bundle_paths.BLOBS}/")
            if members.find_section(member.path) > members.CONTENT or (
                is_content and member.size > MAX_MANIFEST
            ):
                self._next = member
                return
            data = self._keep(member)
            if is_content and not data.startswith(b"{"):
                return

    def _advance(self) -> Member | None:
        """Read the header of the next member, after the rest of the current one."""
        if self._current is not None:
            reader, member = self._current
            while reader.readinto(memoryview(bytearray(min(reader.left, BUFFER_SIZE)))):
                pass
            self._read_padding(member)
            self._current = None
        if (found := self._next) is not None:
            self._next = None
            return found
        found = members.read_member(self._read, self._offset, self.location)
        if found is not None:
            self._order.check(found.path)
        return found

    def _keep(self, member: Member) -> bytes:
        """Read a member into memory.

        Raises:
            LimitError: there is too much in memory.
        """
        self._kept += member.size
        if self._kept > MAX_FRONT:
            raise LimitError(f"{self.location}: more than {MAX_FRONT:,} bytes without layers")
        data = self._read(member.size)
        if len(data) < member.size:
            raise self.create_cut_error(member.path)
        self._read_padding(member)
        self._files[member.path] = data
        return data

    def _skip(self, member: Member) -> None:
        self._check_size(member)
        self._passed = self._expected[member.path].position
        self._current = MemberReader(self, member), member

    def _check_size(self, member: Member) -> None:
        if member.size != self._expected[member.path].size:
            raise MalformedError(f"{self.location}: {member.path} has another size than planned")

    def _read_padding(self, member: Member) -> None:
        size = member.end - member.start - member.size
        padding = self._read(size)
        if len(padding) < size:
            raise self.create_cut_error(member.path)
        if any(padding):
            raise MalformedError(f"{self.location}: data after {member.path}")

    def _read(self, size: int) -> bytes:
        """Read ``size`` bytes; fewer only at the end of the stream."""
        data = bytearray()
        while len(data) < size:
            buffer = memoryview(bytearray(min(size - len(data), BUFFER_SIZE)))
            count = self.receive(buffer)
            if not count:
                break
            data += buffer[:count]
        return bytes(data)
