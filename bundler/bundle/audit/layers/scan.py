"""List the members of one layer, and read selected ones, in a single pass over its stream.

The stream is verified against the digest of the layer, and the digest of the uncompressed tar (the
diff ID) is computed on the way. Everything in it is untrusted, so the size of a listing is limited.

https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md
"""

from __future__ import annotations

import hashlib
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bundler.content.archives.member_names import parse_member_name
from bundler.content.archives.tar_stream import TarEntries
from bundler.content.compression import decompress
from bundler.content.streams import VerifiedReader, buffer_reads, drain
from bundler.errors import LimitError, MalformedError, NotFoundError, UnsupportedError
from bundler.oci.digest import Digest
from bundler.ports import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from bundler.cancel import Cancellation
    from bundler.content.streams import Reader
    from bundler.oci.descriptor import Descriptor
    from bundler.ports import Source

MAX_LISTING = 96 * 1024 * 1024
"""The maximum memory of the listing of one layer in bytes, estimated; about 400,000 members."""
MAX_UNCOMPRESSED = 256 * 1024**3
_MEMBER = 240  # bytes of memory of a listed member, without its name

MemberKind = Literal[
    "file", "directory", "symbolic link", "hard link", "character device", "block device", "pipe"
]
_KINDS: dict[int, MemberKind] = {
    0: "hard link",
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symbolic link",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFIFO: "pipe",
}


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a layer."""

    path: str
    """The components of the name, joined by ``/``, without ``.`` and ``..``; empty for the root.
    Bytes that are not UTF-8 are decoded with surrogateescape."""
    kind: MemberKind
    mode: int
    """The permission bits, with set-user-ID, set-group-ID and sticky bits."""
    uid: int
    gid: int
    size: int
    mtime: int
    """Seconds since 1970."""
    target: str
    """The target of a link: as in the tar for a symbolic link, a path for a hard link."""
    position: int
    """The number of members before this one in the layer."""

    @property
    def marks(self) -> tuple[str, ...]:
        """The properties of the mode that a reviewer looks at, such as ``set-user-ID``.

        A world-writable directory with the sticky bit, such as ``/tmp``, has no mark.
        """
        if self.kind in ("symbolic link", "hard link"):
            return ()
        marks = []
        if self.kind == "file" and self.mode & stat.S_ISUID:
            marks.append("set-user-ID")
        if self.kind == "file" and self.mode & stat.S_ISGID:
            marks.append("set-group-ID")
        sticky_directory = self.kind == "directory" and self.mode & stat.S_ISVTX
        if self.mode & stat.S_IWOTH and not sticky_directory:
            marks.append("world-writable")
        return tuple(marks)


@dataclass(frozen=True, slots=True)
class LayerListing:
    """The members of a layer, in the order of the tar."""

    digest: Digest
    """The digest of the layer as stored."""
    diff_id: Digest
    """The digest of the uncompressed tar."""
    members: tuple[Member, ...]


def list_layer(source: Source, layer: Descriptor, cancellation: Cancellation) -> LayerListing:
    """List the members of a layer, which is read to its end and verified.

    Raises:
        NotFoundError: the source does not have the layer.
        IntegrityError: the layer does not match its descriptor, or is not a valid tar.
        LimitError: there are too many members, or the layer is a decompression bomb.
        UnsupportedError: a member has a type that no file system can store.
    """
    members: list[Member] = []
    memory = 0

    def add(member: Member, _: Iterator[memoryview]) -> None:
        nonlocal memory
        memory += _MEMBER + 2 * (len(member.path) + len(member.target))
        if memory > MAX_LISTING:
            raise LimitError(
                f"layer {layer.digest}: too many files to list ({len(members):,} read)"
            )
        members.append(member)

    diff_id = scan_layer(source, layer, add, cancellation)
    return LayerListing(layer.digest, diff_id, tuple(members))


def read_member(
    source: Source,
    layer: Descriptor,
    position: int,
    write: Callable[[memoryview], object],
    cancellation: Cancellation,
) -> None:
    """Pass the content of the member at ``position`` to ``write``, then verify the whole layer.

    Raises:
        NotFoundError: the layer has no such member.
        IntegrityError, LimitError, UnsupportedError: as ``list_layer``; content that was passed
            before the error is wrong, or may be.
    """
    found = False

    def read(member: Member, content: Iterator[memoryview]) -> None:
        nonlocal found
        if member.position == position:
            found = True
            for chunk in content:
                write(chunk)

    scan_layer(source, layer, read, cancellation)
    if not found:
        raise NotFoundError(f"layer {layer.digest}: no member {position}")


def hash_members(
    source: Source, layer: Descriptor, positions: Collection[int], cancellation: Cancellation
) -> dict[int, Digest]:
    """Return the SHA-256 of the content of the members at ``positions``.

    Raises:
        NotFoundError, IntegrityError, LimitError, UnsupportedError: as ``list_layer``.
    """
    found: dict[int, Digest] = {}

    def visit(member: Member, content: Iterator[memoryview]) -> None:
        if member.position in positions:
            hashed = hashlib.sha256()
            for chunk in content:
                hashed.update(chunk)
            found[member.position] = Digest(f"sha256:{hashed.hexdigest()}")

    scan_layer(source, layer, visit, cancellation)
    return found


def scan_layer(
    source: Source,
    layer: Descriptor,
    visit: Callable[[Member, Iterator[memoryview]], object],
    cancellation: Cancellation,
) -> Digest:
    """Pass each member of a layer to ``visit``, with its content; return the diff ID.

    ``visit`` may read the content, whose chunks are valid until the next one, and only during the
    call. The layer is verified at its end.

    Raises:
        NotFoundError: the source does not have the layer.
        IntegrityError: the layer does not match its descriptor, or is not a valid tar.
        LimitError: the layer is a decompression bomb, or a name is too long or too deep.
        UnsupportedError: a member has a type that no file system can store.
    """
    subject = f"layer {layer.digest}"
    with open_layer(source, layer, cancellation) as uncompressed:
        entries = TarEntries(buffer_reads(uncompressed), None, subject)
        for position, entry in enumerate(entries):
            kind, target = _KINDS[entry.format], ""
            if kind == "hard link":
                target = "/".join(parse_member_name(entry.target, subject))
            elif kind == "symbolic link":
                target = entry.target
            member = Member(
                path="/".join(parse_member_name(entry.name, subject)),
                kind=kind,
                mode=entry.mode,
                uid=entry.uid,
                gid=entry.gid,
                size=entry.size,
                mtime=entry.mtime // 10**9,
                target=target,
                position=position,
            )
            content = entries.chunks(entry.name) if entry.size else iter(())
            visit(member, content)
            for _ in content:
                pass
    return uncompressed.descriptor().digest


@contextmanager
def open_layer(
    source: Source, layer: Descriptor, cancellation: Cancellation
) -> Iterator[VerifiedReader]:
    """Return the uncompressed tar of a layer as a stream.

    At the end of the context, the rest is read and the layer is verified, also if it cannot be
    parsed; the descriptor of the stream then has the diff ID.

    Raises:
        NotFoundError: the source does not have the layer.
        IntegrityError: the layer does not match its descriptor.
        LimitError: the layer is a decompression bomb.
    """
    subject = f"layer {layer.digest}"
    with source.open(Node.of(layer, "layer")) as stream:
        size = None if layer.size < 0 else layer.size
        stored = VerifiedReader(
            stream, subject, digest=layer.digest, size=size, observe=lambda _: cancellation.check()
        )
        peeked = decompress.PeekedReader(stored)
        compression = decompress.detect(peeked.head)
        tar: Reader = peeked
        if compression is not None:
            tar = decompress.DecompressingReader(
                peeked, compression, subject, limit=MAX_UNCOMPRESSED
            )
        uncompressed = VerifiedReader(tar, f"{subject}, uncompressed", digest=None, size=None)
        try:
            yield uncompressed
            drain(uncompressed)
        except (MalformedError, LimitError, UnsupportedError):
            drain(stored)  # a layer that is damaged is not merely malformed
            raise
        drain(stored)
