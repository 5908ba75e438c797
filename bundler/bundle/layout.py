"""A bundle's directory: the names in it, who may write there, and how to read it safely.

    bundle.json  bundle.json.<16 hex>.sig  SHA256SUMS  VERIFY.txt
    oci-layout  index.json  blobs/<algorithm>/<hex>              format oci
    images/<hex of the root>/…                                   format dir

A medium comes from outside: a name in it is a path only after it passed ``is_path``, and a file
is opened only if it and every directory above it, up to the bundle's, are what they seem.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from bundler.errors import (
    LimitError,
    LockedError,
    MalformedError,
    MediumError,
    NoSpaceError,
    NotFoundError,
)
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO

INVENTORY = "bundle.json"
SUMS = "SHA256SUMS"
GUIDE = "VERIFY.txt"
MARKER = "oci-layout"
INDEX = "index.json"
BLOBS = "blobs"
IMAGES = "images"

MAX_PATH = 300
MAX_ENTRIES = 2_000_000

_TOP = frozenset({INVENTORY, SUMS, GUIDE, MARKER, INDEX, BLOBS, IMAGES})
_SIGNATURE = re.compile(r"bundle\.json\.([0-9a-f]{16})\.sig")
_COMPONENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_HEX = {"sha256": re.compile(r"[0-9a-f]{64}"), "sha512": re.compile(r"[0-9a-f]{128}")}
_DIR_PART = re.compile(r"(?:(sha512)-)?([0-9a-f]+)(?:\.manifest\.json)?")
# Names that Windows keeps for devices, with any extension.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)
# What operating systems leave on any medium that they mount.
_SYSTEM = re.compile(
    r"\._.*|\.DS_Store|\.Trash.*|\.Spotlight-V100|\.fseventsd|\.TemporaryItems"
    r"|System Volume Information|\$RECYCLE\.BIN|Thumbs\.db|desktop\.ini|lost\+found"
    r"|\.fuse_hidden.*|\.nfs[0-9a-f]+",
    re.IGNORECASE,
)

EntryKind = Literal["file", "special"]


@dataclass(frozen=True, slots=True)
class Entry:
    """Something found in a bundle's directory; ``size`` in bytes."""

    path: str
    """Relative, with slashes."""
    kind: EntryKind
    """``special``: a symbolic link, pipe, socket or device; never followed or opened."""
    size: int


@dataclass(frozen=True, slots=True)
class Found:
    """All that lies in a bundle's directory."""

    entries: dict[str, Entry]
    """What belongs to a bundle, or lies where only a bundle's files may lie."""
    ignored: int
    """How many other things: a stick's system files, somebody's notes."""


def signature_name(key_id: str) -> str:
    """The name of the signature by the key with this id."""
    return f"{INVENTORY}.{key_id[:16]}.sig"


def signing_key(name: str) -> str | None:
    """The first 16 digits of the key id that a signature's file name tells; None: another file."""
    match = _SIGNATURE.fullmatch(name)
    return match[1] if match else None


def is_listed(path: str) -> bool:
    """Whether SHA256SUMS lists this file of a bundle: all but itself and what signs it."""
    return path not in (INVENTORY, SUMS) and signing_key(path) is None


def blob_path(digest: Digest) -> str:
    """Where format ``oci`` keeps a blob or manifest."""
    return f"{BLOBS}/{digest.algorithm}/{digest.hex}"


def image_path(root: Digest) -> str:
    """The directory where format ``dir`` keeps an image."""
    return f"{IMAGES}/{root.hex}"


def part_path(root: Digest, digest: Digest, *, manifest: bool) -> str:
    """Where format ``dir`` keeps one part of the image ``root``."""
    if digest == root:
        return f"{image_path(root)}/manifest.json"
    prefix = "" if digest.algorithm == "sha256" else f"{digest.algorithm}-"
    return f"{image_path(root)}/{prefix}{digest.hex}{'.manifest.json' if manifest else ''}"


