"""Unpack a layer into a tree: contents, owners, modes, times, extended attributes, whiteouts.

The driver defines how removed files are represented. The tree may already contain the lower layers.
Links in the tree are not followed.

https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from typing import TYPE_CHECKING, BinaryIO

from bundler.content.archives.member_names import parse_member_name
from bundler.content.archives.tar_stream import TarEntries
from bundler.content.files.os_errors import to_bundler_error
from bundler.content.streams import write_all
from bundler.errors import LimitError, MalformedError, MediumError
from bundler.transports.containers_storage.drivers.driver import in_user_namespace
from bundler.transports.containers_storage.drivers.path_set import PathSet
from bundler.transports.containers_storage.os_errors import convert_os_errors

if TYPE_CHECKING:
    from bundler.content.archives.tar_split import SplitWriter
    from bundler.content.archives.tar_stream import TarEntry
    from bundler.content.files.safe_directory import PathComponents
    from bundler.content.streams import Reader
    from bundler.transports.containers_storage.drivers.driver import Driver
    from bundler.transports.containers_storage.drivers.rooted_tree import RootedTree

_PREFIX = ".wh."
_OPAQUE = ".wh..wh..opq"
_RESERVED = ".wh..wh."
"""Prefix of the metadata files of aufs."""
_DIRECTORY_TIME = struct.Struct("<qH")  # the time, and the length of the path that follows
_MAX_OWNERS = 65_536  # a range of /etc/subuid has as many

# Layers must not set the SELinux labels of this host or the attributes that drivers use.
_REFUSED_XATTRS = ("security.selinux",)
_REFUSED_PREFIXES = ("trusted.overlay.", "user.overlay.", "user.fuseoverlayfs.", "user.containers.")
_TOO_LARGE = frozenset({errno.ENOSPC, errno.E2BIG, errno.ERANGE})
"""Errors of ``setxattr`` if the attributes of a file exceed what the file system stores."""
_INVALID_PATH = frozenset(
    {errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.ENAMETOOLONG}
)


class DiffApplier:
    """Unpacks an uncompressed tar into a tree. No names are kept in memory.

    Args:
        tree: the root of the layer, which the caller removes after any error.
        split: receives the data that is needed to reassemble the tar from the tree.
        scratch: an empty temporary file for the times of directories.
        driver: hides files of lower layers.
        subject: the name of the layer in messages.
    """

    def __init__(
        self,
        tree: RootedTree,
        split: SplitWriter,
        scratch: BinaryIO,
        driver: Driver,
        subject: str,
    ) -> None:
        self._tree = tree
        self._scratch = scratch
        self._split = split
        self._driver = driver
        self._subject = subject
        self._in_userns = in_user_namespace()
        self._own = PathSet(subject)
        """Paths that this layer added, and their parent directories."""
        self._seen = PathSet(subject)
        self.uids: set[int] = set()
        """The user IDs of the files."""
        self.gids: set[int] = set()
        """The group IDs of the files."""

    def apply(self, stream: Reader) -> None:
        """Unpack ``stream``, which is read to the end; the caller verifies and closes it.

        Raises:
            MalformedError, UnsupportedError, LimitError: the layer cannot be unpacked.
            MediumError, NoSpaceError: the disk failed.
        """
        entries = TarEntries(stream, self._split, self._subject)
        for entry in entries:
            parts = parse_member_name(entry.name, self._subject)
            if not self._seen.add(parts):
                raise MalformedError(f"{self._subject}: duplicate member {entry.name[:160]!r}")
            try:
                self._apply_entry(entry, parts, entries)
            except OSError as error:
                subject = f"{self._subject}: {entry.name[:160]!r}"
                reason = (error.strerror or str(error)).lower()
                if self._in_userns and error.errno == errno.EINVAL:
                    raise MediumError(
                        f"{subject}: user ID {entry.uid} or group ID {entry.gid} is not mapped: "
                        f"{reason}",
                        hint="add IDs to /etc/subuid and /etc/subgid for your user, or run this as "
                        "root",
                    ) from error
                if error.errno in _INVALID_PATH:
                    raise MalformedError(f"{subject}: invalid path: {reason}") from error
                path = self._tree.path.joinpath(*parts)
                converted = to_bundler_error(error, path, "cannot unpack")
                if isinstance(error, PermissionError) and os.geteuid() != 0:
                    hint = "only root can set all owners: run this as root or in 'podman unshare'"
                    converted.hint = hint
                raise converted from error
        # The creation of files in a directory has changed its time.
        self._scratch.seek(0)
        while header := self._scratch.read(_DIRECTORY_TIME.size):
            mtime, length = _DIRECTORY_TIME.unpack(header)
            name = os.fsdecode(self._scratch.read(length))
            parts = tuple(name.split("/")) if name else ()
            status = self._tree.status(parts)
            if status is None or not stat.S_ISDIR(status.st_mode):
                continue  # replaced by a later member
            with convert_os_errors(self._tree.path, "cannot set the time"):
                os.utime(self._tree.open_directory(parts), ns=(mtime, mtime))

    def _apply_entry(self, entry: TarEntry, parts: PathComponents, entries: TarEntries) -> None:
        is_whiteout = bool(parts) and parts[-1].startswith(_PREFIX)
        owners = (("user", self.uids, entry.uid), ("group", self.gids, entry.gid))
        for name, ids, value in owners if not is_whiteout else ():
            ids.add(value)
            if len(ids) > _MAX_OWNERS:
                raise LimitError(f"{self._subject}: more than {_MAX_OWNERS:,} {name} IDs")
        is_reserved = bool(parts) and parts[0].startswith(_RESERVED)
        if (is_whiteout or is_reserved) and not self._driver.keep_whiteouts:
            self._apply_whiteout(entry, parts)
        elif entry.size or entry.format == stat.S_IFREG:
            self._create_file(entry, parts, entries)
        else:
            match entry.format:
                case stat.S_IFDIR:
                    status = self._tree.status(parts)
                    if status is None or not stat.S_ISDIR(status.st_mode):
                        os.mkdir(parts[-1], 0o700, dir_fd=self._prepare_parent(parts))
                    self._own.add_with_parents(parts)
                    fd = self._tree.open_directory(parts)
                    self._set_open_metadata(fd, entry)
                    path = os.fsencode("/".join(parts))
                    self._scratch.write(_DIRECTORY_TIME.pack(entry.mtime, len(path)) + path)
                case stat.S_IFLNK:
                    directory = self._prepare_parent(parts)
                    os.symlink(entry.target, parts[-1], dir_fd=directory)
                    _set_metadata(directory, parts[-1], entry)
                case 0:
                    self._create_hard_link(entry, parts)
                case _:
                    directory = self._prepare_parent(parts)
                    # Like other tools, skip devices: a container has its own /dev.
                    if entry.format == stat.S_IFIFO or not self._in_userns:
                        os.mknod(parts[-1], entry.format | 0o600, entry.device, dir_fd=directory)
                        _set_metadata(directory, parts[-1], entry)
        if not entry.size:
            self._split.write_empty_file(entry.name)

    def _apply_whiteout(self, entry: TarEntry, parts: PathComponents) -> None:
        if entry.size:
            raise MalformedError(f"{self._subject}: whiteout {entry.name[:160]!r} has content")
        if parts[-1] == _OPAQUE:
            self._driver.make_opaque(self._tree, parts[:-1], self._own)
        elif not parts[0].startswith(_RESERVED):
            name = parts[-1].removeprefix(_PREFIX)
            if name in ("", ".", ".."):
                raise MalformedError(
                    f"{self._subject}: whiteout {entry.name[:160]!r} has no file name"
                )
            self._driver.hide(self._tree, (*parts[:-1], name), (entry.uid, entry.gid))

    def _create_file(self, entry: TarEntry, parts: PathComponents, entries: TarEntries) -> None:
        directory = self._prepare_parent(parts)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(parts[-1], flags, 0o600, dir_fd=directory)
        try:
            if entry.size:
                for chunk in entries.chunks(entry.name):
                    write_all(fd, chunk)
            self._set_open_metadata(fd, entry)
            os.utime(fd, ns=(entry.mtime, entry.mtime))
        finally:
            os.close(fd)

    def _create_hard_link(self, entry: TarEntry, parts: PathComponents) -> None:
        directory = os.dup(self._prepare_parent(parts))
        try:
            target = parse_member_name(entry.target, self._subject)
            try:
                target_directory = self._tree.open_directory(target[:-1])
                os.link(
                    target[-1] if target else ".",
                    parts[-1],
                    src_dir_fd=target_directory,
                    dst_dir_fd=directory,
                    follow_symlinks=False,
                )
            except (FileNotFoundError, PermissionError) as error:
                raise MalformedError(
                    f"{self._subject}: hard link {entry.name[:160]!r}: target "
                    f"{entry.target[:160]!r} is not a file in the layer"
                ) from error
            # The header of a link repeats the owner and mode of the file; the last header applies.
            _set_metadata(directory, parts[-1], entry)
        finally:
            os.close(directory)

    def _prepare_parent(self, parts: PathComponents) -> int:
        """Remove ``parts`` if it exists; return its parent directory, valid until the next call."""
        if not parts:
            raise MalformedError(f"{self._subject}: the root is not a directory")
        self._tree.open_directory(parts[:-1], create=True)
        self._tree.remove(parts)
        self._own.add_with_parents(parts)
        return self._tree.open_directory(parts[:-1], create=True)

    def _set_open_metadata(self, fd: int, entry: TarEntry) -> None:
        """Set the owner, the mode and the extended attributes of an open file or directory."""
        os.fchown(fd, entry.uid, entry.gid)
        os.fchmod(fd, entry.mode)
        for name, value in entry.xattrs.items():
            if name in _REFUSED_XATTRS or name.startswith(_REFUSED_PREFIXES):
                continue
            try:
                os.setxattr(fd, name, value)
            except OSError as error:
                if error.errno in _TOO_LARGE and os.fstatvfs(fd).f_bavail:
                    size = sum(len(key) + len(item) for key, item in entry.xattrs.items())
                    raise LimitError(
                        f"{self._subject}: {entry.name[:160]!r}: too many extended attributes for"
                        f" the file system (got {len(entry.xattrs):,} of {size:,} bytes in total)"
                    ) from error
                if error.errno != errno.ENOTSUP and not (
                    self._in_userns and error.errno == errno.EPERM
                ):
                    raise


def _set_metadata(directory: int, name: str, entry: TarEntry) -> None:
    """Set the owner, the mode and the time of a link or a file that is not opened."""
    os.chown(name, entry.uid, entry.gid, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISLNK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
        os.chmod(name, entry.mode, dir_fd=directory)
    os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=directory, follow_symlinks=False)
