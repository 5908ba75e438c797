"""Unpack one layer into a tree: contents, owners, modes, times, attributes and removals.

The representation of a removal differs between drivers; a ``WhiteoutHandler`` implements it. The
tree may already contain the layers below; links in it are not followed.

https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from bundler.content.archives.tar_stream import TarEntries
from bundler.content.files.os_errors import explained
from bundler.content.streams.reader import write_all
from bundler.errors import MalformedError, MediumError
from bundler.transports.containers_storage.drivers.rooted_tree import Parts, Tree, clean

if TYPE_CHECKING:
    from collections.abc import Collection

    from bundler.content.archives.tar_split import SplitWriter
    from bundler.content.archives.tar_stream import TarEntry
    from bundler.content.streams.reader import Reader

Write = Callable[[memoryview], None]

_PREFIX = ".wh."
_OPAQUE = ".wh..wh..opq"
_META = ".wh..wh."

# Of this machine's labels, and of how drivers mark their own trees, a layer has no say.
_REFUSED_XATTRS = ("security.selinux",)
_REFUSED_PREFIXES = ("trusted.overlay.", "user.overlay.", "user.fuseoverlayfs.", "user.containers.")
_NOT_A_PLACE = frozenset(
    {errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.ENAMETOOLONG}
)


class WhiteoutHandler(Protocol):
    """How a driver's trees tell that something of the layers below is gone."""

    @property
    def as_files(self) -> bool:
        """Whether ``.wh.`` names are simply kept as files."""
        ...

    def remove(self, tree: Tree, parts: Parts, owner: tuple[int, int]) -> None:
        """What layers below have at ``parts`` is gone."""
        ...

    def empty(self, tree: Tree, parts: Parts, own: Collection[Parts]) -> None:
        """Of the directory ``parts`` only what this layer brought, ``own``, is left."""
        ...


@dataclass(slots=True)
class OwnerIds:
    """The users and groups to whom a layer's files belong."""

    uids: set[int] = field(default_factory=set)
    gids: set[int] = field(default_factory=set)


def unpack(
    stream: Reader,
    tree: Tree,
    split: SplitWriter,
    removals: WhiteoutHandler,
    what: str,
    *,
    in_userns: bool,
) -> OwnerIds:
    """Unpack the uncompressed tar in ``stream``, which is read to its end, into ``tree``.

    Args:
        stream: verified by its owner; whatever was unpacked when it fails is to be thrown away.
        tree: the root of the layer.
        split: is given what the tree does not keep.
        removals: how the driver removes.
        what: the layer's name in messages.
        in_userns: whether this is a user namespace, where devices cannot be made.

    Raises:
        MalformedError, UnsupportedError, LimitError: a layer that cannot be unpacked.
        MediumError, NoSpaceError: the disk fails.
    """
    return _Unpacking(tree, split, removals, what, in_userns=in_userns).run(stream)