def digest_in_name(path: str) -> Digest | None:
    """The digest that a file's path promises; None where it promises none."""
    match path.split("/"):
        case ["blobs", ("sha256" | "sha512") as algorithm, name]:
            return _digest(algorithm, name)
        case ["images", root, "manifest.json"]:
            return _digest("sha512" if len(root) == 128 else "sha256", root)
        case ["images", _, name]:
            part = _DIR_PART.fullmatch(name)
            return _digest(part[1] or "sha256", part[2]) if part else None
        case _:
            return None


def is_path(text: str) -> bool:
    """Whether ``text`` is a relative path that any file system can hold under that very name."""
    return len(text) <= MAX_PATH and all(
        _COMPONENT.fullmatch(part) and not part.endswith(".") and not _DEVICE.fullmatch(part)
        for part in text.split("/")
    )


def find(bundle: Path) -> Found:
    """Everything in the bundle's directory; follows no link and opens no file.

    Raises:
        NotFoundError: there is no such directory.
        MediumError: a directory cannot be read.
        LimitError: more entries than a bundle may have.
    """
    entries: dict[str, Entry] = {}
    ignored = 0
    pending = [""]
    while pending:
        below = pending.pop()
        for item in _scan(bundle, below):
            path = f"{below}{item.name}"
            if _is_foreign(path, item.name):
                ignored += 1
            elif item.is_dir(follow_symlinks=False):
                pending.append(f"{path}/")
            else:
                entries[path] = _entry(path, item)
            if len(entries) + len(pending) > MAX_ENTRIES:
                raise LimitError(f"{bundle}: more than the {MAX_ENTRIES:,} files allowed")
    return Found(entries, ignored)


@contextmanager
def open_file(bundle: Path, path: str) -> Iterator[FileIO]:
    """Open a plain file of the bundle for reading, unbuffered; the caller's ``with`` closes it.

    Neither it nor a directory between it and ``bundle`` may be a symbolic link.

    Raises:
        NotFoundError: it is not there.
        MalformedError: not a plain file, or reached through a link.
        MediumError: it cannot be opened.
    """
    if not is_path(path):
        raise MalformedError(f"{path[:MAX_PATH]!r} cannot be the name of a bundle's file")
    try:
        descriptor = _open_plain(bundle, path)
    except OSError as error:
        raise _explained(bundle, path, error) from None
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor
        yield file


def read_file(bundle: Path, path: str, limit: int) -> bytes:
    """All of a small file of the bundle; at most ``limit`` bytes.

    Raises:
        LimitError: it is larger.
        NotFoundError, MalformedError, MediumError: as ``open_file``.
    """
    chunks: list[bytes] = []
    room = limit + 1
    with open_file(bundle, path) as file:
        try:
            while room and (chunk := file.read(room)):
                chunks.append(chunk)
                room -= len(chunk)
        except OSError as error:
            raise _explained(bundle, path, error) from None
    if not room:
        raise LimitError(f"{path}: larger than the {limit:,} bytes allowed")
    return b"".join(chunks)


def write_file(bundle: Path, name: str, data: bytes) -> None:
    """Write a small file at the top of the bundle: durably, all of it or nothing.

    Raises:
        NoSpaceError, MediumError: it cannot be written; what was there before still is.
    """
    partial = bundle / f"{name}.part"
    try:
        partial.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(partial, flags, 0o644), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(bundle / name)
        sync_directory(bundle)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        if error.errno == errno.ENOSPC:
            free = os.statvfs(bundle)
            raise NoSpaceError(
                str(bundle), needed=len(data), free=free.f_bavail * free.f_frsize
            ) from None
        raise MediumError(f"{bundle / name}: {error.strerror}") from None


