"""Contents and listings of layers that were read before, in a directory of the user.

A file holds the encoded contents of one layer, or the list of its members. Its name consists of a
digest of the code that reads layers, and the digest of the layer: another version of the program
finds nothing. The caller reads and verifies the layer itself in any case, so a file only spares
decompressing and parsing.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
import sys
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import bundler
from bundler.bundle.audit.layers import encoding
from bundler.content.files.safe_directory import Directory
from bundler.content.streams import write_all
from bundler.errors import BundlerError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.bundle.audit.layers.contents import LayerContents
    from bundler.bundle.audit.layers.scan import LayerListing
    from bundler.oci.digest import Digest

Kept = TypeVar("Kept")

MAX_SIZE = 512 * 1024 * 1024
"""The maximum size of all files in bytes; the files that were not used for longest are removed."""
_MAX_FILES = 20_000
_CODE = (
    *("bundle/audit/layers", "bundle/audit/packages"),
    *("content/archives", "content/compression"),
)
_PART, _LIST = ".part-", ".list"
_OWN_NAME = re.compile(r"[0-9a-f]{32}-[0-9a-f]{64,}(?:\.list)?|\.part-[0-9a-f]{16}", re.ASCII)


class ContentsCache:
    """The kept contents. Safe for several threads and processes.

    A file that cannot be read or written is not an error: the layer is read again.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._has_stored = False

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the directory, which is created if necessary.

        Raises:
            ConfigError: other users can write it, or it belongs to another user.
            MediumError, NotFoundError: it cannot be created or read.
        """
        with suppress(OSError):  # the next step fails
            path.mkdir(0o700, parents=True, exist_ok=True)
        directory = Directory.open(path)
        status = os.fstat(directory.fd)
        problem = None
        if status.st_uid != os.geteuid():
            problem = f"belongs to the user {status.st_uid} (expected {os.geteuid()})"
        elif status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            problem = f"other users can write it (mode {stat.S_IMODE(status.st_mode):o})"
        if problem is not None:
            directory.close()
            raise ConfigError(
                f"{path}: not used as a cache, {problem}",
                hint="remove it, or specify another directory with --cache, or use --no-cache",
            )
        return cls(directory)

    def load(self, layer: Digest) -> LayerContents | None:
        """Return the kept contents of a layer, which the caller must verify; None if unknown."""
        return self._load(self._get_name(layer), encoding.decode, encoding.MAX_SIZE, layer)

    def load_listing(self, layer: Digest) -> LayerListing | None:
        """Return the kept listing of a layer, which the caller must verify; None if unknown."""
        from bundler.bundle.audit.layers import listing_encoding  # noqa: PLC0415 - only for files

        name = self._get_name(layer) + _LIST
        return self._load(name, listing_encoding.decode_listing, listing_encoding.MAX_SIZE, layer)

    def store(self, layer: Digest, data: bytes) -> None:
        """Keep the encoded contents of a layer that was verified."""
        self._store(self._get_name(layer), data)

    def store_listing(self, listing: LayerListing) -> None:
        """Keep the listing of a layer that was verified, unless it is too large."""
        from bundler.bundle.audit.layers import listing_encoding  # noqa: PLC0415 - only for files

        data = listing_encoding.encode_listing(listing)
        if len(data) <= listing_encoding.MAX_SIZE:
            self._store(self._get_name(listing.digest) + _LIST, data)

    def _load(
        self, name: str, decode: Callable[[bytes, Digest], Kept], limit: int, layer: Digest
    ) -> Kept | None:
        try:
            found = decode(self._directory.read(name, limit=limit), layer)
            os.utime(name, dir_fd=self._directory.fd, follow_symlinks=False)
        except (BundlerError, OSError):
            return None
        return found

    def _store(self, name: str, data: bytes) -> None:
        fd, part = -1, f"{_PART}{secrets.token_hex(8)}"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            fd = os.open(part, flags, 0o600, dir_fd=self._directory.fd)
            write_all(fd, data)
            self._directory.rename(part, name)
        except (BundlerError, OSError):
            with suppress(OSError):
                os.unlink(part, dir_fd=self._directory.fd)
        finally:
            if fd >= 0:
                os.close(fd)
        self._has_stored = True

    def close(self) -> None:
        """Remove the files that were not used for longest, if there are too many.

        Files with other names are left: the user may have specified a directory that has some.
        """
        files = []
        with suppress(BundlerError):
            names = self._directory.list_names() if self._has_stored else ()
            for name in filter(_OWN_NAME.fullmatch, names):
                with suppress(OSError):
                    status = os.stat(name, dir_fd=self._directory.fd, follow_symlinks=False)
                    files.append((status.st_mtime, status.st_size, name))
        left = MAX_SIZE
        for number, (_, size, name) in enumerate(sorted(files, reverse=True)):
            left -= size
            if left < 0 or number >= _MAX_FILES:
                with suppress(BundlerError):
                    self._directory.remove(name)
        self._directory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _get_name(self, layer: Digest) -> str:
        return f"{self._code}-{layer.hex}"

    @cached_property
    def _code(self) -> str:
        """A digest of all that determines the contents of a layer: the code and the interpreter."""
        version = (bundler.__version__, sys.version, sys.byteorder, sys.getfilesystemencoding())
        hasher = hashlib.sha256(repr(version).encode())
        root = Path(bundler.__file__).parent
        if root.parent.is_file():  # the carried program, an archive
            hasher.update(root.parent.read_bytes())
        for folder in _CODE:
            for path in sorted((root / folder).rglob("*.py")):
                hasher.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
        return hasher.hexdigest()[:32]