class _Unpacking:
    def __init__(
        self,
        tree: Tree,
        split: SplitWriter,
        removals: WhiteoutHandler,
        what: str,
        *,
        in_userns: bool,
    ) -> None:
        self._tree = tree
        self._split = split
        self._removals = removals
        self._what = what
        self._in_userns = in_userns
        self._own: set[Parts] = set()
        self._seen: set[Parts] = set()
        self._times: list[tuple[Parts, int]] = []
        self._owners = OwnerIds()

    def run(self, stream: Reader) -> OwnerIds:
        entries = TarEntries(stream, self._split, self._what)
        for entry in entries:
            parts = clean(entry.name, self._what)
            if parts in self._seen:
                raise MalformedError(f"{self._what}: two members are called {entry.name[:160]!r}")
            self._seen.add(parts)
            try:
                self._take(entry, parts, entries)
            except OSError as error:
                raise self._explained(error, entry) from error
        for parts, mtime in reversed(self._times):
            self._set_time(parts, mtime)
        return self._owners

    def _take(self, entry: TarEntry, parts: Parts, entries: TarEntries) -> None:
        base = parts[-1] if parts else ""
        if not base.startswith(_PREFIX):
            self._owners.uids.add(entry.uid)
            self._owners.gids.add(entry.gid)
        hidden = base.startswith(_PREFIX) or (parts and parts[0].startswith(_META))
        if hidden and not self._removals.as_files:
            if entry.size:
                raise MalformedError(f"{self._what}: {entry.name!r} has content, and removes files")
            self._remove(entry, parts)
        elif entry.size:
            self._file(entry, parts, lambda write: entries.content(entry.name, write))
            return
        elif entry.format == stat.S_IFREG:
            self._file(entry, parts, None)
        else:
            self._make(entry, parts)
        self._split.empty(entry.name)

    def _remove(self, entry: TarEntry, parts: Parts) -> None:
        base = parts[-1]
        if base == _OPAQUE:
            self._removals.empty(self._tree, parts[:-1], self._own)
        elif parts[0].startswith(_META):
            return  # what a former union file system kept for itself
        else:
            name = base.removeprefix(_PREFIX)
            if name in ("", ".", ".."):
                raise MalformedError(
                    f"{self._what}: {entry.name!r} removes nothing that has a name"
                )
            self._removals.remove(self._tree, (*parts[:-1], name), (entry.uid, entry.gid))

    def _file(self, entry: TarEntry, parts: Parts, content: Callable[[Write], None] | None) -> None:
        folder = self._clear(parts)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(parts[-1], flags, 0o600, dir_fd=folder)
        try:
            if content is not None:
                content(lambda data: write_all(fd, data))
            self._chown(fd, entry)
            os.fchmod(fd, entry.mode)
            self._set_xattrs(fd, entry)
            os.utime(fd, ns=(entry.mtime, entry.mtime))
        finally:
            os.close(fd)

    def _make(self, entry: TarEntry, parts: Parts) -> None:
        """Anything that has no content: directories, links, devices, pipes."""
        match entry.format:
            case stat.S_IFDIR:
                self._directory(entry, parts)
            case 0:
                self._hard_link(entry, parts)
            case stat.S_IFLNK:
                folder = self._clear(parts)
                os.symlink(entry.target, parts[-1], dir_fd=folder)
                self._chown_in(folder, parts[-1], entry)
                times = (entry.mtime, entry.mtime)
                os.utime(parts[-1], ns=times, dir_fd=folder, follow_symlinks=False)
            case _:
                self._device(entry, parts)

    def _directory(self, entry: TarEntry, parts: Parts) -> None:
        status = self._tree.status(parts)
        if status is None or not stat.S_ISDIR(status.st_mode):
            folder = self._clear(parts)
            os.mkdir(parts[-1], 0o700, dir_fd=folder)
        self._record(parts)
        fd = self._tree.directory(parts)
        self._chown(fd, entry)
        os.fchmod(fd, entry.mode)
        self._set_xattrs(fd, entry)
        self._times.append((parts, entry.mtime))

    def _hard_link(self, entry: TarEntry, parts: Parts) -> None:
        folder = os.dup(self._clear(parts))
        name = parts[-1]
        try:
            self._link(entry, parts, folder)
            # The header tells the file's owner and mode again, and the last one counts.
            self._chown_in(folder, name, entry)
            if not stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                os.chmod(name, entry.mode, dir_fd=folder)
            times = (entry.mtime, entry.mtime)
            os.utime(name, ns=times, dir_fd=folder, follow_symlinks=False)
        finally:
            os.close(folder)

    def _link(self, entry: TarEntry, parts: Parts, folder: int) -> None:
        target = clean(entry.target, self._what)
        try:
            below = self._tree.directory(target[:-1])
            name = target[-1] if target else "."
            os.link(name, parts[-1], src_dir_fd=below, dst_dir_fd=folder, follow_symlinks=False)
        except (FileNotFoundError, PermissionError) as error:
            raise MalformedError(
                f"{self._what}: {entry.name[:160]!r} is a hard link to {entry.target[:160]!r}, "
                "and this is no file in the layer"
            ) from error

    def _device(self, entry: TarEntry, parts: Parts) -> None:
        folder = self._clear(parts)
        if self._in_userns and entry.format != stat.S_IFIFO:
            return  # as all tools do there: a container has its own /dev
        os.mknod(parts[-1], entry.format | 0o600, entry.device, dir_fd=folder)
        self._chown_in(folder, parts[-1], entry)
        os.chmod(parts[-1], entry.mode, dir_fd=folder)  # it is no link: it was just made
        os.utime(parts[-1], ns=(entry.mtime, entry.mtime), dir_fd=folder, follow_symlinks=False)

    def _clear(self, parts: Parts) -> int:
        """Make room at ``parts``; the directory that it is in, good until the next call."""
        if not parts:
            raise MalformedError(f"{self._what}: its root is no directory")
        self._tree.directory(parts[:-1], make=True)
        self._tree.remove(parts)
        self._record(parts)
        return self._tree.directory(parts[:-1], make=True)

    def _record(self, parts: Parts) -> None:
        while parts and parts not in self._own:
            self._own.add(parts)
            parts = parts[:-1]

    def _chown(self, fd: int, entry: TarEntry) -> None:
        os.fchown(fd, entry.uid, entry.gid)

    def _chown_in(self, folder: int, name: str, entry: TarEntry) -> None:
        os.chown(name, entry.uid, entry.gid, dir_fd=folder, follow_symlinks=False)

    def _set_xattrs(self, fd: int, entry: TarEntry) -> None:
        for name, value in entry.xattrs.items():
            if name in _REFUSED_XATTRS or name.startswith(_REFUSED_PREFIXES):
                continue
            try:
                os.setxattr(fd, name, value)
            except OSError as error:
                if error.errno != errno.ENOTSUP and not (
                    self._in_userns and error.errno == errno.EPERM
                ):
                    raise

    def _set_time(self, parts: Parts, mtime: int) -> None:
        """Of a directory, once everything is in it; a later member may have replaced it."""
        status = self._tree.status(parts)
        if status is None or not stat.S_ISDIR(status.st_mode):
            return
        try:
            os.utime(self._tree.directory(parts), ns=(mtime, mtime))
        except OSError as error:
            raise explained(error, self._tree.path, "cannot set a time") from error

    def _explained(self, error: OSError, entry: TarEntry) -> Exception:
        name = f"{self._what}: {entry.name[:160]!r}"
        reason = (error.strerror or str(error)).lower()
        if self._in_userns and error.errno == errno.EINVAL:
            return MediumError(
                f"{name}: there is no user {entry.uid} or no group {entry.gid} here: {reason}",
                hint="give your user more ids in /etc/subuid and /etc/subgid, or run it as root",
            )
        if error.errno in _NOT_A_PLACE:
            return MalformedError(f"{name} has no place: {reason}")
        known = explained(error, self._tree.path.joinpath(*clean(entry.name, "")), "cannot unpack")
        if error.errno == errno.EPERM and os.geteuid() != 0:
            known.hint = "only root can give files away: run it as root, or in 'podman unshare'"
        return known