class BundleLock:
    """The right to write in one directory, held by this process until ``release`` or its end.

    Use it as a context manager. The lock is the kernel's (``flock`` on the directory), so nothing
    of it stays behind when a process is killed.

    Raises:
        LockedError: another process holds it; says which and since when, if that can be known.
        MediumError: the directory cannot be opened or locked.
    """

    def __init__(self, directory: Path) -> None:
        try:
            self._descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise MediumError(f"{directory}: {error.strerror}") from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(os.fstat(self._descriptor))
            os.close(self._descriptor)
            raise LockedError(
                f"{directory}: in use{holder}",
                hint="wait until that has ended, or choose another directory",
            ) from None
        except OSError as error:
            os.close(self._descriptor)
            raise MediumError(f"{directory}: cannot be locked: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let others write; may be called again."""
        _close(self._descriptor)
        self._descriptor = -1


def remove_marks(bundle: Path) -> None:
    """Durably remove what says that a bundle is whole: the signatures, then ``bundle.json``.

    From here on until both are written again, whoever reads the directory finds no bundle.

    Raises:
        MediumError: one of them cannot be removed.
    """
    try:
        names = os.listdir(bundle)  # noqa: PTH208 - names are wanted, not paths
        marks = [name for name in names if signing_key(name)]
        marks += [INVENTORY] if INVENTORY in names else []
        for name in marks:
            (bundle / name).unlink()
        if marks:
            sync_directory(bundle)
    except OSError as error:
        raise MediumError(f"{error.filename or bundle}: {error.strerror}") from None


def sync_directory(directory: Path) -> None:
    """Make the names in ``directory`` durable, where its file system can."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _scan(bundle: Path, below: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(bundle / below) as items:
            return list(items)
    except FileNotFoundError:
        raise NotFoundError(f"{bundle}: there is no such directory") from None
    except NotADirectoryError:
        raise NotFoundError(f"{bundle}: not a directory, so not a bundle") from None
    except OSError as error:
        raise MediumError(f"{bundle / below}: {error.strerror}") from None


def _is_foreign(path: str, name: str) -> bool:
    """Whether something is not a bundle's: by its place at the top, elsewhere by its name."""
    if "/" in path:
        return _SYSTEM.fullmatch(name) is not None
    return name not in _TOP and signing_key(name) is None


def _entry(path: str, item: os.DirEntry[str]) -> Entry:
    status = item.stat(follow_symlinks=False)
    kind: EntryKind = "file" if stat.S_ISREG(status.st_mode) else "special"
    return Entry(path, kind, status.st_size)


def _digest(algorithm: str, text: str) -> Digest | None:
    return Digest(f"{algorithm}:{text}") if _HEX[algorithm].fullmatch(text) else None


def _open_plain(bundle: Path, path: str) -> int:
    *above, name = path.split("/")
    directory = os.open(bundle, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in above:
        directory = _step(directory, part, os.O_DIRECTORY)
    # O_NONBLOCK: a pipe with nobody at its other end must not hold us up.
    descriptor = _step(directory, name, os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise MalformedError(f"{path}: not a plain file")


def _step(directory: int, name: str, flags: int) -> int:
    """Open ``name`` in ``directory``, without following a link, and close ``directory``."""
    try:
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=directory)
    finally:
        os.close(directory)


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)


def _explained(
    bundle: Path, path: str, error: OSError
) -> NotFoundError | MalformedError | MediumError:
    match error.errno:
        case errno.ENOENT:
            return NotFoundError(f"{bundle / path}: there is no such file")
        case errno.ELOOP | errno.ENOTDIR | errno.ENXIO:
            return MalformedError(f"{path}: not a plain file in plain directories")
        case _:
            return MediumError(f"{bundle / path}: {error.strerror}")


def _holder(status: os.stat_result) -> str:
    """By whom a directory is locked and since when, as far as the kernel tells."""
    inode = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        for line in Path("/proc/locks").read_text("ascii").splitlines():
            # 1: FLOCK  ADVISORY  WRITE 4711 08:01:131090 0 EOF
            parts = line.split()
            if parts[1] == "FLOCK" and inode in parts:
                process = Path("/proc") / parts[4]
                name = (process / "comm").read_text("utf-8", "replace").strip()
                since = datetime.fromtimestamp(process.stat().st_mtime, UTC)
                return f" by {name} (process {parts[4]}), which began {since:%Y-%m-%d %H:%M:%S}Z"
    except (OSError, IndexError):
        pass
    return " by another process"
